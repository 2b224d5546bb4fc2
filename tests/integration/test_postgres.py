"""A whole server whose database is a PostgreSQL."""

import json
import time

import psycopg
import pytest
from tests.databases import kill_postgres


def test_a_job_runs_on_postgresql(postgres_url, make_server):
    """`clif run` of a tiny job with nothing on SQLite; the log and the doctor name the database, not the password."""
    server = make_server("bubblewrap", CLIF_SERVER__DATABASE=postgres_url)
    server.write("hello.sh", "#!/bin/sh\necho hello\n")
    done = server.clif("run", "hello.sh")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    assert not list(server.state.glob("*.db"))
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as db:
        assert db.execute("SELECT state FROM job").fetchall() == [("completed",)]
    report = server.json("doctor")
    [found] = [finding for finding in report["findings"] if finding["about"] == "database"]
    assert found["good"]
    assert found["says"].startswith("PostgreSQL 1")
    [shown] = [setting["value"] for setting in report["settings"] if setting["name"] == "server.database"]
    assert shown == postgres_url.replace(":clif@", ":***@")
    assert "PostgreSQL 1" in server.log.read_text()
    server.stop()


def test_a_database_that_dies_is_told_of_and_waited_for(own_part, make_server):
    """While it is away REST answers 503 in words; the job runs on, once, and is completed when it is back."""
    part = own_part("postgres")
    server = make_server("bubblewrap", CLIF_SERVER__DATABASE=part.env["CLIF_TESTBED_POSTGRES"])
    job = server.submit("#!/bin/sh\necho run >> runs\nsleep 3\n")
    server.until(job, "running")
    engine, web = server.part("engine").pid, server.part("web").pid
    kill_postgres(part)
    done = server.clif("status", job, timeout=60)
    assert done.returncode == 4, (done.returncode, done.stdout, done.stderr)
    assert "database" in done.stderr
    report = json.loads(server.clif("doctor", "--json").stdout)
    [found] = [finding for finding in report["findings"] if finding["about"] == "database"]
    assert (found["good"], "nothing is lost" in found["advice"]) == (False, True)
    time.sleep(3)  # the job's end falls into this
    assert part.control("start").returncode == 0
    server.until(job, "completed")
    assert (server.state / "jobs" / job / "tasks/0/runs").read_text() == "run\n"
    assert (server.part("engine").pid, server.part("web").pid) == (engine, web), server.log.read_text()[-4000:]
    moves = [event["new"] for event in server.json("events", job)["events"]]
    assert len(moves) == len(set(moves))
    server.stop()


@pytest.mark.parametrize(
    ("url", "words"),
    [("mysql://x/y", "is not known"), ("nonsense", "not a URL"), ("postgresql+nothing://x/y", "not a URL")],
)
def test_a_database_that_is_none_is_refused(make_server, url, words):
    """The setting is named, and what is wrong with it."""
    done = make_server("bubblewrap", start=False, CLIF_SERVER__DATABASE=url).clif("serve")
    assert done.returncode == 2
    assert "server.database" in done.stderr
    assert words in done.stderr
