"""Migrations, run by the server itself when it starts. Batch mode: SQLite cannot alter constraints otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

if TYPE_CHECKING:
    from sqlalchemy import Engine


def configuration() -> Config:
    """Make Alembic's configuration; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def upgrade(engine: Engine) -> None:
    """Upgrade to the newest schema in one write transaction: two servers at once upgrade once."""
    config = configuration()
    with engine.connect().execution_options(writes=True) as db, db.begin():
        config.attributes["connection"] = db
        command.upgrade(config, "head")
