"""A job's tasks for the engine, which reads no more of them than a step needs: there may be a hundred thousand."""

from __future__ import annotations

from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING

from sqlalchemy import func, select, true

from cluster_interface.model.job import Task
from cluster_interface.model.state import TASK_FINAL, TaskState
from cluster_interface.store import jobs
from cluster_interface.store import tables as t
from cluster_interface.store.rows import value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import ColumnElement

    from cluster_interface.model.sweep import Values
    from cluster_interface.store.database import Store

AT_ONCE = 1000  #: tasks named in one statement

is_open = t.task.c.state.not_in(TASK_FINAL)


class Roll:
    """Reads one job's tasks; each answer is a look of its own at the database."""

    def __init__(self, store: Store, job: str) -> None:
        self._store, self._job = store, job
        self._count: int | None = None

    def __len__(self) -> int:
        """Count them; that never changes."""
        if self._count is None:
            with self._store.read() as db:
                last = db.execute(select(func.max(t.task.c.index)).where(t.task.c.job == self._job)).scalar()
            self._count = 0 if last is None else last + 1
        return self._count

    def __iter__(self) -> Iterator[Task]:
        """Go through all of them in order, some at a time, with no transaction open meanwhile."""
        last = -1
        while True:
            with self._store.read() as db:
                page = jobs.task_page(db, self._job, after=last, limit=AT_ONCE)
            yield from page
            if len(page) < AT_ONCE:
                return
            last = page[-1].index

    def parameters(self) -> list[Values]:
        """List the parameters of all tasks, in order."""
        query = select(t.task.c.parameters).where(t.task.c.job == self._job).order_by(t.task.c.index)
        with self._store.read() as db:
            return list(db.execute(query).scalars())

    def counts(self) -> Counter[TaskState]:
        """Count the tasks in each state."""
        query = select(t.task.c.state, func.count()).where(t.task.c.job == self._job).group_by(t.task.c.state)
        with self._store.read() as db:
            return Counter({TaskState(state): count for state, count in db.execute(query)})

    def peak_use(self) -> tuple[int | None, float | None, float | None]:
        """Return the most that any completed one used: bytes of memory, seconds it ran, seconds of processor."""
        with self._store.read() as db:
            return jobs.peak_use(db, self._job)

    def first(self) -> Task | None:
        """Return the first task."""
        return next(iter(self._read(true(), first=True)), None)

    def first_open(self) -> Task | None:
        """Return the first task that has not ended."""
        return next(iter(self._read(is_open, first=True)), None)

    def running(self) -> list[Task]:
        """List the tasks that were last seen running."""
        return self._read(t.task.c.state == TaskState.RUNNING)

    def not_completed(self) -> list[Task]:
        """List the tasks that did not end well, or have not ended."""
        return self._read(t.task.c.state != TaskState.COMPLETED)

    def failed(self, attempt: int) -> list[Task]:
        """List the tasks of an attempt that ended, and not well."""
        ended = t.task.c.state.in_([TaskState.FAILED, TaskState.CANCELED])
        return self._read(ended & (t.task.c.attempt == attempt))

    def still_open(self, indices: Iterable[int]) -> list[Task]:
        """List those of these tasks that have not ended."""
        ordered = sorted(set(indices))
        parts = (ordered[at : at + AT_ONCE] for at in range(0, len(ordered), AT_ONCE))
        return [task for part in parts for task in self._read(t.task.c.index.in_(part) & is_open)]

    def _read(self, where: ColumnElement[bool], *, first: bool = False) -> list[Task]:
        """List tasks in order. They are sorted here: to have them in order SQLite would go through all of the job's."""
        query = select(t.task).where(t.task.c.job == self._job, where)
        if first:
            query = query.order_by(t.task.c.index).limit(1)
        with self._store.read() as db:
            found = [value(Task, row) for row in db.execute(query).mappings()]
        return sorted(found, key=attrgetter("index"))
