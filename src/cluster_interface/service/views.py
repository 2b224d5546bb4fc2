"""Jobs as people see them: what is stored, with what schedulers and running work say now."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.advice import advice
from cluster_interface.model.errors import ClusterError
from cluster_interface.model.marks import again_mark, image_mark, work_mark
from cluster_interface.model.state import FINAL, JobState
from cluster_interface.ports import Handle, WorkState
from cluster_interface.store import jobs
from cluster_interface.wire import (
    AttemptView,
    DeliveryView,
    JobSummary,
    JobView,
    ProgressView,
    TaskView,
    WaitingView,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from cluster_interface.model.job import Attempt, Job, Progress
    from cluster_interface.model.plan import Plan
    from cluster_interface.ports import (
        Site,
        Works,
    )

MOST_SHOWN = 100  #: tasks in a job's own view; the rest by pages


@dataclass(frozen=True, kw_only=True)
class Views:
    """Puts a job's view together."""

    site: Site
    works: Works

    def job(self, db: Connection, job: Job) -> JobView:
        """Show one job."""
        tasks = jobs.task_page(db, job.id, after=-1, limit=MOST_SHOWN)
        attempts = jobs.attempts(db, job.id)
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
            advice=advice(job, job.facts.get("used") or jobs.peak_use(db, job.id)) if job.final else "",
            last_event=jobs.last_event(db, job.id),
            cancel_requested=job.cancel_requested,
            size=job.size,
            keep_until=job.keep_until,
            warned=job.warned,
            removed=job.removed,
            deliveries=tuple(DeliveryView.of(delivery) for delivery in job.deliveries),
            delivering=job.deliver_asked is not None,
        )

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
