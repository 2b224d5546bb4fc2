"""The connection to the database: reads, writes, its clock, and bringing its schema up to date."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, Engine, Float, create_engine, event, extract, func, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError

from cluster_interface.model.errors import Transient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Connection

HEAD = "0002"  #: the newest migration; a test compares it with the migrations themselves
BUSY_SECONDS = 10


class Store:
    """One database. Reads see a snapshot; writes begin as writes, so that SQLite never deadlocks on upgrading."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction for reading; raise Transient where the database does not answer."""
        with _translated(), self.engine.connect() as db:
            yield db

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction for writing, committed at the end of the block; Transient as for reading."""
        with _translated(), self.engine.connect().execution_options(writes=True) as db, db.begin():
            yield db

    def migrate(self) -> None:
        """Bring the schema up to date. Alembic is imported only where there is something to do."""
        if self._version() == HEAD:
            return
        from cluster_interface.store.migrations import upgrade  # noqa: PLC0415 - slow, and rarely needed

        upgrade(self.engine)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def _version(self) -> str | None:
        with self.read() as db:
            if not inspect(db).has_table("alembic_version"):
                return None
            return db.execute(text("SELECT version_num FROM alembic_version")).scalar()


def now(db: Connection) -> ColumnElement[float]:
    """Give the database's own clock as an expression, in seconds since 1970: leases rest on it alone."""
    if db.dialect.name == "sqlite":
        return (func.julianday("now") - 2440587.5) * 86400.0
    return extract("epoch", func.clock_timestamp(type_=DateTime)).cast(Float)


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(db: Connection) -> None:
    db.exec_driver_sql("BEGIN IMMEDIATE" if db.get_execution_options().get("writes") else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise Transient(f"the database does not answer: {error.orig}") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise Transient(f"the connection to the database broke: {error.orig}") from error
