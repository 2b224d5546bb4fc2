"""What jobs cost on a cluster beside the scheduler's own, as ratios of one run: on the testbed's Slurm, with docker.

(a) A sweep of no-op tasks, each of which may run a minute, against `sbatch --array … --wrap 'docker run … true'` and
    against the same array of a bare `true`: as packed by itself (never seen, then known) and as asked with --pack.
(b) As many single jobs, submitted one after the other, against a loop of `sbatch --wrap 'docker run … true'`.

Both sides ask for the same, run in the same image, and take turns; ours end when their outputs are collected. Medians
of the rounds; absolute times move with the machine, ratios less.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from overhead import image_of, own_server

import cluster_interface as ci

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).parent.parent
ASKED = {"cpus": 1, "time": 60, "queue": "main"}
SBATCH = ("sbatch", "--parsable", "--partition=main", "--cpus-per-task=1", "--mem=2G", "--time=1", "--output=/dev/null")
FAIR = "--network none --memory 2g --cpus 1 --read-only --cap-drop ALL --log-driver none"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--pack", type=int, default=25, help="of the sweep that says how it is to be packed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("sweep", "single"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.environ |= {"CLIF_SCHEDULERS": "slurm", "CLIF_SLURM__CONF": slurm_conf()}
    os.environ["SLURM_CONF"] = slurm_conf()
    with own_server('[queues.main]\nruntimes = ["docker"]\n[queues.short]\nhidden = true\n'), ci.connect() as cluster:
        rows: dict[str, float] = {}
        image = prepared(cluster)
        if arguments.only != "single":
            rows |= sweeps(cluster, image, arguments.tasks, arguments.pack, arguments.rounds)
        if arguments.only != "sweep":
            rows |= singles(cluster, image, arguments.tasks, arguments.rounds)
    if arguments.json:
        print(json.dumps(rows))
        return
    print(f"load {' '.join(f'{load:.1f}' for load in os.getloadavg())}, {os.cpu_count()} processors")
    for name, seconds in rows.items():
        print(f"{name:46} {seconds:7.2f}s")
    for name, (ours, theirs) in RATIOS.items():
        if ours in rows:
            print(f"{name:46} {rows[ours] / rows[theirs]:7.2f}")


RATIOS = {
    "sweep, first time / docker array": ("sweep, first time", "array of docker run"),
    "sweep, known / docker array": ("sweep, known", "array of docker run"),
    "sweep, --pack / docker array": ("sweep, --pack", "array of docker run"),
    "sweep, known / array of true": ("sweep, known", "array of true"),
    "single jobs / loop of docker run": ("single jobs", "loop of docker run"),
}


def slurm_conf() -> str:
    """Start the testbed's Slurm and return where its configuration is."""
    subprocess.run([PROJECT / "testbed/slurm", "start"], check=True, stdout=sys.stderr)
    said = subprocess.run([PROJECT / "testbed/slurm", "env"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"SLURM_CONF=(\S+)", said)
    return found[1] if found else sys.exit("the testbed's Slurm is not up")


def prepared(cluster: ci.Cluster) -> str:
    """Run one job, so that everything is there; return the name of its image."""
    first = cluster.submit({"command": "true", "resources": ASKED}).wait()
    if first.state != "completed":
        sys.exit(f"the first job is {first.state}: {first.reason}")
    return image_of(cluster, first.id)


def sweeps(cluster: ci.Cluster, image: str, tasks: int, pack: int, rounds: int) -> dict[str, float]:
    """Time a sweep, however it is packed, and the arrays."""
    docker = f"docker run --rm {FAIR} {image} true"
    names = iter(range(10_000))

    def known() -> None:
        sweep(cluster, tasks, "known")

    sides: dict[str, Callable[[], Any]] = {
        "sweep, first time": lambda: sweep(cluster, tasks, f"new{next(names)}"),
        "sweep, known": known,
        "sweep, --pack": lambda: sweep(cluster, tasks, "packed", pack=pack),
        "array of docker run": lambda: ended([sbatch(docker, f"--array=1-{tasks}")]),
        "array of true": lambda: ended([sbatch("true", f"--array=1-{tasks}")]),
    }
    known()
    return alternated(sides, rounds)


def singles(cluster: ci.Cluster, image: str, jobs: int, rounds: int) -> dict[str, float]:
    """Time single jobs, ours and Slurm's own."""
    docker = f"docker run --rm {FAIR} {image} true"

    def ours() -> None:
        for job in [cluster.submit({"command": "true", "resources": ASKED}) for _ in range(jobs)]:
            if job.wait().state != "completed":
                sys.exit(f"a job is {job.state}: {job.reason}")

    sides = {"single jobs": ours, "loop of docker run": lambda: ended([sbatch(docker) for _ in range(jobs)])}
    return alternated(sides, rounds)


def alternated(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Time the sides in turn; return the median of each."""
    took: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, side in sides.items() if number % 2 == 0 else reversed(sides.items()):
            start = time.perf_counter()
            side()
            took[name].append(time.perf_counter() - start)
            print(f"{name}: {took[name][-1]:.2f}s, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
            calm()
    return {name: median(seconds) for name, seconds in took.items()}


def calm() -> None:
    """Wait until nothing of a side is left: containers being removed, Slurm's own tidying."""
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(["sh", "-c", "while docker ps -aq | grep -q .; do sleep 0.2; done"], timeout=10, check=False)
    time.sleep(1)


def sweep(cluster: ci.Cluster, tasks: int, name: str, pack: int | None = None) -> None:
    """Run a sweep of no-op tasks to its end."""
    spec = {
        "command": "true",
        "name": name,
        "resources": ASKED,
        "sweep": {"parameters": {"n": list(range(tasks))}, **({"pack": pack} if pack else {})},
    }
    job = cluster.submit(spec).wait()
    if job.state != "completed":
        sys.exit(f"a sweep is {job.state}: {job.reason}")
    print(f"{name}: packed by {job.data['spec']['sweep']['pack']}", file=sys.stderr)


def sbatch(command: str, *more: str) -> str:
    """Hand a command to Slurm; return its id."""
    return subprocess.run(
        [*SBATCH, *more, "--wrap", command], capture_output=True, text=True, check=True
    ).stdout.strip()


def ended(jobs: list[str]) -> None:
    """Wait for the end of Slurm's jobs: a look each half second, as ours has it."""
    while True:
        shown = subprocess.run(
            ["squeue", "--noheader", "--jobs", ",".join(jobs), "--format=%T"],
            capture_output=True,
            text=True,
            check=True,
        )
        if not shown.stdout.strip():
            return
        time.sleep(0.5)


if __name__ == "__main__":
    main()
