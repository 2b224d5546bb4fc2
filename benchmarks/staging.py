"""What staging costs beside the tools that people would use instead, as ratios of one run on one machine.

(a) Many small files and one large one of this machine, against `cp -a` and `rsync -a`, on disk at the end. A second
    ratio is to `cp -a` and `sha256sum` after it, which is what those do who want to know what they have.
(b) The same over HTTP on the loopback, against `curl`.
(c) A second job on what was downloaded, against `ln`.
(d) Outputs as one archive that is streamed, against `tar | zstd`, `tar | gzip` and `zip`.
(e) Many jobs that ask for the same file at the same moment: how often the server sends it.

Everything is verified by checksum on the way, which the others do not do, and the job's own directory is made beside
the inputs, with a link to each large file. Absolute times move with the machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from files_over_http import serving

from cluster_interface.adapters.works import DetachedWorks
from cluster_interface.model.filetree import FileEntry, Mode
from cluster_interface.model.job import Account
from cluster_interface.ports import Layout, WorkState
from cluster_interface.settings import Staging
from cluster_interface.staging import UploadStore, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cluster_interface.model.job import OutputFile
    from cluster_interface.ports import Form

PACKERS: dict[Form, str] = {
    "tar.zst": "tar -cf - . | zstd -q -3",
    "tar.gz": "tar -cf - . | gzip -5",
    "zip": "zip -q -r -5 - .",
}
LIMIT = 1.2  #: of the best of the others
CHECKED = "cp, sha256sum"


def account() -> Account:
    """Whom the jobs run as: nobody for root."""
    if os.geteuid() == 0:
        return Account(name="nobody", uid=65534, gid=65534)
    return Account(name="me", uid=os.geteuid(), gid=os.getegid())


def processors() -> float:
    """Return the seconds of the processors that this process and what it waited for have taken."""
    return sum(os.times()[:4])


class Bench:
    """Files to stage, and places to stage them to."""

    def __init__(self, top: Path, files: int, size: int, rounds: int) -> None:
        self.top, self.files, self.rounds = top, files, rounds
        self.small, self.large = top / "from/small", top / "from/large"
        for made in (self.small, self.large):
            made.mkdir(parents=True)
        (top / "from").chmod(0o755)
        for number in range(files):
            (self.small / f"{number:05}.txt").write_bytes(os.urandom(2048))
        with (self.large / "large.bin").open("wb") as file:
            block = os.urandom(2**20)
            for number in range(size // 2**20):
                file.write(number.to_bytes(8, "big") + block[8:])
        os.sync()
        self.number = 0
        self.results: dict[str, dict[str, float]] = {}

    def workspace(self, name: str = "jobs") -> Workspace:
        """Make a workspace with a cache of its own."""
        self.number += 1
        settings = Staging(allowed_networks=("127.0.0.0/8",), max_bytes=2**40)
        uploads = UploadStore(self.top / "uploads", 2**20)
        return Workspace(self.top / f"{name}{self.number}", uploads, settings, lambda _job: account())

    def stage(
        self, files: Mapping[str, FileEntry], workspace: Workspace | None = None, job: str = "job"
    ) -> Callable[[], None]:
        """Return what looks at files and stages them."""
        workspace = workspace or self.workspace()

        def run() -> None:
            pairs = [(info, files[info.path]) for info in workspace.check(job, files)]
            workspace.stage_in(job, pairs, Layout(tasks=1), lambda _progress: None)

        return run

    def command(self, *argv: str) -> Callable[[], None]:
        """Return what runs a command that ends with the place it fills, and waits until that is on the disk."""
        self.number += 1
        target = self.top / f"to{self.number}"
        target.mkdir()

        def run() -> None:
            subprocess.run([part.replace("{}", str(target)) for part in argv], check=True, cwd=target)
            os.sync() if len(list(target.iterdir())) > 1 else subprocess.run(["sync", "-f", str(target)], check=True)

        return run

    def checked(self, source: Path) -> Callable[[], None]:
        """Return what copies and then takes the checksums of the copies."""
        words = f"cp -a {source} {{}}/ && find {{}} -type f -print0 | xargs -0 sha256sum > /dev/null"
        return self.command("sh", "-c", words)

    def compare(self, title: str, rivals: Mapping[str, Callable[[], Callable[[], None]]]) -> None:
        """Run each in turn, several times, and keep the best of each."""
        best: dict[str, float] = {}
        least: dict[str, float] = {}  # seconds of the processors
        for _ in range(self.rounds):
            for name, make in rivals.items():
                run = make()
                os.sync()
                begin, busy = time.perf_counter(), processors()
                run()
                best[name] = min(best.get(name, 1e9), time.perf_counter() - begin)
                least[name] = min(least.get(name, 1e9), processors() - busy)
                self.make_room()
        self.clean()
        shown = "  ".join(f"{name} {took:.2f} s ({least[name]:.2f} of CPU)" for name, took in best.items())
        best["ratio"] = best["clif"] / min(took for name, took in best.items() if name not in ("clif", CHECKED))
        words = f"ratio {best['ratio']:.2f}"
        if CHECKED in best:
            best["ratio, checked"] = best["clif"] / best[CHECKED]
            words += f" (to what is checked {best['ratio, checked']:.2f})"
        self.results[title] = best
        print(f"{title:42} {shown}  {words}", flush=True)

    def make_room(self) -> None:
        """Cut large files short. Removing thousands would make the next ones slow: ext4 shuns fresh inode numbers."""
        for path in self.top.glob("[tj]o*/**/*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_size > 2**20:
                path.chmod(0o600)
                os.truncate(path, 0)

    def clean(self) -> None:
        """Remove what was made."""
        for path in (*self.top.glob("to*"), *self.top.glob("jobs*")):
            shutil.rmtree(path, ignore_errors=True)

    # --- what is compared

    def here(self) -> None:
        """Copy files of this machine."""
        linked = {"in/": FileEntry(source=f"file:{self.small}", mode=Mode.LINK)}
        self.compare(
            f"{self.files} small files of this machine",
            {
                "cp": lambda: self.command("cp", "-a", str(self.small), "{}/"),
                "rsync": lambda: self.command("rsync", "-a", str(self.small), "{}/"),
                CHECKED: lambda: self.checked(self.small),
                "clif": lambda: self.stage(linked),
            },
        )
        one = {"large.bin": FileEntry(source=f"file:{self.large}/large.bin")}
        self.compare(
            "one large file of this machine",
            {
                "cp": lambda: self.command("cp", "-a", str(self.large / "large.bin"), "{}/"),
                "rsync": lambda: self.command("rsync", "-a", str(self.large / "large.bin"), "{}/"),
                CHECKED: lambda: self.checked(self.large / "large.bin"),
                "clif": lambda: self.stage(one),
            },
        )

    def archive(self) -> None:
        """Stream what is there as an archive, to nowhere."""
        text = self.top / "text"
        text.mkdir()
        words = [os.urandom(4).hex()[: 3 + number % 6] for number in range(4096)]
        for number in range(8):
            lines = [" ".join(random.choices(words, k=16)) for _ in range(2**18)]
            (text / f"{number}.txt").write_text("\n".join(lines))
        for what, source in (("large files of text", text), ("small files", self.small)):
            workspace = self.workspace("kept")
            workspace.stage_in("job", [], Layout(tasks=1), lambda _progress: None)
            shutil.copytree(source, workspace.directory("job") / "tasks/0", dirs_exist_ok=True)
            outputs, _ = workspace.collect("job", 1, None, lambda _progress: None)
            for form, argv in PACKERS.items():
                shell = f"cd {source} && {argv} > /dev/null"
                rivals = {
                    argv: partial(self.command, "sh", "-c", shell),
                    "clif": partial(self.packed, workspace, outputs, form),
                }
                self.compare(f"{form} of {len(outputs)} {what}", rivals)

    def packed(self, workspace: Workspace, outputs: list[OutputFile], form: Form) -> Callable[[], None]:
        """Return what streams outputs as an archive."""

        def run() -> None:
            for _ in workspace.archive("job", [(one.path, one) for one in outputs], form):
                pass

        return run

    def web(self) -> None:
        """Fetch them over HTTP."""
        with serving(self.top / "from") as (url, _):
            names = [path.name for path in sorted(self.small.iterdir())]
            config = self.top / "urls"
            config.write_text("".join(f'url = "{url}/small/{name}"\noutput = "{name}"\n' for name in names))
            small = {f"in/{name}": FileEntry(source=f"{url}/small/{name}", mode=Mode.LINK) for name in names}
            self.compare(
                f"{self.files} small files over HTTP",
                {
                    "curl": lambda: self.command("curl", "-s", "-S", "-K", str(config)),
                    "clif": lambda: self.stage(small),
                },
            )
            large = {"large.bin": FileEntry(source=f"{url}/large/large.bin")}
            self.compare(
                "one large file over HTTP",
                {
                    "curl": lambda: self.command("curl", "-s", "-S", "-o", "large.bin", f"{url}/large/large.bin"),
                    "clif": lambda: self.stage(large),
                },
            )
            workspace = self.workspace()
            self.stage(large, workspace)()
            again: list[float] = []
            for number in range(5):
                run = self.stage(large, workspace, f"again{number}")
                begin = time.perf_counter()
                run()
                again.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            subprocess.run(["ln", str(self.large / "large.bin"), str(self.large / "link")], check=True)
            ln = time.perf_counter() - begin
            self.results["a second job on it"] = {"clif": min(again), "ln": ln}
            print(f"{'a second job on it':42} clif {min(again) * 1000:.1f} ms  ln {ln * 1000:.1f} ms", flush=True)
            shutil.rmtree(workspace.directory("x").parent)

    def together(self, jobs: int) -> None:
        """Let many jobs, each in a process of its own as the engine starts them, ask for one file."""
        (self.top / "from/shared.bin").write_bytes(os.urandom(32 * 2**20))
        checksum = hashlib.sha256((self.top / "from/shared.bin").read_bytes()).hexdigest()
        with serving(self.top / "from") as (url, handler):
            workspace = self.workspace()
            files = {"shared.bin": FileEntry(source=f"{url}/shared.bin")}
            works = DetachedWorks(
                self.top / "works", {"inputs": lambda request, _report: self.stage(files, workspace, request["job"])()}
            )
            names = [f"job{number}" for number in range(jobs)]
            begin = time.perf_counter()
            for name in names:
                works.start(name, "inputs", {"job": name})
            left = set(names)
            while left:
                for name in list(left):
                    work = works.look(name)
                    if work.state is WorkState.FAILED:
                        raise SystemExit(f"{name}: {work.error}")
                    if work.state is WorkState.DONE:
                        left.remove(name)
                time.sleep(0.05)
            took = time.perf_counter() - begin
            staged = [workspace.directory(name) / "inputs/shared.bin" for name in names]
            inodes = len({path.stat().st_ino for path in staged})
            right = hashlib.sha256(staged[-1].read_bytes()).hexdigest() == checksum
            self.results["together"] = {"jobs": jobs, "downloads": handler.sent.value, "files": inodes, "seconds": took}
            words = f"{handler.sent.value} downloads, {inodes} files on disk, {took:.1f} s, right: {right}"
            print(f"{f'{jobs} jobs at once on one file':42} {words}", flush=True)
            shutil.rmtree(workspace.directory("x").parent)


def main() -> None:
    """Measure, print, and say by the exit status whether anything is slower than promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=2 * 2**30, help="bytes of the large file")
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["here", "web", "archive", "together"])
    parser.add_argument("--json", type=Path, help="write the figures there")
    wanted = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix="clif-bench-", dir="/var/tmp"))
    top.chmod(0o755)
    try:
        bench = Bench(top, wanted.files, wanted.size, wanted.rounds)
        if wanted.only in (None, "here"):
            bench.here()
        if wanted.only in (None, "web"):
            bench.web()
        if wanted.only in (None, "archive"):
            bench.archive()
        if wanted.only in (None, "together"):
            bench.together(wanted.jobs)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    if wanted.json:
        wanted.json.write_text(json.dumps(bench.results, indent=2))
    slow = [title for title, found in bench.results.items() if found.get("ratio", 0) > LIMIT]
    print(f"slower than {LIMIT} times the best of the others: {', '.join(slow) or 'nothing'}")
    sys.exit(bool(slow) or bench.results.get("together", {}).get("downloads", 1) != 1)


if __name__ == "__main__":
    main()
