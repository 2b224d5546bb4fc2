"""Servers of the tests' own: private state, real engine, scheduler and runtimes, as root or as an ordinary user."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import hypothesis
import psutil
import pytest
import structlog

#: fixtures of the testbed's parts, stores on each database, browsers, workspaces and engines; how files are shared out
pytest_plugins = [
    "tests.campus", "tests.databases", "tests.browser.opening", "tests.contract.workspaces", "tests.sharing_out",
    "tests.unit.engine_world",
]  # fmt: skip

hypothesis.settings.register_profile("here", deadline=None)  # two tests at once share two cores
hypothesis.settings.load_profile("here")

#: as in the server: structlog's own choice draws every traceback with all its variables, which takes seconds
structlog.configure(processors=[
    structlog.processors.add_log_level, structlog.processors.format_exc_info, structlog.processors.LogfmtRenderer(),
])  # fmt: skip

PROJECT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("CLIF_TEST_CACHE", "/var/tmp/clif-test-cache"))
PLACES = Path("/var/tmp")  #: where tests make directories that every account can enter
RUN = os.environ.setdefault("CLIF_TEST_RUN", secrets.token_hex(2))  #: in the names of all that this run makes there
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
        wait_for(self.answers, 180)

    def answers(self) -> bool:
        """Say whether this server answers."""
        assert self.process is None or self.process.poll() is None, self.log.read_text()[-3000:]
        with contextlib.suppress(OSError):
            return self.asked("/me")[0] == 200
        return False

    def asked(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        """Ask by its socket, without the command line, which would start a Python; return status and body."""
        with socket.socket(socket.AF_UNIX) as asker:
            asker.settimeout(60)
            asker.connect(str(self.directory / "run/api.sock"))
            asker.sendall(f"{method} /api/v1{path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
            with asker.makefile("rb") as answer:
                head, _, body = answer.read().partition(b"\r\n\r\n")
        if not head:
            raise ConnectionError("it ended before it answered")
        return int(head.split()[1]), body

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
                return next((p for p in self.processes() if p.name() == f"clif-{name}"), None)
            return None

        return wait_for(find)

    def kill(self) -> None:
        """Kill the supervisor without a word; its parts must end by themselves, jobs and long work go on."""
        parts = psutil.Process(self.process.pid).children()
        parts += [worker for part in parts if part.name() == "clif-web" for worker in part.children()]
        self.process.kill()
        self.process.wait()
        psutil.wait_procs(parts, timeout=60)

    def ask_to_stop(self) -> None:
        """Ask it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def stop(self) -> None:
        """End it politely."""
        self.ask_to_stop()
        if self.process is not None:
            self.process.wait(60)

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
        status, body = self.asked(f"/jobs/{job}")
        assert status == 200, body
        return json.loads(body)["state"]

    def until(self, job: str, *states: str, seconds: float = 600) -> dict:
        """Wait until the job is in one of these states, and return it; the server may be away for a while."""

        def look():
            with contextlib.suppress(OSError):
                status, body = self.asked(f"/jobs/{job}")
                assert status in (200, 503), body
                view = json.loads(body) if status == 200 else {"state": "unknown"}
                final = view["state"] in ("completed", "failed", "canceled")
                assert view["state"] in states or not final, view["reason"]
                return view if view["state"] in states else None
            return None

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


def bridge_address() -> str:
    """This machine's address on docker's own network: what containers there can reach of it."""
    shown = subprocess.run(["ip", "-4", "-o", "addr", "show", "docker0"], capture_output=True, text=True, check=True)
    return shown.stdout.split()[3].partition("/")[0]


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
    home, of = CACHE / "installed", CACHE / "installed/of-run"
    uv = Path(sys.executable).parent / "uv"
    with locked("installed"):
        if of.exists() and of.read_text() == RUN:
            return str(home / "bin/python")
        wheels = CACHE / "wheels"
        shutil.rmtree(wheels, ignore_errors=True)
        quiet = {"check": True, "capture_output": True, "cwd": PROJECT}
        subprocess.run([uv, "build", "--wheel", "--quiet", "--out-dir", wheels], **quiet)
        if not (home / "bin/python").exists():
            subprocess.run([uv, "venv", "--quiet", "--python", "/usr/bin/python3", home], **quiet)
        wheel = next(wheels.glob("*.whl"))
        subprocess.run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", home / "bin/python",
                        "--reinstall-package", "cluster-interface", wheel], **quiet)  # fmt: skip
        subprocess.run(["chmod", "-R", "a+rX", home], check=True)
        of.write_text(RUN)
    return str(home / "bin/python")


@contextlib.contextmanager
def _new_places():
    made: list[Path] = []

    def make() -> Path:
        while True:  # short names: podman takes no path of more than 50 characters for its own directory
            with contextlib.suppress(FileExistsError):
                (path := PLACES / f"clif-test-{RUN}{secrets.token_hex(2)}").mkdir(mode=0o755)
                made.append(path)
                return path

    yield make
    for path in made:
        discard(path)


def discard(path: Path) -> None:
    """Remove a place, after whatever is mounted in it."""
    mounts = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{path}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
    shutil.rmtree(path, ignore_errors=True)


def end_all_in(paths) -> None:
    """Kill the processes that are at work in these places."""
    for process in psutil.process_iter(["cwd", "cmdline", "environ"]):
        words = [process.info["cwd"], *(process.info["cmdline"] or ()), *(process.info["environ"] or {}).values()]
        text = "\0".join(word or "" for word in words)
        if process.pid != os.getpid() and any(str(path) in text for path in paths):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def pytest_unconfigure(config):
    """Remove what is left of the run's places, when all of its processes are done."""
    left = [] if hasattr(config, "workerinput") else list(PLACES.glob(f"clif-test-{RUN}*"))
    if left:
        end_all_in(left)
    for path in left:
        discard(path)


@pytest.fixture(scope="module")
def places():
    """Make directories that other accounts can enter (pytest's own are private), for the tests of a file."""
    with _new_places() as make:
        yield make


@pytest.fixture
def place():
    """One such directory, for one test."""
    with _new_places() as make:
        yield make()


@contextlib.contextmanager
def _servers(request):
    made: list[Server] = []

    def make(runtime: str | None = None, account: str | None = None, *, start: bool = True, **env: str) -> Server:
        python = request.getfixturevalue("installed") if account else sys.executable
        server = Server(new_place(), runtime, account, python)
        server.env |= env
        made.append(server)
        if start:
            server.start()
        return server

    with _new_places() as new_place:
        yield make
        for server in made:  # all at once: each takes its time
            server.ask_to_stop()
        for server in made:
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.stop()
        end_all_in([server.directory for server in made])


@pytest.fixture(scope="module")
def make_server(request):
    """Make servers; all are stopped when the tests of the file are over."""
    with _servers(request) as make:
        yield make


@pytest.fixture(scope="session")
def shared_server(request):
    """Give the one server of a runtime and an account that all tests of this process share."""
    with _servers(request) as make:
        yield functools.cache(make)


@pytest.fixture(params=RUNTIMES)
def server(request, shared_server) -> Server:
    """A running server, once per runtime, as root."""
    return shared_server(request.param)


@pytest.fixture(scope="session")
def quick(shared_server) -> Server:
    """A running server with the quicker runtime, for what does not depend on it."""
    return shared_server("bubblewrap")


@pytest.fixture(params=[*RUNTIMES, "ordinary"])
def anyone(request, shared_server) -> Server:
    """A running server: as root with either runtime, and as an ordinary user with bubblewrap."""
    if request.param == "ordinary":
        return shared_server("bubblewrap", request.getfixturevalue("ordinary"))
    return shared_server(request.param)
