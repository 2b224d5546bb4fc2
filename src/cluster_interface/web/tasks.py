"""The tasks of a sweep as a page shows them: counted, one page of their table, and one of them chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.state import TaskState

if TYPE_CHECKING:
    from cluster_interface.service import Service
    from cluster_interface.wire import JobView, TaskView

ROWS = 50
MOST_COLUMNS = 12  #: parameters shown; the table to download has them all

_ORDER = (TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED, TaskState.RUNNING, TaskState.QUEUED)


@dataclass(frozen=True, kw_only=True)
class Share:
    """A state's part of the bar: from where to where, in percent."""

    state: TaskState
    count: int
    start: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """What the page shows of many tasks."""

    total: int
    shares: tuple[Share, ...]
    names: tuple[str, ...]  #: of the parameters
    rows: tuple[TaskView, ...]
    next: int | None
    state: str | None  #: the only one shown
    after: int
    chosen: int  #: whose log and outputs are shown
    picked: bool  #: whether somebody chose it


def tasks_of(service: Service, user: str, job: JobView, query: dict[str, str]) -> Tasks | None:
    """Read one page of a sweep's tasks; None for a job that is no sweep."""
    if job.spec.sweep is None:
        return None
    state = query.get("tasks") or None
    after, chosen = _number(query.get("after"), -1), _number(query.get("task"), 0)
    page = service.following.tasks(user, job.id, after=after, limit=ROWS, state=state)
    names = dict.fromkeys(name for task in (page.tasks or job.tasks) for name in task.parameters)
    return Tasks(
        total=sum(job.counts.values()),
        shares=tuple(_shares(job)),
        names=tuple(names)[:MOST_COLUMNS],
        rows=page.tasks,
        next=page.next,
        state=state,
        after=after,
        chosen=chosen,
        picked="task" in query,
    )


def _shares(job: JobView) -> list[Share]:
    total, start = max(1, sum(job.counts.values())), 0.0
    found = []
    for state in _ORDER:
        if count := job.counts.get(state, 0):
            width = max(0.6, 100 * count / total)  # one of many thousands is seen, too
            found.append(Share(state=state, count=count, start=start, width=width))
            start += width
    return found


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else default
