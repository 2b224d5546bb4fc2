"""What ten thousand queued jobs cost, beside what Slurm itself needs to list them, as ratios of one run.

Ten thousand held orders lie at the testbed's Slurm, and as many jobs in a private database. Measured are one `squeue`
of all of them, what a tick of the engine takes beside the `squeue` in it, the memory of a real server's engine and web
process on that database, and how an engine's memory grows over thousands of ticks. The orders are canceled afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import psutil
from serving import resident, serving
from sqlalchemy import insert

from cluster_interface.adapters.schedulers.slurm import SlurmScheduler
from cluster_interface.engine.loop import Engine
from cluster_interface.engine.reconcile import turn
from cluster_interface.engine.tools import Tools
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.settings import Defaults, Retention, Slurm
from cluster_interface.store import Store, claims
from cluster_interface.store import tables as t

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parent.parent
CLIF = Path(sys.executable).parent / "clif"
CLIENTS = 4  #: that submit at the same time
MARK = f"ci-bench{secrets.token_hex(3)}"
FAR = 86_400.0  #: seconds until a job is due by itself
ASK = {"cpus": 1, "memory": 2**27, "time": 60, "queue": "main", "scheduler": "slurm", "runtime": "bubblewrap"}


def slurm_conf() -> str:
    """Start the testbed's Slurm and return where its configuration is."""
    subprocess.run([PROJECT / "testbed/slurm", "start"], check=True, stdout=sys.stderr)
    done = subprocess.run([PROJECT / "testbed/slurm", "env"], check=True, capture_output=True, text=True)
    return done.stdout.strip().partition("=")[2]


@contextmanager
def held_orders(count: int) -> Iterator[list[str]]:
    """Submit so many held orders; yield their ids; cancel them whatever happens."""
    script = "#!/bin/sh\nexit 0\n"
    options = ["--hold", "--parsable", "--mem=1", "--output=/dev/null", "--chdir=/", "--partition=main"]

    def submit(number: int) -> str:
        argv = ["sbatch", *options, f"--job-name={MARK}x{number}-1", f"--comment={MARK}x{number}-1"]
        return subprocess.run(argv, input=script, check=True, capture_output=True, text=True).stdout.strip()

    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            yield list(pool.map(submit, range(count)))
    finally:
        listed = subprocess.run(["squeue", "-h", "-o", "%i %j"], check=True, capture_output=True, text=True).stdout
        ids = [line.split()[0] for line in listed.splitlines() if line.split()[1].startswith(MARK)]
        for begin in range(0, len(ids), 500):
            subprocess.run(["scancel", *ids[begin : begin + 500]], check=False)


def fill(store: Store, ids: list[str], owner: str) -> None:
    """Write a queued job for each order."""
    whose, at = {"owner": owner, "group": owner}, time.time()
    spec = JobSpec(command="true", name="scale").model_dump(mode="json")
    plan = {"spec": spec, "command": "true", "lock": None, "ask": {**ASK, "disk": 2**30}}
    jobs, tasks, attempts, events = [], [], [], []
    for number, native_id in enumerate(ids):
        job = f"{MARK.removeprefix('ci-')}x{number}"
        order = {"mark": f"{MARK}x{number}-1", "offset": 0, "elements": 1, "native_id": native_id}
        jobs.append({"id": job, "submission_key": job, "name": "scale", "state": "queued", "spec": spec, "plan": plan,
                     "attempt": 1, "created": at, "changed": at, "due": at + FAR, **whose})  # fmt: skip
        tasks.append({"job": job, "index": 0, "state": "queued", "attempt": 1, **whose})
        attempts.append({"job": job, "number": 1, "mark": f"{MARK}x{number}-1", "account": owner, "ask": plan["ask"],
                         "orders": [order], "created": at, **whose})  # fmt: skip
        events.append({"job": job, "at": at, "new": "queued", "who": "engine", **whose})
    with store.write() as db:
        for table, rows in ((t.job, jobs), (t.task, tasks), (t.attempt, attempts), (t.event, events)):
            db.execute(insert(table), rows)


class Timed(SlurmScheduler):
    """The real adapter, which says how long it waited for Slurm's programs; `answer` is given in their place."""

    waited = 0.0
    answer: str | None = None

    def _ask(self, *argv: str) -> str:
        if self.answer is not None and argv[0] == "squeue":
            begin = argv[-1].removeprefix("--format=").partition("|")[0]
            return self.answer.replace("\n@", f"\n{begin}")[1:]
        start = time.perf_counter()
        try:
            return super()._ask(*argv)
        finally:
            self.waited += time.perf_counter() - start


def engine_on(store: Store, scheduler: SlurmScheduler) -> Engine:
    """Make an engine that has nothing to do but look."""
    site: Any = SimpleNamespace(scheduler=lambda _name: scheduler, survey=lambda: FAR)
    nothing = cast("Any", None)
    tools = Tools(
        site=site,
        images=nothing,
        stager=nothing,
        works=nothing,
        identity=nothing,
        clock=nothing,
        defaults=Defaults(),
        retention=Retention(),
    )
    return Engine(store, tools, [])


def tick(engine: Engine) -> None:
    """Look, find nothing due, and compute how long to sleep: one round of the loop."""
    engine._watch.hurry()  # noqa: SLF001 - otherwise it would pause
    engine.look()
    if turn(engine.store, engine.tools):
        sys.exit("a job was due: nothing should have been")
    with engine.store.read() as db:
        claims.next_due(db)


def ticks(engine: Engine, scheduler: Timed, count: int) -> tuple[float, float]:
    """Return the median seconds of one squeue and of what a tick takes beside it."""
    tick(engine)
    listing, own = [], []
    for _ in range(count):
        scheduler.waited, start = 0.0, time.perf_counter()
        tick(engine)
        own.append(time.perf_counter() - start - scheduler.waited)
        listing.append(scheduler.waited)
    return statistics.median(listing), statistics.median(own)


def growth(engine: Engine, scheduler: Timed, count: int) -> tuple[float, float]:
    """Return MiB of memory after a hundred ticks, and after so many more, on one remembered answer of squeue."""
    done = subprocess.run(
        ["squeue", "-h", "-a", "-t", "all", "-o", "@|%F|%K|%u|%T|%S|%B|%r|%j"],
        check=True, capture_output=True, text=True, env={**os.environ, "SLURM_TIME_FORMAT": "%s"},
    )  # fmt: skip
    scheduler.answer = f"\n{done.stdout}"
    for _ in range(100):
        tick(engine)
    before = resident(psutil.Process())
    for number in range(count):
        if number % 60 == 0:
            engine._watch._read_at = -FAR  # noqa: SLF001 - as every half minute
        tick(engine)
    return before, resident(psutil.Process())


def served(environ: dict[str, str], log: Path, seconds: float) -> dict[str, float]:
    """Serve that database for some seconds; return MiB per part, the web with its worker."""
    with serving(environ, log) as server:
        time.sleep(seconds)
        return {part.name().removeprefix("clif-"): resident(part) for part in server.children()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--ticks", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=30, help="that the real server runs")
    parser.add_argument("--database", help="SQLAlchemy URL of an empty database; otherwise SQLite")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.environ["SLURM_CONF"] = slurm_conf()
    top = Path(tempfile.mkdtemp(prefix="clif-bench-"))
    top.chmod(0o711)
    try:
        numbers = measure(arguments, top)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    if arguments.json:
        print(json.dumps(numbers))
        return
    for name, value in numbers.items():
        print(f"{name:44} {value:9.2f}")


def measure(arguments: argparse.Namespace, top: Path) -> dict[str, float]:
    """Do all of it; times in ms, memory in MiB."""
    url = arguments.database or f"sqlite:///{top / 'scale.db'}"
    environ = {
        "CLIF_CONFIG": str(top / "none.toml"), "CLIF_SERVER__STATE": str(top / "state"),
        "CLIF_SERVER__RUNTIME": str(top / "run"), "CLIF_SERVER__DATABASE": url, "CLIF_SCHEDULERS": "local,slurm",
    }  # fmt: skip
    start = time.perf_counter()
    with held_orders(arguments.jobs) as ids:
        submitted = time.perf_counter() - start
        store = Store(url)
        store.migrate()
        fill(store, ids, psutil.Process().username())
        scheduler = Timed(Slurm(), Defaults())
        engine = engine_on(store, scheduler)
        listing, own = ticks(engine, scheduler, 20)
        parts = served(environ, top / "server.log", arguments.seconds)
        before, after = growth(engine, scheduler, arguments.ticks)
        store.close()
    return {
        f"submitting {arguments.jobs:,} held orders, s": submitted,
        "one squeue of all, ms": listing * 1000,
        "a tick's own share, ms": own * 1000,
        "ratio": own / listing,
        **{f"memory of the server's {name}, MiB": size for name, size in sorted(parts.items())},
        "memory of this engine after 100 ticks, MiB": before,
        f"and after {arguments.ticks:,} more, MiB": after,
    }


if __name__ == "__main__":
    main()
