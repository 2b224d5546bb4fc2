"""What every kind of place promises: a file is there whole and right under its name, or not at all."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from cluster_interface.model.errors import Permanent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from cluster_interface.model.job import OutputFile
    from cluster_interface.ports import Report

CHUNK = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What is to be taken where, and for whom."""

    job: str
    to: str
    owner: str
    files: Sequence[tuple[str, OutputFile]]  #: each with the name that it gets there
    open_output: Callable[[OutputFile], BinaryIO]
    report: Report


@dataclass(frozen=True)
class Item:
    """One output that is open for reading."""

    name: str  #: its place among the job's outputs
    output: OutputFile
    file: BinaryIO

    @property
    def mtime(self) -> int:
        """When it was last written to, in seconds: a delivered file keeps it, and is known again by it."""
        return int(os.fstat(self.file.fileno()).st_mtime)

    @property
    def temporary(self) -> str:
        """The name under which it gathers, beside its own: the same at every try, so that none is left behind."""
        above = f"{self.name.rpartition('/')[0]}/".removeprefix("/")
        return f"{above}.clif-{self.output.sha256[:16]}.part"

    def chunks(self, size: int = CHUNK) -> Iterator[bytes]:
        """Yield its bytes; Permanent at their end if they are not those that were listed."""
        checksum = hashlib.sha256()
        while data := self.file.read(size):
            checksum.update(data)
            yield data
        if checksum.hexdigest() != self.output.sha256:
            raise Permanent(f"{self.name} was changed since it was listed")


class Place(Protocol):
    """A place that was reached."""

    @property
    def at_once(self) -> bool:
        """Whether what was put is there; else it is when `finish` returns."""

    def has(self, item: Item) -> bool:
        """Say whether this very file is there already."""

    def put(self, item: Item) -> None:
        """Bring it; what had its name is replaced at once, when all of it is there."""

    def finish(self, moved: Callable[[int], None]) -> None:
        """Wait until everything that was put is there; `moved(n)` is told how many bytes are."""


class AtOnce:
    """A place where what was put is."""

    at_once = True

    def finish(self, moved: Callable[[int], None]) -> None:
        """Have nothing left to do."""


class Kind(Protocol):
    """One kind of place."""

    def opened(self, errand: Errand) -> AbstractContextManager[Place]:
        """Reach a place with the owner's keys; Permanent or Transient in words."""
