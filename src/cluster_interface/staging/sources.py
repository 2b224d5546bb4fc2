"""What each kind of source is and how its bytes come: upload:, file:, http(s): and inline text.

All of it runs with the job account's identity; an upload is opened as the server, whose directory it lies in.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.model.errors import ClusterError, Permanent, Transient
from cluster_interface.model.plan import SourceInfo
from cluster_interface.model.resources import show_bytes
from cluster_interface.model.state import FailureCode
from cluster_interface.staging.acting import as_the_server
from cluster_interface.staging.parts import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.uploads import UploadStore
    from cluster_interface.staging.web import Web

CONTENT = "content"
DIRECTORY = "directory"
LINK = "link"

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True)
class Sources:
    """Looks at sources and brings their bytes."""

    uploads: UploadStore
    web: Web
    hash_below: int  #: bytes; larger files of this machine are not read before they are staged

    def measure(self, path: str, entry: FileEntry) -> SourceInfo:
        """Find size and checksum of one entry without fetching it; Permanent(input_unavailable) names it."""
        with naming(path):
            size, checksum = self._measure(path, entry)
            _must_agree(entry, size, checksum)
        return SourceInfo(
            path=path,
            source=_source(path, entry),
            size=entry.size if size is None else size,
            sha256=entry.sha256 or checksum,
        )

    def fetch(self, source: str, entry: FileEntry, part: Part) -> None:
        """Bring all bytes of a source into `part`."""
        scheme, _, rest = source.partition(":")
        if scheme in ("http", "https"):
            self.web.fetch(source, part)
            return
        part.restart()
        if source == CONTENT:
            part.write((entry.content or "").encode())
        elif scheme == "upload":
            _copy(self._open_upload(rest), part)
        else:
            _copy(_open_file(rest), part)

    def _measure(self, path: str, entry: FileEntry) -> tuple[int | None, str | None]:
        if path.endswith("/"):
            return 0, None
        if entry.content is not None:
            data = entry.content.encode()
            return len(data), hashlib.sha256(data).hexdigest()
        source = entry.source or ""
        scheme, _, rest = source.partition(":")
        if scheme in ("http", "https"):
            return self.web.measure(source), None
        if scheme == "upload":
            with as_the_server():
                return self.uploads.measure(rest)
        return _measure_file(rest, self.hash_below)

    def _open_upload(self, upload: str) -> int:
        with as_the_server():
            return self.uploads.open(upload)


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Say in every error which entry it is about, and turn the system's errors into ours."""
    try:
        yield
    except Permanent as error:
        raise Permanent(f"files.{path}: {error}", code=error.code) from None
    except Transient as error:
        raise Transient(f"files.{path}: {error}") from None
    except ClusterError as error:
        raise Permanent(f"files.{path}: {error}", code=FailureCode.INPUT_UNAVAILABLE) from None


def _source(path: str, entry: FileEntry) -> str:
    if path.endswith("/"):
        return DIRECTORY
    return CONTENT if entry.content is not None else entry.source or ""


def _must_agree(entry: FileEntry, size: int | None, checksum: str | None) -> None:
    if entry.size is not None and size is not None and size != entry.size:
        raise _unavailable(f"has {size} bytes, not the {entry.size} that the job says")
    if entry.sha256 is not None and checksum is not None and checksum != entry.sha256:
        raise _unavailable(f"has the SHA-256 {checksum}, not {entry.sha256} as the job says")


def file_path(rest: str) -> str:
    """Return the absolute path of `file:/path` or `file:///path` (nothing in it is percent-decoded)."""
    path = rest.removeprefix("//") if rest.startswith("///") else rest
    if not path.startswith("/") or path.startswith("//") or "\0" in path:
        raise _unavailable(f"{rest!r}: write an absolute path of this machine, such as file:/home/ada/data.csv")
    return path


def _open_file(rest: str) -> int:
    """Open a regular file of this machine; links are followed, as the account's own right allows."""
    path = file_path(rest)
    try:
        if stat.S_ISREG(Path(path).stat().st_mode):  # before opening, which alone may block on a fifo
            fd = os.open(path, _READ)
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return fd
            os.close(fd)
    except OSError as error:
        raise _unavailable(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    raise _unavailable(f"{path} is not a regular file")


def _measure_file(rest: str, hash_below: int) -> tuple[int, str | None]:
    with os.fdopen(_open_file(rest), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        return size, hashlib.file_digest(file, "sha256").hexdigest() if size <= hash_below else None


def _copy(fd: int, part: Part) -> None:
    """Read to the end; Permanent if the file changes meanwhile."""
    with os.fdopen(fd, "rb", buffering=0) as file:
        before = os.fstat(fd)
        part.check_limit(before.st_size)
        while data := _read(file.fileno()):
            part.write(data)
            if part.size > before.st_size:
                break
        after = os.fstat(fd)
    if part.size != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise _unavailable(
            f"changed while it was read ({show_bytes(before.st_size)} at first); submit again when it is complete"
        )


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, CHUNK)
    except OSError as error:
        raise Transient(f"cannot be read now: {error.strerror}") from None


def _unavailable(message: str) -> Permanent:
    return Permanent(message, code=FailureCode.INPUT_UNAVAILABLE)
