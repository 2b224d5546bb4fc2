"""Migrations, run by the server itself when it starts. Batch mode: SQLite cannot alter constraints otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Engine

MIGRATING = 0x636C_6966_0001  #: PostgreSQL's lock for this


def configuration() -> Config:
    """Make Alembic's configuration; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Upgrade to the newest schema, or to `revision`, in one write transaction: two servers at once upgrade once."""
    config = configuration()
    with engine.connect().execution_options(writes=True) as db, db.begin():
        if db.dialect.name == "postgresql":
            db.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATING})
        config.attributes["connection"] = db
        command.upgrade(config, revision)
