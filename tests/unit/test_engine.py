"""The engine over a real database and an imagined outside world that fails at will."""

import dataclasses
import random
import socket
from pathlib import Path

import pytest

from cluster_interface.engine.endings import GRACE
from cluster_interface.engine.loop import Engine
from cluster_interface.engine.reconcile import turn
from cluster_interface.engine.tools import Tools
from cluster_interface.model.errors import Permanent, Rejected, Transient
from cluster_interface.model.job import Account
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.queue import Queue
from cluster_interface.model.state import FailureCode, JobState, TaskState
from cluster_interface.ports import NativeState, Observation, Work, WorkState
from cluster_interface.settings import Defaults
from cluster_interface.store import Store, claims, jobs

QUEUE = Queue(
    name="q", cpus=4, memory=2**33, time=None, default_cpus=1, default_memory=2**30, default_time=60, runtimes=("r",)
)
LOCK = {"base": "b" * 8, "image": "i" * 8}
COLLECTED = {"outputs": [{"path": "o", "size": 1, "sha256": "0" * 64, "task": 0}], "unmatched": [], "left": []}


class World:
    """Every port at once: it remembers what it was asked to do, and misbehaves when told to."""

    name = "world"
    face = "directory"
    runs_as = "user"

    def __init__(self, chance=lambda: 1.0):
        self.chance = chance
        self.time = 1000.0
        self.native: dict[str, str] = {}  # mark -> id
        self.states: dict[str, Observation] = {}
        self.statuses: dict[str, dict] = {}
        self.submissions: list[str] = []
        self.canceled: list[str] = []
        self.results = {"resolve": {"lock": LOCK, "sources": []}, "build": {}, "inputs": {}, "outputs": COLLECTED}
        self.works: dict[str, Work] = {}
        self.hidden = False
        self.refuses = ""

    def trouble(self):
        if self.chance() < 0.2:
            raise Transient("the scheduler does not answer")

    # clock, identity, runtime, images
    def now(self):
        return self.time

    def account(self, owner):
        return Account(name=owner, uid=1000, gid=1000)

    def bounds(self):
        return {}

    def job_script(self, run):
        return run.command

    def reap(self, mark):
        self.canceled.append(f"reaped {mark}")

    def find_image(self, lock, face):
        return object()

    # scheduler
    def queues(self):
        return [QUEUE]

    def find(self, mark):
        self.trouble()
        return self.native.get(mark)

    def submit(self, order):
        if self.refuses:
            raise Rejected(self.refuses)
        self.trouble()
        self.submissions.append(order.mark)
        self.native[order.mark] = str(len(self.native) + 1)
        self.states[self.native[order.mark]] = Observation(state=NativeState.PENDING)
        self.trouble()  # the answer is lost after it was accepted
        return self.native[order.mark]

    def observe(self, ids):
        self.trouble()
        return {} if self.hidden else {i: {0: self.states[i]} for i in ids if i in self.states}

    def cancel(self, native):
        self.trouble()
        self.canceled.append(native)
        self.states[native] = Observation(state=NativeState.ENDED, verdict="canceled")

    # stager
    def directory(self, job):
        return Path("/nowhere") / job

    def write_attempt(self, job, attempt, script, plan):
        return Path("/nowhere") / job / "job.sh"

    def status(self, job, attempt, task):
        return self.statuses.get(job)

    # works
    def start(self, mark, kind, request):
        result = self.results[kind]
        if isinstance(result, Exception):
            self.works[mark] = Work(state=WorkState.FAILED, error=result)
        else:
            self.works[mark] = Work(state=WorkState.DONE, result=result)

    def look(self, mark):
        return self.works.get(mark, Work(state=WorkState.ABSENT))

    def stop(self, mark):
        self.works.pop(mark, None)

    def runs(self, job, **status):
        """The program of a job runs to its end."""
        native = self.native[f"ci-{job}-1"]
        self.states[native] = Observation(state=NativeState.ENDED)
        if status:
            self.statuses[job] = {"exit_code": 0, "started": 1.0, "ended": 2.0, **status}


class Images:
    """An image store in which everything is ready."""

    def find(self, lock, face):
        return object()


@pytest.fixture
def store(tmp_path):
    made = Store(f"sqlite:///{tmp_path / 'x.db'}")
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def world():
    return World()


def engine_of(store, world):
    tools = Tools(
        scheduler=world, runtimes={"r": world}, images=Images(), stager=world, works=world, identity=world,
        clock=world, server=Account(name="root", uid=0, gid=0), defaults=Defaults(),
    )  # fmt: skip
    return Engine(store, tools, [])


@pytest.fixture
def engine(store, world):
    return engine_of(store, world)


def add(store, name="a", **spec):
    with store.write() as db:
        parsed = JobSpec(command="true", name="n", **spec)
        jobs.add(db, job=name, owner="ada", group="ada", key=name * 8, spec=parsed, rerun_of=None)


def settle(engine, seconds=60.0):
    """Let the engine look and turn until nothing moves, with time passing between looks."""
    for _ in range(8):
        engine.tools.clock.time += seconds / 8
        engine.look()
        with engine.store.write() as db:
            claims.nudge_states(db, list(JobState))
        for _ in range(60):
            if not turn(engine.store, engine.tools):
                break


def job(store, name="a"):
    with store.read() as db:
        return jobs.find(db, "ada", name)


def task(store, name="a"):
    with store.read() as db:
        return jobs.tasks(db, name)[0]


def test_a_job_goes_all_the_way(store, world, engine):
    """From submitted to completed, through every state once, with its outputs."""
    add(store)
    settle(engine, 1)
    assert job(store).state is JobState.QUEUED
    world.states["1"] = Observation(state=NativeState.RUNNING, started=1.0)
    settle(engine, 1)
    assert job(store).state is JobState.RUNNING
    world.runs("a", exit_code=0, cpu_seconds=1.5, peak_memory=7, measured_by="cgroup")
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED
    assert (task(store).exit_code, task(store).peak_memory) == (0, 7)
    with store.read() as db:
        assert [event.new for event in jobs.events(db, "a")] == [
            "submitted", "preparing", "queued", "running", "staging_out", "completed",
        ]  # fmt: skip
        assert [output.path for output in jobs.outputs(db, "a")] == ["o"]
    assert world.submissions == ["ci-a-1"]


@pytest.mark.parametrize(
    ("status", "verdict", "code", "words"),
    [
        ({"exit_code": 3}, None, FailureCode.EXIT_CODE, "exited with 3"),
        ({"exit_code": 137, "oom": True}, None, FailureCode.OUT_OF_MEMORY, "1 GiB"),
        ({"exit_code": 143}, "time_limit", FailureCode.TIME_LIMIT, "1 min"),
        ({}, "node_failed", FailureCode.NODE_FAILED, "went down"),
        ({}, None, FailureCode.LOST, "left no word"),
    ],
)
def test_a_failure_has_its_code_and_a_sentence(store, world, engine, status, verdict, code, words):
    """How the program ended is told by code and in words, and its outputs are kept as partial."""
    add(store)
    settle(engine, 1)
    world.runs("a", **status)
    world.states["1"] = dataclasses.replace(world.states["1"], verdict=verdict)
    settle(engine, GRACE * 3)
    assert (job(store).state, job(store).code) == (JobState.FAILED, code)
    assert words in job(store).reason
    with store.read() as db:
        assert [output.partial for output in jobs.outputs(db, "a")] == [True]


def test_absent_is_not_finished(store, world, engine):
    """A job that the scheduler does not show is not over: first its status file, then a grace period."""
    add(store)
    settle(engine, 1)
    world.hidden = True
    settle(engine, GRACE / 2)
    assert job(store).state is JobState.QUEUED
    world.hidden = False
    settle(engine, 1)
    world.hidden = True
    settle(engine, GRACE / 2)  # its patience began anew when it was seen again
    assert job(store).state is JobState.QUEUED
    world.statuses["a"] = {"exit_code": 0}
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED


def test_a_pattern_that_matched_nothing_fails_the_job_by_name(store, world, engine):
    """The missing output is named, and what there is beside it."""
    world.results["outputs"] = {**COLLECTED, "unmatched": ["plot.png"], "left": ["o"]}
    add(store, outputs=["plot.png"])
    settle(engine, 1)
    world.runs("a", exit_code=0)
    settle(engine, 1)
    assert job(store).code is FailureCode.OUTPUT_MISSING
    assert job(store).reason == "no output matches `plot.png`; the job left `o`"


@pytest.mark.parametrize("kind", ["resolve", "inputs", "outputs"])
def test_what_can_never_work_fails_with_its_own_words(store, world, engine, kind):
    """A permanent error of long work ends the job with the code and the sentence of the error."""
    world.results[kind] = Permanent("no such thing", code=FailureCode.INPUT_UNAVAILABLE)
    add(store)
    settle(engine, 1)
    if kind == "outputs":
        world.runs("a", exit_code=0)
        settle(engine, 1)
    assert (job(store).state, job(store).code, job(store).reason) == (
        JobState.FAILED, FailureCode.INPUT_UNAVAILABLE, "no such thing",
    )  # fmt: skip


def test_what_is_temporary_is_tried_again(store, world, engine):
    """Transient trouble keeps the state and shows its reason; it passes by itself."""
    world.results["inputs"] = Transient("the network is away")
    add(store)
    settle(engine, 1)
    assert (job(store).state, job(store).reason) == (JobState.PREPARING, "the network is away")
    world.results["inputs"] = {}
    settle(engine, 1)
    assert job(store).state is JobState.QUEUED


def test_work_that_keeps_dying_is_given_up(store, world, engine):
    """A process that dies again and again without a word fails the job in the end."""
    world.look = lambda mark: Work(state=WorkState.ABSENT, deaths=9)
    add(store)
    settle(engine, 1)
    assert job(store).state is JobState.FAILED
    assert "died 9 times" in job(store).reason


def test_a_refusal_by_the_scheduler_is_told_in_its_words(store, world, engine):
    """What the scheduler will not take fails with its own sentence."""
    world.refuses = "invalid partition"
    add(store)
    settle(engine, 1)
    assert (job(store).code, job(store).reason) == (FailureCode.SCHEDULER_REJECTED, "invalid partition")


def test_an_unexpected_error_never_takes_the_engine_down(store, world, engine):
    """A bug in one step costs one job, after some tries, and says nothing of tracebacks."""
    world.find = lambda mark: 1 / 0
    add(store)
    for _ in range(3):
        settle(engine, 1)
    assert (job(store).state, job(store).code) == (JobState.FAILED, FailureCode.INTERNAL)
    assert "ZeroDivision" not in job(store).reason


@pytest.mark.parametrize("steps", range(7))
def test_cancel_at_any_moment_ends_in_canceled(store, world, engine, steps):
    """Wherever a job is, a cancel ends it, and nothing is left at the scheduler."""
    add(store)
    for _ in range(steps):
        turn(engine.store, engine.tools)
        if "1" in world.states and steps == 6:
            world.states["1"] = Observation(state=NativeState.RUNNING, started=1.0)
        engine.look()
    with store.write() as db:
        jobs.request_cancel(db, "a")
    settle(engine)
    assert job(store).state is JobState.CANCELED
    assert task(store).state is TaskState.CANCELED
    assert all(seen.state is NativeState.ENDED for seen in world.states.values())
    assert "reaped ci-a-1" in world.canceled or not world.submissions


def test_a_job_accepted_before_the_cancel_but_never_answered_is_found_and_ended(store, world, engine):
    """The native job whose id was lost is found by its mark when the job is canceled."""
    add(store)
    turn(engine.store, engine.tools)
    world.native["ci-a-1"] = "9"
    world.states["9"] = Observation(state=NativeState.RUNNING)
    with store.write() as db:
        jobs.request_cancel(db, "a")
    settle(engine)
    assert job(store).state is JobState.CANCELED
    assert "9" in world.canceled


@pytest.mark.parametrize("seed", range(12))
def test_each_job_is_submitted_exactly_once_whatever_fails(store, seed):
    """Refused calls, answers lost after acceptance, and engines that vanish between a step and its write."""
    dice = random.Random(seed)
    world = World(chance=dice.random)
    engine = engine_of(store, world)
    names = [f"j{number}" for number in range(6)]
    for name in names:
        add(store, name)
    for _ in range(150):
        engine.tools.clock.time += 1
        engine.look()
        for name, mark in [(name, f"ci-{name}-1") for name in names]:
            if mark in world.native and dice.random() < 0.3:
                world.runs(name, exit_code=0)
        with store.write() as db:
            claims.nudge_states(db, list(JobState))
            if dice.random() < 0.2:  # an engine takes a job and dies; its lease runs out
                claims.claim(db)
                db.exec_driver_sql("UPDATE job SET lease_until = 0")
        turn(engine.store, engine.tools)
    world.chance = lambda: 1.0
    settle(engine)
    assert {name: job(store, name).state for name in names} == dict.fromkeys(names, JobState.COMPLETED)
    assert sorted(world.submissions) == sorted(f"ci-{name}-1" for name in names)


def test_only_a_changed_picture_wakes_a_watched_job(store, world, engine):
    """Jobs that wait at the scheduler cost no steps until something changes for them."""
    add(store)
    settle(engine, 1)
    with store.write() as db:
        db.exec_driver_sql("UPDATE job SET due = due + 100")
    world.time += 10
    engine.look()
    assert not turn(engine.store, engine.tools)
    world.states["1"] = Observation(state=NativeState.RUNNING, started=3.0)
    world.time += 10
    engine.look()
    assert turn(engine.store, engine.tools)
    assert job(store).state is JobState.RUNNING


def test_a_wake_makes_its_job_due(store, world, engine):
    """The end of long work is a datagram with its mark; the job is looked at at once."""
    add(store)
    with store.write() as db:
        db.exec_driver_sql("UPDATE job SET due = due + 100")
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    engine.wakes = [left]
    right.send(b"a.resolve.1")
    engine._take_wakes()
    assert turn(store, engine.tools)
    right.close()
    left.close()
