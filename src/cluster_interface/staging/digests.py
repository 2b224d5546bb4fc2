"""The checksum of a file on its way in, taken beside the writing."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Transient

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

PIECE = 2**20  #: bytes read at once
BESIDE = 8 * PIECE  #: bytes after which the checksum is taken beside the writing
MOST_AHEAD = 8  #: pieces in memory that the writing is ahead of the checksum
MOST_COPIED_AHEAD = 64  #: steps that the copying is ahead of the checksum, while their bytes are still in memory


class Digest:
    """A SHA-256 that is taken beside the writing once there is much of it."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._size = 0
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: deque[Future[None]] = deque()

    def update(self, data: bytes) -> None:
        """Take in bytes that were just written."""
        self._size += len(data)
        if self._size <= BESIDE:
            self._hash.update(data)
        else:
            self._beside(lambda: self._hash.update(data), MOST_AHEAD)

    def read(self, fd: int, offset: int, size: int) -> None:
        """Take in what a file has there by now, read beside whatever goes on."""
        self._size += size
        self._beside(lambda: self._take(fd, offset, size), MOST_COPIED_AHEAD)

    def _take(self, fd: int, offset: int, size: int) -> None:
        room = memoryview(bytearray(min(PIECE, size)))
        end = offset + size
        while offset < end:
            count = os.preadv(fd, [room[: end - offset]], offset)
            if count == 0:
                raise Transient("what was written of it cannot be read again")
            self._hash.update(room[:count])
            offset += count

    def _beside(self, work: Callable[[], None], most_ahead: int) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1)
        self._ahead.append(self._pool.submit(work))
        if len(self._ahead) > most_ahead:
            self._ahead.popleft().result()

    def hexdigest(self) -> str:
        """Return it, once all that is beside the writing is done."""
        while self._ahead:
            self._ahead.popleft().result()
        return self._hash.hexdigest()

    def close(self) -> None:
        """Stop what is beside the writing."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
