"""`SOURCE!/member`: one file of a zip or a tar, wherever the archive is.

Nothing is unpacked: the bytes of a member go straight into the job's inputs, and only regular files are members. A
compressed tar is written out plainly, to a file without a name, the first time that a process needs it.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass, field
from threading import Lock
from typing import IO, TYPE_CHECKING, Protocol, cast
from zlib import error as ZlibError  # noqa: N812 - it is an exception

from cluster_interface.model.filetree import check_name
from cluster_interface.model.resources import show_bytes
from cluster_interface.staging.parts import CHUNK
from cluster_interface.staging.sources.kinds import HASH_BELOW, MOST_MEMBERS, Found, Member, unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer

    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.sources.kinds import Kind

MARK = "!/"
MOST_HASHED = 512  #: members of one archive that are read for their checksums before they are staged

_ARCHIVE = re.compile(r"(?i)(\.zip|\.tar|\.tar\.(gz|bz2|xz)|\.tgz|\.tbz2|\.txz)$")
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, EOFError, ZlibError, lzma.LZMAError, NotImplementedError, OSError)
_PACKED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))


def split(source: str) -> tuple[str, str] | None:
    """Split the source of a member into the archive's and the member's name; None if it is no such source.

    Whatever precedes `!/` must be named like an archive, or be an upload or a repository, so that names with `!/` in
    them elsewhere stay what they are.
    """
    outer, mark, member = source.partition(MARK)
    while mark:
        if _ARCHIVE.search(outer) or outer.startswith(("upload:", "git:")):
            return outer, member
        more, mark, member = member.partition(MARK)
        outer = f"{outer}{MARK}{more}"
    return None


class _Archive(Protocol):
    """An archive that is open: what it holds, and how a member is read (by several threads at once)."""

    sizes: dict[str, int]
    modes: dict[str, int]

    def read(self, name: str) -> IO[bytes]:
        """Open a member."""

    def close(self) -> None:
        """Let go of the file."""


@dataclass(frozen=True)
class Members:
    """Members of archives of every other kind of source."""

    kind_of: Callable[[str], Kind]
    limit: int
    _open: dict[tuple[str, str], _Archive] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def close(self) -> None:
        """Let go of the archives that were read."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def measure(self, source: str, owner: str) -> Found:
        """Look its size up, and read it for its checksum where it is small."""
        archive, name = self._find(source, owner)
        size = archive.sizes[name]
        return Found(size=size, sha256=_checksum(archive, name) if size <= HASH_BELOW else None)

    def bring(self, source: str, owner: str, part: Part, sha256: str | None) -> None:
        """Read it from the archive."""
        del sha256
        part.restart()
        archive, name = self._find(source, owner)
        part.check_limit(archive.sizes[name])
        try:
            with archive.read(name) as file:
                while data := file.read(CHUNK):
                    part.write(data)
                    if part.size > archive.sizes[name]:
                        break
        except _BROKEN as error:
            raise unavailable(f"{name} cannot be read from the archive: {_words(error)}") from None
        if part.size != archive.sizes[name]:
            raise unavailable(f"{name} has not the {archive.sizes[name]} bytes that the archive says")

    def open(self, source: str, owner: str, sha256: str | None, limit: int) -> int:
        """Refuse: archives in archives are not read."""
        del owner, sha256, limit
        raise unavailable(f"{source}: an archive inside another is not looked into; unpack the outer one first")

    def members(self, source: str, owner: str) -> Iterator[Member]:
        """List the files below a directory of the archive, or all; the checksums of small ones, where they are few."""
        outer, below = _must_split(source)
        archive = self._opened(outer, owner)
        start = f"{below.strip('/')}/" if below.strip("/") else ""
        names = sorted(name for name in archive.sizes if name.startswith(start))
        if not names:
            raise unavailable(f"{outer} holds no files below {below or 'its top'}")
        for name in names:
            small = len(names) <= MOST_HASHED and archive.sizes[name] <= HASH_BELOW
            yield Member(
                path=name[len(start) :],
                source=f"{outer}{MARK}{name}",
                size=archive.sizes[name],
                sha256=_checksum(archive, name) if small else None,
                executable=bool(archive.modes[name] & 0o100),
            )

    def _find(self, source: str, owner: str) -> tuple[_Archive, str]:
        outer, name = _must_split(source)
        archive = self._opened(outer, owner)
        if name not in archive.sizes:
            near = ", ".join(sorted(archive.sizes)[:5]) or "nothing"
            raise unavailable(
                f"{outer} has no file {name!r} in it; it has {near}{' …' if len(archive.sizes) > 5 else ''}"
            )
        return archive, name

    def _opened(self, outer: str, owner: str) -> _Archive:
        key = (owner, outer)
        with self._lock:
            if key not in self._open:
                file = os.fdopen(self.kind_of(outer).open(outer, owner, None, self.limit), "rb")
                try:
                    self._open[key] = _archive(file, self.limit)
                except BaseException as error:
                    file.close()
                    if not isinstance(error, _BROKEN):
                        raise
                    raise unavailable(f"{outer} cannot be read as a zip or a tar: {_words(error)}") from None
            return self._open[key]


class _Zip:
    """A zip (APPNOTE.TXT of PKWARE)."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._zip = zipfile.ZipFile(file)
        self.sizes: dict[str, int] = {}
        self.modes: dict[str, int] = {}
        for info in self._zip.infolist():
            mode = info.external_attr >> 16
            if not info.is_dir() and (mode & 0o170000) in (0, 0o100000):  # no link, no device
                _add(self.sizes, info.filename, info.file_size)
                self.modes[info.filename] = mode

    def read(self, name: str) -> IO[bytes]:
        info = self._zip.getinfo(name)
        if info.flag_bits & 1:
            raise unavailable(f"{name} is encrypted, which is not supported")
        return self._zip.open(info)

    def close(self) -> None:
        self._zip.close()
        self._file.close()


class _Tar:
    """A tar (pax, GNU, ustar), not compressed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sizes: dict[str, int] = {}
        self.modes: dict[str, int] = {}
        self._starts: dict[str, int] = {}
        for info in tarfile.open(fileobj=file, mode="r:"):  # noqa: SIM115 - the file is closed by close()
            name, first = info.name.removeprefix("./"), info.linkname.removeprefix("./")
            if info.isreg() and not info.issparse():
                _add(self.sizes, name, info.size)
                self.modes[name], self._starts[name] = info.mode, info.offset_data
            elif info.islnk() and first in self.sizes:
                _add(self.sizes, name, self.sizes[first])
                self.modes[name], self._starts[name] = self.modes[first], self._starts[first]

    def read(self, name: str) -> IO[bytes]:
        return cast(
            "IO[bytes]", io.BufferedReader(_Span(self._file.fileno(), self._starts[name], self.sizes[name]), CHUNK)
        )

    def close(self) -> None:
        self._file.close()


class _Span(io.RawIOBase):
    """A stretch of a file, read without moving the file's own position."""

    def __init__(self, fd: int, start: int, size: int) -> None:
        super().__init__()
        self._fd, self._at, self._end = fd, start, start + size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        count = os.preadv(self._fd, [view[: max(0, min(len(view), self._end - self._at))]], self._at)
        self._at += count
        return count


def _archive(file: IO[bytes], limit: int) -> _Archive:
    if file.read(4) in (b"PK\x03\x04", b"PK\x05\x06"):
        return _Zip(file)
    file.seek(0)
    return _Tar(_plain(file, limit))


def _plain(file: IO[bytes], limit: int) -> IO[bytes]:
    """Return the tar without its compression, in a file of no name; refused once it is more than `limit` bytes."""
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
                    raise unavailable(f"holds more than this site takes for one input, {show_bytes(limit)}")
                plain.write(data)
    except BaseException:
        plain.close()
        raise
    plain.seek(0)
    return cast("IO[bytes]", plain)


def _add(sizes: dict[str, int], name: str, size: int) -> None:
    """Note a member if its name is one that a job's file could have."""
    if len(sizes) >= MOST_MEMBERS:
        raise unavailable(f"has more than {MOST_MEMBERS} files in it")
    try:
        check_name(name)
    except ValueError:
        return  # cannot be asked for, so cannot do harm
    sizes[name] = size


def _checksum(archive: _Archive, name: str) -> str:
    digest = hashlib.sha256()
    try:
        with archive.read(name) as file:
            while data := file.read(CHUNK):
                digest.update(data)
    except _BROKEN as error:
        raise unavailable(f"{name} cannot be read from the archive: {_words(error)}") from None
    return digest.hexdigest()


def _must_split(source: str) -> tuple[str, str]:
    found = split(source)
    if found is None:
        raise unavailable(f"{source} names no member of an archive")
    return found


def _words(error: BaseException) -> str:
    return str(error).rstrip(".") or type(error).__name__
