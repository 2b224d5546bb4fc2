"""The parts of the testbed (`make testbed`), for tests that talk to them; imported by conftest."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import secrets
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import CACHE

TESTBED = Path(__file__).parent.parent / "testbed"
USER = "clif-test"  #: the ordinary account that every part of the testbed knows


@dataclass(frozen=True)
class Part:
    """A part of the testbed that answers, and the environment by which its clients find it."""

    name: str
    env: dict[str, str]
    where: dict[str, str] = field(default_factory=dict)  #: which testbed, if not the one that all tests share

    def run(self, *argv: str | Path, account: str | None = USER, timeout: float = 60, **options):
        """Run a client of this part as an ordinary account (None: as root); text in and out."""
        become, home = [], "/root"
        if account:
            entry = pwd.getpwnam(account)
            become = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
            home = entry.pw_dir
        env = {
            "PATH": os.environ["PATH"],
            "USER": account or "root",
            "HOME": home,
            **self.env,
            **options.pop("env", {}),
        }
        return subprocess.run(
            [*become, *map(str, argv)], env=env, text=True, capture_output=True, timeout=timeout,
            check=False, **{"cwd": "/var/tmp", "stdin": subprocess.DEVNULL, **options},
        )  # fmt: skip

    def ask(self, *argv: str | Path, **options) -> str:
        """Run a client that must succeed; return what it printed."""
        done = self.run(*argv, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def control(self, word: str) -> subprocess.CompletedProcess:
        """Call the part's own script: start, status, stop or env."""
        return subprocess.run(
            [TESTBED / self.name, word],
            env={**os.environ, **self.where}, text=True, capture_output=True, timeout=300, check=False,
        )  # fmt: skip

    def known(self) -> Part:
        """The same part with the environment that it says its clients need."""
        lines = self.control("env").stdout.splitlines()
        pairs = (line.removeprefix("export ").partition("=") for line in lines if line.startswith("export "))
        return Part(self.name, {name: value for name, _, value in pairs}, self.where)


def part(name: str) -> Part:
    """A part of the shared testbed; the test is skipped, or fails where everything is required, if it is not up."""
    found = Part(name, {})
    if found.control("status").returncode != 0:
        words = f"testbed/{name} is not up: `make testbed` starts it"
        if os.environ.get("CLIF_TEST_REQUIRE_ALL"):
            pytest.fail(words)
        pytest.skip(words)
    return found.known()


@pytest.fixture(scope="session")
def slurm() -> Part:
    """Slurm without accounting: nodes n1 to n4, partitions main and short, feature fast, licence matlab, gpu:a100."""
    return part("slurm")


@pytest.fixture(scope="session")
def slurm_accounting() -> Part:
    """Slurm with accounting: nodes m1 and m2, accounts lab and course, QOS normal, long and short."""
    return part("slurmdbd")


@pytest.fixture(scope="session")
def gridengine() -> Part:
    """Grid Engine: all.q and short.q, parallel environment smp; h_vmem and matlab are counted."""
    return part("gridengine")


@pytest.fixture(scope="session")
def modules() -> Part:
    """Environment modules hello/1.0, hello/2.0 and blast/2.14."""
    return part("modules")


@pytest.fixture(scope="session")
def podman() -> Part:
    """Podman, rootless for clif-test and clif-job."""
    return part("podman")


@pytest.fixture(scope="session")
def apptainer() -> Part:
    """Apptainer, for directories and squashfs images."""
    return part("apptainer")


@pytest.fixture(scope="session")
def charliecloud() -> Part:
    """Charliecloud's ch-run."""
    return part("charliecloud")


@pytest.fixture(scope="session")
def postgres() -> Part:
    """A PostgreSQL in which the role clif may make databases."""
    return part("postgres")


@contextlib.contextmanager
def new_database(postgres):
    """Make an empty database, give its SQLAlchemy URL, and drop it at the end."""
    url = postgres.env["CLIF_TESTBED_POSTGRES"]
    plain = url.replace("+psycopg", "")
    database = f"clif_test_{secrets.token_hex(4)}"
    postgres.ask("psql", "-Xqc", f"create database {database}", plain)
    yield url.rpartition("/")[0] + f"/{database}"
    postgres.ask("psql", "-Xqc", f"drop database {database} with (force)", plain)


@pytest.fixture
def postgres_url(postgres) -> str:
    """The SQLAlchemy URL of a new, empty database, dropped at the end."""
    with new_database(postgres) as url:
        yield url


@contextlib.contextmanager
def _own_ports():
    """Give numbers for the ports of a testbed that nobody else who tests on this machine has at the moment."""
    with contextlib.ExitStack() as held:

        def take() -> str:
            while True:
                number = 10 + secrets.randbelow(140)
                lock = held.enter_context((CACHE / f"ports-{number}.lock").open("w"))
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return str(100 * number)

        yield take


@contextlib.contextmanager
def _own_parts():
    with _own_ports() as take, contextlib.ExitStack() as ending:

        def make(name: str) -> Part:
            part(name)  # so that it is skipped where the shared one is
            where = {"CLIF_TESTBED_NAME": f"clif-testbed-{secrets.token_hex(3)}", "CLIF_TESTBED_PORTS": take()}
            mine = Part(name, {}, where)
            ending.callback(_remove, mine)
            done = mine.control("start")
            assert done.returncode == 0, done.stderr
            return mine.known()

        yield make


def _remove(mine: Part) -> None:
    mine.control("stop")
    testbed = mine.where["CLIF_TESTBED_NAME"]
    for directory in (f"/var/lib/{testbed}", f"/run/{testbed}"):
        shutil.rmtree(directory, ignore_errors=True)
    for log in Path("/var/log").glob(f"{testbed}-*"):
        log.unlink()


@pytest.fixture
def own_part():
    """Make a part that no other test uses, on ports of its own, for tests that break it; it is removed at the end."""
    with _own_parts() as make:
        yield make


@pytest.fixture(scope="module")
def own_part_of_module():
    """Likewise, for all tests of a file."""
    with _own_parts() as make:
        yield make
