"""What a job costs beside a bare `docker run`, as ratios of one run on one machine.

(a) Twenty no-op jobs through REST against twenty `docker run --rm` of the same image, one after the other.
(b) A script to its first line of output: the second `clif run` against `docker run` of the same image and script.

A server of its own on a private state directory serves it, and is gone afterwards. Absolute times move with the
machine; the ratios say whether the engine got slower.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from serving import CLIF, serving

import cluster_interface as ci

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = 'import numpy\nprint("numpy", numpy.__version__, flush=True)\n'


@contextmanager
def own_server(config: str = "") -> Iterator[Path]:
    """Serve from a private directory; end the server and remove everything afterwards."""
    top = Path(tempfile.mkdtemp(prefix="clif-bench-"))
    top.chmod(0o711)  # where the job account passes through
    (top / "config.toml").write_text(config)
    environ = {
        "CLIF_CONFIG": str(top / "config.toml"),
        "CLIF_SERVER__STATE": str(top / "state"),
        "CLIF_SERVER__RUNTIME": str(top / "run"),
        "CLIF_IMAGES__STORE": os.environ.get("CLIF_IMAGES__STORE", str(top / "images")),
        "CLIF_RUNTIME": "docker",
    }
    try:
        with serving(environ, top / "server.log"):
            yield top
    finally:
        for image in USED - BEFORE:
            subprocess.run(["docker", "image", "rm", image], capture_output=True, check=False)
        shutil.rmtree(top, ignore_errors=True)


def docker_images() -> list[str]:
    """List the engine's images as name:tag."""
    argv = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()


BEFORE = set(docker_images())
USED: set[str] = set()  #: what this run's jobs ran in; other people's images come and go meanwhile


def image_of(cluster: ci.Cluster, job: str) -> str:
    """Return the engine's name of a job's image: the one whose name carries the image's key."""
    plan = cluster.job(job).data["plan"]
    key = plan["lock"]["image"]
    for name in docker_images():
        if key[:12] in name:
            USED.add(name)
            return name
    sys.exit(f"docker has no image of key {key}; it has: {', '.join(docker_images())}")


def no_ops(cluster: ci.Cluster, count: int) -> tuple[float, float]:
    """Return seconds for `count` no-op jobs, and for as many `docker run --rm`."""
    first = cluster.submit({"command": "true"}).wait()
    if first.state != "completed":
        sys.exit(f"the first job is {first.state}: {first.reason}")
    image = image_of(cluster, first.id)

    start = time.perf_counter()
    for job in [cluster.submit({"command": "true"}) for _ in range(count)]:
        job.wait()
    ours = time.perf_counter() - start

    start = time.perf_counter()
    for _ in range(count):
        subprocess.run(["docker", "run", "--rm", "--network=none", image, "true"], check=True, capture_output=True)
    return ours, time.perf_counter() - start


def first_lines(cluster: ci.Cluster, directory: Path) -> tuple[float, float]:
    """Return seconds until the first line of output: of a second `clif run`, and of `docker run`."""
    script = directory / "version.py"
    script.write_text(SCRIPT)
    script.chmod(0o644)
    ours = [str(CLIF), "run", str(script)]
    subprocess.run(ours, cwd=directory, check=True, capture_output=True)
    image = image_of(cluster, "last")
    bare = ["docker", "run", "--rm", "--network=none", "-v", f"{script}:/job/version.py:ro", "-w", "/job", image]
    return until(ours, b"numpy", directory), until([*bare, "/opt/env/bin/python", "version.py"], b"numpy", directory)


def until(argv: list[str], words: bytes, directory: Path) -> float:
    """Return seconds until a program prints a line that begins with `words`."""
    start = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=directory) as process:
        for line in process.stdout or ():
            if line.startswith(words):
                seconds = time.perf_counter() - start
                process.communicate()
                return seconds
    sys.exit(f"{argv[0]} ended with {process.returncode} and never printed {words.decode()!r}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with own_server() as top, ci.connect() as cluster:
        rows = {
            f"{arguments.jobs} no-op jobs": no_ops(cluster, arguments.jobs),
            "first line of a script": first_lines(cluster, top),
        }
    if arguments.json:
        print(json.dumps({name: {"clif": ours, "docker": bare} for name, (ours, bare) in rows.items()}))
        return
    print(f"{'':24} {'clif':>8} {'docker':>8} {'ratio':>6}")
    for name, (ours, bare) in rows.items():
        print(f"{name:24} {ours:7.2f}s {bare:7.2f}s {ours / bare:6.2f}")


if __name__ == "__main__":
    main()
