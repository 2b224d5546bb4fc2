"""Open a zip or a tar, compressed or not, to read from it or only to look at what is in it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import tempfile
import zipfile
from typing import IO, TYPE_CHECKING, cast

from cluster_interface.model.amounts import show_bytes
from cluster_interface.model.filetree import MOST_MEMBERS
from cluster_interface.trees.archives import BROKEN, Archive, Unfit, words
from cluster_interface.trees.names import portable

if TYPE_CHECKING:
    from typing_extensions import Buffer

CHUNK = 1024 * 1024
LONGEST_END = 22 + 65_535 + 20 + 56  #: bytes of what ends a zip, with its comment
LONGEST_LIST = 64 * 2**20  #: bytes of the list of what is in a zip
LONGEST_TARGET = 4096  #: bytes of a link in a zip: PATH_MAX
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_ODD_KINDS = {
    tarfile.FIFOTYPE: "is a fifo",
    tarfile.CHRTYPE: "is a device",
    tarfile.BLKTYPE: "is a device",
    tarfile.GNUTYPE_SPARSE: "is a sparse file, which is not supported",
}
_PACKED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))


class _Zip(Archive):
    """A zip (APPNOTE.TXT of PKWARE)."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        _must_be_listable(file)
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


def _must_be_listable(file: IO[bytes]) -> None:
    """Raise Unfit for more entries than are taken, before they are all read: by what the zip says at its end.

    That may lie, so the list's size counts, too (APPNOTE.TXT 4.3.14 and 4.3.16).
    """
    file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_END))
    end = file.read()
    file.seek(0)
    count = size = 0
    for mark, form, at in ((b"PK\x05\x06", "<HI", 10), (b"PK\x06\x06", "<QQ", 32)):
        found = end.rfind(mark)
        if found >= 0 and len(end) >= found + at + struct.calcsize(form):
            count, size = struct.unpack_from(form, end, found + at)
    if count > MOST_MEMBERS or size > LONGEST_LIST:
        raise Unfit(f"has more than {MOST_MEMBERS:,} files in it")


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
