"""One running element as the dispatcher holds it, and the job it belongs to."""

from __future__ import annotations

import os
import re
import signal
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from cluster_interface.adapters.processes import Process, descendants, kill_all, left_of
from cluster_interface.adapters.schedulers import cgroups
from cluster_interface.adapters.schedulers.backfill import Size
from cluster_interface.adapters.schedulers.cgroups import Limits, TaskCgroup
from cluster_interface.adapters.schedulers.claims import Claims
from cluster_interface.adapters.schedulers.sampling import DiskWatch, Use, use_of
from cluster_interface.adapters.schedulers.starting import start
from cluster_interface.model.resources import show_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cluster_interface.adapters.schedulers.spool import Spool, TaskRecord
    from cluster_interface.ports import Order


class Job:
    """An order, with those of its elements that wait and those that run."""

    def __init__(self, native_id: str, directory: Path, order: Order) -> None:
        self.native_id = native_id
        self.directory = directory
        self.order = order
        self.size = Size(cpus_of(order), order.ask.memory)
        self.waiting = deque(range(order.elements))
        self.running: dict[int, Active] = {}
        self.claims = Claims(order.script.parent)

    @property
    def startable(self) -> int:
        """How many of those that wait may start now, as far as the order itself says."""
        most = self.order.max_running
        return len(self.waiting) if most is None else max(0, min(len(self.waiting), most - len(self.running)))


@dataclass(kw_only=True)
class Active:
    """A running element, and after its end what is left of it."""

    job: Job
    task: int  #: which element of the order it is
    process: Process
    cgroup: TaskCgroup | None
    cores: tuple[int, ...] = ()
    pidfd: int | None = None
    verdict: str | None = None
    reason: str = ""
    code: int | None = None  #: job.sh's exit status, once it has ended and was our child
    kill_at: float | None = None  #: monotonic; set once the polite signal was sent
    killed: bool = False
    peak: Use = field(default_factory=lambda: Use(0, 0.0))
    peak_file: Path | None = None
    disk: DiskWatch = field(default_factory=lambda: DiskWatch(()))
    watched: int | None = None  #: the task whose disk that is

    @property
    def order(self) -> Order:
        """What was ordered."""
        return self.job.order

    @classmethod
    def begin(cls, job: Job, task: int, spool: Spool, note: Callable[..., None], *, cpus: int, taken: set[int]) -> Self:
        """Start a task. OSError or Transient if the machine cannot at the moment."""
        cgroup = _cgroup(spool, job, task)
        cores: tuple[int, ...] = ()
        if cgroup:
            ask = job.order.ask
            cgroup.make(Limits(ask.memory, ask.pids, job.size.cpus))
        else:
            free = [core for core in sorted(os.sched_getaffinity(0)) if core not in taken]
            cores = tuple(free[: job.size.cpus]) if cpus > job.size.cpus else ()
        peak_file = None if cgroup else job.directory / f"peak.{task}"

        def record(process: Process) -> None:
            if cgroup:
                cgroup.add(process.pid)
            who = {"pid": process.pid, "ticks": process.ticks, "boot": process.boot}
            note(job, task, "started", cores=list(cores), **who)

        variables = {"CLIF_ELEMENT": str(task), "CLIF_NATIVE_ID": job.native_id}
        variables |= {"CLIF_CGROUP": cgroup.name} if cgroup else {}
        variables |= {"CLIF_PEAK": str(peak_file)} if peak_file else {}
        process = start(job.order, variables, cores, record, lambda: note(job, task, "unstarted"))
        return cls(job=job, task=task, process=process, cgroup=cgroup, cores=cores, peak_file=peak_file)

    @classmethod
    def again(cls, job: Job, task: int, record: TaskRecord, spool: Spool) -> Self:
        """Take up a task that an earlier dispatcher started."""
        if record.process is None:
            raise ValueError("a task that was never started")
        return cls(
            job=job,
            task=task,
            process=record.process,
            cgroup=_cgroup(spool, job, task),
            cores=record.cores,
            verdict=record.verdict,
            peak_file=None if cgroups.works() else job.directory / f"peak.{task}",
        )

    def collect(self) -> int | None:
        """Return job.sh's exit status, minus the signal's number if one killed it; None if it was not our child."""
        with suppress(ChildProcessError):
            pid, status = os.waitpid(self.process.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        return None

    def kill(self) -> None:
        """End it for good, with all that came from it."""
        if self.cgroup:
            self.cgroup.kill()
        if self.process.alive:
            family = descendants([self.process.pid])
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            kill_all(family)
        kill_all(left_of(self.process))

    def excess(self) -> tuple[str, str] | None:
        """Look whether it holds more memory or disk than it asked for: verdict and reason."""
        ask = self.order.ask
        if not self.cgroup:
            use = use_of(self.process.pid, ask.memory)
            held = use.memory
            self._publish(use)
            if held > ask.memory:
                return "out_of_memory", f"held {show_bytes(held)} of memory and asked for {show_bytes(ask.memory)}"
        self._watch(self.tasks()[-1])
        self.disk.advance()
        if self.disk.highest > ask.disk:
            return "disk_full", f"wrote {show_bytes(self.disk.highest)}; a task may keep {show_bytes(ask.disk)}"
        return None

    def tasks(self) -> list[int]:
        """List the tasks it has come to, the present one last; before it has claimed any, the likeliest."""
        return self.job.claims.tasks(self.process.pid) or [self.order.offset + self.task]

    def containers(self) -> list[str]:
        """Name the containers that it may have started: those of the attempt's tasks it has come to."""
        attempt = re.sub(r"\.\d+$", "", self.order.mark)
        return [f"{attempt}-{task}" for task in self.tasks()]

    def _watch(self, task: int) -> None:
        if task != self.watched:
            self.watched, self.disk = task, _disk_of(self.order, self.task, task)

    def _publish(self, use: Use) -> None:
        """Leave the highest samples where job.sh finds them at its end."""
        self.peak = Use(max(self.peak.memory, use.memory), max(self.peak.cpu_seconds, use.cpu_seconds))
        if self.peak_file:
            fresh = self.peak_file.with_name(f"{self.peak_file.name}.new")
            fresh.write_text(f"{self.peak.memory} {self.peak.cpu_seconds:.2f}\n")
            fresh.rename(self.peak_file)


@dataclass(frozen=True, kw_only=True)
class Remains:
    """What an ended task may have left running."""

    cgroup: TaskCgroup | None = None
    leader: Process | None = None  #: of the task's session
    gone_by: float = 0.0  #: monotonic; what is left then is killed

    def swept(self, now: float) -> bool:
        """Say whether nothing is left; kill what stayed too long."""
        left = set(self.cgroup.processes()) if self.cgroup else set()
        left |= set(left_of(self.leader)) if self.leader else set()
        if left and now >= self.gone_by:
            if self.cgroup:
                self.cgroup.kill()
            kill_all(left)
        return not left and (self.cgroup is None or self.cgroup.remove())


def cpus_of(order: Order) -> int:
    """Count the processors that one element holds."""
    return order.ask.cpus * order.ask.tasks_per_node


def _cgroup(spool: Spool, job: Job, task: int) -> TaskCgroup | None:
    if not cgroups.works():
        return None
    return TaskCgroup(f"{cgroups.prefix(spool.directory)}/{job.native_id}.{task}")


def _disk_of(order: Order, element: int, task: int) -> DiskWatch:
    """Watch what counts as a task's disk use, in a job directory as docs/architecture.md has it.

    What is lent to a shared container is the present task's.
    """
    attempt = order.script.parent
    logs = [attempt / "log" / f"{task}.{stream}" for stream in ("out", "err")]
    own = attempt.parent.parent / "tasks" / str(task)
    return DiskWatch([own, *logs], attempt / "pack" / str(order.offset + element) / "job")
