"""A file on its way in: the bytes so far, their number and SHA-256; taken up again where an earlier try was cut."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent, Transient
from cluster_interface.model.resources import show_bytes
from cluster_interface.model.state import FailureCode
from cluster_interface.staging.digests import Digest
from cluster_interface.trees.beneath import create_file, look, parent, read_small, remove, rename
from cluster_interface.trees.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cluster_interface.trees.beneath import At

CHUNK = 1024 * 1024
WORTH_A_NOTE = CHUNK  #: bytes after which a cut download is gone on with rather than begun anew
LARGE = 16 * CHUNK  #: bytes of a file that is written to the disk by itself, or of small ones that wait for it together
STEP = 8 * CHUNK  #: bytes that the kernel is asked to copy at once

_libc = ctypes.CDLL(None, use_errno=True)

_NO_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
NO_LINK = (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS)


class Part:
    """Bytes in a temporary file, `moved(n)` called after each addition with how many are there."""

    def __init__(self, at: At, path: str, fd: int, limit: int, moved: Callable[[int], None], *, fresh: bool) -> None:
        self._at = at
        self._path = path
        self._fd = fd
        self._limit = limit
        self._moved = moved
        self._hash = Digest()
        self._fresh = fresh  #: no earlier try has left anything in it
        self.left = not fresh  #: something may be left of it under its temporary name
        self.alone = False  #: it must not be another name of a file that others use
        self._known: str | None = None  #: the checksum of a file of which this is only another name
        self._note: dict[str, str] | None = None
        self._noted = False  #: the next try could read it
        self.size = 0

    @property
    def sha256(self) -> str:
        """The checksum of the bytes so far."""
        return self._known or self._hash.hexdigest()

    def digest(self, name: str) -> str:
        """Return another checksum of the bytes, such as `md5`, which some archives of data give."""
        digest = hashlib.new(name, usedforsecurity=False)
        offset = 0
        while data := os.pread(self._fd, CHUNK, offset):
            digest.update(data)
            offset += len(data)
        return digest.hexdigest()

    @property
    def limit(self) -> int:
        """Most bytes that the site takes."""
        return self._limit

    def say(self, size: int) -> None:
        """Tell how many bytes are here while somebody else brings them."""
        self._moved(size)

    def write(self, data: bytes) -> None:
        """Add bytes; Permanent if they are more than the site allows."""
        self.check_limit(self.size + len(data))
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self._hash.update(data)
        self.size += len(data)
        if self.size > WORTH_A_NOTE and self._note is not None and not self._noted:
            self._write_note()
        self._moved(self.size)

    def take(self, source: int, size: int) -> None:
        """Add the rest of an open file of `size` bytes. Whether it grew or shrank meanwhile is the caller's to see.

        A large one is copied by the kernel, which shares the blocks where the filesystem can. The checksum is of what
        was written, read again while it is in memory, beside the copying and while it is brought to the disk.
        """
        if size <= CHUNK:
            while self.size < max(size, 1) and (data := _read(source)):
                self.write(data)
            return
        while self.size <= size and (count := copy_some(source, self._fd, STEP)):
            self.check_limit(self.size + count)
            self._hash.read(self._fd, self.size, count)
            self.size += count
            self._moved(self.size)
        if self.size > LARGE:
            os.fsync(self._fd)

    def check_limit(self, size: int) -> None:
        """Refuse an announced or a real size that is more than the site allows."""
        if size > self._limit:
            raise Permanent(
                f"is larger than this site takes for one input, {show_bytes(self._limit)}",
                code=FailureCode.INPUT_UNAVAILABLE,
            )

    def adopt(self, path: str, size: int, sha256: str) -> bool:
        """Be a second name of the file at `path`, whose bytes are known; False where that cannot be.

        To be called as whoever may give that file another name. It keeps its owner and permissions.
        """
        if self.alone:
            return False
        fresh = f"{self._path}.linked"
        remove(self._at, fresh)
        try:
            with parent(self._at, fresh) as (above, last):
                os.link(path, last, dst_dir_fd=above, follow_symlinks=False)
        except OSError as error:
            if error.errno in NO_LINK:
                return False
            raise
        rename(self._at, fresh, self._path)
        self.size, self._known, self.left = size, sha256, True
        self._moved(size)
        return True

    def close(self) -> None:
        """Let go of what was needed to write it."""
        self._hash.close()

    def restart(self) -> None:
        """Forget the bytes so far."""
        if self._fresh and not self.size:
            return
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash.close()
        self._hash = Digest()
        self.size = 0

    def resume(self) -> None:
        """Take up the bytes that an earlier try left."""
        os.lseek(self._fd, 0, os.SEEK_SET)
        while data := os.read(self._fd, CHUNK):
            self._hash.update(data)
            self.size += len(data)

    @property
    def note(self) -> dict[str, str]:
        """What was noted of where the bytes come from, by this try or an earlier one; empty if nothing was."""
        if self._note is not None:
            return self._note
        if self._fresh:
            return {}
        with suppress(OSError, ValueError):
            noted = json.loads(read_small(self._at, f"{self._path}.json", 64 * 1024))
            if isinstance(noted, dict):
                return noted
        return {}

    @note.setter
    def note(self, value: dict[str, str]) -> None:
        self._note, self._noted = value, False
        if self.size > WORTH_A_NOTE or not self._fresh:  # what an earlier try noted must not stand
            self._write_note()

    def _write_note(self) -> None:
        """Write it for the next try: one that finds none, after a kill, begins anew."""
        self.left = self._noted = True
        replace_file(self._at, f"{self._path}.json", json.dumps(self._note).encode(), 0o600, to_disk=False)

    def finish(self, mode: int, *, to_disk: bool = True) -> None:
        """Give the file its permissions and make it last, unless others see to that for many files at once."""
        if self._known is not None:
            return  # it has another name where that was done
        os.fchmod(self._fd, mode)
        if to_disk:
            os.fsync(self._fd)


@contextmanager
def part(at: At, path: str, limit: int, moved: Callable[[int], None]) -> Iterator[Part]:
    """Open the temporary file `path` below `at`; what an earlier try left there is kept until `restart`."""
    fd, fresh = _open(at, path)
    made = Part(at, path, fd, limit, moved, fresh=fresh)
    try:
        yield made
    finally:
        made.close()
        os.close(fd)


def _open(at: At, path: str) -> tuple[int, bool]:
    """Make the file, or open what an earlier try left; say whether it is new."""
    with suppress(FileExistsError):
        return create_file(at, path, 0o600), True
    seen = look(at, path)
    if seen is not None and seen.st_nlink > 1:
        remove(at, path)  # another name of what others use, left by a kill before it was in place: not to be written to
        return create_file(at, path, 0o600), False
    with parent(at, path) as (above, name):
        return os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above), False


def copy_some(source: int, target: int, size: int) -> int:
    """Copy at most so many bytes from where both files stand, in the kernel where it can; 0 at the end."""
    try:
        if count := os.copy_file_range(source, target, size):
            return count
    except OSError as error:
        if error.errno not in _NO_COPY:
            raise
    data = _read(source)
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
    return len(data)


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, CHUNK)
    except OSError as error:
        raise Transient(f"cannot be read now: {error.strerror}") from None


def sync_filesystem(fd: int) -> None:
    """Write to the disk all that the filesystem of `fd` holds (syncfs(2)): one wait for many files."""
    if _libc.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def forget(at: At, path: str) -> None:
    """Remove what is left of a part."""
    remove(at, path)
    remove(at, f"{path}.json")
