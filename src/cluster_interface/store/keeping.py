"""The named queries on how long jobs' files are kept, and on how much of them people have."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import and_, case, func, select, update

from cluster_interface.model.job import Job
from cluster_interface.store import tables as t
from cluster_interface.store.claims import ENGINE
from cluster_interface.store.database import now
from cluster_interface.store.jobs import add_event
from cluster_interface.store.rows import value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection

    from cluster_interface.model.job import Delivery

AT_ONCE = 100  #: jobs that one round looks at
DAY = 86400.0


def used(db: Connection, owner: str) -> int:
    """Sum up what an owner's jobs hold, in bytes: those that have not ended, what was staged for them."""
    mine = and_(t.job.c.owner == owner, t.job.c.removed.is_(None))
    return int(db.execute(select(func.coalesce(func.sum(t.job.c.size), 0)).where(mine)).scalar_one())


def adopt(db: Connection, days: int | None, warn: int) -> None:
    """Bring every job that has ended under the present policy; nothing is removed sooner than it is announced for.

    Without a policy, what was to come is called off; what somebody asked for stays.
    """
    at = now(db)
    ended = and_(t.job.c.ended.is_not(None), t.job.c.removed.is_(None))
    if days is None:
        off = and_(ended, t.job.c.keep_until > at)
        db.execute(update(t.job).where(off).values(keep_until=None, warned=None))
        return
    usual, least = t.job.c.ended + days * DAY, at + min(warn, days) * DAY
    until = case((usual > least, usual), else_=least)
    db.execute(update(t.job).where(ended, t.job.c.keep_until.is_(None)).values(keep_until=until))


def to_announce(db: Connection, seconds: float) -> Sequence[Job]:
    """List jobs whose files are to be removed within so many seconds, and of which that was not announced yet."""
    near = and_(t.kept, t.job.c.keep_until <= now(db) + seconds, t.job.c.warned.is_(None))
    return _some(db, near, t.job.c.keep_until)


def announce(db: Connection, job: Job, seconds: float) -> None:
    """Note that a job's files will be removed, and let them stay for so many seconds from now at least."""
    at = db.execute(select(now(db))).scalar_one()
    until = max(job.keep_until or at, at + seconds)
    same = and_(t.job.c.id == job.id, t.job.c.warned.is_(None), t.job.c.removed.is_(None))
    if db.execute(update(t.job).where(same).values(warned=at, keep_until=until)).rowcount:
        _note(
            db,
            job,
            ENGINE,
            f"its files will be removed in {max(1, round((until - at) / DAY))} d; fetch or keep them",
            at,
        )


def to_remove(db: Connection) -> Sequence[Job]:
    """List jobs whose files' time is over, and was announced, and that nobody delivers just now."""
    return _some(db, and_(_over(db), t.job.c.deliver_asked.is_(None)), t.job.c.keep_until)


def is_going(db: Connection, job: str) -> bool:
    """Say whether a job's files are removed just now, or will be with the next round."""
    going = and_(t.job.c.id == job, _over(db), t.job.c.deliver_asked.is_(None))
    return db.execute(select(t.job.c.id).where(going)).first() is not None


def _over(db: Connection) -> ColumnElement[bool]:
    return and_(t.kept, t.job.c.keep_until <= now(db), t.job.c.warned.is_not(None))


def removed(db: Connection, job: str) -> None:
    """Note that a job's files are gone, unless somebody has put that off meanwhile."""
    found = db.execute(select(t.job).where(t.job.c.id == job, t.job.c.removed.is_(None))).mappings().first()
    if found is None:
        return
    at = db.execute(select(now(db))).scalar_one()
    db.execute(update(t.job).where(t.job.c.id == job).values(removed=at, size=0))
    _note(db, value(Job, found), ENGINE, "its files were removed", at)


def keep(db: Connection, job: Job, until: float, who: str, why: str) -> None:
    """Put off, or bring about, the removal of a job's files: what is over by now counts as announced."""
    at = db.execute(select(now(db))).scalar_one()
    same = and_(t.job.c.id == job.id, t.job.c.removed.is_(None))
    db.execute(update(t.job).where(same).values(keep_until=until, warned=at if until <= at else None))
    _note(db, job, who, why, at)


def has_outputs(db: Connection, job: str) -> bool:
    """Say whether a job left anything that could be delivered."""
    return db.execute(select(t.output.c.path).where(t.output.c.job == job).limit(1)).first() is not None


def ask_delivery(db: Connection, job: Job, who: str) -> None:
    """Note that the outputs of an ended job are to be taken once more to where they did not arrive."""
    at = db.execute(select(now(db))).scalar_one()
    same = and_(t.job.c.id == job.id, t.job.c.removed.is_(None), t.job.c.deliver_asked.is_(None))
    if db.execute(update(t.job).where(same).values(deliver_asked=at)).rowcount:
        _note(db, job, who, f"its outputs are to be delivered again to {', '.join(job.undelivered)}", at)


def to_deliver(db: Connection) -> Sequence[Job]:
    """List jobs whose outputs are to be delivered again, who asked first first."""
    return _some(db, t.undelivered, t.job.c.deliver_asked)


def delivered(db: Connection, job: Job, deliveries: Sequence[Delivery]) -> None:
    """Note what became of delivering again; the others stay as they are."""
    at = db.execute(select(now(db))).scalar_one()
    found = {delivery.to: delivery for delivery in (*job.deliveries, *deliveries)}
    lost = [f"not delivered to {one.to}: {one.trouble}" for one in found.values() if one.trouble]
    reason = "; ".join([job.reason.partition("; not delivered to ")[0], *lost])
    values = {"deliveries": [asdict(one) for one in found.values()], "deliver_asked": None, "reason": reason}
    same = and_(t.job.c.id == job.id, t.job.c.deliver_asked.is_not(None))
    if db.execute(update(t.job).where(same).values(values)).rowcount:
        for one in deliveries:
            words = f"not delivered to {one.to}: {one.trouble}" if one.trouble else f"delivered to {one.to}"
            _note(db, job, ENGINE, words, at)


def to_measure(db: Connection) -> Sequence[Job]:
    """List ended jobs of which nobody knows yet how much they hold."""
    return _some(db, and_(t.unmeasured, t.job.c.removed.is_(None)), t.job.c.ended)


def measured(db: Connection, job: str, size: int) -> None:
    """Note how much a job holds."""
    db.execute(update(t.job).where(t.job.c.id == job, t.job.c.removed.is_(None)).values(size=size))


def clock(db: Connection) -> float:
    """Tell the database's time."""
    return float(db.execute(select(now(db))).scalar_one())


def _some(db: Connection, where: ColumnElement[bool], order: ColumnElement[float]) -> list[Job]:
    return [value(Job, row) for row in db.execute(select(t.job).where(where).order_by(order).limit(AT_ONCE)).mappings()]


def _note(db: Connection, job: Job, who: str, why: str, at: float) -> None:
    whose = {"owner": job.owner, "group": job.group}
    add_event(db, job.id, whose, old=job.state, new=job.state, who=who, why=why, at=at)
