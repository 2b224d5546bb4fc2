"""The engine over a real database and an imagined outside world that fails at will."""

import random
import re
import socket

import pytest
from tests.unit.engine_world import COLLECTED, World, add, engine_of, job, look, settle, task

from cluster_interface.engine.endings import GRACE
from cluster_interface.engine.long_work import MOST_TRIES
from cluster_interface.engine.reconcile import turn
from cluster_interface.model.errors import Permanent, Rejected, Transient
from cluster_interface.model.state import FailureCode, JobState
from cluster_interface.ports import NativeState, Work, WorkState
from cluster_interface.store import claims, jobs


def test_a_job_goes_all_the_way(store, world, engine):
    """From submitted to completed, through every state once, with its outputs."""
    add(store)
    settle(engine, 1)
    assert job(store).state is JobState.QUEUED
    world.begin("ci-a-1")
    settle(engine, 1)
    assert job(store).state is JobState.RUNNING
    world.statuses["a", 1, 0] = {
        "exit_code": 0,
        "started": 1.0,
        "ended": 2.0,
        "cpu_seconds": 1.5,
        "peak_memory": 7,
        "measured_by": "cgroup",
    }
    world.see("ci-a-1", state=NativeState.ENDED)
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
        (
            {"exit_code": None, "reason": "input_unavailable: it changed"},
            None,
            FailureCode.INPUT_UNAVAILABLE,
            "it changed",
        ),
        ({"exit_code": None, "reason": "no box: no"}, None, FailureCode.EXIT_CODE, "no box: no"),
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
    world.runs("ci-a-1", verdict=verdict, **status)
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
    world.statuses["a", 1, 0] = {"exit_code": 0}
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED


def test_a_pattern_that_matched_nothing_fails_the_job_by_name(store, world, engine):
    """The missing output is named, and what there is beside it."""
    world.results["outputs"] = {**COLLECTED, "unmatched": ["plot.png"], "left": ["o"]}
    add(store, outputs=["plot.png"])
    settle(engine, 1)
    world.runs("ci-a-1", exit_code=0)
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
        world.runs("ci-a-1", exit_code=0)
        settle(engine, 1)
    assert (job(store).state, job(store).code, job(store).reason) == (
        JobState.FAILED, FailureCode.INPUT_UNAVAILABLE, "no such thing",
    )  # fmt: skip


def test_what_is_wrong_with_a_job_that_was_taken_is_no_error_of_the_engine(store, world, engine):
    """What only its long work finds fails it with the code of that work."""
    world.results["resolve"] = Rejected.field("environment.dockerfile", "has no FROM line")
    add(store)
    settle(engine, 1)
    assert (job(store).state, job(store).code, job(store).reason) == (
        JobState.FAILED, FailureCode.IMAGE_FAILED, "environment.dockerfile: has no FROM line",
    )  # fmt: skip


def test_what_is_temporary_is_tried_again(store, world, engine):
    """Transient trouble keeps the state and shows its reason; it passes by itself."""
    world.results["inputs"] = Transient("the network is away")
    add(store)
    settle(engine, 1)
    assert job(store).state is JobState.PREPARING
    assert job(store).reason.startswith("the network is away; it is tried again at ")
    world.results["inputs"] = {}
    settle(engine, 1)
    assert job(store).state is JobState.QUEUED


@pytest.mark.parametrize("kind", ["resolve", "build"])
def test_an_index_that_is_away_is_told_and_given_up_in_the_end(store, world, engine, kind):
    """Each try is in the timeline with its reason and when the next one is; working on it starts no new count."""
    world.results[kind] = Transient("the package index cannot be reached")
    engine.tools.images.find = lambda _lock, _face: None
    working, begin = set(), world.start

    def start(mark, of, request):
        begin(mark, of, request)
        if of == kind:
            working.add(mark)

    def look_at(mark):
        if mark not in working:
            return world.works.get(mark, Work(state=WorkState.ABSENT))
        working.discard(mark)
        return Work(state=WorkState.RUNNING)

    world.start, world.look = start, look_at
    add(store)
    settle(engine)
    with store.read() as db:
        told = [event.why for event in jobs.events(db, "a") if "cannot be reached" in event.why]
    when = r"the package index cannot be reached; it is tried again at \d\d:\d\d:\d\d \S+ \(try 2 of 20\)"
    assert re.fullmatch(when, told[0])
    assert "(try 3 of 20)" in told[1]
    for _ in range(MOST_TRIES):
        settle(engine)
    assert (job(store).state, job(store).code) == (JobState.FAILED, FailureCode.IMAGE_FAILED)
    assert "given up after 20 tries" in job(store).reason
    assert len([one for one in world.asked if one[0] == kind]) == MOST_TRIES


def test_what_never_answered_is_given_up_soon(store, world, engine):
    """An error says by itself after how many tries it is the job's failure, and the timeline counts to that."""
    world.results["resolve"] = Transient("the R repository cannot be reached", tries=3)
    add(store)
    settle(engine, 3)
    assert (job(store).state, job(store).code) == (JobState.FAILED, FailureCode.IMAGE_FAILED)
    assert "given up after 3 tries" in job(store).reason
    with store.read() as db:
        assert any("(try 2 of 3)" in event.why for event in jobs.events(db, "a"))


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
    world.submit = lambda order: 1 / 0
    add(store)
    for _ in range(3):
        settle(engine, 1)
    assert (job(store).state, job(store).code) == (JobState.FAILED, FailureCode.INTERNAL)
    assert "ZeroDivision" not in job(store).reason


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
        look(engine)
        for mark in [f"ci-{name}-1" for name in names]:
            if mark in world.orders and dice.random() < 0.3:
                world.runs(mark, exit_code=0)
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
    look(engine)
    assert not turn(engine.store, engine.tools)
    world.begin("ci-a-1")
    look(engine)
    assert turn(engine.store, engine.tools)
    assert job(store).state is JobState.RUNNING


def test_a_new_engine_takes_no_step_for_what_waits_as_before(store, world, engine):
    """After a start, jobs that still wait at the scheduler cost nothing; those that began meanwhile are seen to."""
    for name in ("a", "b", "c"):
        add(store, name)
    settle(engine, 1)
    with store.write() as db:
        db.exec_driver_sql("UPDATE job SET due = due + 100")
    world.begin("ci-b-1")
    del world.states["ci-c-1"]
    successor = engine_of(store, world)
    for _ in range(2):
        look(successor)
        while turn(store, successor.tools):
            pass
        with store.write() as db:
            db.exec_driver_sql("UPDATE job SET due = due + 100 WHERE id <> 'a'")
    assert job(store, "b").state is JobState.RUNNING
    assert job(store, "c").facts["missing"]
    world.begin("ci-a-1")
    look(successor)
    assert turn(store, successor.tools)
    assert job(store, "a").state is JobState.RUNNING


def test_a_wake_while_the_database_is_away_does_not_end_the_engine(store, world, engine, monkeypatch):
    """The engine waits for the database, whoever wakes it meanwhile."""
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    engine.wakes = [left]
    right.send(b"a.resolve.1")
    monkeypatch.setattr("cluster_interface.engine.loop.PAUSE", 0)

    def away():
        raise Transient("the database does not answer")

    monkeypatch.setattr(store, "read", away)
    monkeypatch.setattr(store, "write", away)
    rounds = iter([False, False, True])
    engine.run(lambda: next(rounds))
    right.close()
    left.close()


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


@pytest.mark.parametrize(
    ("when", "ending", "outcome"),
    [
        ("", 0, JobState.QUEUED), ("", 1, JobState.CANCELED), (":any", 1, JobState.QUEUED),
        (":failed", 1, JobState.QUEUED), (":failed", 0, JobState.CANCELED),
    ],
)  # fmt: skip
def test_a_job_waits_for_another(store, world, engine, when, ending, outcome):
    """Nothing is handed over before the other job has ended, as it must; one that did not ends the wait."""
    add(store)
    add(store, "b", after=[f"a{when}"])
    settle(engine, 1)
    assert (job(store, "b").state, job(store, "b").reason) == (JobState.SUBMITTED, "waits for a")
    world.runs("ci-a-1", exit_code=ending)
    settle(engine, 1)
    assert job(store, "b").state is outcome
    if outcome is JobState.CANCELED:
        assert "job a had to" in job(store, "b").reason


def test_a_scheduler_that_is_away_changes_nothing(store, world):
    """However long it does not answer, and whoever starts meanwhile: the state stays, and nothing counts as lost."""
    engine = engine_of(store, world)
    add(store)
    settle(engine, 1)
    world.chance = lambda: 0.0
    again = engine_of(store, world)  # it has seen nothing yet
    for _ in range(20):
        settle(engine, GRACE * 10)
        settle(again, GRACE * 10)
    assert job(store).state is JobState.QUEUED
    world.chance = lambda: 1.0
    world.runs("ci-a-1", exit_code=0)
    settle(again, 1)
    assert job(store).state is JobState.COMPLETED


def test_what_cannot_be_seen_is_not_gone(store, world, engine):
    """Where the scheduler hides others' jobs, only a status file says that a task has ended."""
    add(store)
    settle(engine, 1)
    world.see("ci-a-1", state=NativeState.UNKNOWN)
    settle(engine, GRACE * 10)
    assert job(store).state is JobState.QUEUED
    world.statuses["a", 1, 0] = {"exit_code": 0}
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED
