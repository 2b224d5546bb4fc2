"""What a hundred thousand tasks of one job cost the engine and the web, beside a thousand: as ratios of one run.

The scheduler, the nodes and the files are imagined, the database is real. Some elements run at a time; at each look
those have ended and as many others run. Measured are such a step of the engine, its first one after a start, all of
them until the job has ended with an output for every task, and the memory of that; then a real server on the same
database: a job's own view, a page of its tasks, the table of all of them, and its memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psutil
import structlog
from serving import resident, serving
from sqlalchemy import insert, select

import cluster_interface as ci
from cluster_interface.engine.reconcile import turn
from cluster_interface.engine.tools import Tools
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.packing import orders_of
from cluster_interface.ports import NativeState, Observation, Work, WorkState
from cluster_interface.settings import Defaults, Retention
from cluster_interface.store import Store, claims
from cluster_interface.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FEW, ARRAY = 1000, 1000  #: tasks to compare with; the site's largest array
AT_ONCE = 10  #: elements that run at the same time
BATCH = 1000  #: tasks written at a time
ASK = {"cpus": 1, "memory": 2**27, "time": 60, "queue": "main", "scheduler": "slurm", "runtime": "r", "disk": 2**30}
WAITING = Observation(state=NativeState.PENDING)
RUNNING = Observation(state=NativeState.RUNNING, started=1.0)
ENDED = Observation(state=NativeState.ENDED)


class World:
    """What a step asks of the outside: a scheduler of whose elements the first `done` have ended, and some run."""

    name = "imagined"

    def __init__(self, count: int) -> None:
        self.count, self.done = count, 0
        self.seen: dict[str, Mapping[int, Observation]] = {}
        self.orders = orders_of(f"ci-tasks{count}-1", count, 1, first_alone=False, max_array=ARRAY)
        self.pictures = {order.mark: dict.fromkeys(range(order.elements), WAITING) for order in self.orders}

    def advance(self, count: int = AT_ONCE) -> None:
        """Let what runs end, and the next begin; an order's picture is a new one only where it changed."""
        touched = range(self.done, min(self.count, self.done + count + AT_ONCE))
        self.done = min(self.count, self.done + count)
        for number in {task // ARRAY for task in touched}:
            first = number * ARRAY
            mine = {task - first: ENDED if task < self.done else RUNNING for task in touched if task // ARRAY == number}
            self.pictures[self.orders[number].mark] = {**self.pictures[self.orders[number].mark], **mine}
        self.seen.update(self.pictures)

    def status(self, _job: str, _attempt: int, task: int) -> dict[str, Any] | None:
        """Say how a task ended."""
        ended = {"exit_code": 0, "started": 1.0, "ended": 2.0, "cpu_seconds": 1.0, "peak_memory": 2**20}
        return ended if task < self.done else None

    def claimed(self, *_: Any) -> dict[str, str]:
        """Say who has a task."""
        return {"host": "n1"}

    def revoke(self, *_: Any) -> list[int]:
        """Close no fence: every task began."""
        return []

    def now(self) -> float:
        """Tell the time."""
        return time.time()

    def scheduler(self, _name: str) -> World:
        """Be the scheduler as well."""
        return self

    def waiting(self, _handle: Any) -> None:
        """Know nothing of what waits."""

    def look(self, _mark: str) -> Work:
        """Have the outputs listed already, one of every task."""
        outputs = [{"path": "table.csv", "size": 9, "sha256": "0" * 64, "task": task} for task in range(self.count)]
        return Work(state=WorkState.DONE, result={"outputs": outputs, "unmatched": [], "left": [], "size": 1})

    def stop(self, _mark: str) -> None:
        """Forget it."""


def tools_of(world: World) -> Tools:
    """Make the ports of it."""
    it = cast("Any", world)
    return Tools(
        site=it, images=it, stager=it, works=it, identity=it, clock=it, defaults=Defaults(), retention=Retention(),
        seen=world.seen,
    )  # fmt: skip


def fill(store: Store, world: World, name: str) -> None:
    """Write a queued job of so many tasks."""
    owner, at = psutil.Process().username(), time.time()
    whose = {"owner": owner, "group": owner}
    sweep = {"parameters": {"a": list(range(world.count // 100)), "b": list(range(100))}}
    spec = JobSpec.model_validate({"command": "true {a} {b}", "name": "tasks", "sweep": sweep}).model_dump(mode="json")
    plan = {"spec": spec, "command": "true", "lock": None, "ask": {**ASK, "pids": 100}, "tasks": world.count}
    orders = [{**vars(order), "native_id": "1"} for order in world.orders]
    with store.write() as db:
        db.execute(insert(t.job).values(id=name, submission_key=name, name="tasks", state="queued", spec=spec,
                                        plan=plan, attempt=1, created=at, changed=at, due=at, **whose))  # fmt: skip
        for begin in range(0, world.count, BATCH):
            db.execute(insert(t.task), [
                {"job": name, "index": n, "state": "queued", "attempt": 1, "reason": "",
                 "parameters": {"a": str(n // 100), "b": str(n % 100)}, **whose}
                for n in range(begin, begin + BATCH)
            ])  # fmt: skip
        db.execute(insert(t.attempt).values(job=name, number=1, mark=world.orders[0].mark, account=owner,
                                            ask=plan["ask"], orders=orders, created=at, **whose))  # fmt: skip
        db.execute(insert(t.event).values(job=name, at=at, new="queued", who="engine", **whose))


def stepped(store: Store, tools: Tools, name: str) -> float:
    """Take one step of a job; return the seconds it took, its writing included."""
    with store.write() as db:
        claims.nudge_jobs(db, [name])
    start = time.perf_counter()
    if not turn(store, tools):
        sys.exit("nothing was due")
    return time.perf_counter() - start


def engine(url: str, count: int, steps: int) -> dict[str, float]:
    """Measure the engine on a job of so many tasks, in a process of its own for the sake of its memory."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    store, world, name = Store(url), World(count), f"tasks{count}"
    store.migrate()
    fill(store, world, name)
    world.advance(0)
    tools = tools_of(world)
    first = stepped(store, tools, name)
    took, busy = [], []
    for _ in range(steps):
        world.advance()
        before = time.process_time()
        took.append(stepped(store, tools, name))
        busy.append(time.process_time() - before)
    start = time.perf_counter()
    while world.done < count:
        world.advance(count // 20)
        stepped(store, tools, name)
    stepped(store, tools, name)
    whole, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    with store.read() as db:
        state = db.execute(select(t.job.c.state).where(t.job.c.id == name)).scalar()
    store.close()
    if state != "completed":
        sys.exit(f"the job is {state}")
    step = {"step": statistics.median(took), "processor of a step": statistics.median(busy), "first step": first}
    return {**step, "to the end": whole, "peak": peak}


def web(environ: dict[str, str], log: Path, names: dict[int, str]) -> dict[str, float]:
    """Measure a real server on that database."""
    with serving(environ, log) as server, ci.connect() as cluster:
        found: dict[str, float] = {}
        for count, name in names.items():
            found |= {f"{what}, {count:,}": seconds for what, seconds in looked_at(cluster, name, count)}
        return {**found, "memory of all of the server": resident(server)}


def looked_at(cluster: ci.Cluster, name: str, count: int) -> Iterator[tuple[str, float]]:
    """Yield what is looked at, and the seconds that takes: the median of three, once it is warm."""
    looks = {
        "job's view": f"/jobs/{name}",
        "page of tasks": f"/jobs/{name}/tasks?after={count // 2}&limit=100",
        "table of all tasks": f"/jobs/{name}/tasks.csv",
    }
    for what, path in looks.items():
        took = []
        for _ in range(4):
            start = time.perf_counter()
            cluster._transport.request("GET", path)  # noqa: SLF001
            took.append(time.perf_counter() - start)
        yield what, statistics.median(took[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--database", help="SQLAlchemy URL of an empty database; otherwise SQLite")
    parser.add_argument("--only", help=argparse.SUPPRESS, type=int)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(engine(arguments.database, arguments.only, arguments.steps)))
        return
    top = Path(tempfile.mkdtemp(prefix="clif-bench-"))
    top.chmod(0o711)
    try:
        numbers = measure(arguments, top)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    if arguments.json:
        print(json.dumps(numbers))
        return
    print(f"load {' '.join(f'{load:.1f}' for load in os.getloadavg())}, {os.cpu_count()} processors")
    for name, value in numbers.items():
        print(f"{name:48} {value:9.2f}")


def measure(arguments: argparse.Namespace, top: Path) -> dict[str, float]:
    """Do all of it; times in ms, memory in MiB."""
    url = arguments.database or f"sqlite:///{top / 'tasks.db'}"
    found: dict[int, dict[str, float]] = {}
    for count in (FEW, arguments.tasks):
        argv = [sys.executable, __file__, "--only", str(count), "--steps", str(arguments.steps), "--database", url]
        found[count] = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout)
    numbers: dict[str, float] = {}
    for what in ("step", "processor of a step", "first step"):
        for count, of in found.items():
            numbers[f"{what} of {count:,} tasks, ms"] = of[what] * 1000
        numbers[f"{what}, ratio"] = found[arguments.tasks][what] / found[FEW][what]
    for count, of in found.items():
        numbers[f"20 steps to the end of {count:,}, ms"] = of["to the end"] * 1000
        numbers[f"most memory of that engine, {count:,}, MiB"] = of["peak"]
    environ = {
        "CLIF_CONFIG": str(top / "none.toml"), "CLIF_SERVER__STATE": str(top / "state"),
        "CLIF_SERVER__RUNTIME": str(top / "run"), "CLIF_SERVER__DATABASE": url, "CLIF_SCHEDULERS": "local",
    }  # fmt: skip
    for name, value in web(environ, top / "server.log", {count: f"tasks{count}" for count in found}).items():
        numbers[f"{name}, MiB" if "memory" in name else f"{name}, ms"] = value if "memory" in name else value * 1000
    for what in ("job's view", "page of tasks"):
        numbers[f"{what}, ratio"] = numbers[f"{what}, {arguments.tasks:,}, ms"] / numbers[f"{what}, {FEW:,}, ms"]
    return numbers


if __name__ == "__main__":
    main()
