"""Jobs looked at while they go and afterwards: lists, tasks, events, logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cluster_interface.model.errors import NotFound, Rejected
from cluster_interface.model.state import TASK_FINAL, JobState, TaskState
from cluster_interface.store import jobs
from cluster_interface.wire import (
    EventView,
    JobPage,
    JobSummary,
    JobView,
    TaskPage,
    TaskView,
)

if TYPE_CHECKING:
    from cluster_interface.ports import (
        LogPart,
        Stager,
    )
    from cluster_interface.service.views import Views
    from cluster_interface.store import Store

MOST_LISTED = 200
MOST_TASKS_LISTED = 1000


@dataclass(frozen=True, kw_only=True)
class Following:
    """What people can look at. `user` is who asks, already authenticated."""

    store: Store
    stager: Stager
    views: Views

    def jobs(self, user: str, cursor: str | None, limit: int, state: str | None) -> JobPage:
        """List a user's jobs, newest first."""
        if state is not None and state not in [known.value for known in JobState]:
            raise Rejected.field("state", f"{state!r} is not a state; there are: {', '.join(JobState)}")
        limit = max(1, min(limit, MOST_LISTED))
        with self.store.read() as db:
            found = jobs.page(db, user, before=_parse_cursor(cursor), limit=limit + 1, state=state)
        more = f"{found[limit - 1].created!r}~{found[limit - 1].id}" if len(found) > limit else None
        return JobPage(jobs=tuple(JobSummary.of(job) for job in found[:limit]), next=more)

    def job(self, user: str, job: str) -> JobView:
        """Show one job; NotFound for unknown ones and others' alike."""
        with self.store.read() as db:
            return self.views.job(db, jobs.get(db, user, job))

    def events(self, user: str, job: str, after: int = 0) -> list[EventView]:
        """List a job's events after an id."""
        with self.store.read() as db:
            return [EventView.of(event) for event in jobs.events(db, jobs.get(db, user, job).id, after)]

    def log(self, user: str, job: str, stream: Literal["out", "err"], task: int, offset: int) -> tuple[LogPart, bool]:
        """Read a piece of a task's log; True when the task has ended and this is the end of it."""
        with self.store.read() as db:
            found = jobs.get(db, user, job)
            shown = next(iter(jobs.task_page(db, found.id, after=task - 1, limit=1)), None)
        if shown is None or shown.index != task:
            raise NotFound(f"job {job} has no task {task}")
        ended = shown.state in TASK_FINAL or found.final
        part = self.stager.log(found.id, max(1, shown.attempt), task, stream, offset)
        return part, ended and part.offset + len(part.data) >= part.size

    def tasks(self, user: str, job: str, *, after: int = -1, limit: int = 100, state: str | None = None) -> TaskPage:
        """List a job's tasks with an index above `after`, perhaps only those in one state."""
        if state is not None and state not in [known.value for known in TaskState]:
            raise Rejected.field("state", f"{state!r} is not a task's state; there are: {', '.join(TaskState)}")
        limit = max(1, min(limit, MOST_TASKS_LISTED))
        with self.store.read() as db:
            found = jobs.task_page(db, jobs.get(db, user, job).id, after=after, limit=limit + 1, state=state)
        more = found[limit - 1].index if len(found) > limit else None
        return TaskPage(tasks=tuple(TaskView.of(task) for task in found[:limit]), next=more)


def _parse_cursor(cursor: str | None) -> tuple[float, str] | None:
    if cursor is None:
        return None
    at, _, job = cursor.partition("~")
    try:
        return float(at), job
    except ValueError:
        raise Rejected.field("cursor", "is not one that this server gave out") from None
