"""Walk a tree below an open directory, following no link, however it is changed meanwhile."""

from __future__ import annotations

import os
import stat
from enum import StrEnum
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from cluster_interface.trees.beneath import directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEEPEST = 128  #: directories deeper than this are named, but not gone into, unless somebody asks for more


class Kind(StrEnum):
    """What an entry of a tree is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"  #: a fifo, a socket or a device
    UNREADABLE = "unreadable"  #: a directory that could not be gone into, or is too deep


_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.LINK}


class Entry(NamedTuple):
    """One entry: its path below the root, and what lstat says of it."""

    path: str
    kind: Kind
    size: int
    mtime_ns: int
    mode: int
    device: int = 0  #: of the filesystem it is on
    uid: int = -1  #: whose it is


def walk(root: int, skip: Callable[[str, Kind], bool] | None = None, *, deepest: int = DEEPEST) -> Iterator[Entry]:
    """Yield every entry below the directory `root`, a directory before what is in it, each in order of names.

    `skip(path, kind)` leaves an entry out, and with a directory all that is in it. What vanishes is left out.
    Directories deeper than `deepest` are named once more as UNREADABLE.
    """
    waiting = [""]
    while waiting:
        path = waiting.pop()
        try:
            found = _entries(root, path, deepest)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            yield Entry(path=path, kind=Kind.UNREADABLE, size=0, mtime_ns=0, mode=0)
            continue
        kept = [entry for entry in found if not skip(entry.path, entry.kind)] if skip else found
        yield from kept
        waiting += [entry.path for entry in reversed(kept) if entry.kind is Kind.DIRECTORY]


def _entries(root: int, path: str, deepest: int) -> list[Entry]:
    if path.count("/") >= deepest:
        raise OSError(f"{path}: too deep")
    found = []
    with directory(root, path) as fd, os.scandir(fd) as entries:
        for entry in entries:
            try:
                seen = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            name = f"{path}/{entry.name}" if path else entry.name
            mode = seen.st_mode
            found.append(  # by place: names would take longer than all else that is done here for thousands
                Entry(name, kind_of(mode), seen.st_size, seen.st_mtime_ns, mode & 0o7777, seen.st_dev, seen.st_uid)
            )
    return sorted(found, key=itemgetter(0))


def kind_of(mode: int) -> Kind:
    """Say what the mode of an entry makes it."""
    return _KINDS.get(stat.S_IFMT(mode), Kind.OTHER)
