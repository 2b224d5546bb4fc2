"""Which waiting job starts next: first come, first served, with backfill that delays nobody.

The oldest job that does not fit gets a reservation: the earliest moment at which, by their time limits, enough
of the running ones will have ended. A younger job may go ahead of it only if it ends before that moment, or
needs no more than what will be left over then. This is the EASY rule (D. Lifka, The ANL/IBM SP scheduling
system, 1995): the machine is kept busy and a large job is never starved by small ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Size:
    """An amount of what the machine has."""

    cpus: int
    memory: int  #: bytes

    def __add__(self, other: Size) -> Size:
        return Size(self.cpus + other.cpus, self.memory + other.memory)

    def __sub__(self, other: Size) -> Size:
        return Size(self.cpus - other.cpus, self.memory - other.memory)

    def holds(self, other: Size) -> bool:
        """Whether the other fits into this."""
        return self.cpus >= other.cpus and self.memory >= other.memory


@dataclass(frozen=True)
class Waiting:
    """One job with tasks that have not started."""

    job: str
    size: Size
    time: float  #: seconds, at most
    tasks: int


@dataclass(frozen=True)
class Holding:
    """A running task: what it holds, and until when at the latest (seconds from now)."""

    size: Size
    until: float


def choose(waiting: Iterable[Waiting], running: Sequence[Holding], free: Size) -> list[str]:
    """Return the jobs of which to start a task now, one entry per task, in order."""
    chosen: list[str] = []
    holding = list(running)
    reservation: tuple[float, Size] | None = None
    for item in waiting:
        for _ in range(item.tasks):
            if not free.holds(item.size):
                break
            if reservation is not None:
                moment, spare = reservation
                if item.time > moment:
                    if not spare.holds(item.size):
                        break
                    reservation = (moment, spare - item.size)
            chosen.append(item.job)
            free -= item.size
            holding.append(Holding(item.size, item.time))
        else:
            continue
        if reservation is None:
            reservation = _reserve(item.size, holding, free)
        if free.cpus <= 0 or free.memory <= 0:
            break
    return chosen


def _reserve(size: Size, holding: Iterable[Holding], free: Size) -> tuple[float, Size]:
    """Find when `size` fits at the latest, and what is left over at that moment."""
    for held in sorted(holding, key=lambda h: h.until):
        free += held.size
        if free.holds(size):
            return held.until, free - size
    return float("inf"), free  # larger than the machine is today: nobody waits for it
