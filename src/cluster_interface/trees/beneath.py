"""Open, make and remove things below an open directory, following no symbolic link in any component.

Whoever owns the tree may swap a directory for a link at any moment, so no path is ever handed to the kernel
whole: each component is opened from the descriptor of the one above it with O_NOFOLLOW.
"""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import stat
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

_THROUGH = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


_NO_NAMES = frozenset(("", ".", ".."))

MOST_KEPT = 32  #: directories that a thread keeps open


class NotBeneath(ValueError):
    """A path that cannot be one below a directory: absolute, empty, with `..`, `.` or a NUL in it."""


class Kept:
    """A directory whose subdirectories stay open for a while: for many files in few directories, one descent each.

    It stands where the functions here take a descriptor. Every thread has its own open ones. Use none of it any more
    once directories below have been moved or removed.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._own = threading.local()
        self._all: list[dict[str, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all but the directory itself; no other thread may use it any more."""
        for opened in self._all:
            while opened:
                os.close(opened.popitem()[1])

    def opened(self, path: str, *, make: bool) -> int:
        """Return a descriptor of a directory to go through, which is good until MOST_KEPT others were asked for."""
        kept = self._kept()
        fd = kept.pop(path, -1)
        if fd < 0:
            if len(kept) >= MOST_KEPT:
                os.close(kept.pop(next(iter(kept))))
            fd = _descend(self.fd, parts_of(path) if path else [], _THROUGH, make=make)
        kept[path] = fd  # the last used is the last
        return fd

    def place(self, path: str, *, make: bool) -> tuple[int, str]:
        """Return a descriptor of the directory that `path` lies in, as `opened` does, and the last component."""
        above, _, name = path.rpartition("/")
        if name in _NO_NAMES or path[0] == "/" or "\0" in name:
            raise NotBeneath(f"{path!r} is not a path below a directory")
        return self.opened(above, make=make), name

    def _kept(self) -> dict[str, int]:
        try:
            kept: dict[str, int] = self._own.kept
        except AttributeError:
            kept = self._own.kept = {}
            self._all.append(kept)
        return kept


At = int | Kept  #: a directory: its descriptor, or one whose subdirectories are kept open


def parts_of(path: str) -> list[str]:
    """Split a relative path; raise NotBeneath if it might lead out or is odd."""
    parts = path.split("/")
    if "\0" in path or not _NO_NAMES.isdisjoint(parts):
        raise NotBeneath(f"{path!r} is not a path below a directory")
    return parts


def open_directory(at: At, path: str = "", *, make: bool = False) -> int:
    """Return a descriptor of the directory `path` below `at` ("": `at` itself), made (0755) if asked.

    Raises NotBeneath, or OSError: ELOOP or ENOTDIR where a component is a link.
    """
    return _descend(at, parts_of(path.removesuffix("/")) if path else [], _DIRECTORY, make=make)


def _descend(at: At, parts: list[str], last: int, *, make: bool) -> int:
    """Open component by component; those on the way need not be readable, the last is opened with `last`."""
    here = os.open(".", _THROUGH if parts else last, dir_fd=at.fd if isinstance(at, Kept) else at)
    try:
        for number, part in enumerate(parts, start=1):
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=here)
            below = os.open(part, last if number == len(parts) else _THROUGH, dir_fd=here)
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return here


@contextmanager
def directory(at: At, path: str = "", *, make: bool = False) -> Iterator[int]:
    """Like `open_directory`, closed at the end."""
    fd = open_directory(at, path, make=make)
    try:
        yield fd
    finally:
        os.close(fd)


def parent(at: At, path: str, *, make: bool = False) -> _Parent:
    """Open the directory that `path` lies in (to go through, not to list); give it and the last component."""
    return _Parent(at, path, make=make)


class _Parent:
    """What `parent` returns: a class, since a generator costs as much as the system's part of a small file."""

    __slots__ = ("_at", "_fd", "_make", "_path")

    def __init__(self, at: At, path: str, *, make: bool) -> None:
        self._at, self._path, self._make = at, path, make
        self._fd = -1

    def __enter__(self) -> tuple[int, str]:
        if isinstance(self._at, Kept):
            return self._at.place(self._path, make=self._make)
        *parts, name = parts_of(self._path)
        self._fd = _descend(self._at, parts, _THROUGH, make=self._make)
        return self._fd, name

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def open_file(at: At, path: str) -> int:
    """Return a descriptor for reading the regular file `path` below `at`.

    Raises NotBeneath, or OSError: ELOOP for a link, EISDIR for a directory, EINVAL for any other kind. Fifos and
    devices are looked at before they are opened, since opening alone may block or act.
    """
    with parent(at, path) as (above, name):
        _must_be_file(os.stat(name, dir_fd=above, follow_symlinks=False), path)
        fd = os.open(name, _FILE, dir_fd=above)
    try:
        _must_be_file(os.fstat(fd), path)
    except OSError:
        os.close(fd)
        raise
    return fd


def _must_be_file(seen: os.stat_result, path: str) -> None:
    if stat.S_ISLNK(seen.st_mode):
        raise OSError(errno.ELOOP, "is a symbolic link", path)
    if stat.S_ISDIR(seen.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a directory", path)
    if not stat.S_ISREG(seen.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", path)


def look(at: At, path: str) -> os.stat_result | None:
    """Return what `path` below `at` is, links not followed; None if there is nothing."""
    try:
        with parent(at, path) as (above, name):
            return os.stat(name, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return None


def create_file(at: At, path: str, mode: int) -> int:
    """Make a file that must not be there yet, with its directories; return a descriptor to read and write it."""
    with parent(at, path, make=True) as (above, name):
        fd = os.open(name, NEW, 0o600, dir_fd=above)
    os.fchmod(fd, mode)
    return fd


def read_small(at: At, path: str, limit: int) -> bytes:
    """Read at most `limit` bytes of a regular file; OSError or NotBeneath as `open_file` does."""
    with os.fdopen(open_file(at, path), "rb") as file:
        return file.read(limit)


def rename(at: At, old: str, new: str) -> None:
    """Move `old` to `new`, both below `at`; the directories of `new` are made."""
    with parent(at, old) as (source, old_name), parent(at, new, make=True) as (target, new_name):
        os.rename(old_name, new_name, src_dir_fd=source, dst_dir_fd=target)


def remove(at: At, path: str) -> None:
    """Remove a file, a link or a whole directory; what is not there is no error. No link is followed.

    Directories are moved up to the topmost before they are emptied, so that a tree of any depth needs neither
    recursion nor long paths, and what is left by a kill is found by the next try.
    """
    with suppress(FileNotFoundError), parent(at, path) as (above, name):
        seen = os.stat(name, dir_fd=above, follow_symlinks=False)
        if stat.S_ISDIR(seen.st_mode):
            unlock(name, seen.st_mode, above)
            with directory(above, name) as top:
                _empty_all(top)
            os.rmdir(name, dir_fd=above)
        else:
            os.unlink(name, dir_fd=above)


def empty(at: At, path: str) -> None:
    """Remove all that is in a directory, but not itself; one that is not there is no error."""
    with suppress(FileNotFoundError), directory(at, path) as top:
        _empty_all(top)


def _empty_all(top: int) -> None:
    token = secrets.token_hex(8)
    numbers = itertools.count()
    waiting = _empty(top)
    while waiting:
        name = waiting.pop()
        with directory(top, name) as fd:
            for below in _empty(fd):
                waiting.append(f"{token}.{next(numbers)}")
                os.rename(below, waiting[-1], src_dir_fd=fd, dst_dir_fd=top)
        os.rmdir(name, dir_fd=top)


def _empty(fd: int) -> list[str]:
    """Unlink what is not a directory; return the directories' names, which may now be gone into and moved."""
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in entries]
    for name, mode in found:
        if stat.S_ISDIR(mode):
            unlock(name, mode, fd)
        else:
            os.unlink(name, dir_fd=fd)
    return [name for name, mode in found if stat.S_ISDIR(mode)]


def unlock(name: str, mode: int, at: int) -> None:
    """Let the owner into a directory that was locked; by descriptor, since chmod by name would follow a link."""
    if mode & 0o700 != 0o700:
        fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        try:
            Path(f"/proc/self/fd/{fd}").chmod(0o700)
        finally:
            os.close(fd)
