"""What is in a zip or a tar, by name, and the bytes of its files. Nothing is unpacked on the way.

Members are what a tree can have: regular files, directories and links. Whatever else is there (names that lead out,
devices, what is encrypted …) is named in `odd` with the reason, so that nobody leaves it out unsaid.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import tarfile
import tempfile
import zipfile
from typing import IO, TYPE_CHECKING, cast
from zlib import error as ZlibError  # noqa: N812 - it is an exception

from cluster_interface.model.amounts import show_bytes
from cluster_interface.model.filenames import check_name
from cluster_interface.model.filetree import IN_ARCHIVE, MOST_MEMBERS
from cluster_interface.trees.names import portable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

CHUNK = 1024 * 1024
LONGEST_TARGET = 4096  #: bytes of a link in a zip: PATH_MAX
MOST_NAMED = 3  #: odd members that a message names

#: what reading a damaged archive raises
BROKEN = (zipfile.BadZipFile, tarfile.TarError, EOFError, ZlibError, lzma.LZMAError, NotImplementedError, OSError)

_ARCHIVE = re.compile(r"(?i)(\.zip|\.tar|\.tar\.(gz|bz2|xz)|\.tgz|\.tbz2|\.txz)$")
_PACKED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_ODD_KINDS = {
    tarfile.FIFOTYPE: "is a fifo",
    tarfile.CHRTYPE: "is a device",
    tarfile.BLKTYPE: "is a device",
    tarfile.GNUTYPE_SPARSE: "is a sparse file, which is not supported",
}


class Unfit(ValueError):
    """An archive, or a member of one, that cannot be used: its text says why."""


def split(source: str) -> tuple[str, str] | None:
    """Split the source of a member into the archive's and the member's name; None if it is no such source.

    Whatever precedes `!/` must be named like an archive, or be an upload or a repository, so that names with `!/` in
    them elsewhere stay what they are.
    """
    for outer, member in splits(source):
        if _ARCHIVE.search(outer) or outer.startswith(("upload:", "git:")):
            return outer, member
    return None


def splits(text: str) -> Iterator[tuple[str, str]]:
    """Yield every way to split a text at `!/`, from the left."""
    at = text.find(IN_ARCHIVE)
    while at >= 0:
        yield text[:at], text[at + len(IN_ARCHIVE) :]
        at = text.find(IN_ARCHIVE, at + 1)


class Archive:
    """An archive that is open: what it holds, and how a file of it is read (by several threads at once)."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sizes: dict[str, int] = {}  #: of the files, bytes
        self.modes: dict[str, int] = {}  #: of the files
        self.links: dict[str, str] = {}  #: name -> target
        self.directories: set[str] = set()  #: that have an entry of their own
        self.odd: dict[str, str] = {}  #: what no tree can have -> why

    def read(self, name: str) -> IO[bytes]:
        """Open a file of it."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def names(self) -> list[str]:
        """List the files and links, and the directories (ending in `/`) that hold none, in order."""
        found = [*self.sizes, *self.links]
        above = {name[: at + 1] for name in found for at, sign in enumerate(name) if sign == "/"}
        return sorted([*found, *(f"{name}/" for name in self.directories if f"{name}/" not in above)])

    def below(self, path: str) -> tuple[str, list[str]]:
        """Return how the names below a directory begin, and these; Unfit if there are none or some cannot be taken."""
        start = f"{path.strip('/')}/" if path.strip("/") else ""
        odd = {name: why for name, why in self.odd.items() if name.startswith(start)}
        if odd:
            named = "; ".join(f"{portable(name)[:200]!r} {why}" for name, why in [*odd.items()][:MOST_NAMED])
            more = f" and {len(odd) - MOST_NAMED:,} more" if len(odd) > MOST_NAMED else ""
            advice = "Name the files that are wanted, or a directory of it without these"
            raise Unfit(f"cannot be taken whole: {named}{more}. {advice}")
        names = [name for name in self.names() if name.startswith(start) and name != start]
        if not names and path.strip("/") not in self.directories:
            raise Unfit(f"holds no files below {path or 'its top'}")
        return start, names

    def must_have(self, name: str) -> None:
        """Raise Unfit, saying what there is instead, if it has no file of that name."""
        if name in self.sizes:
            return
        if name in self.odd:
            raise Unfit(f"{name[:200]!r} in it {self.odd[name]}")
        if name in self.links:
            raise Unfit(f"{name!r} in it is a link to {self.links[name]!r}; name that one")
        if name.strip("/") in self.directories or any(one.startswith(f"{name.strip('/')}/") for one in self.sizes):
            raise Unfit(f"{name!r} in it is a directory; it needs a name that ends in /")
        near = ", ".join(sorted(self.sizes)[:5]) or "nothing"
        raise Unfit(f"has no file {name!r} in it; it has {near}{' …' if len(self.sizes) > 5 else ''}")

    def _add(self, name: str, size: int, mode: int) -> bool:
        if not self._fits(name):
            return False
        self._forget(name)
        self.sizes[name], self.modes[name] = size, mode
        return True

    def _add_link(self, name: str, target: str) -> None:
        if self._fits(name):
            self._forget(name)
            self.links[name] = target

    def _add_directory(self, name: str) -> None:
        name = name.rstrip("/")
        if name not in ("", ".") and self._fits(name):
            self.directories.add(name)

    def _forget(self, name: str) -> None:
        """What comes later in an archive is in the place of what had the same name."""
        self.sizes.pop(name, None)
        self.links.pop(name, None)

    def _fits(self, name: str) -> bool:
        """Note a member whose name no tree could have as odd."""
        if len(self.sizes) + len(self.links) + len(self.directories) + len(self.odd) >= MOST_MEMBERS:
            raise Unfit(f"has more than {MOST_MEMBERS:,} files in it")
        try:
            check_name(name)
        except ValueError:
            self.odd[name] = _why(name)
        else:
            return True
        return False


def _why(name: str) -> str:
    if name.startswith("/"):
        return "has an absolute name"
    if ".." in name.split("/"):
        return "has `..` in its name"
    return "has a name that no file of a job can have" if name else "has no name"


class _Zip(Archive):
    """A zip (APPNOTE.TXT of PKWARE)."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self._zip = zipfile.ZipFile(file)
        for info in self._zip.infolist():
            mode = info.external_attr >> 16
            kind = stat.S_IFMT(mode)
            if info.is_dir() or kind == stat.S_IFDIR:
                self._add_directory(info.filename)
            elif info.flag_bits & 1:
                self.odd[info.filename] = "is encrypted, which is not supported"
            elif kind == stat.S_IFLNK:
                self._add_link(info.filename, self._target(info))
            elif kind in (0, stat.S_IFREG):
                self._add(info.filename, info.file_size, mode)
            else:
                self.odd[info.filename] = "is a fifo, a socket or a device"

    def _target(self, info: zipfile.ZipInfo) -> str:
        with self._zip.open(info) as file:
            return portable(os.fsdecode(file.read(LONGEST_TARGET)))

    def read(self, name: str) -> IO[bytes]:
        return self._zip.open(name)

    def close(self) -> None:
        self._zip.close()
        super().close()


class _Tar(Archive):
    """A tar (pax, GNU, ustar), plain; one whose names alone are wanted may be compressed."""

    def __init__(self, file: IO[bytes], mode: str) -> None:
        super().__init__(file)
        self._starts: dict[str, int] = {}
        for info in tarfile.open(fileobj=file, mode=mode):  # type: ignore[call-overload]  # noqa: SIM115 - see close()
            self._take(info)

    def _take(self, info: tarfile.TarInfo) -> None:
        name, first = portable(info.name.removeprefix("./")), portable(info.linkname.removeprefix("./"))
        if info.isdir():
            self._add_directory(name)
        elif info.issym():
            self._add_link(name, portable(info.linkname))
        elif info.islnk() and first in self.sizes:
            if self._add(name, self.sizes[first], self.modes[first]):
                self._starts[name] = self._starts[first]
        elif info.isreg() and not info.issparse():
            if self._add(name, info.size, info.mode):
                self._starts[name] = info.offset_data
        elif info.islnk():
            self.odd[name] = f"is a second name of {first[:200]!r}, which is no file before it"
        else:
            kind = tarfile.GNUTYPE_SPARSE if info.issparse() else info.type
            self.odd[name] = _ODD_KINDS.get(kind, "is neither a file, a directory nor a link")

    def read(self, name: str) -> IO[bytes]:
        span = _Span(self._file.fileno(), self._starts[name], self.sizes[name])
        return cast("IO[bytes]", io.BufferedReader(span, CHUNK))


class _Span(io.RawIOBase):
    """A stretch of a file, read without moving the file's own position."""

    def __init__(self, fd: int, start: int, size: int) -> None:
        super().__init__()
        self._fd, self._start, self._at, self._end = fd, start, start, start + size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        origin = {os.SEEK_SET: self._start, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        self._at = max(self._start, origin + offset)
        return self._at - self._start

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        count = os.preadv(self._fd, [view[: max(0, min(len(view), self._end - self._at))]], self._at)
        self._at += count
        return count


def open_archive(file: IO[bytes], limit: int) -> Archive:
    """Open an archive to read from it, and take over `file`; a compressed tar is written out plainly, without a name.

    Unfit if it is none, damaged, or more than `limit` bytes when it is not compressed.
    """
    return _opened(file, limit)


def list_archive(file: IO[bytes]) -> Archive:
    """Open an archive only to look at what is in it, and take over `file`; Unfit as above."""
    return _opened(file, None)


def _opened(file: IO[bytes], limit: int | None) -> Archive:
    try:
        start = file.read(4)
        file.seek(0)
        if start in _ZIP:
            return _Zip(file)
        return _Tar(file, "r:*") if limit is None else _Tar(_plain(file, limit), "r:")
    except BROKEN as error:
        file.close()
        raise Unfit(f"cannot be read as a zip or a tar: {words(error)}") from None
    except BaseException:
        file.close()
        raise


def _plain(file: IO[bytes], limit: int) -> IO[bytes]:
    """Return the tar without its compression, in a file of no name; Unfit once it is more than `limit` bytes."""
    start = file.read(6)
    file.seek(0)
    unpack = next((opener for magic, opener in _PACKED if start.startswith(magic)), None)
    if unpack is None:
        return file
    plain = tempfile.TemporaryFile()  # noqa: SIM115 - it stays open
    size = 0
    try:
        with file, unpack(file, "rb") as packed:
            while data := packed.read(CHUNK):
                size += len(data)
                if size > limit:
                    raise Unfit(f"holds more than this site takes for one input, {show_bytes(limit)}")
                plain.write(data)
    except BaseException:
        plain.close()
        raise
    plain.seek(0)
    return cast("IO[bytes]", plain)


def words(error: BaseException) -> str:
    """Say in words what reading an archive raised."""
    return str(error).rstrip(".") or type(error).__name__
