"""Engines on one PostgreSQL that die, fall asleep past their leases, and lose the database: one acts per job."""

import random
import sys
import time

import psutil
import pytest
from tests.conftest import PROJECT, wait_for
from tests.crash.engines import FileWorld
from tests.databases import kill_postgres

from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.state import JobState
from cluster_interface.store import Store, jobs

LEASE = 1.0  #: seconds
JOBS = 40
MOVES = ["submitted", "preparing", "queued", "running", "staging_out", "completed"]


class Scene:
    """A database, a world of files, and two engines."""

    def __init__(self, url, directory):
        self.url, self.world, self.store = url, FileWorld(directory), Store(url)
        self.store.migrate()
        self.engines = []
        self.log = (directory / "log").open("ab")
        self.start()
        self.start()

    def start(self):
        argv = [sys.executable, "-m", "tests.crash.engines", self.url, str(self.world.top), str(LEASE)]
        self.engines.append(psutil.Popen(argv, cwd=PROJECT, stdout=self.log, stderr=self.log))

    def add(self, name):
        spec = JobSpec(command="true", name="n")
        with self.store.write() as db:
            jobs.add(db, job=name, owner="ada", group="ada", key=name * 8, spec=spec, rerun_of=None)

    def all_completed(self):
        """Let the nodes work, and say whether every job has ended well."""
        self.world.run_what_waits()
        with self.store.read() as db:
            return {job.state for job in jobs.page(db, "ada", before=None, limit=200, state=None)} == {
                JobState.COMPLETED
            }

    def moves(self, name):
        with self.store.read() as db:
            return [event.new.value for event in jobs.events(db, name)]

    def close(self):
        for engine in self.engines:
            engine.kill()
            engine.wait()
        self.store.close()
        self.log.close()


@pytest.fixture
def scene(tmp_path):
    made = []

    def make(url):
        made.append(Scene(url, tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.close()


def check(scene, names, told, most_submissions=1):
    """Believe the nodes' own count: every job ran once, and made each move once."""
    assert sorted(scene.world.lines("runs")) == sorted(f"ci-{name}-1" for name in names), told
    submissions = scene.world.lines("submissions")
    assert max(submissions.count(mark) for mark in submissions) <= most_submissions, told
    for name in names:
        moves = scene.moves(name)
        assert moves == [move for move in MOVES if move in moves], (told, name, moves)
        with scene.store.read() as db:
            assert [attempt.number for attempt in jobs.attempts(db, name)] == [1], told
            assert [output.path for output in jobs.outputs(db, name)] == ["o"], told


@pytest.mark.parametrize("fate", ["killed", "asleep"])
def test_two_engines_act_once_per_job(scene, postgres_url, fate):
    """Of two engines one after the other is killed, or sleeps past its lease and goes on as if nothing had been.

    Who slept just before handing an order over hands it over again: the fence sends one of them away.
    """
    seed = time.time_ns() % 2**32
    dice = random.Random(seed)
    mine = scene(postgres_url)
    names = [f"j{number}" for number in range(JOBS)]
    for name in names:
        mine.add(name)
        mine.world.run_what_waits()
        time.sleep(dice.uniform(0, 0.2))
        if dice.random() < 0.25:
            victim = dice.choice(mine.engines)
            if fate == "killed":
                victim.kill()
                victim.wait()
                mine.engines.remove(victim)
                mine.start()
            else:
                victim.suspend()
                time.sleep(LEASE * dice.uniform(0.5, 1.5))
                victim.resume()
    wait_for(mine.all_completed, 60)
    check(mine, names, f"seed {seed}", most_submissions=1 if fate == "killed" else 2)


def test_a_database_that_dies_is_waited_for(scene, own_part):
    """PostgreSQL is killed twice in the middle: the engines live on, connect again, and nothing happens twice."""
    part = own_part("postgres")
    mine = scene(part.env["CLIF_TESTBED_POSTGRES"])
    before = [engine.pid for engine in mine.engines]
    names = [f"j{number}" for number in range(JOBS)]
    for number, name in enumerate(names):
        mine.add(name)
        mine.world.run_what_waits()
        if number in (JOBS // 3, 2 * JOBS // 3):
            kill_postgres(part)
            time.sleep(0.5)
            assert part.control("start").returncode == 0
    wait_for(mine.all_completed, 60)
    check(mine, names, "")
    assert [engine.pid for engine in mine.engines if engine.is_running()] == before
