"""The engine's queries: claim a due job under a lease, apply a step only while that lease holds."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Text, and_, bindparam, delete, func, insert, or_, select, true, update

from cluster_interface.model.job import Job, Task
from cluster_interface.model.state import FINAL, JobState, TaskState, may_go
from cluster_interface.store import tables as t
from cluster_interface.store.database import now
from cluster_interface.store.jobs import add_event
from cluster_interface.store.roll import is_open
from cluster_interface.store.rows import columns, value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import ColumnElement, Connection, RowMapping

    from cluster_interface.model.job import Attempt
    from cluster_interface.model.step import Step

LEASE_SECONDS = 60.0
AT_ONCE = 1000  #: ids named in one statement
MOST_KNOWN = 64  #: jobs whose spec and plan are kept as they were read
ENGINE = "engine"  #: who made an event

_CHANGING = tuple(field.name for field in fields(Task) if field.name not in ("job", "index", "parameters"))


_KNOWN: dict[tuple[str, float, str | None], dict[str, Any]] = {}


def claim(db: Connection) -> Job | None:
    """Lease the most overdue job; None if nothing is due."""
    clock = now(db)
    due = and_(t.live, t.job.c.due <= clock, t.job.c.lease_until <= clock)
    candidate = select(t.job.c.id).where(due).order_by(t.job.c.due).limit(1)
    candidate = candidate.with_for_update(skip_locked=True, key_share=True)
    row = (
        db.execute(
            update(t.job)
            .where(t.job.c.id == candidate.scalar_subquery(), t.job.c.lease_until <= clock)
            .values(lease_token=uuid.uuid4().hex, lease_until=clock + LEASE_SECONDS)
            .returning(t.job)
        )
        .mappings()
        .first()
    )
    return _job_of(row) if row else None


def _job_of(row: RowMapping) -> Job:
    """Make the job of a row. What was read of its spec and plan is kept: they stay, and may name very many tasks."""
    which = row["id"], row["created"], row["plan_sha256"]
    if (known := _KNOWN.get(which)) is not None:
        return value(Job, {**row, **known})
    job = value(Job, row)
    if len(_KNOWN) >= MOST_KNOWN:
        _KNOWN.clear()
    _KNOWN[which] = {"spec": job.spec, "plan": job.plan}
    return job


def apply(db: Connection, job: Job, step: Step, keep: float | None = None) -> bool:
    """Write a step if the lease is still ours: state, facts and event together. False: somebody else has it now.

    `keep`: seconds after its end for which a job's files are kept; None: for good.
    """
    if not may_go(job.state, step.state):
        raise AssertionError(f"a job may not go from {job.state} to {step.state}")
    if step.state in FINAL:
        _lock(db, or_(t.job.c.id == job.id, _waits_for(job.id)))
    at = db.execute(select(now(db))).scalar_one()
    held = and_(t.job.c.id == job.id, t.job.c.lease_token == job.lease_token)
    if not db.execute(update(t.job).where(held).values(_job_changes(job, step, at, keep))).rowcount:
        return False
    whose = {"owner": job.owner, "group": job.group}
    _write_parts(db, job, step, whose, at)
    if step.state in FINAL:
        nudge(db, _waits_for(job.id))
    if step.state != job.state or step.note:
        why = step.note or step.reason
        add_event(db, job.id, whose, old=job.state, new=step.state, who=ENGINE, why=why, at=at)
    return True


def release(db: Connection) -> None:
    """Take every lease back. For an engine that knows itself alone: its predecessor is dead and will not apply."""
    _lock(db, and_(t.live, t.leased))
    db.execute(update(t.job).where(t.live, t.leased).values(lease_until=0, lease_token=None))


def nudge(db: Connection, where: ColumnElement[bool]) -> None:
    """Make live jobs due at once."""
    _lock(db, and_(t.live, where))
    db.execute(update(t.job).where(t.live, where).values(due=now(db)))


def nudge_jobs(db: Connection, jobs: Collection[str]) -> None:
    """Make these jobs due at once, in the order of their ids and some at a time: there may be very many."""
    ordered = sorted(jobs)
    for begin in range(0, len(ordered), AT_ONCE):
        nudge(db, t.job.c.id.in_(ordered[begin : begin + AT_ONCE]))


def nudge_states(db: Connection, states: Collection[JobState]) -> None:
    """Make all jobs in these states due at once."""
    nudge(db, t.job.c.state.in_(states))


def next_due(db: Connection) -> float | None:
    """Return the seconds until a job is due (0: now); None if there is no live job."""
    clock = db.execute(select(now(db))).scalar_one()
    free = select(t.job.c.due).where(t.live, t.job.c.lease_until <= clock).order_by(t.job.c.due).limit(1)
    held = select(t.job.c.due, t.job.c.lease_until).where(t.live, t.leased, t.job.c.lease_until > clock)
    times = [*db.execute(free).scalars(), *(max(due, until) for due, until in db.execute(held))]
    return max(0.0, min(times) - clock) if times else None


def last_event(db: Connection) -> int:
    """Return the id of the newest event of all."""
    return db.execute(select(func.max(t.event.c.id))).scalar() or 0


class Given(NamedTuple):
    """What a scheduler has of a job: only what is needed for looking at it, since there may be very many."""

    job: str
    state: JobState
    scheduler: str
    account: str
    orders: str  #: as JSON, to be read where it is not the one that was read before

    def handed(self) -> list[tuple[str, str]]:
        """List the orders that were handed over: mark and native id."""
        orders = json.loads(self.orders)
        return [(order["mark"], order["native_id"]) for order in orders if order["native_id"] is not None]


def watched(db: Connection, since: int | None = None) -> list[Given]:
    """List what schedulers have; only of jobs with an event after `since` if that is given."""
    scheduler = func.coalesce(t.attempt.c.ask["scheduler"].as_string(), "local")
    query = (
        select(t.attempt.c.job, t.job.c.state, scheduler, t.attempt.c.account, t.attempt.c.orders.cast(Text))
        .join(t.job, and_(t.job.c.id == t.attempt.c.job, t.job.c.attempt == t.attempt.c.number))
        .where(t.job.c.state.in_([JobState.QUEUED, JobState.RUNNING]))
    )
    if since is not None:
        query = query.where(t.job.c.id.in_(select(t.event.c.job).where(t.event.c.id > since)))
    return [Given._make(row) for row in db.execute(query)]


def changed_since(db: Connection, since: int) -> set[str]:
    """Name the jobs with an event after `since`."""
    return set(db.execute(select(t.event.c.job).where(t.event.c.id > since).distinct()).scalars())


def _waits_for(job: str) -> ColumnElement[bool]:
    return t.job.c.id.in_(select(t.dependency.c.job).where(t.dependency.c.on == job))


def _lock(db: Connection, where: ColumnElement[bool]) -> None:
    """Lock several jobs in the one order that everybody keeps to; SQLite has but one writer anyway."""
    if db.dialect.name != "sqlite":
        db.execute(select(t.job.c.id).where(where).order_by(t.job.c.id).with_for_update(key_share=True)).all()


def _job_changes(job: Job, step: Step, at: float, keep: float | None) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "state": step.state, "reason": step.reason, "due": at + step.after, "lease_until": 0, "lease_token": None,
        "tries": job.tries if step.again is None else job.tries + 1 if step.again else 0,
    }  # fmt: skip
    if step.state != job.state:
        changes |= {"changed": at, "code": step.code, "ended": at if step.state in FINAL else None}
        if step.state in FINAL and keep is not None:
            changes["keep_until"] = at + keep
    if step.size is not None or step.state in FINAL:  # what was staged is no measure of what an ended job holds
        changes["size"] = step.size
    if step.deliveries is not None:
        changes["deliveries"] = [asdict(delivery) for delivery in step.deliveries]
    if step.plan is not None:
        changes |= {"plan": step.plan.model_dump(mode="json"), "plan_sha256": step.plan.sha256}
    if step.attempt is not None:
        changes["attempt"] = step.attempt.number
    if step.approved_by is not None:
        changes["approved_by"] = step.approved_by
    if step.facts is not None:
        changes["facts"] = step.facts
    return changes


def _write_parts(db: Connection, job: Job, step: Step, whose: dict[str, str], at: float) -> None:
    if step.attempt is not None:
        same = and_(t.attempt.c.job == job.id, t.attempt.c.number == step.attempt.number)
        values = columns(step.attempt, **whose)
        if not db.execute(update(t.attempt).where(same).values(values)).rowcount:
            db.execute(insert(t.attempt).values(values))
    if step.fresh and step.attempt is not None:
        _begin_tasks(db, step.attempt)
    _write_tasks(db, step.tasks or ())
    if step.rest is not None:
        still = and_(t.task.c.job == job.id, is_open)
        db.execute(update(t.task).where(still).values(state=TaskState.CANCELED, ended=at, reason=step.rest))
    if step.outputs is not None:
        db.execute(delete(t.output).where(t.output.c.job == job.id))
        if step.outputs:
            db.execute(insert(t.output), [columns(output, job=job.id, **whose) for output in step.outputs])


def _begin_tasks(db: Connection, attempt: Attempt) -> None:
    """Queue the tasks that an attempt tries, whatever became of them before."""
    values = {**dict.fromkeys(_CHANGING), "reason": "", "state": TaskState.QUEUED, "attempt": attempt.number}
    numbers = attempt.tasks or ()
    parts = [t.task.c.index.in_(numbers[at : at + AT_ONCE]) for at in range(0, len(numbers), AT_ONCE)]
    for part in [true()] if attempt.tasks is None else parts:
        db.execute(update(t.task).where(t.task.c.job == attempt.job, part).values(values))


def _write_tasks(db: Connection, tasks: Iterable[Task]) -> None:
    rows = [{"of": task.job, "at": task.index, **{name: vars(task)[name] for name in _CHANGING}} for task in tasks]
    if rows:
        same = and_(t.task.c.job == bindparam("of"), t.task.c.index == bindparam("at"))
        values: dict[str, Any] = {name: bindparam(name) for name in _CHANGING}
        db.execute(update(t.task).where(same).values(values), rows)
