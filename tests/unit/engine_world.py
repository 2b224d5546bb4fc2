"""An imagined outside world that fails at will, and an engine in it over a real database; imported by conftest."""

from pathlib import Path

import pytest
from tests.one_site import OneSite, tools_of

from cluster_interface.engine.loop import Engine
from cluster_interface.engine.reconcile import turn
from cluster_interface.model.errors import Rejected, Transient
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.state import JobState
from cluster_interface.ports import Face, ImageRef, NativeState, Observation, Order, Work, WorkState
from cluster_interface.store import claims, jobs

LOCK = {"base": "b" * 8, "image": "i" * 8}
COLLECTED = {"outputs": [{"path": "o", "size": 1, "sha256": "0" * 64, "task": 0}], "unmatched": [], "left": []}


class World(OneSite):
    """Every port at once: it remembers what it was asked to do, and misbehaves when told to.

    Its scheduler knows orders by their marks; `begin` and `runs` are what their elements do: pass the fence, write
    a status. An element that finds the fence closed ends without a word, like job.sh.
    """

    face = Face.DIRECTORY

    def __init__(self, chance=lambda: 1.0):
        self.chance = chance
        self.time = 1000.0
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

    def job_script(self, run):
        self.scripts.append(run)
        return super().job_script(run)

    def reap(self, ask, mark, owner, nodes):
        self.canceled.append(f"reaped {mark} on {', '.join(sorted(nodes))}")

    # scheduler
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
    return Engine(store, tools_of(world, Images(), retention), [])


@pytest.fixture
def engine(store, world):
    return engine_of(store, world)


def add(store, name="a", tasks=({},), **spec):
    with store.write() as db:
        parsed = JobSpec(**{"command": "true", "name": "n", **spec})
        jobs.add(db, job=name, owner="ada", group="ada", key=name * 8, spec=parsed, rerun_of=None, tasks=tasks)


def add_sweep(store, count, name="a", **spec):
    """A job of so many tasks, whose parameter is their number."""
    sweep = {"parameters": {"n": list(range(count))}, **spec.pop("sweep", {})}
    add(store, name, tasks=[{"n": str(n)} for n in range(count)], command="echo {n}", sweep=sweep, **spec)


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


def finish(world, engine, attempt, tasks):
    """Let every element of an attempt's orders run one of these tasks, as they come, and end well."""
    left = list(tasks)
    for number in range(len(left)):
        mark = f"ci-a-{attempt}.{number}" if number else f"ci-a-{attempt}"
        for element in range(world.orders[mark].elements if mark in world.orders else 0):
            world.runs(mark, element, task=left.pop(0), exit_code=0)
        settle(engine, 1)


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


def job(store, name="a"):
    with store.read() as db:
        return jobs.find(db, "ada", name)


def task(store, name="a"):
    return tasks(store, name)[0]


def tasks(store, name="a"):
    with store.read() as db:
        return jobs.tasks(db, name)


def states(store, name="a"):
    return [task.state.value for task in tasks(store, name)]
