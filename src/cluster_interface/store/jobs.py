"""The named queries on jobs for the use cases: what a user may see and ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, func, insert, or_, select, update

from cluster_interface.model.errors import NotFound
from cluster_interface.model.job import Attempt, Event, Job, OutputFile, Task
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.plan import Lock
from cluster_interface.model.state import FINAL, JobState, TaskState
from cluster_interface.model.wishes import When, split_after
from cluster_interface.store import tables as t
from cluster_interface.store.database import now
from cluster_interface.store.rows import value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from cluster_interface.model.sweep import Values

TIMELINE = 0x636C_6966_0002  #: PostgreSQL's lock for drawing the ids of events
KEYS = 0x636C_6966  #: the first half of PostgreSQL's lock of a submission key
MOST_LOOKED_AT = 20  #: earlier jobs, to learn from


def find(db: Connection, owner: str, job: str) -> Job | None:
    """Return a job if it is this owner's; None for others' and unknown ones alike."""
    row = db.execute(select(t.job).where(t.job.c.id == job, t.job.c.owner == owner)).mappings().first()
    return value(Job, row) if row else None


def get(db: Connection, owner: str, job: str) -> Job:
    """Return a job of this owner's; NotFound for others' and unknown ones alike."""
    found = find(db, owner, job)
    if found is None:
        raise NotFound(f"there is no job {job[:64]!r}")
    return found


def find_by_key(db: Connection, owner: str, key: str, *, take: bool = False) -> Job | None:
    """Return the job that this submission key made; None if it is new.

    `take`: nobody else makes one from it before this transaction ends.
    """
    if take and db.dialect.name == "postgresql":
        db.execute(select(func.pg_advisory_xact_lock(KEYS, func.hashtext(f"{owner} {key}"))))
    row = db.execute(select(t.job).where(t.job.c.owner == owner, t.job.c.submission_key == key)).mappings().first()
    return value(Job, row) if row else None


def add(
    db: Connection,
    *,
    job: str,
    owner: str,
    group: str,
    key: str,
    spec: JobSpec,
    rerun_of: str | None,
    tasks: Sequence[Values] = ({},),
) -> None:
    """Insert a submitted job with its tasks (the parameters of each), what it waits for, and its first event."""
    at = db.execute(select(now(db))).scalar_one()
    whose = {"owner": owner, "group": group}
    db.execute(
        insert(t.job).values(
            id=job, submission_key=key, name=spec.name or "job", state=JobState.SUBMITTED, reason="",
            spec=spec.model_dump(mode="json"), rerun_of=rerun_of, created=at, changed=at, due=at, **whose,
        )
    )  # fmt: skip
    rows = [
        {"job": job, "index": index, "state": TaskState.WAITING, "parameters": values, **whose}
        for index, values in enumerate(tasks)
    ]
    db.execute(insert(t.task), rows)
    if spec.after:
        waits = dict(map(split_after, spec.after))
        db.execute(insert(t.dependency), [{"job": job, "on": on, "when": when} for on, when in waits.items()])
    add_event(db, job, whose, old=None, new=JobState.SUBMITTED, who=owner, why="", at=at)


def live_specs(db: Connection) -> Iterator[JobSpec]:
    """Yield the specs of everybody's jobs that have not ended."""
    for spec in db.execute(select(t.job.c.spec).where(t.live)).scalars():
        yield JobSpec.model_validate(spec)


def waits_for(db: Connection, job: str) -> list[tuple[str, When, JobState]]:
    """List what a job waits for: the other job, how it must end, and where it is."""
    rows = db.execute(
        select(t.dependency.c.on, t.dependency.c.when, t.job.c.state)
        .join(t.job, t.job.c.id == t.dependency.c.on)
        .where(t.dependency.c.job == job)
        .order_by(t.dependency.c.on)
    )
    return [(on, When(when), JobState(state)) for on, when, state in rows]


def add_event(
    db: Connection,
    job: str,
    whose: dict[str, str],
    *,
    old: JobState | None,
    new: JobState,
    who: str,
    why: str,
    at: float,
) -> None:
    """Insert one line of the timeline; the last thing that a transaction does.

    Events become visible in the order of their ids, so that whoever has read up to one has missed none: SQLite has one
    writer at a time, and on PostgreSQL a lock is held from before the id is drawn until it can be seen.
    """
    if db.dialect.name == "postgresql":
        db.execute(select(func.pg_advisory_xact_lock(TIMELINE)))
    db.execute(insert(t.event).values(job=job, at=at, old=old, new=new, who=who, why=why, **whose))


def page(
    db: Connection, owner: str, *, before: tuple[float, str] | None, limit: int, state: str | None
) -> Sequence[Job]:
    """List an owner's jobs, newest first, from just below a (created, id) key."""
    query = select(t.job).where(t.job.c.owner == owner).order_by(t.job.c.created.desc(), t.job.c.id.desc())
    if state:
        query = query.where(t.job.c.state == state)
    if before:
        at, job = before
        query = query.where(or_(t.job.c.created < at, and_(t.job.c.created == at, t.job.c.id < job)))
    return [value(Job, row) for row in db.execute(query.limit(limit)).mappings()]


def locks(db: Connection) -> list[tuple[str, Lock]]:
    """List the locks that jobs have which have not ended."""
    query = select(t.job.c.id, t.job.c.plan).where(t.job.c.state.not_in(FINAL), t.job.c.plan.is_not(None))
    return [
        (row.id, Lock.model_validate(row.plan["lock"]))
        for row in db.execute(query)
        if row.plan and row.plan.get("lock")
    ]


def request_cancel(db: Connection, job: str) -> None:
    """Write the wish to cancel, and make the job due."""
    db.execute(
        update(t.job).where(t.job.c.id == job, t.job.c.state.not_in(FINAL)).values(cancel_requested=True, due=now(db))
    )


def tasks(db: Connection, job: str) -> list[Task]:
    """List a job's tasks in order."""
    rows = db.execute(select(t.task).where(t.task.c.job == job).order_by(t.task.c.index)).mappings()
    return [value(Task, row) for row in rows]


def task_page(db: Connection, job: str, *, after: int, limit: int, state: str | None = None) -> list[Task]:
    """List a job's tasks with an index above `after`, in order, perhaps only those in one state."""
    query = select(t.task).where(t.task.c.job == job, t.task.c.index > after).order_by(t.task.c.index).limit(limit)
    if state:
        query = query.where(t.task.c.state == state)
    return [value(Task, row) for row in db.execute(query).mappings()]


def task_counts(db: Connection, job: str) -> dict[str, int]:
    """Count a job's tasks by state."""
    rows = db.execute(select(t.task.c.state, func.count()).where(t.task.c.job == job).group_by(t.task.c.state)).all()
    return {state: int(count) for state, count in rows}


def peak_use(db: Connection, job: str) -> tuple[int | None, float | None, float | None]:
    """Return the most any completed task of a job used: bytes of memory, seconds it ran, seconds of processor."""
    longest = func.max(t.task.c.ended - t.task.c.started)
    query = select(func.max(t.task.c.peak_memory), longest, func.max(t.task.c.cpu_seconds))
    memory, seconds, cpu = db.execute(query.where(t.task.c.job == job, t.task.c.state == TaskState.COMPLETED)).one()
    return memory, seconds, cpu


def last_like(db: Connection, owner: str, name: str, script: str | None) -> Job | None:
    """Return an owner's newest completed job of this name and script."""
    query = (
        select(t.job)
        .where(t.job.c.owner == owner, t.job.c.name == name, t.job.c.state == JobState.COMPLETED)
        .order_by(t.job.c.created.desc(), t.job.c.id.desc())
        .limit(MOST_LOOKED_AT)
    )
    found = (value(Job, row) for row in db.execute(query).mappings())
    return next((job for job in found if job.spec.script == script), None)


def starts(db: Connection, scheduler: str, queue: str) -> list[tuple[float, float]]:
    """List (expected, actual) starts of the newest attempts in a queue for which both are known."""
    query = (
        select(t.attempt.c.expected, t.attempt.c.started, t.attempt.c.ask)
        .where(t.attempt.c.expected.is_not(None), t.attempt.c.started.is_not(None))
        .order_by(t.attempt.c.created.desc())
        .limit(MOST_LOOKED_AT * 10)
    )
    rows = [(expected, started, ask or {}) for expected, started, ask in db.execute(query)]
    return [(e, s) for e, s, ask in rows if (ask.get("scheduler"), ask.get("queue")) == (scheduler, queue)]


def attempts(db: Connection, job: str) -> list[Attempt]:
    """List a job's attempts in order."""
    rows = db.execute(select(t.attempt).where(t.attempt.c.job == job).order_by(t.attempt.c.number)).mappings()
    return [value(Attempt, row) for row in rows]


def events(db: Connection, job: str, after: int = 0) -> list[Event]:
    """List a job's events with an id above `after`, in order."""
    query = select(t.event).where(t.event.c.job == job, t.event.c.id > after).order_by(t.event.c.id)
    return [value(Event, row) for row in db.execute(query).mappings()]


def last_event(db: Connection, job: str) -> int:
    """Return the id of a job's newest event."""
    return db.execute(select(func.max(t.event.c.id)).where(t.event.c.job == job)).scalar() or 0


def outputs(db: Connection, job: str) -> list[OutputFile]:
    """List a job's outputs by task and path."""
    query = select(t.output).where(t.output.c.job == job).order_by(t.output.c.task, t.output.c.path)
    return [value(OutputFile, row) for row in db.execute(query).mappings()]
