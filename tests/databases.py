"""Stores on both databases, for tests that both must pass; imported by conftest."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import psutil
import pytest

from cluster_interface.store import Store
from cluster_interface.store.tables import metadata
from tests.campus import new_database


@pytest.fixture(scope="session")
def postgres_of_ours(postgres) -> Store:
    """A migrated store on a PostgreSQL database of this test process."""
    with new_database(postgres) as url:
        made = Store(url)
        made.migrate()
        yield made
        made.close()


@pytest.fixture
def on_postgres(postgres_of_ours) -> Store:
    """An empty store on PostgreSQL."""
    with postgres_of_ours.write() as db:
        names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
        db.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY")
    yield postgres_of_ours
    postgres_of_ours.close()  # its connections: whatever a test did to one


@pytest.fixture
def on_sqlite(tmp_path) -> Store:
    """An empty store on SQLite."""
    made = Store(f"sqlite:///{tmp_path / 'x.db'}")
    made.migrate()
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request) -> Store:
    """An empty store, once on each database."""
    return request.getfixturevalue(f"on_{request.param}")


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request, tmp_path) -> str:
    """The URL of a database without any table, once of each kind."""
    return (
        f"sqlite:///{tmp_path / 'empty.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    )


def kill_postgres(part) -> None:
    """Kill a PostgreSQL of the test's own without a word: its first process and all of its sessions."""
    record = Path("/var/lib", part.where["CLIF_TESTBED_NAME"], "postgres/data/postmaster.pid")
    first = psutil.Process(int(record.read_text().split()[0]))
    processes = [first, *first.children()]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(processes, timeout=60)
