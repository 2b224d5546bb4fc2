"""What the cache knows of its files: which bytes are whole, and what lies at which address. One SQLite file.

It is only a memory: what it does not know is fetched again, and what it says of a file holds while that has the size
and time noted. So rows may wait in this process for each other, and a damaged index is begun anew. It takes no part in
the tables of jobs, and its journal is one that works on the file systems that nodes share.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple

from cluster_interface.model.errors import Transient

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    Row = tuple[Any, ...]

MOST_WAITING = 1000  #: rows that are written together
PATIENCE = 60.0  #: seconds for which another process may hold it

_SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (
    space TEXT, sha256 TEXT, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, PRIMARY KEY (space, sha256)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS named (
    space TEXT, key TEXT, sha256 TEXT NOT NULL, validator TEXT, at_ns INTEGER NOT NULL, PRIMARY KEY (space, key)
) WITHOUT ROWID;
"""


class Kept(NamedTuple):
    """Bytes that are here, as they were when they were verified."""

    space: str
    sha256: str
    size: int
    mtime_ns: int


class Named(NamedTuple):
    """What lies at an address."""

    space: str
    key: str  #: stands for the address
    sha256: str
    validator: str | None  #: what told its version
    at_ns: int  #: when it was fetched


class Index:
    """The rows of one file, for the threads of one process. To be used as the server, and closed before a fork."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = RLock()
        self._opened: sqlite3.Connection | None = None
        self._kept: dict[tuple[str, str], Kept] = {}  #: that wait to be written
        self._named: dict[tuple[str, str], Named] = {}

    def kept(self, space: str, sha256: str) -> Kept | None:
        """Say what is known of bytes."""
        with self._lock:
            row = self._kept.get((space, sha256))
            return row or next(
                (Kept(*row) for row in self._run("SELECT * FROM kept WHERE space = ? AND sha256 = ?", space, sha256)),
                None,
            )

    def named(self, space: str, key: str) -> Named | None:
        """Say what is known of an address."""
        with self._lock:
            row = self._named.get((space, key))
            return row or next(
                (Named(*row) for row in self._run("SELECT * FROM named WHERE space = ? AND key = ?", space, key)), None
            )

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Look many things up at the cost of one: no other process writes meanwhile."""
        with self._lock:
            self._run("BEGIN")
            try:
                yield
            finally:
                self._run("COMMIT")

    def note(self, kept: Kept, named: Named, *, now: bool) -> None:
        """Note what is here and where it came from; other processes see it `now`, or once there are many."""
        with self._lock:
            self._kept[kept.space, kept.sha256] = kept
            self._named[named.space, named.key] = named
            if now or len(self._named) >= MOST_WAITING:
                self.write()

    def write(self) -> None:
        """Write what waits."""
        with self._lock:
            if self._named:
                self._run("BEGIN IMMEDIATE")
                self._many("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", self._kept.values())
                self._many("INSERT OR REPLACE INTO named VALUES (?, ?, ?, ?, ?)", self._named.values())
                self._run("COMMIT")
                self._kept.clear()
                self._named.clear()

    def total(self) -> int:
        """Return the bytes of all that is here."""
        with self._lock:
            self.write()
            [(size,)] = self._run("SELECT coalesce(sum(size), 0) FROM kept")
            return int(size)

    def forget(self, gone: Iterable[tuple[str, str]]) -> None:
        """Forget bytes, by space and checksum, and the addresses that they came from."""
        with self._lock:
            self._run("BEGIN IMMEDIATE")
            self._many("DELETE FROM kept WHERE space = ? AND sha256 = ?", gone)
            self._run(
                "DELETE FROM named WHERE NOT EXISTS"
                " (SELECT 1 FROM kept WHERE kept.space = named.space AND kept.sha256 = named.sha256)"
            )
            self._run("COMMIT")

    def close(self) -> None:
        """Write what waits and let go of the file; it is opened again when it is needed."""
        with self._lock:
            self.write()
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def _run(self, words: str, *values: object) -> list[Row]:
        try:
            return self._connection().execute(words, values).fetchall()
        except sqlite3.Error as error:
            raise self._trouble(error) from None

    def _many(self, words: str, rows: Iterable[Row]) -> None:
        try:
            self._connection().executemany(words, rows)
        except sqlite3.Error as error:
            raise self._trouble(error) from None

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            made = sqlite3.connect(self._path, PATIENCE, isolation_level=None, check_same_thread=False)
            self._opened = made
            made.execute("PRAGMA journal_mode = TRUNCATE")
            made.execute("PRAGMA synchronous = NORMAL")
            made.executescript(_SCHEMA)
        return self._opened

    def _trouble(self, error: sqlite3.Error) -> Transient:
        """Let go of the file, and of all of it if it is damaged."""
        if self._opened is not None:
            self._opened.close()  # undoes what was begun
            self._opened = None
        if not isinstance(error, sqlite3.OperationalError):
            for path in (self._path, self._path.with_name(f"{self._path.name}-journal")):
                with suppress(FileNotFoundError):
                    path.unlink()
        return Transient(f"the index of what was downloaded cannot be used now ({error})")
