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
from cluster_interface.ports import Face, ImageRef, NativeState, Observation, Order, Work, WorkState
from cluster_interface.service.views import Views
from cluster_interface.settings import Defaults, Retention
from cluster_interface.store import claims, jobs

QUEUE = Queue(
    name="q", cpus=4, memory=2**33, time=None, default_cpus=1, default_memory=2**30, default_time=60, runtimes=("r",)
)
LOCK = {"base": "b" * 8, "image": "i" * 8}
COLLECTED = {"outputs": [{"path": "o", "size": 1, "sha256": "0" * 64, "task": 0}], "unmatched": [], "left": []}


class World:
    """Every port at once: it remembers what it was asked to do, and misbehaves when told to.

    Its scheduler knows orders by their marks; `begin` and `runs` are what their elements do: pass the fence, write
    a status. An element that finds the fence closed ends without a word, like job.sh.
    """

    name = "world"
    face = "directory"

    def __init__(self, chance=lambda: 1.0):
        self.chance = chance
        self.time = 1000.0
        self.queue = QUEUE
        self.orders: dict[str, Order] = {}  # mark -> order
        self.states: dict[str, dict[int, Observation]] = {}
        self.claims: dict[tuple, dict] = {}
        self.statuses: dict[tuple, dict] = {}
        self.closed: set[tuple] = set()
        self.declared: set[str] = set()
        self.runs_of: list[tuple] = []
        self.scripts: list = []
        self.lists: dict[tuple, dict] = {}
        self.staged: list[dict] = []
        self.submissions: list[str] = []
        self.canceled: list[str] = []
        self.results = {
            "resolve": {"lock": LOCK, "sources": []}, "build": {}, "inputs": {}, "outputs": COLLECTED,
            "measure": {"size": 5}, "remove": {}, "deliver": {"deliveries": []},
        }  # fmt: skip
        self.asked: list[tuple[str, dict]] = []
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

    def bounds(self, ask):
        return {}

    def job_script(self, run):
        self.scripts.append(run)
        return run.command

    # site
    def scheduler(self, name):
        return self

    def runtime(self, ask, *, offered=True):
        return self

    def runs_as(self, owner, runtime):
        return self.account(owner)

    def survey(self):
        return 1000.0

    def reap(self, ask, mark, owner, nodes):
        self.canceled.append(f"reaped {mark} on {', '.join(sorted(nodes))}")

    # scheduler
    def queues(self):
        return [self.queue]

    def find(self, handle):
        self.trouble()
        return handle.mark.upper() if handle.mark in self.orders else None

    def submit(self, order):
        if self.refuses:
            raise Rejected(self.refuses)
        self.trouble()
        self.submissions.append(order.mark)
        self.orders[order.mark] = order
        self.states[order.mark] = dict.fromkeys(range(order.elements), Observation(state=NativeState.PENDING))
        self.trouble()  # the answer is lost after it was accepted
        return order.mark.upper()

    def observe(self, handles):
        self.trouble()
        return {} if self.hidden else {h.mark: self.states[h.mark] for h in handles if h.mark in self.states}

    def cancel(self, handle):
        self.trouble()
        self.canceled.append(handle.mark)
        over = Observation(state=NativeState.ENDED, verdict="canceled")
        ended = NativeState.ENDED
        seen = self.states.get(handle.mark, {})
        self.states[handle.mark] = {n: old if old.state is ended else over for n, old in seen.items()}

    def waiting(self, handle):
        return None

    # stager
    def directory(self, job):
        return Path("/nowhere") / job

    def write_attempt(self, job, attempt, script, plan, lists):
        self.lists[job, attempt] = lists
        return Path("/nowhere") / job / "job.sh"

    def declare(self, job, attempt, mark):
        fresh = mark not in self.declared
        self.declared.add(mark)
        return fresh

    def status(self, job, attempt, task):
        return self.statuses.get((job, attempt, task))

    def claimed(self, job, attempt, task):
        return self.claims.get((job, attempt, task))

    def begun(self, job, attempt):
        return {task for of, number, task in self.claims if (of, number) == (job, attempt)}

    def close(self, job, attempt):
        self.closed.add((job, attempt))

    def revoke(self, job, attempt, tasks):
        for task in tasks:
            self.claims.setdefault((job, attempt, task), {"revoked": "yes"})
        return [task for task in tasks if "revoked" in self.claims[job, attempt, task]]

    # works
    def start(self, mark, kind, request):
        if kind == "inputs":
            self.staged.append(request["layout"])
        self.asked.append((kind, request))
        result = self.results[kind]
        if isinstance(result, Exception):
            self.works[mark] = Work(state=WorkState.FAILED, error=result)
        else:
            self.works[mark] = Work(state=WorkState.DONE, result=result)

    def look(self, mark):
        return self.works.get(mark, Work(state=WorkState.ABSENT))

    def stop(self, mark):
        self.works.pop(mark, None)

    # what the nodes do
    def see(self, mark, element=0, **seen):
        """Something is to be seen of an element."""
        self.states[mark] = {**self.states[mark], element: Observation(**seen)}

    def begin(self, mark, element=0, task=None):
        """An element starts and passes the fence of its task; one that finds it closed leaves."""
        job, attempt = mark.partition(".")[0].removeprefix("ci-").rsplit("-", 1)
        task = self.orders[mark].offset + element if task is None else task
        if (job, int(attempt), task) in self.claims or (job, int(attempt)) in self.closed:
            self.see(mark, element, state=NativeState.ENDED)
            return None
        self.claims[job, int(attempt), task] = {"host": "n1"}
        self.runs_of.append((job, task))
        self.see(mark, element, state=NativeState.RUNNING, started=1.0)
        return job, int(attempt), task

    def runs(self, mark, element=0, task=None, verdict=None, **status):
        """An element runs its task to the end, and writes its status if one is given."""
        which = self.begin(mark, element, task)
        if which:
            self.see(mark, element, state=NativeState.ENDED, verdict=verdict)
            if status:
                self.statuses[which] = {"exit_code": 0, "started": 1.0, "ended": 2.0, **status}


class Images:
    """An image store in which everything is ready."""

    def find(self, lock, face):
        return ImageRef(key="i" * 8, face=Face.DIRECTORY)


@pytest.fixture
def world():
    return World()


def engine_of(store, world, retention=None):
    tools = Tools(
        site=world,
        images=Images(),
        stager=world,
        works=world,
        identity=world,
        clock=world,
        defaults=Defaults(),
        retention=retention or Retention(),
    )
    return Engine(store, tools, [])


@pytest.fixture
def engine(store, world):
    return engine_of(store, world)


def add(store, name="a", tasks=({},), **spec):
    with store.write() as db:
        parsed = JobSpec(**{"command": "true", "name": "n", **spec})
        jobs.add(db, job=name, owner="ada", group="ada", key=name * 8, spec=parsed, rerun_of=None, tasks=tasks)


def settle(engine, seconds=60.0):
    """Let the engine look and turn until nothing moves, with time passing between looks."""
    for _ in range(8):
        engine.tools.clock.time += seconds / 8
        look(engine)
        with engine.store.write() as db:
            claims.nudge_states(db, list(JobState))
        for _ in range(60):
            if not turn(engine.store, engine.tools):
                break


def look(engine):
    """Look at the scheduler now, whenever that was done last."""
    engine._watch.hurry()
    engine.look()


def job(store, name="a"):
    with store.read() as db:
        return jobs.find(db, "ada", name)


def task(store, name="a"):
    return tasks(store, name)[0]


def tasks(store, name="a"):
    with store.read() as db:
        return jobs.tasks(db, name)


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
    world.submit = lambda order: 1 / 0
    add(store)
    for _ in range(3):
        settle(engine, 1)
    assert (job(store).state, job(store).code) == (JobState.FAILED, FailureCode.INTERNAL)
    assert "ZeroDivision" not in job(store).reason


@pytest.mark.parametrize("steps", range(7))
def test_cancel_at_any_moment_ends_in_canceled(store, world, engine, steps):
    """Wherever a job is, a cancel ends it, nothing is left at the scheduler, and what ran is reaped on its node."""
    add(store)
    for _ in range(steps):
        turn(engine.store, engine.tools)
        if "ci-a-1" in world.orders and steps == 6 and not world.claims:
            world.begin("ci-a-1")
        look(engine)
    with store.write() as db:
        jobs.request_cancel(db, "a")
    settle(engine)
    assert job(store).state is JobState.CANCELED
    assert task(store).state is TaskState.CANCELED
    assert all(seen.state is NativeState.ENDED for states in world.states.values() for seen in states.values())
    assert ("reaped ci-a-1 on n1" in world.canceled) == bool(world.runs_of)


def test_a_job_accepted_before_the_cancel_but_never_answered_is_found_and_ended(store, world, engine):
    """The native job whose id was lost is found by its mark when the job is canceled."""
    add(store)
    world.chance = iter([1.0, 0.0, *[1.0] * 1000]).__next__  # taken, and the answer lost
    for _ in range(5):
        turn(engine.store, engine.tools)
    assert world.submissions == ["ci-a-1"]
    assert job(store).state is JobState.PREPARING
    with store.write() as db:
        jobs.request_cancel(db, "a")
    settle(engine)
    assert job(store).state is JobState.CANCELED
    assert "ci-a-1" in world.canceled


def test_an_order_that_appears_after_the_cancel_runs_nothing(store, world, engine):
    """A scheduler that took an order without telling, and starts it only later, finds its tasks revoked."""
    add(store)
    settle(engine, 1)
    order = world.orders.pop("ci-a-1")
    seen = world.states.pop("ci-a-1")
    with store.write() as db:
        jobs.request_cancel(db, "a")
    settle(engine)
    assert job(store).state is JobState.CANCELED
    world.orders["ci-a-1"], world.states["ci-a-1"] = order, seen
    assert world.begin("ci-a-1") is None
    assert world.runs_of == []


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


def add_sweep(store, count, name="a", **spec):
    """A job of so many tasks, whose parameter is their number."""
    sweep = {"parameters": {"n": list(range(count))}, **spec.pop("sweep", {})}
    add(store, name, tasks=[{"n": str(n)} for n in range(count)], command="echo {n}", sweep=sweep, **spec)


def states(store, name="a"):
    return [task.state.value for task in tasks(store, name)]


@pytest.mark.parametrize("trouble", [None, Permanent("it may not be asked any more")])
def test_a_canceled_sweep_is_shown_with_what_became_of_its_tasks(store, world, engine, monkeypatch, trouble):
    """Not with the counts from before the cancel, whether the scheduler lets it be canceled or not."""

    def observe(handles):
        raise trouble

    add_sweep(store, 3)
    settle(engine, 1)
    world.runs("ci-a-1", 0, exit_code=0)
    world.begin("ci-a-1", 1)
    settle(engine, 1)
    with store.write() as db:
        jobs.request_cancel(db, "a")
    if trouble:
        monkeypatch.setattr(world, "observe", observe)
    for _ in range(60):
        with store.write() as db:
            claims.nudge_states(db, list(JobState))
        if not turn(store, engine.tools):
            break
    assert job(store).state is JobState.CANCELED
    with store.read() as db:
        assert Views(site=world, works=world).job(db, job(store)).counts == {"completed": 1, "canceled": 2}


def test_every_task_of_a_sweep_has_its_own_ending(store, world, engine):
    """One order, an element per task; a failed task fails the job in numbers, and the others keep their own."""
    add_sweep(store, 3)
    settle(engine, 1)
    assert [world.orders[mark].elements for mark in world.submissions] == [3]
    assert world.lists["a", 1]["parameters"].splitlines() == [f"CLIF_PARAM_n={n}" for n in range(3)]
    assert world.scripts[-1].command == 'echo "${CLIF_PARAM_n}"'
    world.runs("ci-a-1", 0, exit_code=0)
    world.runs("ci-a-1", 1, exit_code=3)
    settle(engine, 1)
    assert states(store) == ["completed", "failed", "queued"]
    assert job(store).reason == "1 failed, 1 completed of 3 tasks"
    world.runs("ci-a-1", 2, exit_code=0)
    settle(engine, 1)
    assert (job(store).code, job(store).reason) == (FailureCode.TASKS_FAILED, "1 of 3 tasks failed (1 exit_code)")
    assert job(store).state is JobState.FAILED


def test_an_array_is_cut_to_the_sites_maximum(store, world, engine):
    """More tasks than an array may have become several orders, each known by its own mark."""
    world.queue = dataclasses.replace(QUEUE, max_array=4)
    add_sweep(store, 10)
    settle(engine, 1)
    assert [(order.mark, order.offset, order.elements) for order in world.orders.values()] == [
        ("ci-a-1", 0, 4), ("ci-a-1.1", 4, 4), ("ci-a-1.2", 8, 2),
    ]  # fmt: skip
    for mark in list(world.orders):
        for element in range(world.orders[mark].elements):
            world.runs(mark, element, exit_code=0)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED
    assert sorted(world.runs_of) == [("a", n) for n in range(10)]


def test_few_at_a_time_are_few_at_a_time_over_all_orders(store, world, engine):
    """With a bound on running tasks, an order follows when the one before it has ended."""
    world.queue = dataclasses.replace(QUEUE, max_array=2)
    add_sweep(store, 4, sweep={"max_running": 1})
    settle(engine, 1)
    assert world.submissions == ["ci-a-1"]
    assert world.orders["ci-a-1"].max_running == 1
    for element in (0, 1):
        world.runs("ci-a-1", element, exit_code=0)
    settle(engine, 1)
    assert world.submissions == ["ci-a-1", "ci-a-1.1"]
    for element in (0, 1):
        world.runs("ci-a-1.1", element, exit_code=0)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED


@pytest.mark.parametrize("exit_code", [0, 1])
def test_one_task_goes_first_and_the_rest_if_it_succeeds(store, world, engine, exit_code):
    """The first task runs alone; when it fails, no other is tried, and each says why."""
    add_sweep(store, 3, sweep={"first_alone": True})
    settle(engine, 1)
    assert [world.orders[mark].elements for mark in world.submissions] == [1]
    world.runs("ci-a-1", exit_code=exit_code)
    settle(engine, 1)
    if exit_code:
        assert job(store).state is JobState.FAILED
        assert states(store) == ["failed", "canceled", "canceled"]
        assert {task.reason for task in tasks(store)[1:]} == {"not tried: the first task failed"}
        assert len(world.submissions) == 1
        return
    assert [world.orders[mark].elements for mark in world.submissions] == [1, 2]
    for element in (0, 1):
        world.runs("ci-a-1.1", element, exit_code=0)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED


def finish(world, engine, attempt, tasks):
    """Let every element of an attempt's orders run one of these tasks, as they come, and end well."""
    left = list(tasks)
    for number in range(len(left)):
        mark = f"ci-a-{attempt}.{number}" if number else f"ci-a-{attempt}"
        for element in range(world.orders[mark].elements if mark in world.orders else 0):
            world.runs(mark, element, task=left.pop(0), exit_code=0)
        settle(engine, 1)


@pytest.mark.parametrize("how", ["failed", "lost"])
def test_one_task_goes_first_once_more_and_the_rest_follows(store, world, engine, how):
    """A first task that is tried again goes alone again, and takes those along that wait for it."""
    add_sweep(store, 3, sweep={"first_alone": True}, retry={"exit_code": 1})
    settle(engine, 1)
    if how == "failed":
        world.runs("ci-a-1", exit_code=1)
    else:
        del world.orders["ci-a-1"], world.states["ci-a-1"]
    settle(engine, GRACE * 3)
    assert world.submissions == ["ci-a-1", "ci-a-2"]
    assert world.orders["ci-a-2"].elements == 1
    finish(world, engine, 2, [0, 1, 2])
    assert (job(store).state, states(store)) == (JobState.COMPLETED, ["completed"] * 3)
    assert world.submissions == ["ci-a-1", "ci-a-2", "ci-a-2.1"]


def test_what_waited_for_a_lost_order_goes_along_with_it(store, world, engine):
    """With a bound on running tasks, the orders behind a lost one belong to the next attempt."""
    world.queue = dataclasses.replace(QUEUE, max_array=2)
    add_sweep(store, 4, sweep={"max_running": 1})
    settle(engine, 1)
    del world.orders["ci-a-1"], world.states["ci-a-1"]
    settle(engine, GRACE * 3)
    assert world.submissions == ["ci-a-1", "ci-a-2"]
    finish(world, engine, 2, range(4))
    assert (job(store).state, states(store)) == (JobState.COMPLETED, ["completed"] * 4)


def test_packed_tasks_share_an_element(store, world, engine):
    """Each line of the list names the tasks of one element; a task ends when its status is there."""
    add_sweep(store, 5, sweep={"pack": 2})
    settle(engine, 1)
    order = world.orders["ci-a-1"]
    assert (order.elements, order.time) == (3, 2 * order.ask.time)
    assert world.lists["a", 1]["elements"] == "0 1\n2 3\n4\n"
    world.begin("ci-a-1", 0, task=0)
    world.statuses["a", 1, 0] = {"exit_code": 0}
    settle(engine, 1)
    assert states(store) == ["completed", "queued", "queued", "queued", "queued"]
    for task, element in ((1, 0), (2, 1), (3, 1), (4, 2)):
        world.runs("ci-a-1", element, task=task, exit_code=0)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED


def test_what_was_never_begun_is_handed_over_again(store, world, engine):
    """An order that the scheduler lost before it began is closed for good and tried again as a new attempt."""
    add(store)
    settle(engine, 1)
    lost = world.orders.pop("ci-a-1"), world.states.pop("ci-a-1")
    settle(engine, GRACE * 3)
    assert world.submissions == ["ci-a-1", "ci-a-2"]
    world.orders["ci-a-1"], world.states["ci-a-1"] = lost
    assert world.begin("ci-a-1") is None  # it turns up again after all, and leaves at once
    world.runs("ci-a-2", exit_code=0)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED
    assert world.runs_of == [("a", 0)]


def test_what_is_lost_bit_by_bit_is_handed_over_again(store, world, engine):
    """Tasks that vanish one after the other, before they began, are all tried again once the last one's grace is over."""
    add_sweep(store, 2)
    settle(engine, 1)
    for element in (0, 1):
        world.states["ci-a-1"] = {n: seen for n, seen in world.states["ci-a-1"].items() if n != element}
        settle(engine, GRACE / 2)
    for _ in range(4):
        settle(engine, GRACE / 2)
    assert world.submissions == ["ci-a-1", "ci-a-2"]
    for element in (0, 1):
        world.runs("ci-a-2", element, exit_code=0)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED


def test_a_scheduler_that_loses_everything_is_not_fed_for_ever(store, world, engine):
    """After some attempts that never began the job fails, and says so."""
    add(store)
    for _ in range(30):
        settle(engine, GRACE * 3)
        for mark in list(world.orders):
            del world.orders[mark], world.states[mark]
    assert (job(store).state, job(store).code) == (JobState.FAILED, FailureCode.LOST)
    assert len(world.submissions) == 6


def test_a_lost_node_is_tried_again_as_often_as_wished(store, world, engine):
    """Only the tasks that were lost are tried again, in a new attempt; the others are left as they ended."""
    add_sweep(store, 2, retry={"node_failed": 1})
    settle(engine, 1)
    world.runs("ci-a-1", 0, exit_code=0)
    world.runs("ci-a-1", 1, verdict="node_failed")
    settle(engine, GRACE * 3)
    assert world.submissions == ["ci-a-1", "ci-a-2"]
    assert world.lists["a", 2]["elements"] == "1\n"
    assert world.staged[-1] == {"tasks": 2, "attempt": 2, "only": [1], "keep": False, "host": False}
    assert states(store) == ["completed", "queued"]
    world.runs("ci-a-2", 0, task=1, verdict="node_failed")
    settle(engine, GRACE * 3)
    assert job(store).state is JobState.FAILED
    assert "1 node_failed" in job(store).reason


def test_out_of_memory_is_tried_again_with_more(store, world, engine):
    """Each new attempt asks for more memory, as far as the queue has it."""
    add(store, retry={"out_of_memory": 3, "memory_factor": 3})
    settle(engine, 1)
    for number in (1, 2, 3):
        world.runs(f"ci-a-{number}", exit_code=137, oom=True)
        settle(engine, 1)
    assert [order.ask.memory >> 30 for order in world.orders.values()] == [1, 3, 8]
    assert job(store).state is JobState.FAILED  # there is no more


def test_a_program_that_checkpoints_goes_on_past_the_time_limit(store, world, engine):
    """With `resume`, the time limit of the queue is a new attempt in the same directories, until the time asked for."""
    world.queue = dataclasses.replace(QUEUE, time=100)
    add(store, checkpoint={"resume": True}, resources={"time": 300})
    settle(engine, 1)
    assert world.orders["ci-a-1"].ask.time == 100
    world.runs("ci-a-1", verdict="time_limit", exit_code=143)
    settle(engine, 1)
    assert world.staged[-1]["keep"]
    world.runs("ci-a-2", verdict="time_limit", exit_code=143)
    settle(engine, 1)
    world.runs("ci-a-3", exit_code=0)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED
    assert len(world.submissions) == 3


def test_without_resume_the_time_limit_is_the_end(store, world, engine):
    """A program that cannot go on is not started again."""
    add(store, retry={"node_failed": 3})
    settle(engine, 1)
    world.runs("ci-a-1", verdict="time_limit", exit_code=143)
    settle(engine, 1)
    assert job(store).code is FailureCode.TIME_LIMIT
    assert len(world.submissions) == 1


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


def test_trouble_that_ends_a_job_ends_its_native_jobs(store, world, engine):
    """A job that fails with orders at the scheduler leaves none of them behind."""
    add_sweep(store, 4, sweep={"first_alone": True})
    settle(engine, 1)
    world.runs("ci-a-1", exit_code=0)
    world.refuses = "no more of yours today"
    settle(engine, 1)
    assert (job(store).code, job(store).reason) == (FailureCode.SCHEDULER_REJECTED, "no more of yours today")


def listed(world, mark, element, tasks):
    """The task that job.sh would find for an element: by its line in the list, if there is one."""
    attempt = mark.partition(".")[0].rpartition("-")[2]
    lines = world.lists["a", int(attempt)].get("elements", "").split() or range(tasks)
    return int(lines[world.orders[mark].offset + element])


def run_some(world, chance, tasks):
    """Let pending elements run to their end, each with this chance."""
    for mark, order in world.orders.items():
        for element in range(order.elements):
            if world.states[mark][element].state is NativeState.PENDING and chance():
                world.runs(mark, element, task=listed(world, mark, element, tasks), exit_code=0)


@pytest.mark.parametrize("seed", range(8))
def test_no_task_of_a_sweep_runs_twice_whatever_fails(store, seed):
    """Lost answers, orders that vanish and turn up again, nodes that fail, engines that die: each task ends once."""
    dice = random.Random(seed)
    world = World(chance=dice.random)
    world.queue = dataclasses.replace(QUEUE, max_array=3)
    engine = engine_of(store, world)
    add_sweep(store, 8)
    vanished = {}
    for _ in range(250):
        engine.tools.clock.time += 2
        look(engine)
        for mark in [mark for mark in world.orders if dice.random() < 0.04]:
            vanished[mark] = world.orders.pop(mark), world.states.pop(mark)
        run_some(world, lambda: dice.random() < 0.2, 8)
        if vanished and dice.random() < 0.1:
            mark, (world.orders[mark], world.states[mark]) = vanished.popitem()
        with store.write() as db:
            claims.nudge_states(db, list(JobState))
            if dice.random() < 0.1:
                claims.claim(db)
                db.exec_driver_sql("UPDATE job SET lease_until = 0")
        turn(engine.store, engine.tools)
    world.chance = lambda: 1.0
    for _ in range(12):
        settle(engine, GRACE * 3)
        run_some(world, lambda: True, 8)
    settle(engine, GRACE * 3)
    assert job(store).state is JobState.COMPLETED
    assert sorted(world.runs_of) == [("a", n) for n in range(8)]


def test_what_is_put_back_into_the_queue_while_it_runs_does_not_run_twice(store, world, engine):
    """An administrator's requeue counts as a lost node: what waits again is withdrawn, and tried again as wished."""
    add(store, retry={"node_failed": 1})
    settle(engine, 1)
    world.begin("ci-a-1")
    settle(engine, 1)
    assert task(store).state is TaskState.RUNNING
    world.see("ci-a-1", state=NativeState.PENDING)
    settle(engine, GRACE / 2)
    assert world.submissions == ["ci-a-1"]
    settle(engine, GRACE)
    assert "ci-a-1" in world.canceled
    assert world.submissions == ["ci-a-1", "ci-a-2"]
    world.begin("ci-a-2")
    settle(engine, 1)
    world.see("ci-a-2", state=NativeState.PENDING)
    settle(engine, GRACE * 2)
    assert (job(store).state, job(store).code) == (JobState.FAILED, FailureCode.NODE_FAILED)
    assert "back into the queue" in job(store).reason
    assert world.runs_of == [("a", 0), ("a", 0)]


def test_a_controller_with_an_old_state_puts_nothing_back(store, world, engine):
    """After its crash it says that a job waits which still runs; what the program writes at its end counts."""
    add(store)
    settle(engine, 1)
    world.begin("ci-a-1")
    settle(engine, 1)
    world.see("ci-a-1", state=NativeState.PENDING)
    settle(engine, GRACE / 2)
    assert job(store).state is JobState.RUNNING
    world.statuses["a", 1, 0] = {"exit_code": 0}
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED
    assert world.submissions == ["ci-a-1"]


def test_a_task_that_had_completed_when_it_was_put_back_has_completed(store, world, engine):
    """The status file counts."""
    add(store)
    settle(engine, 1)
    world.begin("ci-a-1")
    settle(engine, 1)
    world.statuses["a", 1, 0] = {"exit_code": 0}
    world.see("ci-a-1", state=NativeState.PENDING)
    settle(engine, 1)
    assert job(store).state is JobState.COMPLETED
    assert world.submissions == ["ci-a-1"]


@pytest.mark.parametrize(("node", "outcome"), [(None, JobState.FAILED), ("n1", JobState.QUEUED)])
def test_who_canceled_what_had_not_begun(store, world, engine, node, outcome):
    """Canceled while it waited: somebody's wish. On its node before it began: the scheduler's own, and tried again."""
    add(store)
    settle(engine, 1)
    world.see("ci-a-1", state=NativeState.ENDED, verdict="canceled", node=node)
    settle(engine, GRACE * 3)
    assert job(store).state is outcome
    assert len(world.submissions) == (1 if node is None else 2)


def test_a_cancel_needs_no_scheduler_where_nothing_was_handed_over(store, world, engine, monkeypatch):
    """A job whose scheduler went away can be canceled; not where that may have taken it."""
    world.results["build"] = Transient("later")
    add(store)
    engine.tools.images.find = lambda lock, face: None
    settle(engine, 1)
    assert job(store).state is JobState.PREPARING

    def gone(name):
        raise Transient(f"this server has no scheduler {name} now")

    monkeypatch.setattr(world, "scheduler", gone)
    with store.write() as db:
        jobs.request_cancel(db, "a")
    world.declared.add("ci-a-1")
    settle(engine, 1)
    assert job(store).state is JobState.PREPARING
    world.declared.clear()
    settle(engine, 60)
    assert job(store).state is JobState.CANCELED
