"""The engine's process: look at the scheduler once for everyone, turn while anything is due, sleep until woken."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

import structlog

from cluster_interface.engine.reconcile import turn
from cluster_interface.model.errors import ClusterError, Transient
from cluster_interface.model.state import JobState
from cluster_interface.store import claims

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from cluster_interface.engine.tools import Tools
    from cluster_interface.store import Store

IDLE = 5.0  #: seconds between looks when nothing is going on
POLL = 0.5  #: seconds between looks at the scheduler; one that can wakes us when something changed
SLOW_POLL = 5.0  #: seconds, after it did not answer

log = structlog.get_logger()


class Engine:
    """Level-triggered reconciliation over the database, the one place of truth."""

    def __init__(self, store: Store, tools: Tools, wakes: Sequence[socket.socket]) -> None:
        self.store, self.tools, self.wakes = store, tools, wakes
        self._last_look, self._patience, self._scheduler_woke = 0.0, POLL, False

    def run(self, stop: Callable[[], bool]) -> None:
        """Work until `stop()`; trouble with the database is waited out."""
        while not stop():
            try:
                watching = self.look()
                while not stop() and turn(self.store, self.tools):
                    self._take_wakes()
                self._sleep(watching=watching)
            except Transient as error:
                log.warning("waiting", reason=str(error))
                self._wait(1.0)

    def look(self) -> bool:
        """Observe all native jobs in one call and make those due whose picture changed; say if there are any."""
        with self.store.read() as db:
            watched = claims.watched(db)
        now = self.tools.clock.now()
        if not watched:
            self.tools.seen.clear()
            return False
        if abs(now - self._last_look) < self._patience and not self._scheduler_woke:
            return True
        self._last_look, self._scheduler_woke = now, False
        try:
            seen = self.tools.scheduler.observe([native for native, _ in watched])
        except ClusterError as error:
            log.warning("the scheduler does not answer", reason=str(error))
            self._patience = SLOW_POLL
            return True
        self._patience = POLL
        changed = [job for native, job in watched if seen.get(native) != self.tools.seen.get(native, None)]
        self.tools.seen.clear()
        self.tools.seen.update(seen)
        if changed:
            with self.store.write() as db:
                claims.nudge_jobs(db, changed)
        return True

    def _sleep(self, *, watching: bool) -> None:
        with self.store.read() as db:
            due = claims.next_due(db)
        longest = self._patience if watching else IDLE
        self._wait(min(longest, IDLE if due is None else due + 0.001))

    def _wait(self, seconds: float) -> None:
        if select.select(self.wakes, [], [], seconds)[0]:
            self._take_wakes()

    def _take_wakes(self) -> None:
        """Read what woke us: the mark of finished work, or nothing in particular."""
        jobs, images = set(), False
        while ready := select.select(self.wakes, [], [], 0)[0]:
            for wake in ready:
                mark = wake.recv(512).decode(errors="replace")
                images |= mark.startswith("image.")
                self._scheduler_woke |= mark == "scheduler"
                jobs.add(mark.partition(".")[0])
        if jobs or images:
            with self.store.write() as db:
                claims.nudge_jobs(db, jobs)
                if images:
                    claims.nudge_states(db, [JobState.PREPARING])
