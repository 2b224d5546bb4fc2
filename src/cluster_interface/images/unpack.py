"""A tar of a root filesystem into a directory: files, directories and links, by our own checks.

Device nodes and pipes are left out, setuid, setgid and other people's right to write are taken away, and
everything is readable: jobs run as somebody else. Sizes are counted as they come, never believed.
The standard library's own extraction filters are not relied on: Debian's Python 3.11 has none.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import shutil
import subprocess
import tarfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from cluster_interface.images.tree import Tree, Unsafe
from cluster_interface.model.errors import Rejected
from cluster_interface.model.resources import GIB, MIB, show_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_CHUNK = MIB
_LATEST = 2**32 - 1  #: seconds since 1970 that every filesystem takes
_LARGEST_HEADER = MIB  #: bytes of an extended header: tarfile reads it whole into memory
_EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME)
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, UnicodeError)


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold."""

    size: int = 32 * GIB  #: bytes, unpacked
    entries: int = 2_000_000


class _Member(tarfile.TarInfo):
    """A header; one that claims to go on for ever is refused before it is read into memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo | None:
        if self.type in (*_EXTENDED, tarfile.GNUTYPE_LONGLINK) and not 0 <= self.size <= _LARGEST_HEADER:
            raise Unsafe(f"an extended header of {show_bytes(self.size)}")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]  # the hook tarfile documents in its source, not in its stubs


def unpack(
    stream: IO[bytes],
    target: Path,
    limits: Limits,
    leave_out: Callable[[str], bool] = lambda _: False,
    *,
    through_links: bool = False,
) -> int:
    """Unpack a plain tar into the directory `target` and return how many bytes its files have.

    `through_links`: it is one of several layers, whose directories may be links by now.
    Raises Rejected if it is no archive, would reach outside or is larger than the limits; OSError from the disk.
    """
    size = 0
    try:
        with (
            tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive,
            Tree(target, through_links=through_links) as tree,
        ):
            for number, member in enumerate(archive, start=1):
                archive.members.clear()  # type: ignore[attr-defined]  # else it remembers every header it has seen
                if number > limits.entries:
                    raise Unsafe(f"more than {limits.entries} entries")
                if member.name.strip("./") and not leave_out(member.name.removeprefix("./")):
                    size += _put(tree, archive, member, limits.size - size)
    except Unsafe as error:
        raise Rejected.field("archive", f"not taken: {error}") from None
    except _DAMAGE as error:
        raise Rejected.field("archive", f"is damaged or no tar archive: {error}") from None
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.EINVAL, errno.EISDIR, errno.ENOTDIR):
            raise Rejected.field("archive", f"has a name that no filesystem takes: {error.strerror}") from None
        raise
    return size


def _put(tree: Tree, archive: tarfile.TarFile, member: tarfile.TarInfo, room: int) -> int:
    """Put one entry in place; return the bytes of its content."""
    if member.isdir():
        tree.directory(member.name)
    elif member.issym():
        tree.link(member.name, member.linkname)
    elif member.islnk():
        tree.same(member.name, member.linkname)
    elif member.isreg():
        return _put_file(tree, archive, member, room)
    return 0


def _put_file(tree: Tree, archive: tarfile.TarFile, member: tarfile.TarInfo, room: int) -> int:
    source = archive.extractfile(member)
    written = 0
    time = min(max(member.mtime, 0), _LATEST)  # bytecode is checked against it
    with tree.file(member.name, executable=bool(member.mode & 0o111), time=time) as descriptor:
        while chunk := source.read(_CHUNK) if source else b"":
            written += len(chunk)
            if written > room:
                raise Unsafe("it unpacks to more than is allowed for an image")
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
    if written != member.size:
        raise EOFError(f"{member.name} is cut short")
    return written


@contextmanager
def opened(archive: Path) -> Iterator[IO[bytes]]:
    """Open an archive for reading, decompressed (gzip, xz, bzip2, zstd, or plain)."""
    with archive.open("rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        if magic.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=raw) as stream:
                yield cast("IO[bytes]", stream)
        elif magic == b"\xfd7zXZ\0":
            with lzma.LZMAFile(raw) as stream:
                yield stream
        elif magic.startswith(b"BZh"):
            with bz2.BZ2File(raw) as stream:
                yield stream
        elif magic.startswith(b"\x28\xb5\x2f\xfd"):
            yield from _zstd(raw)
        else:
            yield raw


def _zstd(raw: IO[bytes]) -> Iterator[IO[bytes]]:
    if shutil.which("zstd") is None:
        raise Rejected.field("archive", "is compressed with zstd, which is not installed here; use gzip or xz")
    os.lseek(raw.fileno(), 0, os.SEEK_SET)  # the object's own seek only moves in its buffer
    argv = ["zstd", "--decompress", "--stdout", "--quiet"]
    with subprocess.Popen(argv, stdin=raw, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None  # noqa: S101 - stdout=PIPE
        try:
            yield process.stdout
        finally:
            process.kill()
