"""The engine's process: look at the scheduler once for everyone, turn while anything is due, sleep until woken."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

import structlog

from cluster_interface.engine.keeping import Keeper
from cluster_interface.engine.reconcile import turn
from cluster_interface.engine.watch import Watch
from cluster_interface.model.errors import Transient
from cluster_interface.model.state import JobState
from cluster_interface.store import claims

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from cluster_interface.engine.tools import Tools
    from cluster_interface.store import Store

PAUSE = 1.0  #: seconds, after the database did not answer
KEEPING = "keeping"  #: the hint that files are to be removed, or delivered again
IDLE = 5.0  #: seconds between looks when nothing is going on

log = structlog.get_logger()


class Engine:
    """Level-triggered reconciliation over the database, the one place of truth."""

    def __init__(self, store: Store, tools: Tools, wakes: Sequence[socket.socket]) -> None:
        self.store, self.tools, self.wakes = store, tools, wakes
        self._watch = Watch(store, tools)
        self._survey_at = 0.0
        self._keeper = Keeper(store, tools)
        self._keep_at = 0.0

    def run(self, stop: Callable[[], bool]) -> None:
        """Work until `stop()`; trouble with the database is waited out."""
        while not stop():
            try:
                self._survey()
                self.look()
                if self._turn_all(stop):
                    continue  # there may be new native jobs to look at
                self._keep()
                self._sleep()
            except Transient as error:
                log.warning("waiting", reason=str(error))
                time.sleep(PAUSE)  # and read no wake, which would be written to the database

    def _turn_all(self, stop: Callable[[], bool]) -> bool:
        """Turn while anything is due; say whether anything was."""
        turned = False
        while not stop() and turn(self.store, self.tools):
            turned = True
            self._take_wakes()
        return turned

    def look(self) -> None:
        """Observe the schedulers whose turn it is and make those jobs due whose picture changed."""
        changed = self._watch.look()
        if changed:
            with self.store.write(lasting=False) as db:
                claims.nudge_jobs(db, changed)

    def _survey(self) -> None:
        if time.monotonic() >= self._survey_at:
            self._survey_at = time.monotonic() + self.tools.site.survey()

    def _keep(self) -> None:
        if time.monotonic() >= self._keep_at:
            self._keep_at = time.monotonic() + self._keeper.round()

    def _sleep(self) -> None:
        with self.store.read() as db:
            due = claims.next_due(db)
        survey = max(0.0, self._survey_at - time.monotonic())
        keep = max(0.0, self._keep_at - time.monotonic())
        self._wait(min(IDLE, survey, keep, self._watch.until(), IDLE if due is None else due + 0.001))

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
                if mark == "scheduler":
                    self._watch.hurry()
                if mark == KEEPING or ".remove." in mark or ".measure." in mark or ".deliver." in mark:
                    self._keep_at = 0.0
                jobs.add(mark.partition(".")[0])
        if jobs or images:
            with self.store.write(lasting=False) as db:
                claims.nudge_jobs(db, jobs)
                if images:
                    claims.nudge_states(db, [JobState.PREPARING])
