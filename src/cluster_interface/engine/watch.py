"""The one look at each scheduler per tick, for everybody's jobs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from cluster_interface.model.errors import ClusterError
from cluster_interface.model.state import JobState
from cluster_interface.ports import Handle, NativeState
from cluster_interface.store import claims

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cluster_interface.engine.tools import Tools
    from cluster_interface.ports import Observation
    from cluster_interface.store import Store
    from cluster_interface.store.claims import Given

POLL = 0.5  #: seconds between looks at a scheduler; one that can wakes us when something changed
SHARE = 20.0  #: a look is followed by a pause so many times as long: a scheduler has other things to do
SLOW_POLL = 5.0  #: seconds, after it did not answer
REFRESH = 30.0  #: seconds after which the list of what is watched is read anew as a whole
NOWHERE: Mapping[int, Observation] = {}  #: looked for, and not there

log = structlog.get_logger()


@dataclass
class _Watched:
    """What one scheduler has of ours."""

    handles: dict[str, Handle] = field(default_factory=dict)  #: by mark
    due: float = 0.0


class Watch:
    """Keeps the list of what schedulers have, and what was seen of it, in memory; both can be lost at any time."""

    def __init__(self, store: Store, tools: Tools) -> None:
        self._store, self._tools = store, tools
        self._given: dict[str, tuple[Given, list[str]]] = {}  # by job, with the marks of its orders
        self._job_of: dict[str, str] = {}
        self._schedulers: dict[str, _Watched] = {}
        self._calm: set[str] = set()  #: marks of jobs that another engine knew as queued: to see them wait is no news
        self._event: int | None = None
        self._read_at = 0.0

    def look(self) -> set[str]:
        """Look at every scheduler whose turn it is; name the jobs whose picture changed."""
        self._read()
        changed: set[str] = set()
        for name, watched in self._schedulers.items():
            if watched.handles and time.monotonic() >= watched.due:
                changed |= self._observe(name, watched)
        return changed

    def until(self) -> float:
        """Return the seconds until the next look."""
        due = [watched.due for watched in self._schedulers.values() if watched.handles]
        return max(0.0, min(due) - time.monotonic()) if due else float("inf")

    def hurry(self) -> None:
        """Look at once: a scheduler says that something changed."""
        for watched in self._schedulers.values():
            watched.due = 0.0

    def _observe(self, name: str, watched: _Watched) -> set[str]:
        seen, began = self._tools.seen, time.monotonic()
        try:
            found = self._tools.site.scheduler(name).observe(watched.handles.values())
        except ClusterError as error:
            log.warning("the scheduler does not answer", scheduler=name, reason=str(error))
            watched.due = time.monotonic() + SLOW_POLL
            return set()
        changed = [mark for mark in watched.handles if found.get(mark, NOWHERE) is not seen.get(mark)]
        news = {self._job_of[mark] for mark in changed if self._is_news(mark, found.get(mark, NOWHERE))}
        for mark in changed:
            seen[mark] = found.get(mark, NOWHERE)
        self._calm.difference_update(changed)
        now = time.monotonic()
        watched.due = now + max(POLL, (now - began) * SHARE)
        return news

    def _is_news(self, mark: str, found: Mapping[int, Observation]) -> bool:
        if mark in self._calm and found:
            return any(element.state is not NativeState.PENDING for element in found.values())
        return found != self._tools.seen.get(mark)

    # --- what is watched

    def _read(self) -> None:
        """Bring the list up to date: jobs with new events, or all of it now and then."""
        with self._store.read() as db:
            last = claims.last_event(db)
            if self._event is None or time.monotonic() - self._read_at > REFRESH:
                given, gone = claims.watched(db), set(self._given)
                self._read_at = time.monotonic()
                if self._event is None:
                    queued = (one for one in given if one.state == JobState.QUEUED)
                    self._calm = {mark for one in queued for mark, _ in one.handed()}
            elif last == self._event:
                return
            else:
                given, gone = claims.watched(db, self._event), claims.changed_since(db, self._event)
        self._event = last
        for job in gone.difference(one.job for one in given):
            self._drop(job)
        for one in given:
            if one.job not in self._given or self._given[one.job][0] != one:
                self._keep(one)

    def _keep(self, given: Given) -> None:
        handed = given.handed()
        marks = [mark for mark, _ in handed]
        self._drop(given.job, but=marks)
        self._given[given.job] = given, marks
        watched = self._schedulers.setdefault(given.scheduler, _Watched())
        for mark, native_id in handed:
            self._job_of[mark] = given.job
            watched.handles[mark] = Handle(mark=mark, account=given.account, native_id=native_id)

    def _drop(self, job: str, but: Collection[str] = ()) -> None:
        """Forget a job's orders, and what was seen of those that are not the same again."""
        if job not in self._given:
            return
        given, marks = self._given.pop(job)
        for mark in marks:
            self._schedulers[given.scheduler].handles.pop(mark, None)
        for mark in set(marks).difference(but):
            self._job_of.pop(mark, None)
            self._tools.seen.pop(mark, None)
            self._tools.looked.pop(mark, None)
