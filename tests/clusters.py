"""Whole servers on the testbed's clusters, and programs that keep count of their own runs."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.conftest import Server, wait_for

ROUNDS = int(os.environ.get("CLIF_TEST_ROUNDS", "0"))  #: of what is repeated at random; 0: as few as each test says
FINAL = ("completed", "failed", "canceled")


def rounds(few: int) -> int:
    """How often something is repeated: few times, or as often as the environment says."""
    return ROUNDS or few


def say(*words, sep: str = " ") -> None:
    """Say something to whoever runs the tests with -s, or reads why one failed."""
    sys.stdout.write(sep.join(map(str, words)) + "\n")


def cluster_server(make_server, *parts, schedulers: str = "slurm", config: str = "", **env: str) -> Server:
    """A running server on these parts of the testbed, whose queues have been surveyed."""
    server = make_server(start=False)
    server.env["CLIF_SCHEDULERS"] = schedulers
    for part in parts:
        server.env |= part.env
    server.env |= env
    (server.directory / "config.toml").write_text(config)
    server.start()
    wait_for(lambda: all(queue["runtimes"] for queue in json.loads(server.asked("/queues")[1])["queues"]), 600)
    return server


def ending(server: Server, job: str, seconds: float = 600) -> dict:
    """Wait until a job has ended, however, and return it; the server may be away for a while."""

    def look():
        if state_in_database(server, job) not in FINAL:
            return None
        done = server.clif("status", job, "--json")
        view = json.loads(done.stdout) if done.returncode == 0 else {}
        return view if view.get("state") in FINAL else None

    look.__doc__ = f"job {job} to end"
    return wait_for(look, seconds, 0.2)


def state_in_database(server: Server, job: str) -> str | None:
    """The job's state, at no cost to anybody; None while the database is busy."""
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(f"file:{server.state}/cluster-interface.db?mode=ro", uri=True)) as db,
    ):
        row = db.execute("SELECT state FROM job WHERE id = ?", (job,)).fetchone()
        return row and row[0]
    return None


class Ledger:
    """A directory outside of every job, in which programs without a container write down that they run."""

    def __init__(self, place: Path):
        self.place = place / "ledger"
        self.place.mkdir()
        self.place.chmod(0o1777)
        self.tokens: dict[str, str] = {}  #: job -> the token that its program knows

    def submit(self, server: Server, *arguments: str, seconds: float = 1, end: str = "") -> str:
        """Submit a program that counts its run, waits and says which one it is; return the job."""
        token = f"t{secrets.token_hex(6)}"
        page = self.place / token
        text = (
            f"#!/bin/sh\necho run >> {page} && sync {page}\nsleep {seconds} || exit 9\necho I am {token}\n"
            f"echo {token} > made.txt\n{end}\n"
        )
        job = server.submit(text, *arguments, name=f"{token}.sh")
        self.tokens[job] = token
        return job

    def runs(self, job: str) -> int:
        """How often a job's program has begun, by its own word."""
        page = self.place / self.tokens[job]
        return len(page.read_text().splitlines()) if page.exists() else 0

    def until_running(self, job: str, times: int = 1):
        """Wait until the program itself says that it runs."""
        wait_for(lambda: self.runs(job) >= times, 60)

    def check(self, server: Server, job: str, view: dict) -> None:
        """A completed job ran once and has its own result; one that failed says why and ran at most once."""
        token, told = self.tokens[job], (job, view["state"], view["reason"], server.log.read_text()[-2000:])
        tried = max(1, len(view["attempts"]))
        if view["state"] == "completed":
            assert 1 <= self.runs(job) <= tried, told
            assert server.clif("logs", job).stdout == f"I am {token}\n", told
            back = server.work / f"back-{job}"
            assert server.clif("outputs", job, "--to", back).returncode == 0, told
            assert (back / "made.txt").read_text() == f"{token}\n", told
        else:
            assert self.runs(job) <= tried, told
            assert token not in server.clif("logs", job).stdout or view["state"] == "canceled", told


@dataclass
class OwnSlurm:
    """A Slurm of a test's own, whose daemons it may stop and kill."""

    part: object

    def pid(self, daemon: str = "slurmctld") -> int:
        """The process of the controller, or of a node's daemon."""
        file = Path("/run") / self.part.where["CLIF_TESTBED_NAME"] / f"campus-{daemon}"
        return int(file.read_text().split()[0])

    @property
    def nodes(self) -> list[str]:
        """What its nodes are called."""
        return sorted(self.ask("sinfo", "--noheader", "--Node", "--format=%N").split())

    @property
    def directory(self) -> Path:
        """Where its configuration is."""
        return Path(self.part.env["SLURM_CONF"]).parent

    def ask(self, *argv: str) -> str:
        """Run one of its programs as root."""
        return self.part.ask(*argv, account=None)

    def kill(self) -> None:
        """Kill the controller without a word."""
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        psutil.wait_procs([p for p in [_process(pid)] if p], timeout=60)

    def start(self, *, cold: bool = False) -> None:
        """Start what does not run; cold: the controller has forgotten all, and begins its ids anew."""
        if cold:
            subprocess.run(["find", self.directory / "state", "-mindepth", "1", "-delete"], check=True)
        done = self.part.control("start")
        assert done.returncode == 0, done.stderr

    @contextlib.contextmanager
    def standing_still(self):
        """Stop the controller for a while."""
        pid = self.pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def told(self) -> str:
        """What the controller has written down of late."""
        lines = Path(f"/var/log/{self.part.where['CLIF_TESTBED_NAME']}-campus-slurmctld.log").read_text().splitlines()
        return "\n".join(lines[-60:])

    def native(self, mark: str) -> list[str]:
        """The ids of the jobs of this name that wait or run."""
        lines = self.ask("squeue", "--noheader", "--array", "--format=%j %A %T").splitlines()
        return [line.split()[1] for line in lines if line.startswith(mark)]

    def given(self, name: str) -> int:
        """Say how many jobs of just this name the controller was given, as long as it knows of them (MinJobAge)."""
        return self.ask("scontrol", "show", "job", "--oneliner").split().count(f"JobName={name}")


def _process(pid: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid)
    return None


def handed(server: Server, job: str) -> bool:
    """Say whether the engine has begun to hand the first attempt over."""
    return any((server.state / "jobs" / job / "attempts/1").glob("handed.*"))


def left_of(mark: str) -> list[str]:
    """Whatever this machine has left of a mark: processes, containers, cgroups."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "environ"]):
        words = process.info["cmdline"] or []
        ours = [f"{name}={value}" for name, value in (process.info["environ"] or {}).items()]
        if any(mark in word for word in [*words, *ours]):
            found.append(f"{process.info['pid']}: {' '.join(words)[:200]}")
    asked = subprocess.run(
        ["docker", "ps", "-a", "--format", "{{.Names}} {{.Status}}", "--filter", f"name={mark}"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    found += [f"docker: {line}" for line in asked.stdout.splitlines()]
    for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/tmp", "/dev/shm"):
        found += [f"left: {path}" for path in Path(top).glob(f"*{mark}*")]
    return found
