"""From a changed list of packages to the first output in a container, beside what people do otherwise, in one run.

Each round changes the list (numpy, pandas and another one, which changes every time) and takes all ways in turn:

pip        `docker build` with the older builder and pip on a cached base, then `docker run`
buildkit   BuildKit with uv and a cache mount on the same base, then `docker run`
docker     this store, loaded into the engine as its new layer alone, then `docker run`
mounted    this store's directory, in bubblewrap
ready      the part of `mounted` before anything runs: resolved, locked, installed, compiled, flushed to disk
limit      `uv pip install --target` of the same names, hardlinked; no lock, no bytecode, no container, no run
bare       the same of a lock, with everything downloaded: not even resolving

Each of the first six starts from the same: the names of packages, a cache that has what was there before, and a package
that it must resolve and download. What an index says is asked for each time, unless the index allows otherwise; this
store believes it for ten minutes. Where an installation is cached (`buildkit`, `docker`, `mounted`, `limit`, `bare`) it
has a cache of its own, and `docker` and `mounted` a store each: in one the second would find what the first has just
built. pip and BuildKit compile bytecode as this store does, so that the first output comes of equal things.

`added` is the same with one package more than an environment that is there already. Absolute times move with the
machine and its network; the ratios are what is looked at, of the same round. Behind the seconds are those of the
processor, as far as this program and what it starts have used them: an engine's work, and what runs in a container, is
not among them. The base is made before anything is measured.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uv import find_uv_bin

from cluster_interface.images import Store
from cluster_interface.images.faces.engine import BuildFailed, Engine
from cluster_interface.images.sandbox import find_program
from cluster_interface.model.jobspec import Environment
from cluster_interface.ports import Face
from cluster_interface.settings import Images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.model.job import Progress

ALWAYS = ("numpy", "pandas")
CHANGING = ("toolz", "attrs", "idna", "tabulate", "more-itertools", "colorama", "sortedcontainers", "humanize", "tomli")
SCRIPT = "import numpy, pandas; print(numpy.__version__, pandas.__version__, flush=True)"
WAYS = ("pip", "buildkit", "docker", "mounted", "limit", "bare")
WANTED = {
    "mounted against pip: at least 12x faster": ("pip", "mounted", 12.0),
    "docker against buildkit: faster": ("buildkit", "docker", 1.0),
    "mounted, its run included, against the limit: within 3x": ("limit", "mounted", 1 / 3),
    "mounted until it runs against the limit": ("limit", "ready", 1 / 3),
    "one added, mounted against buildkit: at least 10x faster": ("buildkit added", "mounted added", 10.0),
    "one added, docker against buildkit": ("buildkit added", "docker added", 1.0),
}
_PIP = "RUN python3 /pip.whl/pip install --quiet --disable-pip-version-check --target /opt/packages {packages}\n"
_UV = (
    "RUN --mount=type=cache,target=/cache /uv pip install --quiet --cache-dir /cache --link-mode copy "
    "--compile-bytecode --python /usr/bin/python3 --target /opt/packages {packages}\n"
)


class Bench:
    """A store of its own, and an engine with the base that the other ways start from."""

    def __init__(self, place: Path, source: Path | None) -> None:
        self.place = place
        self.store = Store(source or place / "store", Images())
        self.engine = Engine(os.environ.get("DOCKER_HOST"))
        bare = self.store.resolve(Environment(), "")
        self.store.build(bare, Face.DIRECTORY, _quiet)
        self.base = self.store.build(bare, Face.DOCKER, _quiet).tag or ""
        self.second = Store(place / "second", Images())  # the same base, as hard links
        made = self.store.find(bare, Face.DIRECTORY)
        assert made is not None and made.rootfs is not None  # noqa: PT018 - it was just built
        subprocess.run(["cp", "-al", str(made.rootfs.parent), str(place / "second/bases")], check=True)
        self._count = 0
        self._build(
            f"FROM {self.base}\nCOPY pip.whl uv ca.pem /\nENV SSL_CERT_FILE=/ca.pem PIP_CERT=/ca.pem\n"
            "ENV PYTHONPATH=/opt/packages\n",
            "clif-bench/base",
            buildkit=True,
            more=_tools(),
        )

    def pip(self, packages: Sequence[str]) -> None:
        """Build as people do who have one Dockerfile."""
        self._other(_PIP, packages, buildkit=False)

    def buildkit(self, packages: Sequence[str]) -> None:
        """Build as people do who know their tools."""
        self._other(_UV, packages, buildkit=True)

    def docker(self, packages: Sequence[str]) -> None:
        """Take the image from the store into the engine."""
        image = self.store.build(_lock(self.store, packages), Face.DOCKER, _quiet)
        _says(["docker", "run", "--rm", "--network=none", image.tag or "", "python3", "-c", SCRIPT])

    def mounted(self, packages: Sequence[str]) -> None:
        """Run in the store's own directory."""
        began = _now()
        image = self.second.build(_lock(self.second, packages), Face.DIRECTORY, _quiet)
        self.ready = _since(began)
        bwrap = [find_program() or "bwrap", "--unshare-all", "--ro-bind", str(image.rootfs), "/", "--proc", "/proc"]
        bwrap += ["--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind", str(image.layer), "/opt/env"]
        _says([*bwrap, "/opt/env/bin/python", "-c", SCRIPT])

    def limit(self, packages: Sequence[str]) -> None:
        """Resolve, download and install with the tool that this store uses, and nothing else."""
        self._uv("limit", ["--quiet", *packages])

    def bare(self, packages: Sequence[str]) -> None:
        """Install what is resolved and downloaded already."""
        lock = self.locked[tuple(packages)]
        self._uv("bare", ["--quiet", "--no-deps", "--require-hashes", "--offline", "--requirements=-"], lock)

    def _uv(self, way: str, words: Sequence[str], text: str = "") -> None:
        self._count += 1
        argv = [find_uv_bin(), "pip", "install", f"--target={self.place / f'target-{self._count}'}", *words]
        argv += ["--link-mode=hardlink", "--only-binary=:all:", f"--python={sys.executable}"]
        environ = {**os.environ, "UV_CACHE_DIR": str(self.place / f"{way}-cache"), "UV_NO_CONFIG": "1"}
        subprocess.run(argv, input=text, text=True, check=True, env=environ)

    locked: dict[tuple[str, ...], str] = {}
    ready = (0.0, 0.0)

    def ready_the_bare(self, packages: Sequence[str]) -> None:
        """Resolve for this machine's Python and download, which is not measured."""
        environ = {**os.environ, "UV_CACHE_DIR": str(self.place / "bare-cache"), "UV_NO_CONFIG": "1"}
        argv = [find_uv_bin(), "pip", "compile", "--quiet", "--generate-hashes", f"--python={sys.executable}", "-"]
        done = subprocess.run(argv, input="\n".join(packages), text=True, check=True, capture_output=True, env=environ)
        self.locked[tuple(packages)] = done.stdout
        target = self.place / "warming"
        argv = [find_uv_bin(), "pip", "install", "--quiet", f"--python={sys.executable}", f"--target={target}"]
        subprocess.run([*argv, "--requirements=-"], input=done.stdout, text=True, check=True, env=environ)
        shutil.rmtree(target)

    def close(self) -> None:
        """Take away what was made in the engine."""
        for name in ("clif-bench/out", "clif-bench/base"):
            self.engine.remove(name)

    def _other(self, line: str, packages: Sequence[str], *, buildkit: bool) -> None:
        text = f"FROM clif-bench/base\n{line.format(packages=' '.join(packages))}"
        self._build(text, "clif-bench/out", buildkit=buildkit)
        _says(["docker", "run", "--rm", "--network=none", "clif-bench/out", "python3", "-c", SCRIPT])

    def _build(self, text: str, tag: str, *, buildkit: bool, more: dict[str, bytes] | None = None) -> None:
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            for name, content in {"Dockerfile": text.encode(), **(more or {})}.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(content), 0o755
                archive.addfile(info, io.BytesIO(content))
        try:
            self.engine.build(data.getvalue(), tag, network="host", log=self.place / "build.log", buildkit=buildkit)
        except BuildFailed as error:
            sys.exit(f"the engine did not build {tag}:\n{str(error)[-2000:]}")


def main() -> None:
    """Measure, print a table and the ratios; 1 if a wanted one is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of every way")
    parser.add_argument("--store", type=Path, help="an image store to use, whose base is there; default: a new one")
    parser.add_argument("--ways", default=",".join(WAYS), help="those that are measured, with commas between")
    parser.add_argument("--json", action="store_true", help="print the seconds too, as JSON")
    wanted = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix="clif-bench-", dir=wanted.store.parent if wanted.store else None))
    top.chmod(0o755)
    bench = Bench(top, wanted.store)
    try:
        seconds = measure(bench, min(wanted.rounds, len(CHANGING) - 1), wanted.ways.split(","))
    finally:
        bench.close()
        shutil.rmtree(top, ignore_errors=True)
    if wanted.json:
        print(json.dumps(seconds))
    sys.exit(0 if show(seconds) else 1)


def measure(bench: Bench, rounds: int, ways: Sequence[str]) -> dict[str, list[tuple[float, float]]]:
    """Take all ways in turn, starting with another one each round; the first round only warms the caches.

    Seconds are of the clock and of the processor.
    """
    seconds: dict[str, list[tuple[float, float]]] = {}
    for number in range(rounds + 1):
        changed = [*ALWAYS, CHANGING[number]]
        added = [*changed, "six" if number % 2 else "cachetools"]
        if "bare" in ways:
            for packages in (changed, added):
                bench.ready_the_bare(packages)
        order = [*ways[number % len(ways) :], *ways[: number % len(ways)]]
        for suffix, packages in (("", changed), (" added", added)):
            for way in order:
                began = _now()
                getattr(bench, way)(packages)
                took = {way: _since(began), **({"ready": bench.ready} if way == "mounted" else {})}
                for name, (clock, processor) in took.items():
                    line = f"round {number}: {name}{suffix} {clock:.2f} s ({processor:.2f} s of the processor)"
                    print(line, file=sys.stderr, flush=True)
                    if number:
                        seconds.setdefault(f"{name}{suffix}", []).append((clock, processor))
    return seconds


def show(seconds: dict[str, list[tuple[float, float]]]) -> bool:
    """Print medians and ratios; say whether every wanted ratio is there."""
    for way, taken in seconds.items():
        clock, processor = (statistics.median(column) for column in zip(*taken, strict=True))
        print(
            f"{way:16} {clock:7.2f} s, {processor:.2f} of the processor ({', '.join(f'{one:.2f}' for one, _ in taken)})"
        )
    well = True
    for words, (slow, fast, least) in WANTED.items():
        if slow not in seconds or fast not in seconds:
            continue
        ratio = statistics.median(a / b for (a, _), (b, _) in zip(seconds[slow], seconds[fast], strict=True))
        well &= ratio >= least
        print(f"{words}: {ratio:.2f}x {'ok' if ratio >= least else 'MISSED'}")
    return well


def _lock(store: Store, packages: Sequence[str]) -> Any:
    return store.resolve(Environment.parse({"python": {"packages": list(packages)}}), "")


def _tools() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as home:
        argv = [find_uv_bin(), "pip", "install", "--quiet", f"--python={sys.executable}", f"--target={home}/pip", "pip"]
        subprocess.run(argv, check=True)
        pip = Path(shutil.make_archive(f"{home}/packed", "zip", f"{home}/pip")).read_bytes()
    authorities = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    return {
        "pip.whl": pip,
        "uv": Path(find_uv_bin()).read_bytes(),
        "ca.pem": Path(authorities).read_bytes(),
    }


def _now() -> tuple[float, float]:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used)


def _since(began: tuple[float, float]) -> tuple[float, float]:
    clock, processor = _now()
    return clock - began[0], processor - began[1]


def _says(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not done.stdout.strip():
        sys.exit(f"{argv[0]}: {done.stderr[-1000:]}")


def _quiet(progress: Progress) -> None:
    """Report to nobody."""


if __name__ == "__main__":
    main()
