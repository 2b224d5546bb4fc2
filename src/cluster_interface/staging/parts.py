"""A file on its way in: the bytes so far, their number and SHA-256; taken up again where an earlier try was cut."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent
from cluster_interface.model.resources import show_bytes
from cluster_interface.model.state import FailureCode
from cluster_interface.trees.beneath import create_file, open_directory, parent, read_small, remove, replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK = 1024 * 1024


class Part:
    """Bytes in a temporary file, `moved(n)` called after each addition with how many are there."""

    def __init__(self, at: int, path: str, fd: int, limit: int, moved: Callable[[int], None]) -> None:
        self._at = at
        self._path = path
        self._fd = fd
        self._limit = limit
        self._moved = moved
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """The checksum of the bytes so far."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Add bytes; Permanent if they are more than the site allows."""
        self.check_limit(self.size + len(data))
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self._hash.update(data)
        self.size += len(data)
        self._moved(self.size)

    def check_limit(self, size: int) -> None:
        """Refuse an announced or a real size that is more than the site allows."""
        if size > self._limit:
            raise Permanent(
                f"is larger than this site takes for one input, {show_bytes(self._limit)}",
                code=FailureCode.INPUT_UNAVAILABLE,
            )

    def restart(self) -> None:
        """Forget the bytes so far."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.size = 0

    def resume(self) -> None:
        """Take up the bytes that an earlier try left."""
        os.lseek(self._fd, 0, os.SEEK_SET)
        while data := os.read(self._fd, CHUNK):
            self._hash.update(data)
            self.size += len(data)

    @property
    def note(self) -> dict[str, str]:
        """What an earlier try noted of where the bytes come from; empty if there was none."""
        with suppress(OSError, ValueError):
            noted = json.loads(read_small(self._at, f"{self._path}.json", 64 * 1024))
            if isinstance(noted, dict):
                return noted
        return {}

    @note.setter
    def note(self, value: dict[str, str]) -> None:
        replace_file(self._at, f"{self._path}.json", json.dumps(value).encode(), 0o600)

    def finish(self, mode: int) -> None:
        """Give the file its permissions and make it last."""
        os.fchmod(self._fd, mode)
        os.fsync(self._fd)


@contextmanager
def part(at: int, path: str, limit: int, moved: Callable[[int], None]) -> Iterator[Part]:
    """Open the temporary file `path` below `at`; what an earlier try left there is kept until `restart`."""
    fd = _open(at, path)
    try:
        yield Part(at, path, fd, limit, moved)
    finally:
        os.close(fd)


def _open(at: int, path: str) -> int:
    os.close(open_directory(at, path.rpartition("/")[0], make=True))
    try:
        return create_file(at, path, 0o600)
    except FileExistsError:
        pass
    with parent(at, path) as (above, name):
        return os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)


def forget(at: int, path: str) -> None:
    """Remove what is left of a part."""
    remove(at, path)
    remove(at, f"{path}.json")
