"""Links for those without an account, and the short-lived tickets that a click makes. Only SHA-256s are kept."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, or_, select, update

from cluster_interface.model.job import Link
from cluster_interface.store import tables as t
from cluster_interface.store.database import now
from cluster_interface.store.rows import value

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

TICKET_SECONDS = 3600.0  #: from a click to the last byte, resumed downloads included


def add(
    db: Connection, *, owner: str, group: str, job: str, path: str, seconds: float, most: int | None
) -> tuple[Link, str]:
    """Make a link; return it and its 256-bit token, which is kept nowhere."""
    token, name = secrets.token_urlsafe(32), secrets.token_hex(6)
    at = db.execute(select(now(db))).scalar_one()
    db.execute(
        insert(t.link).values(
            id=name, owner=owner, group=group, job=job, path=path, token_sha256=_hash(token),
            created=at, expires=at + seconds, most=most, downloads=0,
        )
    )  # fmt: skip
    link = Link(id=name, owner=owner, job=job, path=path, created=at, expires=at + seconds, most=most)
    return link, token


def of_job(db: Connection, job: str) -> list[Link]:
    """List the links of a job that are still good, the newest first."""
    query = select(t.link).where(t.link.c.job == job, _good(db)).order_by(t.link.c.created.desc(), t.link.c.id)
    return [value(Link, row) for row in db.execute(query).mappings()]


def revoke(db: Connection, job: str, link: str) -> bool:
    """Forget a link of a job, and every ticket that it made; False if there is none."""
    mine = (t.link.c.job == job) & (t.link.c.id == link)
    db.execute(delete(t.ticket).where(t.ticket.c.link.in_(select(t.link.c.id).where(mine))))
    return bool(db.execute(delete(t.link).where(mine)).rowcount)


def find(db: Connection, token: str) -> Link | None:
    """Return the link of a token; None for what is unknown, expired, revoked or used up alike."""
    row = db.execute(select(t.link).where(t.link.c.token_sha256 == _hash(token), _good(db))).mappings().first()
    return value(Link, row) if row else None


def click(db: Connection, token: str) -> str | None:
    """Count a download and return the token of a ticket for it; None if the link is not good (any more)."""
    at = db.execute(select(now(db))).scalar_one()
    db.execute(delete(t.ticket).where(t.ticket.c.expires < at))
    counted = update(t.link).where(t.link.c.token_sha256 == _hash(token), _good(db))
    counted = counted.values(downloads=t.link.c.downloads + 1, used=at).returning(t.link.c.id, t.link.c.expires)
    row = db.execute(counted).first()
    if row is None:
        return None
    ticket = secrets.token_urlsafe(32)
    expires = min(row.expires, at + TICKET_SECONDS)
    db.execute(insert(t.ticket).values(token_sha256=_hash(ticket), link=row.id, expires=expires))
    return ticket


def of_ticket(db: Connection, ticket: str) -> Link | None:
    """Return the link that a ticket came from, while both are good."""
    query = (
        select(t.link)
        .join(t.ticket, t.ticket.c.link == t.link.c.id)
        .where(t.ticket.c.token_sha256 == _hash(ticket), t.ticket.c.expires >= now(db), t.link.c.expires >= now(db))
    )
    row = db.execute(query).mappings().first()
    return value(Link, row) if row else None


def _good(db: Connection) -> ColumnElement[bool]:
    left = or_(t.link.c.most.is_(None), t.link.c.downloads < t.link.c.most)
    return (t.link.c.expires >= now(db)) & left


def _hash(token: str) -> str:
    """Hash a token. Looking one up by its hash tells by its time nothing of the token itself."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
