"""A cgroup per task, where root may make them: memory, pids and processors enforced, and nothing escapes the end.

Each task has two: `job` holds job.sh and whatever it starts, `box` is the parent for containers that another
process starts on its behalf (docker's). Version 1 hierarchies and the unified one are understood, see
cgroups(7) and the kernel's admin-guide/cgroup-v1 and cgroup-v2.
"""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cluster_interface.adapters.processes import kill_all
from cluster_interface.adapters.schedulers.machine import ROOT

PARENT = "cluster-interface"
_NEEDED = ("memory", "pids", "cpu")
_LEAST = 64 * 2**20  # job.sh and docker's client need this much themselves
_PERIOD = 100_000  # microseconds


@dataclass(frozen=True)
class Limits:
    """What a task may use."""

    memory: int  #: bytes
    pids: int
    cpus: int


@dataclass(frozen=True)
class TaskCgroup:
    """The cgroup of one task."""

    name: str  #: its path below every hierarchy's root

    def make(self, limits: Limits) -> None:
        """Make both parts and set the limits; OSError if the kernel refuses."""
        for mount in mounts():
            if mount == ROOT:
                _pass_down(mount, self.name)
            for part in ("job", "box"):
                (mount / self.name / part).mkdir(parents=True, exist_ok=True)
        memory = max(limits.memory, _LEAST)
        if _unified():
            self._set("memory.max", memory)
            self._set("memory.swap.max", 0)
            self._set("cpu.max", f"{limits.cpus * _PERIOD} {_PERIOD}")
        else:
            self._set("memory.limit_in_bytes", memory)
            self._set("memory.memsw.limit_in_bytes", memory)
            self._set("cpu.cfs_period_us", _PERIOD)
            self._set("cpu.cfs_quota_us", limits.cpus * _PERIOD)
        self._set("pids.max", limits.pids + 16)  # job.sh's own

    def add(self, pid: int) -> None:
        """Put a process in."""
        for mount in mounts():
            (mount / self.name / "job/cgroup.procs").write_text(str(pid))

    @property
    def out_of_memory(self) -> bool:
        """Whether the kernel has killed something in here for memory."""
        for name in ("memory.oom_control", "memory.events"):
            if text := self._get(name):
                words = text.split()
                return "oom_kill" in words and words[words.index("oom_kill") + 1] != "0"
        return False

    def processes(self) -> list[int]:
        """List what runs in here, containers included."""
        found: set[int] = set()
        for mount in mounts()[:1]:
            for directory, _, _ in os.walk(mount / self.name):
                with suppress(OSError):
                    found.update(int(pid) for pid in (Path(directory) / "cgroup.procs").read_text().split())
        return sorted(found)

    def kill(self) -> None:
        """End all that runs in here; nothing more can be started meanwhile."""
        self._set("pids.max", 0)
        kill_all(self.processes())

    def remove(self) -> bool:
        """Remove it; False while something still runs in it."""
        everywhere = [path for path in ROOT.iterdir() if path.is_dir()]  # a container's parent is made in each
        gone = [_remove(mount / self.name) for mount in {*mounts(), *everywhere}]  # each, whatever the others say
        return all(gone)

    def _set(self, control: str, value: object) -> None:
        for mount in mounts():
            path = mount / self.name / "job" / control
            if path.exists():
                path.write_text(str(value))

    def _get(self, control: str) -> str:
        for mount in mounts():
            with suppress(OSError):
                return (mount / self.name / "job" / control).read_text()
        return ""


def prefix(spool: Path) -> str:
    """Name the cgroup under which a spool's tasks are: two servers on one machine never meet."""
    return f"{PARENT}/{hashlib.sha256(str(spool.resolve()).encode()).hexdigest()[:8]}"


def leftovers(spool: Path) -> list[str]:
    """List the names of this spool's task cgroups that are there."""
    for mount in mounts()[:1]:
        with suppress(FileNotFoundError):
            return [f"{prefix(spool)}/{entry.name}" for entry in os.scandir(mount / prefix(spool)) if entry.is_dir()]
    return []


def forget(spool: Path) -> None:
    """Remove what a spool's cgroups were under, if none is left."""
    for hierarchy in (ROOT, *ROOT.iterdir()):
        with suppress(OSError):
            (hierarchy / prefix(spool)).rmdir()


@cache
def mounts() -> tuple[Path, ...]:
    """List the hierarchies that carry what we need; empty where we cannot make cgroups."""
    if os.geteuid() != 0:
        return ()
    if _unified():
        found = [ROOT] if set(_NEEDED) <= set((ROOT / "cgroup.controllers").read_text().split()) else []
    else:
        named = [ROOT / name for name in (*_NEEDED, "cpuacct")]
        found = list(dict.fromkeys(path.resolve() for path in named)) if all(p.is_dir() for p in named) else []
    return tuple(found) if found and all(_can_make(path) for path in found) else ()


def works() -> bool:
    """Say whether a task's cgroup can be made here."""
    return bool(mounts())


@cache
def _unified() -> bool:
    return (ROOT / "cgroup.controllers").exists()


def _can_make(mount: Path) -> bool:
    try:
        (mount / PARENT).mkdir(exist_ok=True)
    except OSError:
        return False
    return True


def _pass_down(mount: Path, name: str) -> None:
    """Hand the controllers on to each level (version 2 only)."""
    want = " ".join(f"+{controller}" for controller in _NEEDED)
    at = mount
    for part in ("", *Path(name).parts):
        at /= part
        at.mkdir(exist_ok=True)
        (at / "cgroup.subtree_control").write_text(want)


def _remove(directory: Path) -> bool:
    for path, _, _ in os.walk(directory, topdown=False):
        try:
            Path(path).rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
    return True
