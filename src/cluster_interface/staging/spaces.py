"""Where the cache's files lie: a directory for each space, with what is whole and what is on its way.

When a file was last read is set to when it was last asked for. All of it is done as the server.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOOK_EVERY = 0.1  #: seconds between looks at a download that somebody else makes

_libc = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD, _UTIME_OMIT = -100, (1 << 30) - 2  # fcntl.h and sys/stat.h of Linux; os.utime cannot leave one time alone


class Spaces:
    """The spaces below one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: set[str] = set()  #: whose directories are there

    def make(self, name: str) -> None:
        """Make the directories of a space, unless that was done."""
        if name in self._made and os.path.exists(f"{self._root}/{name}/data"):  # noqa: PTH110 - for thousands: a Path costs as much as this
            return
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for inner in ("data", "incoming"):
            (self._root / name / inner).mkdir(parents=True, exist_ok=True)
        self._made.add(name)

    def place(self, space: str, sha256: str) -> str:
        """Say where bytes are when they are whole."""
        return f"{self._root}/{space}/data/{sha256}"

    def incoming(self, space: str, name: str) -> str:
        """Say where bytes are while they come."""
        return f"{self._root}/{space}/incoming/{name}"

    def remove(self, space: str, sha256: str) -> None:
        """Remove bytes; those that are not there are no error."""
        with suppress(FileNotFoundError):
            (self._root / space / "data" / sha256).unlink()

    @contextmanager
    def opened(self, space: str) -> Iterator[int]:
        """Open the directory of a space."""
        fd = os.open(self._root / space, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def uses(self) -> Iterator[tuple[int, int, str, str]]:
        """Yield when each file was used last, its size, its space and its name."""
        for space in [path.name for path in self._root.iterdir()]:
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self._root / space / "data") as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        seen = entry.stat(follow_symlinks=False)
                        yield seen.st_atime_ns, seen.st_size, space, entry.name


def open_bytes(path: str) -> int:
    """Return a descriptor for reading; no link is followed."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def read_bytes(path: str, most: int) -> bytes:
    """Read a file of at most so many bytes; of a longer one come more, and its checksum is another."""
    fd = open_bytes(path)
    try:
        return os.read(fd, most + 1)
    finally:
        os.close(fd)


def use(path: str) -> None:
    """Note by the time of the last reading that bytes were wanted just now; that of the last writing must stay."""
    seconds, rest = divmod(time.time_ns(), 10**9)  # finer than the file system's own clock
    times = (ctypes.c_long * 4)(seconds, rest, 0, _UTIME_OMIT)
    _libc.utimensat(_AT_FDCWD, os.fsencode(path), times, 0)  # it may have been pruned: who wants it will see


@contextmanager
def alone(space: int, key: str, say: Callable[[int], None]) -> Iterator[None]:
    """Hold the lock on a download; while another has it, tell how far it is."""
    fd = os.open(f"incoming/{key}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=space)
    try:
        while not _take(fd):
            with suppress(FileNotFoundError):
                say(os.stat(f"incoming/{key}", dir_fd=space, follow_symlinks=False).st_size)
            time.sleep(LOOK_EVERY)
        yield
    finally:
        os.close(fd)


def _take(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
