"""What a kind of source must be able to do, and the two families of them: what is here, and what is away.

All of it runs with the job account's identity (see acting.py); `owner` is the person for whom it is done, whose
credentials count and whose jobs may be read.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cluster_interface.model.errors import Permanent
from cluster_interface.model.resources import show_bytes
from cluster_interface.model.state import FailureCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.staging.cache import Cache, Origin
    from cluster_interface.staging.parts import Part

HASH_BELOW = 64 * 2**20  #: bytes; larger files are not read before they are staged


@dataclass(frozen=True, kw_only=True)
class Found:
    """What can be known of a source without bringing it."""

    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file of a source that holds several; or a link, or (its path ending in `/`) an empty directory."""

    path: str  #: within it
    source: str  #: of this file alone
    size: int | None = None
    sha256: str | None = None
    executable: bool = False
    target: str | None = None  #: of a link


class Kind(Protocol):
    """One kind of source. Permanent(input_unavailable) says what is wrong; Transient asks for another try."""

    def measure(self, source: str, owner: str) -> Found:
        """Find size and checksum without bringing the bytes."""

    def bring(self, source: str, owner: str, part: Part, sha256: str | None) -> None:
        """Bring all bytes into `part`; `sha256`, where it is known, is what they must have (checked by the caller)."""

    def open(self, source: str, owner: str, sha256: str | None, limit: int) -> int:
        """Return a descriptor of the bytes, of at most `limit`, for reading here."""

    def members(self, source: str, owner: str) -> Iterator[Member]:
        """List the files of a source that holds several; Permanent if it does not."""


class Here:
    """A source whose bytes are on this machine: whoever makes one of these says how it is opened."""

    hash_below = HASH_BELOW

    def descriptor(self, source: str, owner: str) -> int:
        """Open the bytes."""
        raise NotImplementedError

    def measure(self, source: str, owner: str) -> Found:
        """Look at the file; small ones are read for their checksum."""
        with os.fdopen(self.descriptor(source, owner), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            return Found(
                size=size, sha256=hashlib.file_digest(file, "sha256").hexdigest() if size <= self.hash_below else None
            )

    def bring(self, source: str, owner: str, part: Part, sha256: str | None) -> None:
        """Copy it."""
        del sha256
        part.restart()
        copy(self.descriptor(source, owner), part)

    def open(self, source: str, owner: str, sha256: str | None, limit: int) -> int:
        """Open it."""
        del sha256
        fd = self.descriptor(source, owner)
        if os.fstat(fd).st_size > limit:
            os.close(fd)
            raise unavailable(f"is larger than this site takes for one input, {show_bytes(limit)}")
        return fd

    def members(self, source: str, owner: str) -> Iterator[Member]:
        """List nothing: it is one file."""
        del owner
        raise unavailable(f"{source} is one file, not a directory")


class Away:
    """A source that is fetched over the network, through the cache: once, however many ask for it."""

    cache: Cache

    def origin(self, source: str, owner: str) -> Origin:
        """Say what is fetched, and who may share it."""
        raise NotImplementedError

    def fetch(self, source: str, owner: str, part: Part) -> None:
        """Bring all bytes, going on from what is in `part` if it is still the same thing."""
        raise NotImplementedError

    def bring(self, source: str, owner: str, part: Part, sha256: str | None) -> None:
        """Take it from the cache, which fetches what it does not have."""
        self.cache.give(self.origin(source, owner), sha256, part, lambda kept: self.fetch(source, owner, kept))

    def open(self, source: str, owner: str, sha256: str | None, limit: int) -> int:
        """Open it in the cache, which fetches what it does not have."""
        return self.cache.open(self.origin(source, owner), sha256, limit, lambda kept: self.fetch(source, owner, kept))

    def members(self, source: str, owner: str) -> Iterator[Member]:
        """List nothing: it is one file."""
        del owner
        raise unavailable(f"{source} is one file, not a directory")


def copy(fd: int, part: Part) -> None:
    """Read a file to its end and close it; Permanent if it changes meanwhile."""
    with os.fdopen(fd, "rb", buffering=0):
        before = os.fstat(fd)
        part.check_limit(before.st_size)
        part.take(fd, before.st_size)
        after = os.fstat(fd)
    if part.size != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise unavailable(
            f"changed while it was read ({show_bytes(before.st_size)} at first); submit again when it is complete"
        )


def unavailable(message: str) -> Permanent:
    """Make the error of an input that cannot be had."""
    return Permanent(message, code=FailureCode.INPUT_UNAVAILABLE)
