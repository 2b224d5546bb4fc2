"""The database: transitions guarded by leases, events, pages, sessions, and migrations that match the tables."""

import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from cluster_interface.model.errors import Transient
from cluster_interface.model.job import Attempt, NativeOrder, OutputFile
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.state import FailureCode, JobState
from cluster_interface.model.step import Step
from cluster_interface.store import Store, claims, jobs, sessions
from cluster_interface.store.database import HEAD
from cluster_interface.store.migrations import configuration, upgrade
from cluster_interface.store.tables import metadata

SPEC = JobSpec(command="true", name="n")


def add(store, name="a", key=None, owner="ada"):
    with store.write() as db:
        jobs.add(db, job=name, owner=owner, group=owner, key=key or name * 8, spec=SPEC, rerun_of=None)


def claim(store):
    with store.write() as db:
        return claims.claim(db)


def apply(store, job, step):
    with store.write() as db:
        return claims.apply(db, job, step)


def test_migrations_make_exactly_the_tables_of_the_code(store):
    """The schema after all migrations is the one the tables describe, and HEAD is the newest of them."""
    with store.read() as db:
        assert compare_metadata(MigrationContext.configure(db), metadata) == []
    assert ScriptDirectory.from_config(configuration()).get_current_head() == HEAD


OLD = """
INSERT INTO job (id, owner, "group", submission_key, name, state, reason, spec, attempt, tries, facts,
    cancel_requested, created, changed, due, lease_until)
  VALUES ('a', 'ada', 'ada', 'k', 'n', 'running', '', '{"command": "true"}', 2, 0, '{}', false, 1, 1, 1, 0);
INSERT INTO attempt (job, number, owner, "group", mark, native_id, created)
  VALUES ('a', 1, 'ada', 'ada', 'ci-a-1', '17', 1.5), ('a', 2, 'ada', 'ada', 'ci-a-2', NULL, 2.5);
INSERT INTO task (job, "index", owner, "group", attempt, state, reason)
  VALUES ('a', 0, 'ada', 'ada', 2, 'running', '');
INSERT INTO event (job, owner, "group", at, "new", who, why) VALUES ('a', 'ada', 'ada', 1, 'submitted', 'ada', '')
"""


def test_what_an_older_version_wrote_is_carried_over(empty_url):
    """Rows of the first schema have, after all migrations, their native jobs as orders and defaults elsewhere."""
    store = Store(empty_url)
    upgrade(store.engine, "0001")
    with store.write() as db:
        for statement in OLD.split(";"):
            db.exec_driver_sql(statement)
    store.migrate()
    with store.read() as db:
        assert compare_metadata(MigrationContext.configure(db), metadata) == []
        assert jobs.find(db, "ada", "a").state is JobState.RUNNING
        first, second = jobs.attempts(db, "a")
        assert first.orders == (NativeOrder(mark="ci-a-1", offset=0, elements=1, native_id="17"),)
        assert second.orders == (NativeOrder(mark="ci-a-2", offset=0, elements=1, native_id=None),)
        assert (second.ask, second.tasks, second.pack, second.account) == (None, None, 1, "")
        assert [(task.parameters, task.node) for task in jobs.tasks(db, "a")] == [({}, None)]
        assert jobs.last_event(db, "a") == 1
    assert claim(store).id == "a"
    store.close()


def test_migrating_twice_changes_nothing(store):
    """A second start finds the schema as it should be."""
    add(store)
    store.migrate()
    with store.read() as db:
        assert jobs.find(db, "ada", "a") is not None


def test_a_claimed_job_is_nobody_elses(store):
    """A job under a lease cannot be claimed again."""
    add(store)
    assert claim(store).id == "a"
    assert claim(store) is None


def test_a_step_is_applied_with_its_event_and_frees_the_job(store):
    """State, event, attempt and outputs are written together, and the job may be claimed again."""
    add(store)
    job = claim(store)
    attempt = Attempt(
        job="a",
        number=1,
        mark="ci-a-1",
        orders=(NativeOrder(mark="ci-a-1", offset=0, elements=1, native_id="7"),),
        created=1.0,
    )
    outputs = (OutputFile(path="x", size=1, sha256="0" * 64),)
    assert apply(store, job, Step(state=JobState.PREPARING, reason="go", attempt=attempt, outputs=outputs))
    with store.read() as db:
        moved = jobs.find(db, "ada", "a")
        assert (moved.state, moved.attempt, moved.reason) == (JobState.PREPARING, 1, "go")
        assert [(event.old, event.new, event.who) for event in jobs.events(db, "a")] == [
            (None, "submitted", "ada"),
            ("submitted", "preparing", "engine"),
        ]
        assert jobs.attempts(db, "a") == [attempt]
        assert jobs.outputs(db, "a") == list(outputs)
    assert claim(store).id == "a"


def test_a_write_under_a_lost_lease_changes_nothing(store):
    """Somebody whose lease was taken over cannot write any more."""
    add(store)
    late = claim(store)
    with store.write() as db:
        db.exec_driver_sql("UPDATE job SET lease_until = 0")
    assert claim(store).id == "a"
    assert not apply(store, late, Step(state=JobState.PREPARING))
    with store.read() as db:
        assert jobs.find(db, "ada", "a").state is JobState.SUBMITTED
        assert len(jobs.events(db, "a")) == 1


def test_leases_of_a_dead_engine_are_taken_back_at_once(store):
    """An engine that starts alone need not wait for its predecessor's leases, and the dead one can write no more."""
    add(store)
    dead = claim(store)
    with store.write() as db:
        claims.release(db)
    assert claim(store).id == "a"
    assert not apply(store, dead, Step(state=JobState.PREPARING))


def test_a_forbidden_move_is_a_bug_and_not_written(store):
    """The table of transitions is checked where states are written."""
    add(store)
    with pytest.raises(AssertionError):
        apply(store, claim(store), Step(state=JobState.COMPLETED))


def test_final_jobs_are_never_claimed(store):
    """What has ended stays as it is, whatever is asked of it afterwards."""
    add(store)
    apply(store, claim(store), Step(state=JobState.FAILED, code=FailureCode.INTERNAL, reason="no"))
    with store.write() as db:
        jobs.request_cancel(db, "a")
        claims.nudge_jobs(db, ["a"])
    assert claim(store) is None
    with store.read() as db:
        failed = jobs.find(db, "ada", "a")
        assert (failed.code, failed.cancel_requested) == (FailureCode.INTERNAL, False)
        assert failed.ended is not None


def test_a_job_is_due_only_after_its_pause(store):
    """A step may ask to be looked at later; a nudge makes it due at once."""
    add(store)
    apply(store, claim(store), Step(state=JobState.SUBMITTED, after=60))
    assert claim(store) is None
    with store.read() as db:
        assert 50 < claims.next_due(db) <= 60
    with store.write() as db:
        claims.nudge_jobs(db, ["a"])
    assert claim(store).id == "a"


def test_tries_count_only_steps_that_did_not_get_on(store):
    """Trouble counts up, progress resets it."""
    add(store)
    for expected in (1, 2):
        apply(store, claim(store), Step(state=JobState.SUBMITTED, again=True))
        with store.read() as db:
            assert jobs.find(db, "ada", "a").tries == expected
    apply(store, claim(store), Step(state=JobState.SUBMITTED))
    with store.read() as db:
        assert jobs.find(db, "ada", "a").tries == 0


def test_others_jobs_are_as_unknown_as_none(store):
    """A job is found by its owner only."""
    add(store)
    with store.read() as db:
        assert jobs.find(db, "eve", "a") is None
        assert jobs.find(db, "ada", "b") is None


def test_pages_are_complete_and_newest_first(store):
    """Walking the keyset pages gives every job once, in order."""
    for number in range(7):
        add(store, f"j{number}")
    with store.read() as db:
        walked, before = [], None
        while found := jobs.page(db, "ada", before=before, limit=3, state=None):
            walked += [job.id for job in found]
            before = (found[-1].created, found[-1].id)
    assert sorted(walked) == [f"j{number}" for number in range(7)]
    assert walked[0] == "j6"


def test_ended_jobs_do_not_slow_the_engine_down(on_sqlite):
    """What is asked every tick uses an index of what is alive."""
    asked = []
    event.listen(
        on_sqlite.engine, "before_cursor_execute", lambda _c, _k, text, values, *_: asked.append((text, values))
    )
    claim(on_sqlite)
    with on_sqlite.read() as db:
        claims.next_due(db)
        claims.last_event(db)
    plans = []
    with on_sqlite.read() as db:
        for text, values in [(text, values) for text, values in asked if not text.startswith(("BEGIN", "PRAGMA"))]:
            plans += [row[-1] for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
    words = " / ".join(plans)
    assert "ix_job_due" in words
    assert "ix_job_lease_until" in words
    assert "TEMP B-TREE" not in words
    assert not [plan for plan in plans if plan.startswith("SCAN job") and "INDEX" not in plan]


def test_a_busy_database_is_transient(on_sqlite, tmp_path):
    """A writer that holds the database for too long makes others wait, then say so in words."""
    quick = Store(f"sqlite:///{tmp_path / 'x.db'}")
    with quick.read() as db:
        db.exec_driver_sql("PRAGMA busy_timeout = 50")
        raw = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
        raw.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Transient, match="does not answer"), quick.write() as db:
        pass
    raw.execute("ROLLBACK")
    raw.close()
    quick.close()


def test_threads_of_one_server_wait_for_each_other(on_sqlite, monkeypatch):
    """Writers of one process take turns before they ask SQLite, and are told when that takes too long."""
    monkeypatch.setattr("cluster_interface.store.database.BUSY_SECONDS", 0.01)
    with on_sqlite.write(), pytest.raises(Transient, match="others of this server"), on_sqlite.write():
        pass
    add(on_sqlite)


def test_a_link_opens_one_session(store):
    """A one-time link works once; its token is not in the database."""
    with store.write() as db:
        link = sessions.open_session(db, "ada", "link")
    with store.write() as db:
        cookie = sessions.use_link(db, link)
        assert cookie is not None
        assert sessions.use_link(db, link) is None
        assert sessions.find_session(db, cookie, "cookie").owner == "ada"
        assert sessions.find_session(db, cookie, "link") is None
        stored = db.exec_driver_sql("SELECT * FROM session").fetchall()
    assert cookie not in str(stored)
