"""Slurm, through its own programs: sbatch, squeue, sacct, scancel, scontrol and sacctmgr, version 20.11 or later.

Identity is mark and owner, never the id: after a crash of the controller ids are given out again (engine rules 5
and 6 of `docs/architecture.md`).
"""

from __future__ import annotations

import os
import pwd
import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import structlog

from cluster_interface.adapters.schedulers import slurm_queues, slurm_rows
from cluster_interface.adapters.schedulers.clients import Clients, home_of, on_terminal
from cluster_interface.adapters.schedulers.pictures import Pictures, Record, liveliest
from cluster_interface.adapters.schedulers.slurm_options import interactive_options, mark, options
from cluster_interface.adapters.schedulers.slurm_states import cleaned, failure
from cluster_interface.adapters.schedulers.slurm_waiting import WaitingList
from cluster_interface.model.errors import Transient
from cluster_interface.ports import UNSEEN, NativeState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from cluster_interface.model.queue import Queue
    from cluster_interface.ports import Handle, Observation, Order, Waiting
    from cluster_interface.settings import Defaults, Slurm

_PROVED_FOR = 300.0  # seconds that what the configuration says is believed
_ASKED_FOR = 30.0  # seconds that accounting is not asked again for the same
_HISTORY = 30 * 86_400  # seconds back that accounting is searched
_NAMES = 400  # marks in one question to accounting
_FEW = 8  # handles, for which the whole list is not read
_QUESTIONS = 4  # to accounting in one look
_HIDDEN: Mapping[int, Observation] = MappingProxyType({0: UNSEEN})
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Site:
    """What the configuration says that matters here."""

    accounting: bool
    sees_all: bool  #: whether others' jobs are shown to us, by the controller and by accounting
    config: Mapping[str, str]


class SlurmScheduler:
    """The partitions of one Slurm cluster."""

    def __init__(self, settings: Slurm, defaults: Defaults, name: str = "slurm") -> None:
        conf = settings.conf or os.environ.get("SLURM_CONF")
        environment = {"SLURM_CONF": str(conf)} if conf else {}
        self.name = name
        self._clients = Clients(scheduler="Slurm", timeout=settings.timeout, environment=environment)
        self._defaults = defaults
        self._pictures = Pictures(slurm_rows.record_of)
        self._waiting = WaitingList(self._ask)
        self._asked: dict[str, float] = {}
        self._site: tuple[float, _Site] | None = None

    def queues(self) -> list[Queue]:
        """List the partitions, the default first; Transient if the controller does not answer."""
        return slurm_queues.queues(self._ask, self._survey().config, self._defaults, self.name)

    def submit(self, order: Order) -> str:
        """Run sbatch as the order's account. Rejected: in Slurm's words. Transient: it may have taken it."""
        argv = ["sbatch", *options(order)]
        answer = self._clients.run(*argv, account=order.account, extra=home_of(order.account))
        if answer.code != 0:
            raise failure(answer.err or answer.out)
        native_id = answer.out.strip().rpartition("\n")[2].partition(";")[0]
        if not native_id.isdecimal():
            raise Transient(f"sbatch answered {answer.out.strip()[:80]!r}, which is no job id")
        return native_id

    def find(self, handle: Handle) -> str | None:
        """Look a mark up in the queue, then in accounting.

        None is certain where the controller answered, shows us such jobs, and accounting (if there is any) answered
        too. Without accounting a job that ended over MinJobAge ago is unknown to Slurm: None then means that no such
        job waits or runs. That is enough for what None is used for, to submit: whoever asks has looked for claims and
        status files of the attempt first, which such a job has left behind, and were it submitted again all the same
        the fence of job.sh would send it away.
        """
        if found := liveliest(record for record in self._listed([handle]) if not _refused(record)):
            return found.native_id
        site = self._survey()
        if site.accounting:
            unfinished = False
            for record in self._from_accounting([handle]):
                if _refused(record):
                    continue
                if record.seen.state is NativeState.ENDED:
                    return record.native_id
                unfinished = True
            if unfinished and (found := liveliest(self._listed([handle]))):
                return found.native_id  # accepted between the two questions; else the controller has lost it
        if not self._shown(site, handle):
            raise Transient(
                f"Slurm does not show us the jobs of {handle.account} (PrivateData): an operator's role would"
            )
        return None

    def observe(self, handles: Collection[Handle]) -> Mapping[str, Mapping[int, Observation]]:
        """Ask squeue once for everybody, and accounting for those that squeue no longer has."""
        if not handles:
            return {}
        records = self._read(handles)
        accounts = {handle.mark: handle.account for handle in handles}
        found = self._pictures.compose(records, accounts)
        if not self._pictures.doubtful:
            return found
        site = self._survey()
        unsure: set[str] = set()
        if site.accounting:
            extra, unsure = self._ended([handle for handle in handles if handle.mark in self._pictures.doubtful])
            if extra:
                found = self._pictures.compose([*extra, *records], accounts)
        for handle in handles:
            if handle.mark not in found and (handle.mark in unsure or not self._shown(site, handle)):
                found[handle.mark] = _HIDDEN
        return found

    def cancel(self, handle: Handle) -> None:
        """Run scancel on all jobs of the mark: job.sh gets TERM at once, and KILL after KillWait (slurm.conf(5))."""
        answer = self._clients.run("scancel", f"--user={handle.account}", f"--name={mark(handle.mark)}")
        words = cleaned(answer.err)
        if answer.code != 0 and words and "Invalid" not in words and "already" not in words:
            raise Transient(f"scancel: {words}")

    def interactive(self, order: Order) -> list[str]:
        """Return srun with a terminal (srun(1), --pty)."""
        return on_terminal(self._clients, order.account, ["srun", *interactive_options(order)])

    def waiting(self, handle: Handle) -> Waiting | None:
        """Say why it waits, which place it has and when it may start; some seconds old."""
        return self._waiting.look(handle)

    # --- asking

    def _ask(self, *argv: str) -> str:
        answer = self._clients.run(*argv, extra={"SLURM_TIME_FORMAT": "%s"})
        if answer.code != 0:
            raise Transient(f"Slurm does not answer {argv[0]}: {'; '.join(cleaned(answer.err).splitlines())[:400]}")
        return answer.out

    def _listed(self, handles: Collection[Handle]) -> list[Record]:
        """List the jobs of these handles that squeue shows."""
        accounts = {handle.mark: handle.account for handle in handles}
        return [record for record in self._read(handles) if accounts.get(record.mark) == record.account]

    def _read(self, handles: Collection[Handle]) -> list[Record]:
        texts = self._squeue(handles)
        few = len(handles) <= _FEW
        return self._pictures.pick(texts, [h.mark for h in handles]) if few else self._pictures.read(texts)

    def _squeue(self, handles: Collection[Handle]) -> list[str]:
        """Ask for jobs of all partitions and states, of one account if that is enough."""
        accounts = {handle.account for handle in handles}
        whose = [f"--user={accounts.pop()}"] if len(accounts) == 1 and len(handles) == 1 else []
        begin = slurm_rows.word()
        argv = ("squeue", "--noheader", "--all", "--states=all", *whose, f"--format={begin}{slurm_rows.FORMAT}")
        return slurm_rows.split(self._ask(*argv), begin)

    def _ended(self, handles: Collection[Handle]) -> tuple[list[Record], set[str]]:
        """Ask accounting how these ended; also return the marks of which it could not be asked this time."""
        now = time.monotonic()
        self._asked = {m: at for m, at in self._asked.items() if now - at < _ASKED_FOR}
        asked = [handle for handle in handles if handle.mark not in self._asked]
        later = {handle.mark for handle in asked[_NAMES * _QUESTIONS :]}
        records: list[Record] = []
        for begin in range(0, min(len(asked), _NAMES * _QUESTIONS), _NAMES):
            part = asked[begin : begin + _NAMES]
            try:
                found = [record for record in self._from_accounting(part) if record.seen.state is NativeState.ENDED]
            except Transient as error:
                _log.warning("accounting does not answer", error=str(error))
                return records, later | {handle.mark for handle in asked[begin:]}
            records += found
            self._asked |= dict.fromkeys((handle.mark for handle in part), now)
        return records, later

    def _from_accounting(self, handles: Collection[Handle]) -> Iterator[Record]:
        """Ask sacct for these; what the controller lost may be there as if it still ran."""
        accounts = {handle.mark: handle.account for handle in handles}
        delimiter = slurm_rows.word()
        text = self._ask(
            "sacct", "--noheader", "--parsable2", "--allocations", f"--delimiter={delimiter}",
            f"--starttime=now-{_HISTORY}seconds", f"--user={','.join(sorted(set(accounts.values())))}",
            f"--name={','.join(mark(m) for m in accounts)}", f"--format={slurm_rows.ACCOUNTED}",
        )  # fmt: skip
        for record in slurm_rows.accounted(text, delimiter):
            if accounts.get(record.mark) == record.account:
                yield record

    # --- what we may see

    def _shown(self, site: _Site, handle: Handle) -> bool:
        """Say whether this account's jobs would be shown to us: our own always are."""
        return site.sees_all or handle.account == pwd.getpwuid(os.geteuid()).pw_name

    def _survey(self) -> _Site:
        """Read the configuration, and keep it for some minutes."""
        now = time.monotonic()
        if self._site is None or now - self._site[0] > _PROVED_FOR:
            config = slurm_queues.settings_of(self._ask("scontrol", "show", "config"))
            accounting = config.get("AccountingStorageType", "").endswith("slurmdbd")
            self._site = (now, _Site(accounting, self._sees_all(config, accounting=accounting), config))
        return self._site[1]

    def _sees_all(self, config: Mapping[str, str], *, accounting: bool) -> bool:
        me = pwd.getpwuid(os.geteuid()).pw_name
        hidden = _hides_jobs(config)
        if accounting and not hidden:
            kept = slurm_queues.settings_of(self._ask("sacctmgr", "--noheader", "show", "configuration"))
            hidden = _hides_jobs(kept)
        if not hidden or me in ("root", config.get("SlurmUser", "").partition("(")[0]):
            return True
        if not accounting:
            return False
        level = self._ask("sacctmgr", "--noheader", "--parsable2", "show", "user", me, "format=adminlevel")
        return level.strip().lower().startswith(("operator", "admin"))


def _refused(record: Record) -> bool:
    """Say whether this is the record that the controller keeps of a job that it never took (BadConstraints)."""
    seen = record.seen
    return seen.state is NativeState.ENDED and seen.node is None and seen.reason.startswith("FAILED")


def _hides_jobs(config: Mapping[str, str]) -> bool:
    return bool({"jobs", "all"} & set(config.get("PrivateData", "none").lower().split(",")))
