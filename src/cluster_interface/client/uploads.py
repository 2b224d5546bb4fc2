"""Sending files: the tus resumable upload protocol 1.0 (https://tus.io/protocols/resumable-upload).

A small file goes along with the creation of its upload (the `creation-with-upload` extension): one request.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cluster_interface.client.transport import BLOCK
from cluster_interface.model.errors import Conflict, NotFound, Rejected, Transient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cluster_interface.client.transport import Answer, Transport

    Progress = Callable[[str, int, int], None]  #: name, bytes sent, bytes in all

CREATION = "/uploads"
SMALL = 256 * 1024  #: bytes that go along with the creation
MOST_ASKED = 10_000  #: files, in one question
TRIES = 8  #: in a row without a byte accepted
TIMEOUT = 300.0  #: seconds; the server may have gigabytes to write before it answers

_TUS = {"Tus-Resumable": "1.0.0"}
_CONTENT = {"Content-Type": "application/offset+octet-stream"}


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A file that the server has."""

    source: str  #: upload:<id>
    size: int
    sha256: str


def send_all(transport: Transport, files: Mapping[str, Path], progress: Progress | None = None) -> dict[str, Sent]:
    """Send files, by their names in the job; what the server has of an earlier time is not sent again.

    Larger files are read once more before, for their checksums. Raises as `send` does.
    """
    sums = {name: _sum(path) for name, path in files.items() if _is_large(path)}
    known = _known(transport, sums)
    return {
        name: send(transport, path, name, progress, sha256=(sums.get(name) or ("", 0))[0] or None, known=known)
        for name, path in files.items()
    }


def send(
    transport: Transport,
    path: Path,
    name: str,
    progress: Progress | None = None,
    *,
    sha256: str | None = None,
    known: Mapping[str, tuple[str, int]] = MappingProxyType({}),
) -> Sent:
    """Send one file, going on where a broken connection or an earlier command left off.

    `sha256` is what it had a moment ago; `known` names earlier uploads, and how far they are, by checksum.

    Raises Rejected, naming the file, where it cannot be read or changes meanwhile; Transient where the server
    stays away.
    """
    try:
        with path.open("rb") as file:
            seen = os.fstat(file.fileno())
            if not stat.S_ISREG(seen.st_mode):
                raise Rejected.field(f"files.{name}", f"{path} is not a regular file")
            before = known.get(sha256 or "")
            if sha256 and before and before[1] == seen.st_size:
                if progress:
                    progress(name, seen.st_size, seen.st_size)
                return Sent(source=f"upload:{before[0]}", size=seen.st_size, sha256=sha256)
            return _Sending(transport, _Reader(file, name, seen.st_size, progress), sha256, before).run()
    except OSError as error:
        raise Rejected.field(f"files.{name}", f"{path} cannot be read: {error.strerror}") from None


class _Reader:
    """A file that is hashed as it is read, each byte once, however often its reading starts anew."""

    def __init__(self, file: Any, name: str, size: int, progress: Progress | None) -> None:
        self._file, self.name, self.size, self._progress = file, name, size, progress
        self._digest = hashlib.sha256()
        self._hashed = 0

    def read(self, amount: int = BLOCK) -> bytes:
        start: int = self._file.tell()
        data: bytes = self._file.read(min(amount, self.size - start))
        if not data and start < self.size:
            raise Rejected.field(f"files.{self.name}", "became shorter while it was being sent; try again")
        if start + len(data) > self._hashed:
            self._digest.update(data[self._hashed - start :])
            self._hashed = start + len(data)
        if self._progress:
            self._progress(self.name, start + len(data), self.size)
        return data

    def seek(self, offset: int) -> None:
        self._file.seek(offset)

    def sha256(self) -> str:
        return self._digest.hexdigest()


class _Sending:
    """One upload in the making."""

    def __init__(
        self, transport: Transport, reader: _Reader, sha256: str | None, before: tuple[str, int] | None
    ) -> None:
        self._transport, self._reader, self._sha256, self._before = transport, reader, sha256, before

    def run(self) -> Sent:
        path, offset = self._begin()
        failures, sure = 0, True
        while offset < self._reader.size:
            try:
                if sure:
                    offset = self._append(path, offset)
                else:
                    before, offset, sure = offset, self._look(path), True
                    failures = 0 if offset > before else failures
            except (Transient, Conflict) as error:
                failures, sure = failures + 1, False
                if failures >= TRIES:
                    words = f"{self._reader.name}: sent {offset} of {self._reader.size} bytes, then: {error}"
                    raise Transient(words) from None
                time.sleep(min(2.0, 0.05 * 2**failures))
        source = f"upload:{path.rpartition('/')[2]}"
        return Sent(source=source, size=self._reader.size, sha256=self._sha256 or self._reader.sha256())

    def _begin(self) -> tuple[str, int]:
        """Go on with what an earlier command began, else begin; the server checks the whole at its end."""
        if self._before:
            path = f"{CREATION}/{self._before[0]}"
            try:
                return path, self._look(path)
            except NotFound:
                pass
        return self._create()

    def _create(self) -> tuple[str, int]:
        name = base64.b64encode(self._reader.name.rpartition("/")[2].encode()).decode()
        about = f"filename {name}"
        if self._sha256:
            about += f",sha256 {base64.b64encode(self._sha256.encode()).decode()}"
        headers = {**_TUS, "Upload-Length": str(self._reader.size), "Upload-Metadata": about}
        body = self._reader.read() if self._reader.size <= SMALL else b""
        answer = self._transport.request(
            "POST", CREATION, body=body, headers={**headers, **(_CONTENT if body else {})}, timeout=TIMEOUT
        )
        location = answer.headers.get("Location") or ""
        return f"{CREATION}/{location.rstrip('/').rpartition('/')[2]}", _offset(answer, default=0)

    def _append(self, path: str, offset: int) -> int:
        self._reader.seek(offset)
        rest = str(self._reader.size - offset)
        headers = {**_TUS, **_CONTENT, "Upload-Offset": str(offset), "Content-Length": rest}
        answer = self._transport.request("PATCH", path, body=self._reader, headers=headers, timeout=TIMEOUT)  # type: ignore[arg-type]  # http.client asks for read() alone
        return _offset(answer, default=self._reader.size)

    def _look(self, path: str) -> int:
        return _offset(self._transport.request("HEAD", path, headers=_TUS), default=0)


def _is_large(path: Path) -> bool:
    try:
        return path.stat().st_size > SMALL
    except OSError:
        return False  # sending it says what is wrong


def _sum(path: Path) -> tuple[str, int]:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size
    except OSError:
        return "", 0  # as above


def _known(transport: Transport, sums: Mapping[str, tuple[str, int]]) -> dict[str, tuple[str, int]]:
    """Ask which of these the server has: checksum -> upload and how far it is. Knows nothing of an older server."""
    files = [{"sha256": sha256, "size": size} for sha256, size in sums.values() if sha256][:MOST_ASKED]
    if not files:
        return {}
    try:
        answer = transport.request("POST", f"{CREATION}/known", document={"files": files}).json()
    except (Rejected, Transient):
        return {}
    return {one["sha256"]: (one["upload"], one["offset"]) for one in answer["uploads"]}


def _offset(answer: Answer, default: int) -> int:
    text = answer.headers.get("Upload-Offset") or ""
    return int(text) if text.isdigit() else default
