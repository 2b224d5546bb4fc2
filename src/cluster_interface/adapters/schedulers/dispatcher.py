"""The process that owns this machine's processors and memory: it starts tasks, watches them, ends them.

All it knows is in the spool, written before it counts, so it may be killed at any moment: the tasks run on in
sessions of their own, and the next dispatcher finds them again by pid, start time and boot. It sleeps until
something happens: a byte in the spool's FIFO, the end of a process (a pidfd), or the next moment that matters.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import time
from collections import deque
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import structlog

from cluster_interface.adapters.processes import boot_id
from cluster_interface.adapters.schedulers import cgroups
from cluster_interface.adapters.schedulers.active import Active, Job, Remains
from cluster_interface.adapters.schedulers.backfill import Holding, Size, Waiting, choose
from cluster_interface.adapters.schedulers.local import capacity
from cluster_interface.adapters.schedulers.spool import Spool
from cluster_interface.model.errors import ClusterError, Transient
from cluster_interface.model.resources import show_bytes, show_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from threading import Event

    from cluster_interface.settings import Local

_LOOK = 0.5  # seconds: the longest sleep
_SAMPLE = 1.0
_LINGER = 2.0  # what job.sh left running to tidy up may take this long
_PATIENCE = 5.0  # for a predecessor to give up its lock
_UNSURE = 125  # job.sh's exit status when it does not know what became of its container
_KEEP = 86_400.0  # ended jobs can be found for a day
_log = structlog.get_logger(__name__)


class Dispatcher:
    """Runs the spool's orders on this machine. One instance at a time.

    `reap` is called with a container's name (`<attempt's mark>-<task>`) when its script could not tidy up itself;
    `changed` after tasks started or ended, so that others need not wait for their next look.
    """

    def __init__(
        self,
        spool: Path,
        settings: Local,
        *,
        reap: Callable[[str], None] = lambda _: None,
        changed: Callable[[], None] = lambda: None,
        keep: float = _KEEP,
    ) -> None:
        self._spool = Spool(spool)
        self._settings = settings
        self._reap = reap
        self._changed = changed
        self._keep = keep
        self._jobs: dict[str, Job] = {}
        self._seen_at = 0
        self._reapers: set[int] = set()
        self._remains: list[Remains] = []
        self._next_sample = 0.0
        self._next_purge = 0.0
        self._news = False

    def run(self, stop: Event) -> None:
        """Work until `stop` is set; tasks that run then go on. Transient: another dispatcher has this spool."""
        self._spool.make()
        with ExitStack() as stack:
            self._lock(stack)
            stack.callback(cgroups.forget, self._spool.directory)
            wake = os.open(self._spool.fifo, os.O_RDWR | os.O_NONBLOCK)
            stack.callback(os.close, wake)
            self._selector = stack.enter_context(selectors.DefaultSelector())
            self._selector.register(wake, selectors.EVENT_READ)
            self._recover()
            while not stop.is_set():
                try:
                    self._look()
                except OSError as error:  # a full disk, most likely: limits are kept, and records follow later
                    _log.warning("the local scheduler cannot keep its records", error=str(error))
                self._sleep(wake)

    # --- one look

    def _look(self) -> None:
        self._take_orders()
        self._take_cancels()
        for active in self._running():
            if not active.process.alive:
                self._end(active)
            else:
                self._watch(active)
        self._sample()
        self._start_what_fits()
        self._tidy()
        if self._news:
            self._news = False
            self._changed()

    def _take_orders(self) -> None:
        changed = self._spool.jobs.stat().st_mtime_ns
        if changed == self._seen_at:
            return
        for native_id, mark, directory in self._spool.list():
            if native_id not in self._jobs:
                try:
                    order, _ = self._spool.order(directory)
                except (OSError, ValueError, KeyError) as error:
                    _log.warning("unreadable order", native_id=native_id, mark=mark, error=str(error))
                    continue
                self._jobs[native_id] = Job(native_id, directory, order)
        # A change within the clock's granularity of this reading would not move the time again.
        self._seen_at = changed if time.time_ns() - changed > 50_000_000 else 0

    def _take_cancels(self) -> None:
        for path in self._spool.cancels.iterdir():
            if (job := self._jobs.get(path.name)) is not None:
                if job.waiting:
                    for first, last in _spans(job.waiting):
                        self._note(job, [first, last], "ended", verdict="canceled", reason="canceled before it began")
                    job.waiting.clear()
                for active in job.running.values():
                    self._stop(active, "canceled", "canceled")
            path.unlink()

    def _watch(self, active: Active) -> None:
        """See to time: the limit itself, and the last signal when the polite one has had its grace."""
        if active.kill_at is None and active.process.age > active.order.time:
            self._stop(active, "time_limit", f"ran longer than the {show_time(active.order.time)} it asked for")
        if active.kill_at is not None and time.monotonic() >= active.kill_at:
            active.killed = True
            active.kill()

    def _stop(self, active: Active, verdict: str, reason: str, *, grace: float | None = None) -> None:
        if active.kill_at is not None:
            return
        active.verdict, active.reason = verdict, reason
        with suppress(OSError):  # the disk may be full: it is said again at the end
            self._note(active.job, active.task, "stopping", verdict=verdict, reason=reason)
        active.kill_at = time.monotonic() + (self._settings.grace if grace is None else grace)
        with suppress(ProcessLookupError):
            os.kill(active.process.pid, signal.SIGTERM)

    def _end(self, active: Active) -> None:
        """Write down that a task is over, and see to what it left."""
        active.code = code = active.collect() if active.code is None else active.code
        if active.pidfd is not None:
            self._selector.unregister(active.pidfd)
            os.close(active.pidfd)
            active.pidfd = None
        if code is None and active.task not in self._spool.records(active.job.directory):
            del active.job.running[active.task]  # our predecessor died before it could let it begin
            active.job.waiting.appendleft(active.task)
            return
        verdict, reason = active.verdict, active.reason
        if verdict is None and code != 0 and active.cgroup and active.cgroup.out_of_memory:
            limit = show_bytes(active.order.ask.memory)
            verdict, reason = "out_of_memory", f"needed more than the {limit} of memory it asked for"
        self._note(active.job, active.task, "ended", verdict=verdict, reason=reason, code=code)
        del active.job.running[active.task]
        if active.killed or code is None or code < 0 or code == _UNSURE:
            self._reap_apart(active.containers())
        gone_by = time.monotonic() + (0 if active.kill_at else _LINGER)
        self._remains.append(Remains(cgroup=active.cgroup, leader=active.process, gone_by=gone_by))

    def _sample(self) -> None:
        now = time.monotonic()
        if now < self._next_sample:
            return
        self._next_sample = now + _SAMPLE
        for active in self._running():
            if active.kill_at is None and (excess := active.excess()):
                verdict, reason = excess
                self._stop(active, verdict, reason, grace=min(1.0, self._settings.grace))

    # --- starting

    def _start_what_fits(self) -> None:
        queue = [job for job in self._jobs.values() if job.startable]
        if not queue:
            return
        cpus, memory = capacity(self._settings)
        free = Size(cpus, memory)
        holding = []
        for active in self._running():
            free -= active.job.size
            holding.append(Holding(active.job.size, active.order.time - active.process.age))
        asked = [Waiting(job.native_id, job.size, job.order.time, job.startable) for job in queue]
        for native_id in choose(asked, holding, free):
            job = self._jobs[native_id]
            task = job.waiting.popleft()
            try:
                self._start(job, task, cpus)
            except (OSError, ClusterError) as error:
                job.waiting.appendleft(task)
                _log.warning("cannot start a task yet", native_id=native_id, task=task, error=str(error))
                break

    def _start(self, job: Job, task: int, cpus: int) -> None:
        taken = {core for active in self._running() for core in active.cores}
        active = Active.begin(job, task, self._spool, self._note, cpus=cpus, taken=taken)
        job.running[task] = active
        # What a predecessor left in a cgroup of this name is this task now: not to be swept away.
        self._remains = [r for r in self._remains if not (r.cgroup and active.cgroup and r.cgroup == active.cgroup)]
        self._follow(active)

    def _follow(self, active: Active) -> None:
        with suppress(OSError, AttributeError):  # gone already, or a kernel before 5.3: the next look sees it
            active.pidfd = os.pidfd_open(active.process.pid)
            self._selector.register(active.pidfd, selectors.EVENT_READ)

    # --- after a restart

    def _recover(self) -> None:
        self._spool.drop_unfinished()
        self._take_orders()
        for job in self._jobs.values():
            self._spool.mend(job.directory)
            records = self._spool.records(job.directory)
            job.waiting = deque(task for task in job.waiting if task not in records)
            for task, record in records.items():
                if record.ended is not None or record.process is None:
                    continue
                active = Active.again(job, task, record, self._spool)
                job.running[task] = active
                if record.process.boot != boot_id():
                    active.verdict = "node_failed"
                    self._note(job, task, "stopping", verdict="node_failed", reason="the machine was restarted")
                elif record.verdict is not None:
                    active.kill_at = time.monotonic()
                self._follow(active)
        owned = {active.cgroup.name for active in self._running() if active.cgroup}
        for name in cgroups.leftovers(self._spool.directory):
            if name not in owned:
                self._remains.append(Remains(cgroup=cgroups.TaskCgroup(name)))

    # --- tidying

    def _tidy(self) -> None:
        now = time.monotonic()
        self._remains = [remains for remains in self._remains if not remains.swept(now)]
        for pid in list(self._reapers):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self._reapers.discard(pid)
        if now >= self._next_purge:
            self._next_purge = now + 60
            self._purge()

    def _purge(self) -> None:
        """Forget jobs that ended long ago."""
        for job in list(self._jobs.values()):
            if job.waiting or job.running:
                continue
            if time.time() - (job.directory / "events").stat().st_mtime > self._keep:
                self._spool.forget(job.directory)
                del self._jobs[job.native_id]

    def _reap_apart(self, names: Iterable[str]) -> None:
        """Let a child of ours remove containers: asking a container engine can take long."""
        pid = os.fork()
        if pid == 0:
            try:
                os.closerange(3, 1024)  # our lock above all: a successor must not wait for this
                for name in names:
                    self._reap(name)
            except BaseException as error:  # noqa: BLE001 - a forked child must not go back into the loop
                _log.warning("containers could not be removed", names=list(names), error=str(error))
            os._exit(0)
        self._reapers.add(pid)

    # --- small parts

    def _running(self) -> list[Active]:
        return [active for job in self._jobs.values() for active in list(job.running.values())]

    def _note(self, job: Job, task: int | list[int], what: str, **facts: object) -> None:
        self._spool.append(job.directory, task=task, what=what, at=time.time(), **facts)
        self._news = True

    def _sleep(self, wake: int) -> None:
        until = _LOOK
        for active in self._running():
            limit = active.order.time - active.process.age
            until = min(until, active.kill_at - time.monotonic() if active.kill_at is not None else limit)
        if self._remains:
            until = min(until, 0.05)
        for key, _ in self._selector.select(max(until, 0.01)):
            if key.fd == wake:
                with suppress(BlockingIOError):
                    os.read(wake, 65536)

    def _lock(self, stack: ExitStack) -> None:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                stack.enter_context(self._spool.locked("dispatcher", fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Transient("another dispatcher has the local scheduler's spool") from None
                time.sleep(0.05)
            else:
                return


def _spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Write ascending numbers as first and last of each run without gaps."""
    spans: list[tuple[int, int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return spans
