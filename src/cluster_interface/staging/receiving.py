"""A stream of uploaded bytes on its way to the disk."""

from __future__ import annotations

import hashlib
import os
from typing import IO

from cluster_interface.model.errors import Rejected, Transient

CHUNK = 64 * 1024  #: bytes read at a time: what a broken stream can lose at most


def take(fd: int, offset: int, length: int, stream: IO[bytes]) -> str | None:
    """Write the stream's bytes at `offset` and sync; return the SHA-256 if they are the whole upload."""
    checksum = hashlib.sha256()
    here = offset
    try:
        while chunk := _next(stream):
            if here + len(chunk) > length:
                os.ftruncate(fd, offset)
                raise Rejected.field("Upload-Length", f"more than the {length} bytes that were announced")
            here += _write_at(fd, chunk, here)
            checksum.update(chunk)
    finally:
        _sync(fd)
    return checksum.hexdigest() if offset == 0 and here == length else None


def _next(stream: IO[bytes]) -> bytes:
    """Read some bytes; a stream that breaks has simply ended: the offset tells the client how far it came."""
    try:
        return stream.read(CHUNK)
    except Exception:  # noqa: BLE001 - each web server has its own error for a client that went away
        return b""


def _write_at(fd: int, chunk: bytes, at: int) -> int:
    done = 0
    try:
        while done < len(chunk):
            done += os.pwrite(fd, chunk[done:], at + done)
    except OSError as error:
        raise Rejected(f"the server's disk takes no more: {error.strerror}; try again when there is room") from None
    return done


def _sync(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as error:
        raise Transient(f"the server's disk does not take the bytes: {error.strerror}") from None
