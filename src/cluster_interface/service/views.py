"""Jobs as people see them: what is stored, with what schedulers and running work say now."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.inspection.lacking import lack
from cluster_interface.model.advice import advice
from cluster_interface.model.errors import ClusterError, NotFound
from cluster_interface.model.marks import again_mark, image_mark, work_mark
from cluster_interface.model.state import FINAL, FailureCode, JobState
from cluster_interface.ports import Handle, WorkState
from cluster_interface.store import jobs
from cluster_interface.wire import (
    AttemptView,
    DeliveryView,
    JobSummary,
    JobView,
    MissingView,
    ProgressView,
    TaskView,
    WaitingView,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from cluster_interface.inspection.lacking import Lack
    from cluster_interface.model.job import Attempt, Job, Progress
    from cluster_interface.model.plan import Plan
    from cluster_interface.ports import (
        ImageStore,
        Site,
        Stager,
        Works,
    )

MOST_SHOWN = 100  #: tasks in a job's own view; the rest by pages
LAST_WORDS = 8192  #: bytes of a program's stderr that are looked through for what it did not find


@dataclass(frozen=True, kw_only=True)
class Views:
    """Puts a job's view together."""

    site: Site
    works: Works
    stager: Stager
    shelf: ImageStore

    def job(self, db: Connection, job: Job) -> JobView:
        """Show one job."""
        tasks = jobs.task_page(db, job.id, after=-1, limit=MOST_SHOWN)
        attempts = jobs.attempts(db, job.id)
        lacked = self._lacked(db, job)
        return JobView(
            **{name: getattr(JobSummary.of(job), name) for name in JobSummary.model_fields},
            spec=job.spec,
            plan=job.plan,
            plan_sha256=job.plan_sha256,
            counts=job.facts.get("counts") or jobs.task_counts(db, job.id),
            tasks=tuple(TaskView.of(task) for task in tasks),
            attempts=tuple(AttemptView.of(attempt) for attempt in attempts),
            progress=tuple(ProgressView.of(progress) for progress in self._progress(job)),
            waiting=self._waiting(db, job, attempts),
            advice=self._advice(db, job, lacked) if job.final else "",
            missing=_missing(job, lacked),
            build_log=self._build_log(job),
            last_event=jobs.last_event(db, job.id),
            cancel_requested=job.cancel_requested,
            size=job.size,
            keep_until=job.keep_until,
            warned=job.warned,
            removed=job.removed,
            deliveries=tuple(DeliveryView.of(delivery) for delivery in job.deliveries),
            delivering=job.deliver_asked is not None,
        )

    def missing(self, db: Connection, job: Job) -> MissingView | None:
        """Say which package a failed program lacked, if one more package is all that it takes to run it again."""
        return _missing(job, self._lacked(db, job))

    def _advice(self, db: Connection, job: Job, lacked: Lack | None) -> str:
        """Say what to do otherwise next time: to bring what a program did not find, to ask for more or less."""
        used = advice(job, job.facts.get("used") or jobs.peak_use(db, job.id))
        return "; ".join(filter(None, [lacked.words if lacked else "", used]))

    def _build_log(self, job: Job) -> str:
        """Return the key of the image whose build failed, where one was begun."""
        lock = job.plan.lock if job.plan and job.code is FailureCode.IMAGE_FAILED else None
        while lock:
            for key in (lock.image, lock.base):
                with contextlib.suppress(NotFound):
                    self.shelf.log(key)
                    return key
            lock = lock.under
        return ""

    def _lacked(self, db: Connection, job: Job) -> Lack | None:
        if job.code not in (FailureCode.EXIT_CODE, FailureCode.TASKS_FAILED) or job.removed:
            return None
        task = next(iter(jobs.task_page(db, job.id, after=-1, limit=1, state="failed")), None)
        if task is None or not task.exit_code:
            return None
        with contextlib.suppress(ClusterError):
            place = job.id, max(1, task.attempt), task.index
            said = self.stager.log(*place, "err", -LAST_WORDS).data or self.stager.log(*place, "out", -LAST_WORDS).data
            suite = job.plan.lock.suite if job.plan and job.plan.lock else None
            return lack(said.decode(errors="replace"), suite, network=job.spec.network)
        return None

    def _waiting(self, db: Connection, job: Job, attempts: Sequence[Attempt]) -> WaitingView | None:
        """Say why a queued job does not run yet, and how good such guesses have been."""
        if job.state is not JobState.QUEUED or job.plan is None or not attempts or not attempts[-1].orders:
            return None
        attempt = attempts[-1]
        first = next((order for order in attempt.orders if order.native_id is not None), None)
        if first is None:
            return None
        handle = Handle(mark=first.mark, account=attempt.account, native_id=first.native_id)
        try:
            waiting = self.site.scheduler(job.plan.ask.scheduler).waiting(handle)
        except ClusterError as error:
            return WaitingView(reason=str(error))
        if waiting is None:
            return None
        return WaitingView.of(waiting, jobs.starts(db, job.plan.ask.scheduler, job.plan.ask.queue))

    def _progress(self, job: Job) -> Iterator[Progress]:
        """Ask the running long work how far it is."""
        if job.state in FINAL and job.deliver_asked is None:
            return
        for mark in self._marks(job):
            work = self.works.look(mark)
            if work.state is WorkState.RUNNING and work.progress:
                yield work.progress

    def _marks(self, job: Job) -> list[str]:
        if job.state is JobState.SUBMITTED:
            return [work_mark(job.id, "resolve", job.number)]
        if job.state is JobState.PREPARING and job.plan:
            return [*self._building(job.plan), work_mark(job.id, "inputs", job.number)]
        if job.deliver_asked is not None:
            return [again_mark(job.id, job.deliver_asked)]
        kinds = ("outputs", "deliver") if job.state is JobState.STAGING_OUT else ()
        return [work_mark(job.id, kind, job.number) for kind in kinds]

    def _building(self, plan: Plan) -> Iterator[str]:
        with contextlib.suppress(ClusterError):
            face = self.site.runtime(plan.ask).face
            if plan.lock and face:
                yield image_mark(plan.lock.image, face)


def _missing(job: Job, lacked: Lack | None) -> MissingView | None:
    if lacked is None or not lacked.package or job.plan is None or job.plan.lock is None:
        return None  # without a lock nothing was made for it, to which something could be added
    try:
        job.spec.environment.adding(lacked.field, lacked.package)
    except ValueError:
        return None
    return MissingView(field=lacked.field, package=lacked.package)
