"""The named queries on what jobs left behind. A prefix is a folder's path with a slash at its end, or empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, func, or_, select, tuple_

from cluster_interface.model.job import OutputFile
from cluster_interface.model.state import TaskState
from cluster_interface.store import tables as t
from cluster_interface.store.rows import value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection

    from cluster_interface.model.sweep import Values
    from cluster_interface.store.database import Store

AT_ONCE = 400  #: files named in one statement
PAGE = 1000  #: files read at a time


def find(db: Connection, job: str, task: int, path: str) -> OutputFile | None:
    """Return one output; None if the job has none of that name."""
    where = and_(t.output.c.job == job, t.output.c.task == task, t.output.c.path == path)
    row = db.execute(select(t.output).where(where)).mappings().first()
    return value(OutputFile, row) if row else None


def beneath(db: Connection, job: str, task: int | None, prefix: str) -> Iterator[OutputFile]:
    """Yield the outputs below a folder of one task (None: of all), by task and path."""
    query = select(t.output).where(_below(job, task, prefix)).order_by(t.output.c.task, t.output.c.path)
    for row in db.execute(query).mappings():
        yield value(OutputFile, row)


def of_completed(store: Store, job: str) -> Iterator[tuple[OutputFile, Values]]:
    """Yield the outputs of a job's completed tasks with the parameters of each, by task and path.

    There may be very many: they are read some at a time, with no transaction open meanwhile.
    """
    place = tuple_(t.output.c.task, t.output.c.path)
    same = and_(t.task.c.job == t.output.c.job, t.task.c.index == t.output.c.task)
    query = (
        select(t.output, t.task.c.parameters)
        .join(t.task, same)
        .where(t.output.c.job == job, t.task.c.state == TaskState.COMPLETED)
        .order_by(t.output.c.task, t.output.c.path)
        .limit(PAGE)
    )
    after: tuple[int, str] = (-1, "")
    while True:
        with store.read() as db:
            page = [
                (value(OutputFile, row), row["parameters"]) for row in db.execute(query.where(place > after)).mappings()
            ]
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1][0].task, page[-1][0].path


def sizes(db: Connection, job: str, task: int, prefix: str) -> Sequence[tuple[str, int]]:
    """List path and size of all that is below a task's folder: there may be very many."""
    rows = db.execute(select(t.output.c.path, t.output.c.size).where(_below(job, task, prefix)))
    return [(path, size) for path, size in rows]


def sizes_by_task(db: Connection, job: str) -> list[tuple[int, int, int]]:
    """List the tasks that left something: number, files, bytes."""
    query = (
        select(t.output.c.task, func.count(), func.sum(t.output.c.size))
        .where(t.output.c.job == job)
        .group_by(t.output.c.task)
        .order_by(t.output.c.task)
    )
    return [(task, int(count), int(size)) for task, count, size in db.execute(query)]


def some(db: Connection, job: str, files: Collection[tuple[int, str]]) -> dict[tuple[int, str], OutputFile]:
    """Return the outputs with these (task, path)."""
    names, found = list(files), {}
    for begin in range(0, len(names), AT_ONCE):
        these = tuple_(t.output.c.task, t.output.c.path).in_(names[begin : begin + AT_ONCE])
        for row in db.execute(select(t.output).where(t.output.c.job == job, these)).mappings():
            output = value(OutputFile, row)
            found[output.task, output.path] = output
    return found


def tables(db: Connection, job: str, most: int) -> list[str]:
    """Name the CSV and TSV tables that more than one task left, those of most tasks first."""
    path = func.lower(t.output.c.path)
    query = (
        select(t.output.c.path)
        .where(t.output.c.job == job, or_(path.like("%.csv"), path.like("%.tsv")))
        .group_by(t.output.c.path)
        .having(func.count() > 1)
        .order_by(func.count().desc(), t.output.c.path)
        .limit(most)
    )
    return list(db.execute(query).scalars())


def _below(job: str, task: int | None, prefix: str) -> ColumnElement[bool]:
    where = t.output.c.job == job
    if task is not None:
        where = and_(where, t.output.c.task == task)
    if prefix:
        where = and_(where, func.substr(t.output.c.path, 1, len(prefix)) == prefix)
    return where
