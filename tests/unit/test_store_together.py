"""The database when many use it at once: migrations, claims, events, nudges and submissions."""

import threading

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert

from cluster_interface.model.errors import Transient
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.state import FailureCode, JobState
from cluster_interface.model.step import Step
from cluster_interface.store import Store, claims, jobs
from cluster_interface.store.tables import dependency, metadata

SPEC = JobSpec(command="true", name="n")


def add(store, name="a"):
    with store.write() as db:
        jobs.add(db, job=name, owner="ada", group="ada", key=name * 8, spec=SPEC, rerun_of=None)


def claim(store):
    with store.write() as db:
        return claims.claim(db)


def apply(store, job, step):
    with store.write() as db:
        return claims.apply(db, job, step)


def together(work, *each):
    """Do something in several threads at the same time, once with each of these."""
    threads = [threading.Thread(target=work, args=(one,)) for one in each]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_servers_that_start_at_once_migrate_once(empty_url):
    """Several processes on an empty database: each finds it as it should be."""
    stores = [Store(empty_url) for _ in range(4)]
    together(Store.migrate, *stores)
    for made in stores:
        with made.read() as db:
            assert compare_metadata(MigrationContext.configure(db), metadata) == []
        made.close()


def test_many_claimers_never_share_a_job(store):
    """Twenty jobs, four claimers at once: each job is claimed exactly once."""
    for number in range(20):
        add(store, f"j{number}")
    got: list[str] = []

    def work(_):
        while (job := claim(store)) is not None:
            got.append(job.id)

    together(work, *range(4))
    assert sorted(got) == sorted(f"j{number}" for number in range(20))


def test_events_are_seen_in_the_order_of_their_ids(store):
    """Many write at once: whoever reads up to the newest id never finds an older one afterwards."""
    for number in range(8):
        add(store, f"w{number}")
    stop = threading.Event()
    missed: list[set[int]] = []

    def write(name):
        for number in range(12):
            add(store, f"{name}{number}")

    def read():
        seen, last = set(), 0
        while not stop.is_set():
            with store.read() as db:
                seen |= set(db.exec_driver_sql(f"SELECT id FROM event WHERE id > {last}").scalars())
                last = max(seen, default=0)
        with store.read() as db:
            missed.append(set(db.exec_driver_sql(f"SELECT id FROM event WHERE id <= {last}").scalars()) - seen)

    reader = threading.Thread(target=read)
    reader.start()
    together(write, *(f"t{number}x" for number in range(6)))
    stop.set()
    reader.join()
    assert missed == [set()]


def test_jobs_that_end_and_jobs_that_are_nudged_do_not_lock_each_other_out(store):
    """Jobs that wait for one another end while all are nudged: everybody gets on, and who waited is due."""
    names = [f"j{number:02}" for number in range(24)]
    for name in names:
        add(store, name)
    with store.write() as db:
        rows = [
            {"job": a, "on": b, "when": "any"}
            for a in names
            for b in names
            if a > b and (int(a[1:]) + int(b[1:])) % 3 == 0
        ]
        db.execute(insert(dependency), rows)

    failures: list[Transient] = []

    def work(_):
        try:
            while (job := claim(store)) is not None:
                apply(store, job, Step(state=JobState.FAILED, code=FailureCode.INTERNAL, reason="x"))
                with store.write() as db:
                    claims.nudge_jobs(db, names)
        except Transient as error:
            failures.append(error)

    together(work, *range(4))
    assert failures == []
    with store.read() as db:
        assert {job.state for job in jobs.page(db, "ada", before=None, limit=99, state=None)} == {JobState.FAILED}


def test_one_key_makes_one_job_however_many_ask_at_once(store):
    """A submission that is repeated while the first is under way is the same job."""
    made: list[bool] = []

    def submit(name):
        with store.write() as db:
            known = jobs.find_by_key(db, "ada", "k" * 8, take=True)
            if known is None:
                jobs.add(db, job=name, owner="ada", group="ada", key="k" * 8, spec=SPEC, rerun_of=None)
            made.append(known is None)

    together(submit, *(f"j{number}" for number in range(8)))
    assert sorted(made) == [False] * 7 + [True]


def test_very_many_jobs_are_nudged_at_once(store):
    """More ids than one statement may have parameters."""
    add(store)
    apply(store, claim(store), Step(state=JobState.SUBMITTED, after=60))
    with store.write() as db:
        claims.nudge_jobs(db, {"a", *(f"nobody{number}" for number in range(40_000))})
    assert claim(store).id == "a"
