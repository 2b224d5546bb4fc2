"""The tables. Every row has an owner and a group; times are seconds since 1970, UTC."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal,
)
from sqlalchemy.types import BigInteger

from cluster_interface.model.state import FINAL

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _belongs() -> tuple[Column[str], Column[str]]:
    return Column("owner", String(128), nullable=False), Column("group", String(128), nullable=False)


def _of_job() -> Column[str]:
    return Column("job", String(32), ForeignKey("job.id"), nullable=False, primary_key=True)


job = Table(
    "job",
    metadata,
    Column("id", String(32), primary_key=True),
    *_belongs(),
    Column("submission_key", String(128), nullable=False),
    Column("name", String(128), nullable=False),
    Column("state", String(32), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("code", String(32)),
    Column("spec", JSON, nullable=False),
    Column("plan", JSON),
    Column("plan_sha256", String(64)),
    Column("attempt", Integer, nullable=False, default=0),
    Column("tries", Integer, nullable=False, default=0),
    Column("facts", JSON, nullable=False, default=dict),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("approved_by", String(128)),
    Column("rerun_of", String(32)),
    Column("created", Float, nullable=False),
    Column("changed", Float, nullable=False),
    Column("ended", Float),
    Column("size", BigInteger),  # until it has ended, what was staged; null: not known yet
    Column("keep_until", Float),
    Column("warned", Float),
    Column("removed", Float),
    Column("deliveries", JSON, nullable=False, default=list, server_default="[]"),
    Column("deliver_asked", Float),
    Column("due", Float, nullable=False),
    Column("lease_token", String(32)),
    Column("lease_until", Float, nullable=False, default=0),
    UniqueConstraint("owner", "submission_key"),
    Index(None, "owner", "created", "id"),
    Index(None, "state"),
)

# Written out, not as parameters: only so do both databases see that an index of the jobs that are alive will do.
live = job.c.state.not_in([literal(state.value, String, literal_execute=True) for state in sorted(FINAL)])
leased = job.c.lease_until > literal(0, Integer, literal_execute=True)
Index(None, job.c.due, sqlite_where=live, postgresql_where=live)
Index(None, job.c.lease_until, sqlite_where=leased, postgresql_where=leased)
kept = job.c.keep_until.is_not(None) & job.c.removed.is_(None)
Index(None, job.c.keep_until, sqlite_where=kept, postgresql_where=kept)
undelivered = job.c.deliver_asked.is_not(None)
Index(None, job.c.deliver_asked, sqlite_where=undelivered, postgresql_where=undelivered)
unmeasured = job.c.ended.is_not(None) & job.c.size.is_(None)
Index(None, job.c.ended, sqlite_where=unmeasured, postgresql_where=unmeasured)

task = Table(
    "task",
    metadata,
    _of_job(),
    Column("index", Integer, primary_key=True),
    *_belongs(),
    Column("attempt", Integer, nullable=False, default=0),
    Column("state", String(32), nullable=False),
    Column("exit_code", Integer),
    Column("reason", Text, nullable=False, default=""),
    Column("started", Float),
    Column("ended", Float),
    Column("cpu_seconds", Float),
    Column("peak_memory", BigInteger),
    Column("measured_by", String(32)),
    Column("node", String(256)),
    Column("parameters", JSON, nullable=False, default=dict),
    Index(None, "job", "state"),
)

attempt = Table(
    "attempt",
    metadata,
    _of_job(),
    Column("number", Integer, primary_key=True),
    *_belongs(),
    Column("mark", String(64), nullable=False, unique=True),
    Column("account", String(128), nullable=False, default=""),
    Column("ask", JSON),
    Column("tasks", JSON),  # null: all
    Column("pack", Integer, nullable=False, default=1),
    Column("orders", JSON, nullable=False, default=list),
    Column("expected", Float),
    Column("started", Float),
    Column("created", Float, nullable=False),
    Column("ended", Float),
)

dependency = Table(
    "dependency",
    metadata,
    _of_job(),
    Column("on", String(32), ForeignKey("job.id"), primary_key=True, index=True),
    Column("when", String(16), nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job", String(32), ForeignKey("job.id"), nullable=False, index=True),
    *_belongs(),
    Column("at", Float, nullable=False),
    Column("old", String(32)),
    Column("new", String(32), nullable=False),
    Column("who", String(128), nullable=False),
    Column("why", Text, nullable=False, default=""),
    sqlite_autoincrement=True,
)

output = Table(
    "output",
    metadata,
    _of_job(),
    Column("task", Integer, primary_key=True),
    Column("path", String(1024), primary_key=True),
    *_belongs(),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("partial", Boolean, nullable=False, default=False),
    Column("type", String(128), nullable=False, default=""),
    Column("executable", Boolean, nullable=False, default=False),
)

link = Table(
    "link",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("job", String(32), ForeignKey("job.id"), nullable=False, index=True),
    *_belongs(),
    Column("path", String(1100), nullable=False),
    Column("token_sha256", String(64), nullable=False, unique=True),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("most", Integer),
    Column("downloads", Integer, nullable=False, default=0),
    Column("used", Float),
)

ticket = Table(
    "ticket",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("link", String(32), ForeignKey("link.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("expires", Float, nullable=False),
)

session = Table(
    "session",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    *_belongs(),
    Column("kind", String(16), nullable=False),  # link: opens the pages once; cookie: a browser's session
    Column("csrf", String(64), nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
)

credential = Table(
    "credential",
    metadata,
    Column("owner", String(128), primary_key=True),
    Column("group", String(128), nullable=False),
    Column("name", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("match", String(1024), nullable=False),
    Column("sealed", Text, nullable=False),  # the parts, encrypted (vault.py)
    Column("created", Float, nullable=False),
)
