"""What a scheduler showed at the last looks, kept so that a look at what has not changed costs next to nothing.

A scheduler's listing is cut into records (one line of squeue, one job of qstat); what was read from a record is kept
under its text. Ten thousand jobs that wait as before are ten thousand look-ups in a dictionary.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cluster_interface.ports import NativeState, Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

_RANKS = {NativeState.RUNNING: 3, NativeState.PENDING: 2, NativeState.UNKNOWN: 1, NativeState.ENDED: 0}
SINGLE: tuple[int, ...] = (0,)  #: the elements of an order that is no array; element 0 of one is a range
_UNSURE_FOR = 60.0  # seconds: accounting is written with some delay
_MOST_SHARED = 50_000
_MOST_KEPT = 1000  # records beyond what the last look needed
_SWEEP = 3600.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Record:
    """One native job, or some elements of one, as listed."""

    mark: str
    account: str
    native_id: str
    elements: Sequence[int]
    seen: Observation


@dataclass
class _Kept:
    """What one mark looked like last."""

    records: list[Record] = field(default_factory=list)
    seen: dict[int, Observation] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)  #: elements that are listed no more and had not ended
    asked: float = 0.0  #: monotonic
    unsure_until: float = 0.0  #: of an array: monotonic; till then more of it may turn up in accounting


class Pictures:
    """Turns listings into what the port's `observe` returns: the same objects while nothing changes."""

    def __init__(self, parse: Callable[[str], Record | None]) -> None:
        self._parse = parse
        self._records: dict[str, Record | None] = {}
        self._kept: dict[str, _Kept] = {}
        self._shared: dict[Observation, Observation] = {}
        self._swept = time.monotonic()
        self._last: tuple[list[str], list[Record]] = ([], [])
        self._composed: tuple[list[Record], Mapping[str, str], dict[str, Mapping[int, Observation]]] = ([], {}, {})
        #: marks of the last `compose` of which something is missing that accounting may know: all of it, elements that
        #: had not ended, or, for a while, those of an array that we saw for the first time
        self.doubtful: set[str] = set()

    def pick(self, texts: Iterable[str], marks: Collection[str]) -> list[Record]:
        """Read only those of a listing that may be of a few marks, and leave what is kept of the others alone."""
        return [r for text in texts if any(mark in text for mark in marks) and (r := self._parse(text)) is not None]

    def read(self, texts: list[str]) -> list[Record]:
        """Read a listing; what cannot be read costs that record alone. What was read before is not read again."""
        if texts == self._last[0]:
            return self._last[1]
        known, fresh = self._records, {}
        for text in texts:
            try:
                fresh[text] = known[text]
            except KeyError:
                fresh[text] = self._parse(text)
        if len(known) > 2 * len(fresh) + _MOST_KEPT or len(fresh) >= len(known):
            self._records = fresh
        else:
            known.update(fresh)
        self._last = (texts, [record for record in fresh.values() if record is not None])
        return self._last[1]

    def compose(self, records: list[Record], accounts: Mapping[str, str]) -> dict[str, Mapping[int, Observation]]:
        """Sort records by mark, those of `accounts` (mark -> account) only.

        An element that was seen ended and is no longer listed is still ended; any other that is not listed is absent.
        """
        if records is self._composed[0] and accounts == self._composed[1] and not self.doubtful:
            return self._composed[2]
        grouped: dict[str, list[Record]] = {}
        for record in records:
            if accounts.get(record.mark) == record.account:
                grouped.setdefault(record.mark, []).append(record)
        found: dict[str, Mapping[int, Observation]] = {}
        self.doubtful = set()
        for mark in accounts:
            if seen := self._mapping(mark, grouped.get(mark, [])):
                found[mark] = seen
            else:
                self.doubtful.add(mark)
        self._forget()
        self._composed = (records, accounts, found)
        return found

    def lost(self, mark: str) -> frozenset[int]:
        """Return the elements of a mark that are listed no more and were not seen ended."""
        kept = self._kept.get(mark)
        return frozenset(kept.lost) if kept else frozenset()

    def _mapping(self, mark: str, records: list[Record]) -> dict[int, Observation]:
        kept = self._kept.get(mark)
        if kept is None:
            if not records:
                return {}
            kept = self._kept[mark] = _Kept()
            if any(record.elements != SINGLE for record in records):
                kept.unsure_until = time.monotonic() + _UNSURE_FOR
        kept.asked = time.monotonic()
        if kept.lost or kept.asked < kept.unsure_until:
            self.doubtful.add(mark)
        if kept.records == records and (records or not kept.seen or _all_ended(kept.seen)):
            return kept.seen
        fresh = {element: seen for element, seen in kept.seen.items() if seen.state is NativeState.ENDED}
        listed: dict[int, Observation] = {}
        arrays = {record.native_id for record in records if record.elements != SINGLE}
        for record in sorted(records, key=_liveliness):
            elements = record.elements
            if elements == SINGLE and (record.native_id in arrays or len(kept.seen) > 1):
                elements = _rest(kept.seen, records)
            listed.update(dict.fromkeys(elements, self._share(record.seen)))
        fresh.update(listed)
        kept.records = records
        kept.lost = (kept.lost | kept.seen.keys()) - fresh.keys()
        if kept.lost:
            self.doubtful.add(mark)
        if fresh != kept.seen:
            kept.seen = fresh
        return kept.seen

    def _share(self, seen: Observation) -> Observation:
        if len(self._shared) > _MOST_SHARED:
            self._shared.clear()
        return self._shared.setdefault(seen, seen)

    def _forget(self) -> None:
        """Drop what nobody has asked for in a long time."""
        now = time.monotonic()
        if now - self._swept > _SWEEP:
            self._swept = now
            self._kept = {mark: kept for mark, kept in self._kept.items() if now - kept.asked < _SWEEP}


def liveliest(records: Iterable[Record]) -> Record | None:
    """Return the record of the native job that is most alive, the latest of those."""
    return max(records, key=_liveliness, default=None)


def _liveliness(record: Record) -> tuple[int, bool, int]:
    number = int(record.native_id) if record.native_id.isdecimal() else 0
    return (_RANKS[record.seen.state], record.seen.verdict is not None, number)


def _rest(seen: Iterable[int], records: Iterable[Record]) -> list[int]:
    """Return what a record stands for that no longer says which elements it means: those that have one no more.

    Slurm forgets the numbers of those elements of an array that were canceled before they began.
    """
    listed = {element for record in records if record.elements != SINGLE for element in record.elements}
    return [element for element in seen if element not in listed]


def _all_ended(seen: Mapping[int, Observation]) -> bool:
    return all(observation.state is NativeState.ENDED for observation in seen.values())
