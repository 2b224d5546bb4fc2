"""The scheduler of one machine: a spool directory, and a dispatcher process that owns the node.

Like the clients of any scheduler this one only writes down what is wanted and reads what is; the tasks belong
to the dispatcher (`dispatcher.py`), so nothing happens to them when an engine or a web server dies.
"""

from __future__ import annotations

import fcntl
import time
from typing import TYPE_CHECKING, cast

from cluster_interface.adapters.schedulers import machine
from cluster_interface.adapters.schedulers.spool import Spool, TaskRecord
from cluster_interface.model.errors import Transient
from cluster_interface.model.queue import Queue, check_fits
from cluster_interface.ports import NativeState, Observation

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from cluster_interface.ports import Order
    from cluster_interface.settings import Defaults, Local


class LocalScheduler:
    """One queue named `local` with this machine's processors and memory."""

    name = "local"

    def __init__(self, spool: Path, settings: Local, defaults: Defaults, runtimes: Sequence[str]) -> None:
        self._spool = Spool(spool)
        self._settings = settings
        self._defaults = defaults
        self._runtimes = tuple(runtimes)

    def queues(self) -> list[Queue]:
        """Describe the one queue."""
        cpus, memory = capacity(self._settings)
        time_limit = self._settings.time
        return [
            Queue(
                name="local",
                cpus=cpus,
                memory=memory,
                time=time_limit,
                default_cpus=min(self._defaults.cpus, cpus),
                default_memory=min(self._defaults.memory, memory),
                default_time=min(self._defaults.time, time_limit or self._defaults.time),
                runtimes=self._runtimes,
            )
        ]

    def submit(self, order: Order) -> str:
        """Put an order into the spool; the same mark again gives the same id. Rejected: larger than the machine."""
        check_fits(order.ask, self.queues()[0])
        try:
            return self._spool.add(order, time.time())
        except OSError as error:
            raise Transient(f"the local scheduler's spool cannot be written: {error}") from None

    def find(self, mark: str) -> str | None:
        """Return the native id of the order with this mark, ended ones included."""
        try:
            return self._spool.find(mark)
        except OSError as error:
            raise Transient(f"the local scheduler's spool cannot be read: {error}") from None

    def observe(self, native_ids: Collection[str]) -> Mapping[str, Mapping[int, Observation]]:
        """Read what the dispatcher has written down."""
        wanted = set(native_ids)
        found: dict[str, Mapping[int, Observation]] = {}
        try:
            waits = "waits for free processors or memory" if self._dispatched() else _NOBODY
            for native_id, _, directory in self._spool.list():
                if native_id in wanted:
                    order, _ = self._spool.order(directory)
                    records = self._spool.records(directory)
                    found[native_id] = {n: _observed(records.get(n), waits) for n in range(order.tasks)}
        except FileNotFoundError:
            return found  # purged while we read: absent, which is not ended
        except (OSError, ValueError, KeyError) as error:
            raise Transient(f"the local scheduler's spool cannot be read: {error}") from None
        return found

    def cancel(self, native_id: str) -> None:
        """Ask the dispatcher to end every task."""
        try:
            if any(native_id == known for known, _, _ in self._spool.list()):
                self._spool.ask_to_cancel(native_id)
        except OSError as error:
            raise Transient(f"the local scheduler's spool cannot be written: {error}") from None

    def _dispatched(self) -> bool:
        try:
            with self._spool.locked("dispatcher", fcntl.LOCK_SH | fcntl.LOCK_NB):
                return False
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True


_NOBODY = "the local scheduler's dispatcher is not running: start `clif serve`"


def capacity(settings: Local) -> tuple[int, int]:
    """Processors and bytes of memory for jobs: what the machine has, or less if the settings say so."""
    cpus, memory = machine.cpus(), machine.memory()
    return min(settings.cpus or cpus, cpus), min(settings.memory or memory, memory)


def _observed(record: TaskRecord | None, waits: str) -> Observation:
    if record is None:
        return Observation(state=NativeState.PENDING, reason=waits)
    if record.ended is None:
        return Observation(state=NativeState.RUNNING, reason=record.reason, started=record.started)
    return Observation(
        state=NativeState.ENDED,
        reason=record.reason,
        verdict=cast("_Verdict | None", record.verdict),
        started=record.started,
    )


if TYPE_CHECKING:
    from typing import Literal

    _Verdict = Literal["time_limit", "out_of_memory", "node_failed", "disk_full", "canceled"]
