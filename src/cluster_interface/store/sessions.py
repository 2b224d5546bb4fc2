"""Browser sessions and one-time links. Only the SHA-256 of a token is kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import delete, insert, select

from cluster_interface.store import tables as t
from cluster_interface.store.database import now

if TYPE_CHECKING:
    from sqlalchemy import Connection

Kind = Literal["link", "cookie"]
LIFETIME: dict[Kind, float] = {"link": 60.0, "cookie": 14 * 86400.0}  #: seconds


@dataclass(frozen=True)
class Session:
    """Whose session it is, and the token its forms carry."""

    owner: str
    csrf: str


def open_session(db: Connection, owner: str, kind: Kind) -> str:
    """Begin a session or a link; return its 256-bit token, which is kept nowhere."""
    token = secrets.token_urlsafe(32)
    at = db.execute(select(now(db))).scalar_one()
    db.execute(delete(t.session).where(t.session.c.expires < at))
    db.execute(
        insert(t.session).values(
            token_sha256=_hash(token), owner=owner, group="", kind=kind, csrf=secrets.token_urlsafe(24),
            created=at, expires=at + LIFETIME[kind],
        )
    )  # fmt: skip
    return token


def find_session(db: Connection, token: str, kind: Kind) -> Session | None:
    """Return the session of a token that is still good."""
    row = db.execute(
        select(t.session.c.owner, t.session.c.csrf).where(
            t.session.c.token_sha256 == _hash(token), t.session.c.kind == kind, t.session.c.expires >= now(db)
        )
    ).first()
    return Session(*row) if row else None


def use_link(db: Connection, token: str) -> str | None:
    """Spend a link: return the token of the session it opens; None if it is unknown, spent or too old."""
    found = find_session(db, token, "link")
    close_session(db, token)
    return open_session(db, found.owner, "cookie") if found else None


def close_session(db: Connection, token: str) -> None:
    """End a session or a link."""
    db.execute(delete(t.session).where(t.session.c.token_sha256 == _hash(token)))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
