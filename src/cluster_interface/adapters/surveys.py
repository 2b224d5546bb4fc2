"""What works on a queue's nodes, found out by small jobs of our own; their reports lie on the shared filesystem.

A login node says nothing about the nodes behind it: it may have a Docker engine that they lack, and they may have
another kernel. So each queue is asked, by a job in it, and again once a day.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from typing import TYPE_CHECKING

import structlog

from cluster_interface.adapters.runtimes.probing import probe_script, read_report
from cluster_interface.model.errors import ClusterError, Rejected
from cluster_interface.model.plan import Ask
from cluster_interface.model.resources import MIB, show_bytes
from cluster_interface.ports import Handle, NativeState, Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cluster_interface.adapters.runtimes.probing import NodeReport
    from cluster_interface.model.job import Account
    from cluster_interface.model.plan import Bounds
    from cluster_interface.model.queue import Queue
    from cluster_interface.ports import Runtime, Scheduler

LOCAL = "local"
KEEP = 86_400.0  #: seconds for which a report counts
PATIENCE = 600.0  #: seconds after which a probe that has not reported is tried again
ASK = 30.0  #: seconds between questions to the scheduler about one probe
SOON, LATER = 1.0, 300.0  #: seconds to the next look, while probes are out and when all have reported
_DOCKER = "docker"
MEMORY, SECONDS = 200 * MIB, 120  #: what a probe asks for

log = structlog.get_logger()


class Surveys:
    """Sends the probes and reads their reports.

    `directory` and the image store `store` are such that the nodes share; `account` is whom jobs run as and `server`
    whom the server does; `make` makes the named runtimes for nodes; `pinned` are those that the site names per queue.
    """

    def __init__(
        self,
        directory: Path,
        *,
        account: Account,
        server: Account,
        make: Callable[[Sequence[str]], Mapping[str, Runtime]],
        pinned: Mapping[str, tuple[str, ...]],
        store: Path,
    ) -> None:
        self._directory = directory
        self._store = store
        self._accounts = {"user": account} if server.uid == account.uid else {"user": account, "server": server}
        self._make = make
        self._pinned = pinned
        self._read: dict[str, tuple[int, NodeReport]] = {}
        self._asked: dict[str, float] = {}  # report -> monotonic, when the scheduler was last asked about its probe
        self._sent: dict[str, str] = {}  # report -> the mark of its last probe
        self.news = False

    def found(self, scheduler: str, queue: str) -> tuple[tuple[str, ...] | None, str]:
        """Return the runtimes that work in a queue, the preferred first, or why there is none; None: not known yet."""
        report = self.report(scheduler, queue)
        if report is None:
            if refused := self._refusal(scheduler, queue, "user"):
                return (), f"the scheduler refused the probe of queue {queue}: {refused}"
            return None, f"what works on the nodes of queue {queue} is being found out by a small job in it"
        trouble = "; ".join((*report.trouble, *(f"{name}: {why}" for name, why in report.refused.items())))
        return report.runtimes, f"no runtime works on the nodes of queue {queue}: {trouble}"

    def runtimes(self, scheduler: str, queue: str) -> Mapping[str, Runtime]:
        """Return the runtimes for the nodes of a queue, by name: those that work, and those the site names."""
        report = self.report(scheduler, queue)
        works = report.runtimes if report else ()
        return self._make(tuple(dict.fromkeys((*self._pinned.get(queue, ()), *works))))

    def runtime(self, name: str) -> Runtime:
        """Return a runtime for nodes by its name, found or not; Rejected if there is no such."""
        return self._make((name,))[name]

    def bounds(self, scheduler: str, queue: str, runtime: str) -> Bounds | None:
        """Return how well a runtime keeps its bounds on a queue's nodes; None if that is not known."""
        report = self.report(scheduler, queue)
        return report.bounds.get(runtime) if report else None

    def report(self, scheduler: str, queue: str) -> NodeReport | None:
        """Return what the probes of a queue have reported: docker as the server sees it, the rest as users do."""
        users = self._report(scheduler, queue, "user")
        if users is None or "server" not in self._accounts:
            return users
        servers = self._report(scheduler, queue, "server")
        refused = self._refusal(scheduler, queue, "server")
        return None if servers is None and not refused else _joined(users, servers, refused)

    def told(self, queue: Queue) -> Iterator[tuple[str, bool, str]]:
        """Tell people what was found on the nodes of a queue: what it is about, whether it is good, in words."""
        report = self.report(queue.scheduler, queue.name) if queue.scheduler != LOCAL else None
        if report is None:
            return
        found = report.found
        limits = f"cgroup v{found.cgroups}" if found.cgroups else "no cgroups"
        limit = f"a memory limit of {show_bytes(found.memory_limit)} is in force" if found.memory_limit else "no limit"
        yield "node", True, f"{found.host}, {found.distribution}, Linux {found.kernel}; {limits}, {limit} for a job"
        yield "namespaces", found.namespaces is None, found.namespaces or "an ordinary account can make them"
        for name, place in (("workspace", found.workspace), ("image store", found.store)):
            good = place.readable and (place.writable or name != "workspace")
            seen = "seen at the same place" if good else "cannot be used there: it must be a shared directory"
            yield name, good, f"{place.path} is {seen}{f' ({place.type})' if place.type else ''}"
        yield "modules", True, "there is a module command" if found.modules else "there is no module command"
        driver = f"; NVIDIA driver {found.driver}" if found.driver else ""
        yield "GPUs", True, (", ".join(found.gpus) or "none is seen") + driver
        for name in report.runtimes:
            kept = ", ".join(f"{bound} {how}" for bound, how in report.bounds[name].items())
            yield name, True, f"works; bounds: {kept}"
        for name, why in report.refused.items():
            yield name, True, f"not used: {why}"

    def get_on(self, schedulers: Mapping[str, Scheduler], queues: Callable[[], list[Queue]]) -> float:
        """Send the probes that are due; return the seconds until the next look. `news`: a report came or changed."""
        self.news = False
        remote = [name for name in schedulers if name != LOCAL]
        if not remote:
            return LATER
        out = False
        try:
            for queue in [queue for queue in queues() if queue.scheduler in remote]:
                for who in self._accounts:
                    out |= self._see_to(schedulers[queue.scheduler], queue, who)
        except ClusterError as error:
            log.warning("queues cannot be probed now", reason=str(error))
            return SOON * 10
        return SOON if out else LATER

    def write(self, name: str, text: str) -> Path:
        """Keep a script where nodes and accounts can read it."""
        path = self._place() / f"{_plain(name)}.sh"
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(text)
        fresh.chmod(0o755)
        fresh.rename(path)
        return path

    def run_on(self, scheduler: Scheduler, order: Order) -> None:
        """Hand over an order that nobody waits for, unless it has been."""
        if scheduler.find(Handle(mark=order.mark, account=order.account.name)) is None:
            scheduler.submit(order)

    # --- one probe

    def _see_to(self, scheduler: Scheduler, queue: Queue, who: str) -> bool:
        """Send a queue's probe if its report is missing or old; True while one is out."""
        path = self._path(scheduler.name, queue.name, who)
        before = self._read.get(path.name)
        self._report(scheduler.name, queue.name, who)
        self.news |= self._read.get(path.name) != before
        if _age(path) < KEEP or _age(path.with_suffix(".refused")) < PATIENCE:
            return False
        if time.monotonic() - self._asked.get(path.name, float("-inf")) < ASK:
            return True
        self._asked[path.name] = time.monotonic()
        mark = f"ci-probe-{self._id()}-{_plain(queue.name)[:24]}-{who}-{int(time.time() // PATIENCE)}"
        try:
            if self._is_out(scheduler, self._sent.get(path.name, mark), mark, who):
                return True
            self.run_on(scheduler, self._order(scheduler, queue, who, mark, path))
            self._sent[path.name] = mark
        except Rejected as error:
            self._path(scheduler.name, queue.name, who).with_suffix(".refused").write_text(str(error))
            log.warning("a probe was refused", scheduler=scheduler.name, queue=queue.name, reason=str(error))
            return False
        return True

    def _is_out(self, scheduler: Scheduler, sent: str, mark: str, who: str) -> bool:
        """Say whether an earlier probe still waits or runs, in a queue where that takes long: one is enough."""
        if sent == mark:
            return False
        handle = Handle(mark=sent, account=self._accounts[who].name)
        seen = scheduler.observe([handle]).get(sent, {})
        return any(element.state is not NativeState.ENDED for element in seen.values())

    def _order(self, scheduler: Scheduler, queue: Queue, who: str, mark: str, path: Path) -> Order:
        account = self._accounts[who]
        answers = self._place() / f"answers-{account.name}"
        answers.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(answers, account.uid, account.gid)
        name = f"probe-{scheduler.name}-{queue.name}-{who}"
        return Order(
            script=self.write(name, probe_script(path, workspace=answers, store=self._store, rootfs=self._rootfs())),
            mark=mark,
            account=account,
            ask=Ask(
                cpus=1,
                memory=min(MEMORY, queue.memory),
                time=min(SECONDS, queue.time or SECONDS),
                queue=queue.name,
                scheduler=scheduler.name,
                runtime="any",
                disk=MIB,
            ),
            time=min(SECONDS, queue.time or SECONDS),
        )

    def _id(self) -> str:
        """Return what tells this site's probes from those of others."""
        path = self._place() / "id"
        if not path.exists():
            fresh = self._place() / f"id.{os.getpid()}"
            fresh.write_text(secrets.token_hex(4))
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(fresh)
            fresh.unlink()
        return path.read_text()

    def _rootfs(self) -> Path | None:
        """Find some root filesystem of the store to try runtimes on."""
        return next((path for path in self._store.glob("bases/*/rootfs") if path.is_dir()), None)

    def _report(self, scheduler: str, queue: str, who: str) -> NodeReport | None:
        path = self._path(scheduler, queue, who)
        try:
            changed = path.stat().st_mtime_ns
            known = self._read.get(path.name)
            if known is None or known[0] != changed:
                known = self._read[path.name] = (changed, read_report(path.read_text()))
        except (OSError, ClusterError):
            return None
        return known[1]

    def _refusal(self, scheduler: str, queue: str, who: str) -> str:
        """Return the words with which the scheduler refused a probe; empty if it did not."""
        with contextlib.suppress(OSError):
            return self._path(scheduler, queue, who).with_suffix(".refused").read_text()
        return ""

    def _path(self, scheduler: str, queue: str, who: str) -> Path:
        name = _plain(f"{scheduler}-{queue}-{who}")
        return self._place() / f"answers-{self._accounts[who].name}" / f"{name}.json"

    def _place(self) -> Path:
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        return self._directory


def _joined(users: NodeReport, servers: NodeReport | None, refusal: str) -> NodeReport:
    """Take docker as the server's account finds it, and everything else as jobs' accounts do."""
    works = tuple(name for name in users.runtimes if name != _DOCKER)
    refused = {name: why for name, why in users.refused.items() if name != _DOCKER}
    bounds = {name: kept for name, kept in users.bounds.items() if name != _DOCKER}
    if servers is not None and _DOCKER in servers.runtimes:
        works, bounds = (*works, _DOCKER), {**bounds, _DOCKER: servers.bounds[_DOCKER]}
    else:
        why = servers.refused.get(_DOCKER, "; ".join(servers.trouble)) if servers is not None else refusal
        refused[_DOCKER] = why
    return users.model_copy(update={"runtimes": works, "refused": refused, "bounds": bounds})


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
