"""Grid Engine (Son of Grid Engine 8, Univa, Altair), through its own programs: qsub, qstat, qacct, qdel, qconf, qhost.

Everything that is for somebody is done as that account, since to delete another's jobs one must be a manager.
Ids are given out again after a spool is restored: identity is mark and owner.
"""

from __future__ import annotations

import os
import pwd
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from cluster_interface.adapters.schedulers import gridengine_queues as tables
from cluster_interface.adapters.schedulers import gridengine_rows as rows
from cluster_interface.adapters.schedulers.clients import Clients, home_of, on_terminal
from cluster_interface.adapters.schedulers.gridengine_options import cleaned, failure, mark, options
from cluster_interface.adapters.schedulers.pictures import Pictures, Record, liveliest
from cluster_interface.model.errors import Rejected, Transient
from cluster_interface.model.job import Account
from cluster_interface.model.resources import MIB
from cluster_interface.ports import UNSEEN, NativeState, Observation, Waiting

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cluster_interface.model.queue import Queue
    from cluster_interface.ports import Handle, Order
    from cluster_interface.settings import Defaults, GridEngine

_KNOWN_FOR = 300.0  # seconds that the site's configuration is believed
_ASKED_FOR = 5.0  # seconds that accounting is not asked again for the same: it is written with some delay
_FEW = 8  # handles, for which the whole list is not read
_LIST_FOR = 5.0  # seconds that the order of those that wait is believed
_QUESTIONS = 20  # to accounting in one look: each reads its whole file
_CANCELED = Observation(state=NativeState.ENDED, reason="deleted", verdict="canceled")
_HELD = "it is held back until somebody releases it (qrls)"


class GridEngineScheduler:
    """The queues of one Grid Engine cell."""

    def __init__(self, settings: GridEngine, defaults: Defaults, name: str = "gridengine") -> None:
        self.name = name
        self._settings = settings
        self._defaults = defaults
        self._clients = Clients(scheduler="Grid Engine", timeout=settings.timeout, environment=_environment(settings))
        self._pictures = Pictures(rows.record_of)
        self._asked: dict[str, float] = {}
        self._canceled: set[str] = set()
        self._list: tuple[float, list[Record]] | None = None
        self._site: tuple[float, tables.Site] | None = None

    def queues(self) -> list[Queue]:
        """List the cluster queues, all.q or the first by name first; Transient if qmaster does not answer."""
        found = tables.queues(
            self._ask, self._defaults, self.name, gpu=self._settings.gpu_resource, known=self._survey()
        )
        return sorted(found, key=lambda queue: queue.name != "all.q")

    def submit(self, order: Order) -> str:
        """Run qsub as the order's account. Rejected: in Grid Engine's words. Transient: it may have taken it."""
        site = self._survey()
        parallel = self._parallel(order, site)
        memory = self._memory(order, order.ask.cpus * order.ask.tasks_per_node, site.resources)
        gpu, exclusive = self._settings.gpu_resource, site.exclusive
        argv = options(order, parallel=parallel, memory=memory, gpu=gpu, exclusive=exclusive)
        answer = self._clients.run("qsub", *argv, account=order.account, extra=home_of(order.account))
        if answer.code != 0 and "no suitable queues" in answer.err and self._held(exclusive):
            argv[argv.index("-w") + 1] = "n"  # it takes hosts for useless that somebody has alone at the moment
            answer = self._clients.run("qsub", *argv, account=order.account, extra=home_of(order.account))
        if answer.code != 0:
            raise failure(answer.err or answer.out)
        native_id = answer.out.strip().rpartition("\n")[2].partition(".")[0]
        if not native_id.isdecimal():
            raise Transient(f"qsub answered {answer.out.strip()[:80]!r}, which is no job id")
        self._canceled.discard(order.mark)
        return native_id

    def find(self, handle: Handle) -> str | None:
        """Look a mark up in the queue, then in accounting.

        None is certain where qmaster and qacct answered, but for a job that ended a moment ago: accounting is written
        with a delay (accounting_flush_time). Such a job has left claims and status files, see engine rule 5. A cell
        without an accounting file is one in which nothing has ended yet.
        """
        listed = liveliest(self._listed([handle]))
        found = listed or liveliest(self._from_accounting(handle))
        return found.native_id if found else None

    def observe(self, handles: Collection[Handle]) -> Mapping[str, Mapping[int, Observation]]:
        """Ask qstat once for everybody, and accounting for those that qstat no longer has."""
        if not handles:
            return {}
        texts = rows.split(self._qstat("*"))
        few = len(handles) <= _FEW
        records = self._pictures.pick(texts, [h.mark for h in handles]) if few else self._pictures.read(texts)
        accounts = {handle.mark: handle.account for handle in handles}
        found = self._pictures.compose(records, accounts)
        if not self._pictures.doubtful:
            return found
        doubtful = [handle for handle in handles if handle.mark in self._pictures.doubtful]
        extra, unsure = self._ended(doubtful)
        extra += [record for handle in doubtful for record in self._deleted(handle, extra)]
        if extra:
            found = self._pictures.compose([*extra, *records], accounts)
        for name in unsure:
            found.setdefault(name, {0: UNSEEN})
        return found

    def cancel(self, handle: Handle) -> None:
        """Run qdel on all jobs of the mark, as their owner: job.sh gets USR2 at once, and KILL after `notify`."""
        ids = sorted({record.native_id for record in self._listed([handle])}, key=int)
        self._canceled.add(handle.mark)
        if not ids:
            return
        answer = self._clients.run("qdel", *ids, account=_account(handle.account))
        words = cleaned(answer.err or answer.out)
        if answer.code != 0 and "does not exist" not in words and "already" not in words:
            raise Transient(f"qdel: {words}")

    def interactive(self, order: Order) -> list[str]:
        """Return qrsh with a terminal (qrsh(1), -pty)."""
        words = [f"h_rt={int(order.time)}"]
        if memory := self._memory(order, order.ask.cpus, self._survey().resources):
            words.append(memory)
        asked = [part for word in words for part in ("-l", word)]
        name = ["-N", order.mark, "-q", order.ask.queue]
        script = ["sh", str(order.script)]
        return on_terminal(self._clients, order.account, ["qrsh", "-pty", "y", *name, *asked, *script])

    def waiting(self, handle: Handle) -> Waiting | None:
        """Say why it waits and which place it has, as `qstat -j` explains it; None if it does not wait."""
        now = time.monotonic()
        if self._list is None or now - self._list[0] > _LIST_FOR:
            self._list = (now, self._pictures.read(rows.split(self._qstat("*"))))
        records = self._list[1]
        pending = [record for record in records if record.seen.state is NativeState.PENDING]
        ours = [record for record in pending if (record.mark, record.account) == (handle.mark, handle.account)]
        if not ours:
            return None
        native = ours[0].seen.reason
        answer = self._clients.run("qstat", "-j", ours[0].native_id)
        words = explained(answer.out)
        if native and not words:
            words = _HELD if "hqw" in native else native
        ahead = [record for record in pending if not record.seen.reason]
        position = ahead.index(ours[0]) + 1 if ours[0] in ahead else None
        return Waiting(reason=words or "others are before it", native_reason=native, position=position)

    # --- asking

    def _ask(self, *argv: str, allow: Collection[str] = ()) -> str:
        answer = self._clients.run(*argv, extra={"TZ": "UTC"})
        words = (answer.err + answer.out).lower()
        if answer.code != 0 and not any(allowed in words for allowed in allow):
            raise Transient(f"Grid Engine does not answer {argv[0]}: {cleaned(answer.err or answer.out)}")
        return answer.out if answer.code == 0 else ""

    def _qstat(self, owner: str) -> str:
        text = self._ask("qstat", "-u", owner, "-xml")
        if "</job_info>" not in text:
            raise Transient("Grid Engine's qstat answered half of a list")
        return text

    def _listed(self, handles: Collection[Handle]) -> list[Record]:
        accounts = {handle.mark: handle.account for handle in handles}
        owners = set(accounts.values())
        text = self._qstat(owners.pop() if len(owners) == 1 else "*")
        records = self._pictures.pick(rows.split(text), accounts)
        return [record for record in records if accounts.get(record.mark) == record.account]

    def _ended(self, handles: Collection[Handle]) -> tuple[list[Record], set[str]]:
        """Ask accounting how these ended; also return the marks of which it could not be asked this time."""
        now = time.monotonic()
        self._asked = {m: at for m, at in self._asked.items() if now - at < _ASKED_FOR}
        asked = [handle for handle in handles if handle.mark not in self._asked]
        records: list[Record] = []
        unsure = {handle.mark for handle in asked[_QUESTIONS:]}
        for handle in asked[:_QUESTIONS]:
            try:
                found = self._from_accounting(handle)
            except Transient:
                unsure.add(handle.mark)
                continue
            records += found
            self._asked[handle.mark] = now
        return records, unsure

    def _from_accounting(self, handle: Handle) -> list[Record]:
        """Ask qacct for one mark."""
        argv = ("qacct", "-o", handle.account, "-j", mark(handle.mark))
        text = self._ask(*argv, allow=("not found", "no such file"))
        records = [
            record for record in rows.accounted(text) if (record.mark, record.account) == (handle.mark, handle.account)
        ]
        return [self._marked(record) for record in records]

    def _deleted(self, handle: Handle, accounted: Collection[Record]) -> list[Record]:
        """Say of what we deleted and is gone that it was canceled: accounting never heard of what only waited."""
        if handle.mark not in self._canceled:
            return []
        known = {n for record in accounted if record.mark == handle.mark for n in record.elements}
        gone = tuple(sorted(self._pictures.lost(handle.mark) - known))
        return [Record(mark=handle.mark, account=handle.account, native_id="", elements=gone, seen=_CANCELED)]

    def _marked(self, record: Record) -> Record:
        """Add that we ended it ourselves: accounting says only that it was killed."""
        seen = record.seen
        if record.mark not in self._canceled or seen.verdict is not None or seen.reason == "exit status 0":
            return record
        return replace(record, seen=replace(seen, verdict="canceled"))

    # --- what the site calls things

    def _survey(self) -> tables.Site:
        """Find out what the site has beside its queues; it is kept for some minutes."""
        now = time.monotonic()
        if self._site is None or now - self._site[0] > _KNOWN_FOR:
            self._site = (now, tables.site(self._ask, self._settings.parallel_environment))
        return self._site[1]

    def _parallel(self, order: Order, site: tables.Site) -> tuple[str, int] | None:
        """Choose the parallel environment for an order, and the slots it asks of it; None for one slot alone."""
        each, nodes = order.ask.cpus * order.ask.tasks_per_node, order.ask.nodes
        spread = site.many_nodes(order.ask.queue)
        if nodes == 1 and each == 1:
            return None
        found = (site.one_node(order.ask.queue) or spread.get(each)) if nodes == 1 else spread.get(each)
        if found is None:
            field = "resources.cpus" if nodes == 1 else "resources.nodes"
            words = f"queue {order.ask.queue} has no parallel environment for {each} slots on each of {nodes} hosts"
            raise Rejected.field(field, words)
        return found, each * nodes

    def _held(self, exclusive: str | None) -> bool:
        """Say whether somebody has a host alone at the moment."""
        hosts = tables.hosts(self._ask("qhost", "-q", "-F", "-xml")) if exclusive else []
        return any(float(host.resources.get(exclusive or "", "1")) == 0 for host in hosts)

    def _memory(self, order: Order, slots: int, complexes: Mapping[str, tables.Resource]) -> str | None:
        """Write the request for memory, or for addresses where those are bounded, per slot if it is counted so."""
        name = self._settings.memory_resource or tables.counted_memory(complexes)
        if name is None or name == "none":
            return None
        if name not in complexes:
            raise Rejected(f"Grid Engine has no resource {name!r}, which is set as gridengine.memory_resource")
        share = slots if complexes[name].consumable == "YES" else 1
        memory = order.ask.addresses if name in tables.ADDRESSES else order.ask.memory
        return f"{name}={-(-memory // (MIB * share))}M"


def explained(text: str) -> str:
    """Take the reasons out of `qstat -j`: the error if there is one, else what the scheduler found."""
    error = re.search(r"^error reason\s+\d*:\s*(.*)$", text, re.MULTILINE)
    if error:
        return f"it could not be started: {error[1].strip()}"
    found = re.search(r"^scheduling info:\s*(.*(?:\n\s+.*)*)", text, re.MULTILINE)
    lines = [line.strip() for line in found[1].splitlines()] if found else []
    return "; ".join(_plain(line) for line in dict.fromkeys(lines) if line)[:400]


_PLAIN = (
    ("Job is in hold state", _HELD),
    ("max_aj_instances", "as many of its own tasks run as it may have at once"),
    ("cannot run in PE", "no host of the queue has so many free slots"),
    ("because it offers only", "not enough of a resource is free"),
    ("overloaded", "the hosts of the queue are too busy"),
    ("dropped because it is full", "all slots of the queue are taken"),
    ("is temporarily not available", "a queue is not available at the moment"),
)


def _plain(line: str) -> str:
    known = next((words for mark, words in _PLAIN if mark in line), None)
    return f"{known} ({line})" if known else line


def _environment(settings: GridEngine) -> dict[str, str]:
    known = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    known |= {"SGE_ROOT": str(settings.root)} if settings.root else {}
    return known | ({"SGE_CELL": settings.cell} if settings.cell else {})


_VARIABLES = ("SGE_ROOT", "SGE_CELL", "SGE_CLUSTER_NAME", "SGE_QMASTER_PORT", "SGE_EXECD_PORT")


def _account(name: str) -> Account:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise Transient(f"there is no account {name} where the server runs") from None
    groups = tuple(os.getgrouplist(name, entry.pw_gid))
    return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid, home=entry.pw_dir, groups=groups)
