"""Why jobs wait, and which place they have: one squeue for everybody, some seconds old."""

from __future__ import annotations

import bisect
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cluster_interface.adapters.schedulers.slurm_rows import seconds, split, word
from cluster_interface.adapters.schedulers.slurm_states import explain
from cluster_interface.ports import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.ports import Handle

_FORMAT = "|%F|%u|%Q|%P|%S|%r|%j"
_FIELDS = 7
_KEPT_FOR = 5.0  # seconds
_HELD = ("JobHeld", "Dependency", "BeginTime", "JobHoldMaxRequeue")  # not in the queue as long as that is so


@dataclass
class _List:
    """All that waits, by mark and account, and the order in each partition."""

    jobs: dict[tuple[str, str], tuple[str, tuple[int, int], str, float | None]] = field(default_factory=dict)
    lines: dict[str, list[tuple[int, int]]] = field(default_factory=dict)


class WaitingList:
    """Answers for one job at a time from a list of all."""

    def __init__(self, ask: Callable[..., str]) -> None:
        self._ask = ask
        self._kept: tuple[float, _List] | None = None

    def look(self, handle: Handle) -> Waiting | None:
        """Explain why an order waits; None if it is not among those that wait."""
        now = time.monotonic()
        if self._kept is None or now - self._kept[0] > _KEPT_FOR:
            self._kept = (now, self._read())
        waiting = self._kept[1]
        found = waiting.jobs.get((handle.mark, handle.account))
        if found is None:
            return None
        partition, rank, reason, start = found
        position = None if reason.startswith(_HELD) else bisect.bisect_left(waiting.lines[partition], rank) + 1
        return Waiting(reason=explain(reason), native_reason=reason, position=position, start=start)

    def _read(self) -> _List:
        """List what waits; an array counts once. The highest priority is first, of equal ones the oldest."""
        begin = word()
        fresh = _List()
        text = self._ask("squeue", "--noheader", "--all", "--states=PENDING", f"--format={begin}{_FORMAT}")
        for record in split(text, begin):
            fields = record.removeprefix("|").split("|", _FIELDS - 1)
            if len(fields) != _FIELDS or not fields[0].isdecimal() or not fields[2].isdecimal():
                continue
            base, user, priority, partition, start, reason, name = fields
            rank = (-int(priority), int(base))
            fresh.jobs[name, user] = (partition, rank, reason, seconds(start))
            if not reason.startswith(_HELD):
                fresh.lines.setdefault(partition, []).append(rank)
        for line in fresh.lines.values():
            line.sort()
        return fresh
