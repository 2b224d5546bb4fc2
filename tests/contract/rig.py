"""A node of the tests' own: an image, a spool with its dispatcher as a process, job directories."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import threading
import time
import traceback
from importlib import resources
from pathlib import Path

from tests.conftest import CACHE, locked, wait_for

from cluster_interface.adapters.runtimes import make, script
from cluster_interface.adapters.schedulers import cgroups
from cluster_interface.adapters.schedulers.dispatcher import Dispatcher
from cluster_interface.adapters.schedulers.local import LocalScheduler
from cluster_interface.images.rootfs import finish
from cluster_interface.model.job import Account
from cluster_interface.model.parameters import parameter_lines
from cluster_interface.model.plan import Ask
from cluster_interface.ports import Face, Handle, ImageRef, NativeState, Order, Run
from cluster_interface.settings import Defaults, Local

MIB = 2**20
NAME = "rig-2"  #: another number where what every image gets is another
TAG = f"clif-test-{NAME}:latest"
ARCHIVE = CACHE / "rig-python3.tar"  #: of what it is made


def image(face: Face) -> ImageRef:
    """A Debian with a Python, made once for all tests."""
    rootfs, packed = CACHE / NAME, CACHE / f"{NAME}.squashfs"
    ref = ImageRef(key=NAME, face=face, rootfs=rootfs, tag=TAG, file=packed)
    if os.geteuid() != 0:
        return ref  # made by the test before it became somebody else
    with locked(NAME):
        if not rootfs.exists():
            CACHE.chmod(0o755)
            fresh = CACHE / f"{NAME}.new"
            if not ARCHIVE.exists():
                made = ARCHIVE.with_suffix(".new.tar")
                mmdebstrap = ["mmdebstrap", "--variant=minbase", "--include=python3", "bookworm", made]
                subprocess.run(mmdebstrap, check=True, capture_output=True)
                made.rename(ARCHIVE)
            fresh.mkdir(exist_ok=True)
            subprocess.run(["tar", "-C", fresh, "--exclude=./dev/*", "-xf", ARCHIVE], check=True)
            finish(fresh, None)  # places to mount on, as every base of the store has them
            fresh.rename(rootfs)
        if face is Face.SQUASHFS and not packed.exists():
            squash = ["mksquashfs", rootfs, f"{packed}.new", "-all-root", "-quiet", "-no-progress", "-comp", "gzip"]
            subprocess.run([*squash, "-Xcompression-level", "1"], check=True, capture_output=True)
            Path(f"{packed}.new").rename(packed)
        if (
            face is Face.DOCKER
            and subprocess.run(["docker", "image", "inspect", TAG], capture_output=True, check=False).returncode
        ):
            whole = CACHE / f"{NAME}.tar"
            subprocess.run(["tar", "-C", rootfs, "-cf", whole, "."], check=True)
            subprocess.run(["docker", "import", whole, TAG], check=True, capture_output=True)
            whole.unlink()
    return ref


def account_of(name: str) -> Account:
    """An account of this machine as a value."""
    entry = pwd.getpwnam(name)
    return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid, home=entry.pw_dir, groups=(entry.pw_gid,))


def as_account(name, body):
    """Run `body()` in a child that has become the account; what it raises is raised here."""
    account = account_of(name)
    for part in resources.files("cluster_interface.adapters.runtimes").iterdir():
        if part.name.endswith(".sh"):
            script.shipped(part.name)  # while we may read them
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            os.setsid()
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
            os.environ["HOME"] = account.home
            cgroups.mounts.cache_clear()
            body()
        except BaseException:  # noqa: BLE001 - a forked child stays in here
            os.write(writer, traceback.format_exc().encode()[-60000:])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        words = pipe.read().decode()
    os.waitpid(pid, 0)
    assert not words, words


def ask(**changes) -> Ask:
    """A small task's resources."""
    defaults = {
        "cpus": 1,
        "memory": 256 * MIB,
        "time": 60,
        "queue": "local",
        "runtime": "bubblewrap",
        "disk": 2**30,
        "pids": 128,
    }
    return Ask(**{**defaults, **changes})


class Node:
    """A spool and its dispatcher."""

    def __init__(self, place: Path, account: Account, **settings):
        self.place, self.account = place, account
        self.settings = Local(**settings)
        self.spool = place / "spool"
        self.scheduler = LocalScheduler(self.spool, self.settings, Defaults())
        self.pid: int | None = None
        self.keep = 86400.0
        self.reap = lambda name: (place / f"reaped.{name}").touch()
        self.count = 0

    def start(self) -> None:
        """Start the dispatcher as a process, as whoever we are."""
        self.pid = os.fork()
        if self.pid == 0:
            try:
                stop = threading.Event()
                signal.signal(signal.SIGTERM, lambda *_: stop.set())
                Dispatcher(self.spool, self.settings, reap=self.reap, keep=self.keep).run(stop)
            except BaseException:  # noqa: BLE001 - a forked child stays in here
                traceback.print_exc()
                os._exit(1)
            os._exit(0)

    def end(self, number: int = signal.SIGTERM) -> None:
        """End the dispatcher."""
        if self.pid:
            os.kill(self.pid, number)
            self.scheduler._spool.wake()
            os.waitpid(self.pid, 0)
            self.pid = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        """Cancel what is left, so that no test leaves processes behind."""
        if self.pid is None:
            self.start()
        listed = [(mark, directory) for _, mark, directory in self.scheduler._spool.list()]
        handles = [Handle(mark=m, account=self.scheduler._spool.order(d)[0].account.name) for m, d in listed]
        for handle in handles:
            self.scheduler.cancel(handle)
        wait_for(lambda: all(self.ended(h) for h in handles))
        if cgroups.works():
            wait_for(lambda: not cgroups.leftovers(self.spool))
        self.end()

    def order(self, text: str, mark: str | None = None, elements: int = 1, **asked) -> Order:
        """An order for a script as it stands."""
        more = {name: asked.pop(name) for name in ("offset", "max_running", "node") if name in asked}
        self.count += 1
        mark = mark or f"ci-{self.place.name}-{self.count}"
        home = self.place / mark
        home.mkdir(parents=True)
        path = home / "job.sh"
        path.write_text(text)
        if os.geteuid() == 0:
            os.chown(home, self.account.uid, self.account.gid)
        asked = ask(**asked)
        return Order(
            script=path, mark=mark, account=self.account, ask=asked, time=asked.time, elements=elements,
            log=home / "job.log", **more,
        )  # fmt: skip

    def run(self, text: str, **more) -> Handle:
        """Submit a script and return by what it is known again."""
        return self.submit(self.order(text, **more))

    def submit(self, order: Order) -> Handle:
        """Submit an order and return by what it is known again."""
        return Handle(mark=order.mark, account=order.account.name, native_id=self.scheduler.submit(order))

    def task(self, handle: Handle, element: int = 0):
        """What the scheduler says of an element."""
        return self.scheduler.observe([handle])[handle.mark][element]

    def ended(self, handle: Handle) -> bool:
        """Whether all elements have ended."""
        return all(s.state is NativeState.ENDED for s in self.scheduler.observe([handle])[handle.mark].values())

    def until_ended(self, handle: Handle, seconds: float = 60):
        """Wait for the end of all elements; return what is seen of the first."""
        wait_for(lambda: self.ended(handle), seconds, 0.01)
        return self.task(handle)

    def until_running(self, handle: Handle, element: int = 0):
        """Wait until an element runs."""
        wait_for(lambda: self.task(handle, element).state is NativeState.RUNNING, 60, 0.01)


def runtime_named(name: str, grace: int = 2):
    """The runtime as the server would have it here; grace: seconds, more where a program is to end in its own way."""
    return make(name, None, cgroups=cgroups.works(), grace=grace)


class Box:
    """One job of a runtime: its directory, and what came of it."""

    def __init__(
        self, node: Node, runtime, command: str, tasks: int = 1, image_ref=None, elements=None, rows=None, **more
    ):
        self.node, self.runtime = node, runtime_named(runtime) if isinstance(runtime, str) else runtime
        runtime = self.runtime.name
        asked = {name: more.pop(name) for name in list(more) if name in Ask.model_fields}
        self.ask = ask(**{"runtime": runtime, **asked})
        node.count += 1
        self.mark = f"ci-{node.place.name}-box{node.count}"
        self.dir = node.place / "jobs" / self.mark
        self.attempt = self.dir / "attempts/1"
        for part in (
            "inputs",
            *(f"tasks/{n}" for n in range(tasks)),
            "attempts/1/claim",
            "attempts/1/status",
            "attempts/1/log",
        ):
            (self.dir / part).mkdir(parents=True)
        self.run = Run(
            mark=self.mark, job_dir=self.dir, attempt=1, image=image_ref or (image(self.runtime.face) if self.runtime.face else None), command=command,
            account=node.account, ask=self.ask, tasks=tasks, parameters=tuple(rows[0]) if rows else (),
            packed=any(len(numbers) > 1 for numbers in elements or ()), **more,
        )  # fmt: skip
        if elements:
            lines = [" ".join(map(str, numbers)) + "\n" for numbers in elements]
            (self.attempt / "elements").write_text("".join(lines))
        if rows:
            (self.attempt / "parameters").write_text(parameter_lines(rows))
        self.script = self.attempt / "job.sh"
        self.script.write_text(self.runtime.job_script(self.run))
        self.handle, self.native_id = None, ""
        self.tasks, self.elements = tasks, elements or [[task] for task in range(tasks)]

    def start(self):
        """Hand it to the scheduler."""
        owner = self.node.account
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{owner.uid}:{owner.gid}", self.dir], check=True)
        self.dir.chmod(0o700)
        if self.runtime.runs_as == "server":
            entry = pwd.getpwuid(os.geteuid())
            owner = Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, home=entry.pw_dir)
        order = Order(
            script=self.script,
            mark=self.mark,
            account=owner,
            ask=self.ask,
            time=self.ask.time * max(map(len, self.elements)) + 5,
            elements=len(self.elements),
            log=self.attempt / "job.log",
        )
        self.handle = self.node.submit(order)
        self.native_id = self.handle.native_id
        return self

    def finish(self, seconds: float = 60):
        """Start it if need be and wait for its end; return its status."""
        if not self.handle:
            self.start()
        try:
            self.node.until_ended(self.handle, seconds)
        except AssertionError as error:
            error.add_note(self.stuck())
            raise
        return self.status()

    def stuck(self) -> str:
        """What there is to see of a job that does not end: its files, its words, and all processes."""
        files = [f"{path.relative_to(self.dir)} {path.stat().st_size}" for path in sorted(self.attempt.rglob("*"))]
        words = [self.out(task) + self.err(task) for task in range(self.tasks)]
        columns = "pid,ppid,pgid,user,stat,wchan:24,etimes,args"
        processes = subprocess.run(["ps", "-eo", columns], capture_output=True, text=True, check=False).stdout
        return "\n".join([*files, *words, *(line[:300] for line in processes.splitlines() if "]" not in line[-1:])])

    def cancel(self):
        """Have the scheduler end it."""
        self.node.scheduler.cancel(self.handle)

    def execute(self, *, also=None):
        """Run job.sh by itself, as whom it is to run as, with nothing of a scheduler around it; return the status.

        `also(process)` is called while it runs.
        """
        owner = self.node.account
        subprocess.run(["chown", "-R", f"{owner.uid}:{owner.gid}", self.dir], check=True)
        self.dir.chmod(0o700)
        become = ["setpriv", f"--reuid={owner.uid}", f"--regid={owner.gid}", "--clear-groups"]
        if self.runtime.runs_as == "server":
            become = []
        with (self.attempt / "job.log").open("ab") as log:
            argv = [*become, "env", "-i", "PATH=/usr/bin:/bin", "sh", str(self.script), "0"]
            process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/")
            if also:
                also(process)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired as error:
                error.add_note(self.stuck())
                process.kill()
                process.wait()
                self.runtime.reap(self.mark)
                raise
        return self.status()

    def status(self, task: int = 0):
        """The status file of a task, None if there is none."""
        path = self.attempt / f"status/{task}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def out(self, task: int = 0) -> str:
        """What the program printed."""
        path = self.attempt / f"log/{task}.out"
        return path.read_text() if path.exists() else ""

    def err(self, task: int = 0) -> str:
        """What the program complained of, and job.sh itself."""
        words = [
            path.read_text() for path in (self.attempt / f"log/{task}.err", self.attempt / "job.log") if path.exists()
        ]
        return "".join(words)

    def until_out(self, text: str, task: int = 0):
        """Wait until the program has printed something."""
        wait_for(lambda: text in self.out(task), 60, 0.02)


def gone(pid: int) -> bool:
    """Whether no living process has this pid."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def seconds_of(what) -> float:
    """How long `what()` takes."""
    begin = time.monotonic()
    what()
    return time.monotonic() - begin
