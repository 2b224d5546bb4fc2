"""The connection to the database: reads, writes, its clock, and bringing its schema up to date."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, Engine, Float, create_engine, event, extract, func, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cluster_interface.model.errors import Rejected, Transient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, ColumnElement, Connection

HEAD = "0006"  #: the newest migration; a test compares it with the migrations themselves
BUSY_SECONDS = 10  #: that one waits for another's lock, or for a connection
#: What every session of PostgreSQL is told, in milliseconds. Who stops in the middle of a transaction (a process that
#: is suspended, a machine that is gone) loses it, and with it the locks that others wait for.
_SESSION = {
    "lock_timeout": BUSY_SECONDS * 1000,
    "idle_in_transaction_session_timeout": BUSY_SECONDS * 1000,
}
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 30_000}
_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


class Store:
    """One database. Reads see a snapshot; writes begin as writes, so that SQLite never deadlocks on upgrading.

    PostgreSQL cannot deadlock either, for everybody takes locks in one order: jobs by their ids, then the timeline's
    (`jobs.add_event`), and whoever has that takes no other.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._one = threading.Lock() if self.engine.dialect.name == "sqlite" else None
        self._reads: dict[str, Any] = {} if self.engine.dialect.name == "sqlite" else _SNAPSHOT

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction for reading; raise Transient where the database does not answer."""
        with _translated(), self.engine.connect().execution_options(**self._reads) as db:
            yield db

    @contextmanager
    def write(self, *, lasting: bool = True) -> Iterator[Connection]:
        """Open a transaction for writing, committed at the end of the block; Transient as for reading.

        What is not `lasting` may be lost when the machine goes down: the disk is not waited for (SQLite).
        """
        options = {"writes": True, "lasting": lasting}
        with _translated(), self._turn(), self.engine.connect().execution_options(**options) as db, db.begin():
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

    def title(self) -> str:
        """Say which database this is and its version; Transient where it does not answer."""
        url, names = self.engine.url, {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
        with self.read() as db:
            version = ".".join(map(str, db.dialect.server_version_info or ())) or "of unknown version"
        where = f"{url.host or 'its socket'}/" if url.get_backend_name() == "postgresql" else ""
        return f"{names[url.get_backend_name()]} {version}, {where}{url.database}"

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for this process's other threads in turn: SQLite's own lock passes some of them over."""
        if self._one is None:
            yield
            return
        if not self._one.acquire(timeout=BUSY_SECONDS):
            raise Transient("the database is busy: others of this server write")
        try:
            yield
        finally:
            self._one.release()

    def _version(self) -> str | None:
        with self.read() as db:
            if not inspect(db).has_table("alembic_version"):
                return None
            return db.execute(text("SELECT version_num FROM alembic_version")).scalar()


def now(db: Connection) -> ColumnElement[float]:
    """Give the database's own clock as an expression, in seconds since 1970: leases rest on it alone.

    It stands still during a statement, so that an index on a time can be used.
    """
    if db.dialect.name == "sqlite":
        return (func.julianday("now") - 2440587.5) * 86400.0
    return extract("epoch", func.statement_timestamp(type_=DateTime)).cast(Float)


def _engine(text_: str) -> Engine:
    url = _parsed(text_)
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    told = [*(f"-c {name}={value}" for name, value in _SESSION.items()), str(url.query.get("options", ""))]
    arguments = {"connect_timeout": BUSY_SECONDS, "application_name": "cluster-interface", **_KEEPALIVE}
    arguments |= {name: value for name, value in url.query.items() if name in arguments}
    arguments["options"] = " ".join(told).strip()
    return create_engine(url, connect_args=arguments, pool_pre_ping=True, pool_timeout=BUSY_SECONDS, max_overflow=15)


def _parsed(text_: str) -> URL:
    field = "server.database"
    try:
        url = make_url(text_)
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        if url.drivername.partition("+")[0] not in ("sqlite", "postgresql"):
            raise Rejected.field(field, f"{url.drivername!r} is not known; it is postgresql+psycopg:// or sqlite:///")
        url.get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        words = f"needs the package {error.name}: install cluster-interface with its extra `postgres`"
        raise Rejected.field(field, words) from None
    except (ArgumentError, NoSuchModuleError) as error:
        raise Rejected.field(field, f"is not a URL of a database: {error}") from None
    return url


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    _write_ahead(connection)
    for pragma in ("synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _write_ahead(connection: Any) -> None:
    """Have the database keep a write-ahead log. Of servers that begin a new one at once, SQLite lets none wait here."""
    patience = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > patience:
                raise
            time.sleep(0.01)


def _begin_sqlite(db: Connection) -> None:
    options = db.get_execution_options()
    if options.get("writes"):  # a later transaction that lasts brings what was not waited for to the disk as well
        db.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if options.get('lasting', True) else 'NORMAL'}")
    db.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise Transient("the database is busy: no connection to it became free in time") from error
    except OperationalError as error:
        raise Transient(f"the database does not answer: {_words(error)}") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise Transient(f"the connection to the database broke: {_words(error)}") from error


def _words(error: DBAPIError) -> str:
    """Take the first line of what the driver says; the others are for programmers."""
    return str(error.orig).strip().partition("\n")[0]
