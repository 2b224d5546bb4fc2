"""Servers of the tests' own: private state, real engine, scheduler and runtimes, as root or as an ordinary user."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import hypothesis
import psutil
import pytest

#: fixtures of the testbed's parts, stores on each database, and browsers
pytest_plugins = ["tests.campus", "tests.databases", "tests.browser.opening"]

hypothesis.settings.register_profile("here", deadline=None)  # two tests at once share two cores
hypothesis.settings.load_profile("here")

PROJECT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("CLIF_TEST_CACHE", "/var/tmp/clif-test-cache"))
ORDINARY = "clif-test"  #: the account of tests as an ordinary user
RUNTIMES = ("docker", "bubblewrap")


def wait_for(what, seconds=60.0, pause=0.05):
    """Return the first true answer of `what()`; fail with its name when time is up."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what.__doc__ or what}"
        time.sleep(pause)
    return answer


class Server:
    """cluster-interface on a state directory of its own, driven by its own command line."""

    def __init__(self, directory: Path, runtime: str | None, account: str | None = None, python: str = sys.executable):
        self.directory, self.account, self.python = directory, account, python
        self.state, self.log = directory / "state", directory / "server.log"
        entry = pwd.getpwnam(account) if account else pwd.getpwuid(os.geteuid())
        store = CACHE / f"images-{entry.pw_name}"
        for made in (directory, directory / "home", directory / "work", store):
            made.mkdir(parents=True, exist_ok=True)
            os.chown(made, entry.pw_uid, entry.pw_gid)
        self.env = {
            name: value for name, value in os.environ.items() if not name.startswith(("CLIF_", "XDG_", "PYTHON"))
        } | {
            "HOME": str(directory / "home"),
            "CLIF_CONFIG": str(directory / "config.toml"),
            "CLIF_SERVER__STATE": str(self.state),
            "CLIF_SERVER__RUNTIME": str(directory / "run"),
            "CLIF_IMAGES__STORE": str(store),
        }
        if runtime:
            self.env["CLIF_RUNTIME"] = runtime
        self.work = directory / "work"
        self.process: subprocess.Popen | None = None

    def argv(self, *arguments: str) -> list[str]:
        """The command line of `clif`, run as this server's account."""
        become = []
        if self.account:
            entry = pwd.getpwnam(self.account)
            become = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
        return [*become, self.python, "-m", "cluster_interface.main", *arguments]

    def start(self) -> None:
        """Start `clif serve` and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv("serve"), env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/",
                start_new_session=True,
            )  # fmt: skip
        wait_for(self.answers)

    def answers(self) -> bool:
        """Say whether this server answers (asked without the command line, which would start another)."""
        assert self.process is None or self.process.poll() is None, self.log.read_text()[-3000:]
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asker:
            asker.settimeout(30)
            asker.connect(str(self.directory / "run/api.sock"))
            asker.sendall(b"GET /api/v1/me HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return b" 200 " in asker.recv(64)
        return False

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything it started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            top = psutil.Process(self.process.pid)
            return [top, *top.children(recursive=True)]
        return []

    def part(self, name: str) -> psutil.Process:
        """One part: engine, web or dispatcher; waited for, since it may just be starting again."""

        def find():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                return next((p for p in self.processes() if p.cmdline()[-2:] == ["--part", name]), None)
            return None

        return wait_for(find)

    def kill(self) -> None:
        """Kill the supervisor without a word; its parts must end by themselves."""
        parts = self.processes()
        self.process.kill()
        self.process.wait()
        psutil.wait_procs(parts, timeout=20)

    def stop(self) -> None:
        """End it politely."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def clif(self, *arguments: str, timeout: float = 600, cwd: Path | None = None, **options):
        """Run a command of the command line; text in and out."""
        return subprocess.run(
            self.argv(*map(str, arguments)), env=self.env, cwd=cwd or self.work, text=True, errors="surrogateescape",
            capture_output=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL, **options,
        )  # fmt: skip

    def json(self, *arguments: str):
        """Run a command with --json and parse what it prints."""
        done = self.clif(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def submit(self, script: str, *arguments: str, name: str = "job.sh", **files: str) -> str:
        """Submit a script written on the spot; return the job's id."""
        self.write(name, script)
        done = self.clif("submit", *arguments, name)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[-1]

    def write(self, name: str, text: str) -> Path:
        """Write a file into the working directory."""
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def state_of(self, job: str) -> str:
        """The job's state now."""
        return self.json("status", job)["state"]

    def until(self, job: str, *states: str, seconds: float = 120) -> dict:
        """Wait until the job is in one of these states, and return it."""

        def look():
            view = self.json("status", job)
            assert view["state"] in states or view["state"] not in ("completed", "failed", "canceled"), view["reason"]
            return view if view["state"] in states else None

        look.__doc__ = f"job {job} to be {states}"
        return wait_for(look, seconds)


def containers(mark: str) -> list[str]:
    """Names of the Docker containers, running or not, whose name has this mark in it."""
    done = subprocess.run(
        ["docker", "ps", "-a", "--format", "{{.Names}}", "--filter", f"name={mark}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@contextlib.contextmanager
def locked(name: str):
    """Hold a lock that all test processes share."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def ordinary() -> str:
    """The name of an unprivileged account, made if it is not there."""
    assert os.geteuid() == 0, "these tests are run as root: they also try things as an ordinary user"
    with locked("account"):
        try:
            pwd.getpwnam(ORDINARY)
        except KeyError:
            subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", ORDINARY], check=True)
    return ORDINARY


@pytest.fixture(scope="session")
def installed() -> str:
    """A Python with this project installed where every account may read it (the clone may lie in a private place)."""
    home = CACHE / "installed"
    uv = Path(sys.executable).parent / "uv"
    with locked("installed"):
        wheels = CACHE / "wheels"
        shutil.rmtree(wheels, ignore_errors=True)
        quiet = {"check": True, "capture_output": True, "cwd": PROJECT}
        subprocess.run([uv, "build", "--wheel", "--quiet", "--out-dir", wheels], **quiet)
        if not (home / "bin/python").exists():
            subprocess.run([uv, "venv", "--quiet", "--python", "/usr/bin/python3", home], **quiet)
        wheel = next(wheels.glob("*.whl"))
        subprocess.run([uv, "pip", "install", "--quiet", "--python", home / "bin/python", "--reinstall-package",
                        "cluster-interface", wheel], **quiet)  # fmt: skip
        subprocess.run(["chmod", "-R", "a+rX", home], check=True)
    return str(home / "bin/python")


@pytest.fixture(scope="session")
def places():
    """Directories that other accounts can enter (pytest's own are private), removed at the end."""
    made: list[Path] = []

    def make() -> Path:
        path = Path("/var/tmp") / f"clif-test-{secrets.token_hex(4)}"
        path.mkdir(mode=0o755)
        made.append(path)
        return path

    yield make
    for path in made:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def place(places) -> Path:
    """One such directory."""
    return places()


@pytest.fixture(scope="session")
def make_server(places, request):
    """Make servers; all are stopped at the end."""
    made: list[Server] = []

    def make(runtime: str | None = None, account: str | None = None, *, start: bool = True, **env: str) -> Server:
        python = request.getfixturevalue("installed") if account else sys.executable
        server = Server(places(), runtime, account, python)
        server.env |= env
        made.append(server)
        if start:
            server.start()
        return server

    yield make
    for server in made:
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            server.stop()
        for process in psutil.process_iter(["environ"]):
            if str(server.state) == (process.info["environ"] or {}).get("CLIF_SERVER__STATE"):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)


@pytest.fixture(scope="session", params=RUNTIMES)
def server(request, make_server) -> Server:
    """A running server, once per runtime, as root."""
    return make_server(request.param)


@pytest.fixture(scope="session")
def quick(make_server) -> Server:
    """A running server with the quicker runtime, for what does not depend on it."""
    return make_server("bubblewrap")


@pytest.fixture(scope="session", params=[*RUNTIMES, "ordinary"])
def anyone(request, make_server) -> Server:
    """A running server: as root with either runtime, and as an ordinary user with bubblewrap."""
    if request.param == "ordinary":
        return make_server("bubblewrap", request.getfixturevalue("ordinary"))
    return make_server(request.param)
