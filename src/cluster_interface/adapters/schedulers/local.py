"""The scheduler of one machine: a spool directory, and a dispatcher process that owns the node.

Like the clients of any scheduler this one only writes down what is wanted and reads what is; the tasks belong
to the dispatcher (`dispatcher.py`), so nothing happens to them when an engine or a web server dies.
"""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from cluster_interface.adapters.schedulers import machine
from cluster_interface.adapters.schedulers.spool import Spool, TaskRecord
from cluster_interface.model.errors import Rejected, Transient
from cluster_interface.model.queue import Queue, check_fits
from cluster_interface.ports import NativeState, Observation, Waiting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from cluster_interface.ports import Handle, Order
    from cluster_interface.settings import Defaults, Local

_BUSY = Observation(state=NativeState.PENDING, reason="waits for free processors or memory")
_NOBODY = Observation(
    state=NativeState.PENDING, reason="the local scheduler's dispatcher is not running: start `clif serve`"
)
_UNREADABLE = "the local scheduler's spool cannot be read"
_UNWRITABLE = "the local scheduler's spool cannot be written"


@dataclass(kw_only=True)
class _Known:
    """An order of the spool, and what was seen of it last."""

    account: str
    elements: int
    position: int = 0  #: in its events
    records: dict[int, TaskRecord] = field(default_factory=dict)
    pending: Observation | None = None
    seen: dict[int, Observation] = field(default_factory=dict)


class LocalScheduler:
    """One queue named `local` with this machine's processors and memory."""

    name = "local"

    def __init__(self, spool: Path, settings: Local, defaults: Defaults) -> None:
        self._spool = Spool(spool)
        self._settings = settings
        self._defaults = defaults
        self._known: dict[Path, _Known] = {}

    def queues(self) -> list[Queue]:
        """Describe the one queue."""
        cpus, memory = capacity(self._settings)
        time_limit = self._settings.time
        return [
            Queue(
                name="local",
                scheduler="local",
                cpus=cpus,
                memory=memory,
                time=time_limit,
                default_cpus=min(self._defaults.cpus, cpus),
                default_memory=min(self._defaults.memory, memory),
                default_time=min(self._defaults.time, time_limit or self._defaults.time),
            )
        ]

    def submit(self, order: Order) -> str:
        """Put an order into the spool; the same mark again gives the same id. Rejected: larger than the machine."""
        queue = replace(self.queues()[0], runtimes=(order.ask.runtime,))  # which work here is the site's business
        check_fits(order.ask.model_copy(update={"time": order.time}), queue)
        if order.node not in (None, node_name()):
            raise Rejected(f"there is no node {order.node!r} here, only {node_name()}")
        try:
            return self._spool.add(order, time.time())
        except OSError as error:
            raise Transient(f"{_UNWRITABLE}: {error}") from None

    def find(self, handle: Handle) -> str | None:
        """Return the native id of the order with this mark and account, ended ones included."""
        try:
            return next((native_id for native_id, _ in self._orders_of([handle], self._spool.list())), None)
        except OSError as error:
            raise Transient(f"{_UNREADABLE}: {error}") from None

    def observe(self, handles: Collection[Handle]) -> Mapping[str, Mapping[int, Observation]]:
        """Read what the dispatcher has written down since the last look."""
        try:
            pending = _BUSY if self._dispatched() else _NOBODY
            listed = self._spool.list()
            self._drop_forgotten(listed)
            return {
                directory.name.partition(".")[2]: seen
                for _, directory in self._orders_of(handles, listed)
                if (seen := self._look(directory, pending)) is not None
            }
        except OSError as error:
            raise Transient(f"{_UNREADABLE}: {error}") from None

    def cancel(self, handle: Handle) -> None:
        """Ask the dispatcher to end every element."""
        try:
            for native_id, _ in self._orders_of([handle], self._spool.list()):
                self._spool.ask_to_cancel(native_id)
        except OSError as error:
            raise Transient(f"{_UNWRITABLE}: {error}") from None

    def interactive(self, order: Order) -> list[str]:
        """Run it right here: this machine is the node."""
        return ["sh", str(order.script)]

    def waiting(self, handle: Handle) -> Waiting | None:
        """Say which place in the queue an order has; None once one of its elements has begun."""
        try:
            listed = self._spool.list()
            pending = _BUSY if self._dispatched() else _NOBODY
            ours = next((directory for _, directory in self._orders_of([handle], listed)), None)
            if ours is None or self._look(ours, pending) is None or self._known[ours].records:
                return None
            before = [directory for _, _, directory in listed if _number(directory) < _number(ours)]
            position = 1 + sum(self._waits(directory, pending) for directory in before)
        except OSError as error:
            raise Transient(f"{_UNREADABLE}: {error}") from None
        return Waiting(reason=pending.reason, position=position)

    def _orders_of(self, handles: Iterable[Handle], listed: list[tuple[str, str, Path]]) -> list[tuple[str, Path]]:
        """Pick native id and directory of those orders whose mark and account are a handle's."""
        accounts = {handle.mark: handle.account for handle in handles}
        found = []
        for native_id, mark, directory in listed:
            account = accounts.get(mark)
            if account is not None and (known := self._order(directory)) is not None and known.account == account:
                found.append((native_id, directory))
        return found

    def _order(self, directory: Path) -> _Known | None:
        """Read an order once; None if it is gone, or its record is nothing that we can read."""
        if directory not in self._known:
            try:
                order, _ = self._spool.order(directory)
            except (FileNotFoundError, ValueError, KeyError, TypeError):
                return None
            self._known[directory] = _Known(account=order.account.name, elements=order.elements)
        return self._known[directory]

    def _look(self, directory: Path, pending: Observation) -> dict[int, Observation] | None:
        """Return what is seen of an order, the same object while nothing changes; None if it was just forgotten."""
        if (known := self._order(directory)) is None:
            return None
        try:
            size = (directory / "events").stat().st_size
            if size < known.position:  # a dispatcher cut off what a crash had left half-written
                known.position, known.records, known.pending = 0, {}, None
            position, touched = known.position, set[int]()
            if size != known.position:
                known.position, touched = self._spool.follow(directory, known.records, position)
        except FileNotFoundError:
            self._known.pop(directory, None)
            return None  # absent, which is not ended
        if known.pending is not pending:
            touched = set(range(known.elements))
        if touched:
            known.pending = pending
            known.seen = {**known.seen, **{n: self._observed(known, n, pending) for n in touched}}
        return known.seen

    def _observed(self, known: _Known, element: int, pending: Observation) -> Observation:
        record = known.records.get(element)
        if record is None:
            return pending
        fresh = _observed(record)
        old = known.seen.get(element)
        return old if old == fresh else fresh

    def _waits(self, directory: Path, pending: Observation) -> bool:
        """Say whether some element of this order has not begun."""
        seen = self._look(directory, pending)
        return seen is not None and len(self._known[directory].records) < len(seen)

    def _drop_forgotten(self, listed: list[tuple[str, str, Path]]) -> None:
        if len(self._known) > len(listed):
            there = {directory for _, _, directory in listed}
            self._known = {directory: known for directory, known in self._known.items() if directory in there}

    def _dispatched(self) -> bool:
        try:
            with self._spool.locked("dispatcher", fcntl.LOCK_SH | fcntl.LOCK_NB):
                return False
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True


def capacity(settings: Local) -> tuple[int, int]:
    """Processors and bytes of memory for jobs: what the machine has, or less if the settings say so."""
    cpus, memory = machine.cpus(), machine.memory()
    return min(settings.cpus or cpus, cpus), min(settings.memory or memory, memory)


def node_name() -> str:
    """Return the name of the one node."""
    return os.uname().nodename


def _number(directory: Path) -> int:
    return int(directory.name.partition(".")[0])


def _observed(record: TaskRecord) -> Observation:
    ended = record.ended is not None
    return Observation(
        state=NativeState.ENDED if ended else NativeState.RUNNING,
        reason=record.reason,
        verdict=cast("_Verdict | None", record.verdict) if ended else None,
        started=record.started,
        node=node_name() if record.started is not None else None,
    )


if TYPE_CHECKING:
    from typing import Literal

    _Verdict = Literal["time_limit", "out_of_memory", "node_failed", "disk_full", "canceled"]
