"""Looks after the files of jobs that have ended: measures them, delivers them again, removes them in time.

It goes by the database alone and may be killed anywhere: what is not noted as done is done again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from cluster_interface.model.errors import ClusterError, Transient
from cluster_interface.model.job import Delivery
from cluster_interface.model.marks import again_mark, work_mark
from cluster_interface.ports import WorkState
from cluster_interface.store import jobs, keeping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.engine.tools import Tools
    from cluster_interface.model.job import Job
    from cluster_interface.ports import Work
    from cluster_interface.store import Store

EVERY = 30.0  #: seconds between rounds when nothing is under way
SOON = 2.0  #: seconds, while something is
MOST_AT_ONCE = 2  #: pieces of such work at a time: nobody waits for them
MOST_FAILURES = 3  #: of one job, after which it waits for the next start of the engine

log = structlog.get_logger()


class Keeper:
    """One round after the other."""

    def __init__(self, store: Store, tools: Tools) -> None:
        self._store, self._tools = store, tools
        self._adopted = False
        self._failures: dict[str, int] = {}

    def round(self) -> float:
        """Do what is due; return the seconds until the next round is wanted."""
        policy = self._tools.retention
        warn = min(policy.warn, policy.days or policy.warn) * keeping.DAY
        if not self._adopted:
            with self._store.write() as db:
                keeping.adopt(db, policy.days, policy.warn)
            self._adopted = True
        with self._store.read() as db:
            near, over = keeping.to_announce(db, warn), keeping.to_remove(db)
            unmeasured, asked = keeping.to_measure(db), keeping.to_deliver(db)
        if near:
            with self._store.write() as db:
                for job in near:
                    keeping.announce(db, job, warn)
        going = {job.id for job in over}
        delivering = self._all("deliver", asked)
        removing = self._all("remove", over)
        measuring = self._all("measure", [job for job in unmeasured if job.id not in going])
        return SOON if delivering or removing or measuring or near else EVERY

    def _all(self, kind: str, those: Sequence[Job]) -> bool:
        """Get on with one kind of work for some jobs; say whether some of it is under way."""
        running = 0
        for job in those:
            if running >= MOST_AT_ONCE:
                break
            mark = work_mark(job.id, kind, 0)
            if kind == "deliver" and job.deliver_asked is not None:
                mark = again_mark(job.id, job.deliver_asked)
            if self._failures.get(mark, 0) < MOST_FAILURES:
                running += not self._over(mark, kind, job)
        return running > 0

    def _over(self, mark: str, kind: str, job: Job) -> bool:
        """Start or look at one piece of work; say whether it is over, well or not."""
        works = self._tools.works
        try:
            work = works.look(mark)
            if work.state is WorkState.ABSENT and work.deaths < MOST_FAILURES:
                works.start(mark, kind, self._request(kind, job))
                work = works.look(mark)
            if work.state is WorkState.RUNNING:
                return False
            self._note(mark, kind, job, work)
            works.stop(mark)
        except Transient as error:
            log.warning("the files of a job wait", job=job.id, kind=kind, reason=str(error))
        except ClusterError as error:
            self._fail(mark, kind, job, str(error))
        except Exception:
            log.exception("looking after the files of a job failed unexpectedly", job=job.id, kind=kind)
            self._fail(mark, kind, job, "an unexpected error in the engine")
        return True

    def _request(self, kind: str, job: Job) -> dict[str, Any]:
        if kind != "deliver":
            return {"job": job.id}
        with self._store.read() as db:
            outputs = [vars(output) for output in jobs.outputs(db, job.id)]
        return {"job": job.id, "by_task": job.by_task, "to": list(job.undelivered), "outputs": outputs}

    def _note(self, mark: str, kind: str, job: Job, work: Work) -> None:
        if work.state is not WorkState.DONE:
            self._fail(mark, kind, job, str(work.error or "it died without a word"))
            return
        with self._store.write() as db:
            if kind == "remove":
                keeping.removed(db, job.id)
            elif kind == "deliver":
                keeping.delivered(db, job, [Delivery(**one) for one in work.result["deliveries"]])
            else:
                keeping.measured(db, job.id, int(work.result["size"]))

    def _fail(self, mark: str, kind: str, job: Job, reason: str) -> None:
        if kind == "deliver":  # who asked is told, and may ask again
            at = self._tools.clock.now()
            with self._store.write() as db:
                keeping.delivered(db, job, [Delivery(to=place, trouble=reason, at=at) for place in job.undelivered])
            return
        self._failures[mark] = self._failures.get(mark, 0) + 1
        log.warning("the files of a job cannot be looked after", job=job.id, kind=kind, reason=reason)
