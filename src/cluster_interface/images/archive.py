"""A directory as a tar that is the same byte for byte each time: sorted, one time, root's, its size known before."""

from __future__ import annotations

import os
import stat
import tarfile
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from cluster_interface.images.keys import EPOCH
from cluster_interface.model.resources import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    Content = Path | Callable[[], BinaryIO]  #: a file, or what opens one

_BLOCK = 512
_END = bytes(2 * _BLOCK)
_OPEN_TO_ALL = ("tmp", "var/tmp")  #: 1777 in an image, though not in the store


@dataclass
class Listing:
    """The entries of a tar to be, and its size in bytes."""

    entries: list[tuple[bytes, Content | None, int]] = field(default_factory=list)  #: header, content, its size
    size: int = len(_END)

    def add(self, info: tarfile.TarInfo, content: Content | None = None) -> None:
        """Add an entry."""
        header = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        self.entries.append((header, content, info.size))
        self.size += len(header) + _padded(info.size)

    def take_back(self) -> None:
        """Take the last entry back."""
        header, _, size = self.entries.pop()
        self.size -= len(header) + _padded(size)


def listing(directory: Path, prefix: str = "", without: Mapping[str, int] = MappingProxyType({})) -> Listing:
    """List a directory as the tar it makes below `prefix` (such as `opt/env`).

    `without` these files, where they are the inodes that it names, and the directories that have nothing else.
    """
    found = Listing()
    above = [part for part in prefix.split("/") if part]
    for depth in range(len(above)):
        found.add(_info("/".join(above[: depth + 1]), tarfile.DIRTYPE, 0o755))
    _walk(found, directory, prefix, {f"{prefix}/{name}".lstrip("/"): inode for name, inode in without.items()})
    return found


def inodes(directory: Path) -> dict[str, int]:
    """Name all below a directory that is none, with its inode, for `without`."""
    found = {}
    for at, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(at, name)  # noqa: PTH118 - the walk gives text, and there are thousands
            found[os.path.relpath(path, directory)] = os.lstat(path).st_ino
    return found


def both(base: Path, layer: Path | None, place: str) -> Listing:
    """List a base and a layer below `place`, which the base has already, as one tar."""
    found = listing(base)
    if layer is not None:
        _walk(found, layer, place)
    return found


def stream(found: Listing) -> Iterator[bytes]:
    """Yield the tar; OSError if a file changed meanwhile."""
    for header, content, size in found.entries:
        yield header
        if content is not None:
            yield from _content(content, size)
            yield bytes(_padded(size) - size)
    yield _END


def _walk(found: Listing, directory: Path, prefix: str, without: Mapping[str, int] = MappingProxyType({})) -> None:
    for entry in sorted(os.scandir(directory), key=lambda one: one.name):
        name = f"{prefix}/{entry.name}".lstrip("/")
        path = directory / entry.name
        status = path.lstat()
        if without.get(name) == status.st_ino:
            continue
        if stat.S_ISDIR(status.st_mode):
            found.add(_info(name, tarfile.DIRTYPE, 0o1777 if name in _OPEN_TO_ALL else 0o755))
            before = len(found.entries)
            _walk(found, path, name, without)
            if without and len(found.entries) == before and any(path.iterdir()):  # all of it is left out
                found.take_back()
        elif stat.S_ISLNK(status.st_mode):
            info = _info(name, tarfile.SYMTYPE, 0o777)
            info.linkname = os.readlink(path)  # noqa: PTH115 - as it is: a Path would tidy it
            found.add(info)
        elif stat.S_ISREG(status.st_mode):
            info = _info(name, tarfile.REGTYPE, 0o755 if status.st_mode & 0o111 else 0o644)
            info.size = status.st_size
            found.add(info, path)


def _info(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, EPOCH
    return info


def _content(content: Content, size: int) -> Iterator[bytes]:
    left = size
    with content() if callable(content) else content.open("rb") as file:
        while left and (chunk := file.read(min(left, MIB))):
            left -= len(chunk)
            yield chunk
    if left:
        raise OSError(f"{content} became shorter while it was read")


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
