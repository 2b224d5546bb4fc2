"""Where uploaded bytes wait until a job stages them (the storage side of tus 1.0, https://tus.io/protocols).

One directory, the server's alone (0700): `<id>` holds the bytes that are here, so its size is the offset, and
`<id>.json` what does not change. Appending holds a lock on the bytes, since two requests may come at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING

from cluster_interface.model.errors import Conflict, NotFound, Rejected
from cluster_interface.model.resources import show_bytes
from cluster_interface.ports import Upload
from cluster_interface.staging.receiving import take
from cluster_interface.trees.beneath import look, open_file, read_small, remove
from cluster_interface.trees.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

RESERVE = 64 * 2**20  #: bytes of the disk that uploads leave free: the database may share it
LONGEST_NAME = 1024
LONGEST_RECORD = 16 * 1024
SWEEP_EVERY = 3600.0  #: seconds
KNOWN = "known"  #: the directory in which uploads are found by their content

_SHA256 = re.compile(r"[0-9a-f]{64}")
_OTHER_BYTES = (
    "the bytes that came are not those that were announced (the file changed, or another was sent on after a break); "
    "send the file again"
)

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class _Record:
    """What is written beside the bytes."""

    owner: str
    name: str
    length: int
    created: float
    sha256: str | None = None
    expected: str | None = None  #: what the sender says that the whole will have


class UploadStore:
    """Uploads in a directory of the server's own."""

    def __init__(
        self, root: Path, max_bytes: int, *, keep: float = math.inf, in_use: Callable[[], Collection[str]] = tuple
    ) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._keep = keep
        self._in_use = in_use
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def create(self, owner: str, name: str, length: int, sha256: str | None = None) -> Upload:
        """Begin an upload; Rejected if it is larger than the site allows or the disk has no room.

        With the `sha256` of the whole it can be found again by it, and is refused at its end if it has another.
        """
        self._sweep_now_and_then()
        self._check(name, length)
        if sha256 is not None and not _SHA256.fullmatch(sha256):
            raise Rejected.field("sha256", "is not a SHA-256: 64 lower-case hexadecimal digits")
        upload = secrets.token_hex(16)
        record = _Record(owner=owner, name=name, length=length, created=time.time(), expected=sha256)
        with self._directory() as root:
            os.close(os.open(upload, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=root))
            _write(root, upload, record)  # last: without it the upload does not exist
        return _seen(upload, record, 0)

    def known(self, owner: str, length: int, sha256: str) -> Upload | None:
        """Find an earlier upload of the owner's with these bytes, whole or on its way; it is kept for another while."""
        with self._directory() as root, suppress(FileNotFoundError, NotFound, ValueError):
            upload = read_small(root, _by_content(owner, sha256), 64).decode()
            record = _read(root, upload, owner)
            offset = _size(root, upload)
            if record.length == length and (record.sha256 or record.expected) == sha256:
                os.utime(f"{upload}.json", dir_fd=root, follow_symlinks=False)
                return _seen(upload, record, offset)
        return None

    def find(self, owner: str, upload: str) -> Upload:
        """Return an upload; NotFound if there is none or it is somebody else's."""
        with self._directory() as root:
            return _seen(upload, _read(root, upload, owner), _size(root, upload))

    def append(self, owner: str, upload: str, offset: int, stream: IO[bytes]) -> Upload:
        """Add bytes at `offset`; keep what came if the stream breaks.

        Conflict if the upload does not end at `offset` or another request is adding to it. Rejected, with nothing
        added, if there are more bytes than its length, and, with what fits kept, if the disk is full.
        """
        with self._directory() as root, _locked(root, upload, _read(root, upload, owner)) as (fd, record):
            present = os.fstat(fd).st_size
            if offset != present:
                raise Conflict(f"this upload ends at byte {present}, not at {offset}: go on from there")
            checksum = take(fd, offset, record.length, stream)
            if checksum is None and record.expected and os.fstat(fd).st_size == record.length:
                checksum = _checksum(root, upload)
            if record.expected is not None and checksum not in (None, record.expected):
                _forget(root, upload)
                raise Rejected.field("sha256", _OTHER_BYTES)
            if checksum is not None:
                _write(root, upload, _Record(**{**asdict(record), "sha256": checksum}))
            return _seen(upload, record, os.fstat(fd).st_size)

    def read(self, owner: str, upload: str, limit: int) -> bytes | None:
        """Return the bytes of a complete upload; None if there are more than `limit`."""
        with self._directory() as root:
            record = _complete(root, upload, _read(root, upload, owner))
            return read_small(root, upload, limit) if record.length <= limit else None

    def path(self, owner: str, upload: str) -> Path:
        """Say where the bytes of a complete upload lie on the server."""
        with self._directory() as root:
            _complete(root, upload, _read(root, upload, owner))
        return self._root / upload

    def open(self, upload: str) -> int:
        """Return a descriptor of a complete upload's bytes, for staging: whose it is was checked at submission."""
        with self._directory() as root:
            _complete(root, upload, _read(root, upload))
            return open_file(root, upload)

    def measure(self, upload: str) -> tuple[int, str]:
        """Return size and SHA-256 of a complete upload; reads it all where it came in several pieces."""
        with self._directory() as root:
            record = _complete(root, upload, _read(root, upload))
            if record.sha256 is None:
                record = _Record(**{**asdict(record), "sha256": _checksum(root, upload)})
                _write(root, upload, record)
            return record.length, record.sha256 or ""

    def remove(self, owner: str, upload: str) -> None:
        """Forget an upload and its bytes."""
        with self._directory() as root:
            _read(root, upload, owner)
            _forget(root, upload)

    def sweep(self, older_than: float, spared: Collection[str] = ()) -> int:
        """Remove uploads that nobody added to or found for `older_than` seconds, but for some; return how many."""
        before = time.time() - older_than
        removed = 0
        with self._directory() as root:
            for name in {path.name.partition(".")[0] for path in self._root.iterdir()} - {*spared, KNOWN, ""}:
                with suppress(FileNotFoundError, NotFound, Conflict):
                    if _last_change(root, name) < before:
                        with _locked(root, name, None):
                            _forget(root, name)
                        removed += 1
        return removed

    def _sweep_now_and_then(self) -> None:
        """Sweep once an hour, when somebody brings something new. What jobs still wait to be staged with is spared."""
        if self._keep == math.inf:
            return
        marker = self._root / ".swept"
        with suppress(FileNotFoundError):
            if time.time() - marker.stat().st_mtime < SWEEP_EVERY:
                return
        marker.touch(mode=0o600)
        self.sweep(self._keep, self._in_use())
        with self._directory() as root, suppress(FileNotFoundError):
            for entry in list((self._root / KNOWN).iterdir()):
                if look(root, f"{entry.read_text()}.json") is None:
                    entry.unlink()

    def _check(self, name: str, length: int) -> None:
        if any(ord(c) < 32 for c in name) or len(name.encode(errors="replace")) > LONGEST_NAME:
            raise Rejected.field("name", f"has a control character in it or is longer than {LONGEST_NAME} bytes")
        if length < 0:
            raise Rejected.field("length", "send the number of bytes")
        if length > self._max_bytes:
            raise Rejected.field(
                "length", f"{show_bytes(length)} is more than this site takes: {show_bytes(self._max_bytes)}"
            )
        room = shutil.disk_usage(self._root).free - RESERVE
        if length > room:
            raise Rejected.field(
                "length", f"the server's disk has room for {show_bytes(max(0, room))} only, not {show_bytes(length)}"
            )

    @contextmanager
    def _directory(self) -> Iterator[int]:
        fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)


def _seen(upload: str, record: _Record, offset: int) -> Upload:
    return Upload(
        id=upload,
        owner=record.owner,
        name=record.name,
        length=record.length,
        offset=offset,
        created=record.created,
    )


def _read(root: int, upload: str, owner: str | None = None) -> _Record:
    """Read a record; NotFound, in the same words, if there is none or it is not `owner`'s."""
    missing = NotFound("there is no such upload")
    if not _ID.fullmatch(upload):
        raise missing
    try:
        record = _Record(**json.loads(read_small(root, f"{upload}.json", LONGEST_RECORD)))
    except FileNotFoundError:
        raise missing from None
    if owner is not None and record.owner != owner:
        raise missing
    return record


def _write(root: int, upload: str, record: _Record) -> None:
    replace_file(root, f"{upload}.json", json.dumps(asdict(record)).encode(), 0o600)
    if content := record.sha256 or record.expected:
        replace_file(root, _by_content(record.owner, content), upload.encode(), 0o600, to_disk=False)


def _by_content(owner: str, sha256: str) -> str:
    """Name the file that tells which upload of an owner's has these bytes."""
    return f"{KNOWN}/{hashlib.sha256(f'{owner}/{sha256}'.encode()).hexdigest()}"


def _checksum(root: int, upload: str) -> str:
    with os.fdopen(open_file(root, upload), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(root: int, upload: str) -> int:
    try:
        return os.stat(upload, dir_fd=root, follow_symlinks=False).st_size
    except FileNotFoundError:
        raise NotFound("there is no such upload") from None


def _complete(root: int, upload: str, record: _Record) -> _Record:
    present = _size(root, upload)
    if present != record.length:
        raise Conflict(f"only {present} of {record.length} bytes of this upload are here; finish it first")
    return record


@contextmanager
def _locked(root: int, upload: str, record: _Record | None) -> Iterator[tuple[int, _Record]]:
    """Open the bytes for adding, alone; `record` may be None where only the lock matters."""
    try:
        fd = os.open(upload, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    except FileNotFoundError:
        raise NotFound("there is no such upload") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield fd, record or _Record(owner="", name="", length=0, created=0.0)
    except BlockingIOError:
        raise Conflict("another request is adding to this upload; look where it ends and go on from there") from None
    finally:
        os.close(fd)


def _last_change(root: int, name: str) -> float:
    times = []
    for file in (name, f"{name}.json"):
        with suppress(FileNotFoundError):
            times.append(os.stat(file, dir_fd=root, follow_symlinks=False).st_mtime)
    return max(times, default=math.inf)


def _forget(root: int, upload: str) -> None:
    remove(root, f"{upload}.json")  # first: without it the upload does not exist
    remove(root, upload)
