"""The directory through which the local scheduler and its dispatcher speak.

    last                    the last native id given; never goes back
    wake                    a FIFO: a byte in it makes the dispatcher look at once
    jobs/<id>.<mark>/order  what was ordered (JSON), there at once or not at all
    jobs/<id>.<mark>/events what happened to its tasks, one JSON line each, only ever appended to
    cancel/<id>             somebody wants it ended

Only the dispatcher writes events. It lies on a local disk and belongs to the server's account.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_interface.adapters.processes import Process
from cluster_interface.model.errors import Rejected
from cluster_interface.model.job import Account
from cluster_interface.model.plan import Ask
from cluster_interface.ports import Order

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_GRANULARITY = 50_000_000  # nanoseconds


@dataclass(frozen=True, kw_only=True)
class TaskRecord:
    """What the events say of one task."""

    process: Process | None = None
    started: float | None = None
    cores: tuple[int, ...] = ()
    verdict: str | None = None
    reason: str = ""
    ended: float | None = None


class Spool:
    """Reads and writes the directory. Every write is whole or not there, and on disk before it counts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.jobs = directory / "jobs"
        self.cancels = directory / "cancel"
        self.fifo = directory / "wake"
        self._listed: tuple[int, list[tuple[str, str, Path]]] = (0, [])

    def make(self) -> None:
        """Make what is missing of the directory, closed to others."""
        for path in (self.directory, self.jobs, self.cancels):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.mkfifo(self.fifo, 0o600)

    def add(self, order: Order, submitted: float) -> str:
        """Keep an order and return its native id; the id it has already if its mark is known."""
        if not _MARK.fullmatch(order.mark):
            raise Rejected.field("mark", f"{order.mark[:40]!r} is not a mark: letters, digits, dot, _ and - only")
        self.make()
        with self.locked("ids"):
            if (known := self.find(order.mark)) is not None:
                return known
            native_id = self._next_id()
            text = json.dumps(_order_to_json(order) | {"submitted": submitted})
            fresh = self.directory / f"new.{native_id}"
            fresh.mkdir(mode=0o700)
            _write(fresh / "order", text)
            _write(fresh / "events", "")
            _sync(fresh)
            fresh.rename(self.jobs / f"{native_id}.{order.mark}")
            _sync(self.jobs)
        self.wake()
        return native_id

    def find(self, mark: str) -> str | None:
        """Return the id of the order with this mark."""
        return next((native_id for native_id, known, _ in self.list() if known == mark), None)

    def list(self) -> list[tuple[str, str, Path]]:
        """List all orders as (native id, mark, directory), oldest first. Read again only when it has changed."""
        with suppress(FileNotFoundError):
            changed = self.jobs.stat().st_mtime_ns
            if changed == self._listed[0]:
                return self._listed[1]
            names = [entry.name.partition(".") for entry in os.scandir(self.jobs)]
            listed = [(i, mark, self.jobs / f"{i}.{mark}") for i, _, mark in sorted(names, key=lambda n: int(n[0]))]
            # A change within the clock's granularity of this reading would not move the time again.
            self._listed = (changed if time.time_ns() - changed > _GRANULARITY else 0, listed)
            return listed
        return []

    def order(self, directory: Path) -> tuple[Order, float]:
        """Read an order and when it was submitted."""
        data = json.loads((directory / "order").read_text())
        return _order_from_json(data), data["submitted"]

    def ask_to_cancel(self, native_id: str) -> None:
        """Leave word that an order is to be ended."""
        self.make()
        (self.cancels / native_id).touch()
        _sync(self.cancels)
        self.wake()

    def wake(self) -> None:
        """Make the dispatcher look at once, if there is one."""
        with suppress(OSError):
            writer = os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(writer, b".")
            finally:
                os.close(writer)

    def append(self, directory: Path, **event: Any) -> None:
        """Add an event to an order's events and see it onto the disk."""
        file = os.open(directory / "events", os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, json.dumps(event).encode() + b"\n")
            os.fdatasync(file)
        finally:
            os.close(file)

    def mend(self, directory: Path) -> None:
        """Cut off a last event that a crash left half-written."""
        path = directory / "events"
        text = path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.truncate(path, whole)

    def records(self, directory: Path) -> dict[int, TaskRecord]:
        """Read what happened to the elements; one that nothing happened to is left out."""
        found: dict[int, TaskRecord] = {}
        self.follow(directory, found, 0)
        return found

    def follow(self, directory: Path, found: dict[int, TaskRecord], position: int) -> tuple[int, set[int]]:
        """Read on from `position`; return where the next reading begins, and which elements' records changed."""
        with (directory / "events").open("rb") as file:
            file.seek(position)
            text = file.read()
        text = text[: text.rfind(b"\n") + 1]  # a half-written line does not count
        touched: set[int] = set()
        for line in text.splitlines():
            try:
                event = json.loads(line)
                first, last = event["task"] if isinstance(event["task"], list) else (event["task"], event["task"])
                for task in range(first, last + 1):
                    touched.add(task)
                    if event["what"] == "unstarted":
                        found.pop(task, None)
                    else:
                        found[task] = _after(found.get(task, TaskRecord()), event)
            except (ValueError, KeyError, TypeError):
                continue
        return position + len(text), touched

    def drop_unfinished(self) -> None:
        """Remove orders that were never accepted and records that were being forgotten when their writer died."""
        with self.locked("ids"):
            for directory in (*self.directory.glob("new.*"), *self.directory.glob("old.*")):
                shutil.rmtree(directory)

    def forget(self, directory: Path) -> None:
        """Remove an order and its events."""
        gone = self.directory / f"old.{directory.name}"
        directory.rename(gone)
        shutil.rmtree(gone)

    @contextmanager
    def locked(self, name: str, flags: int = fcntl.LOCK_EX) -> Iterator[None]:
        """Hold a lock of this spool; BlockingIOError if LOCK_NB is asked and another holds it."""
        file = os.open(self.directory / f"{name}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(file, flags)
            yield
        finally:
            os.close(file)

    def _next_id(self) -> str:
        last = self.directory / "last"
        number = 1 + (int(last.read_text()) if last.exists() else 0)
        fresh = self.directory / "last.new"
        _write(fresh, str(number))
        fresh.rename(last)
        _sync(self.directory)
        return str(number)


def _after(record: TaskRecord, event: dict[str, Any]) -> TaskRecord:
    verdict, reason = event.get("verdict") or record.verdict, event.get("reason") or record.reason
    if event["what"] == "started":
        who = Process(event["pid"], event["ticks"], event["boot"])
        return TaskRecord(process=who, started=event["at"], cores=tuple(event.get("cores", ())))
    return TaskRecord(
        process=record.process,
        started=record.started,
        cores=record.cores,
        verdict=verdict,
        reason=reason,
        ended=event["at"] if event["what"] == "ended" else record.ended,
    )


def _order_to_json(order: Order) -> dict[str, Any]:
    return {
        "script": str(order.script),
        "mark": order.mark,
        "account": asdict(order.account),
        "ask": order.ask.model_dump(mode="json"),
        "time": order.time,
        "elements": order.elements,
        "offset": order.offset,
        "max_running": order.max_running,
        "node": order.node,
        "log": str(order.log) if order.log else None,
    }


def _order_from_json(data: dict[str, Any]) -> Order:
    account = data["account"]
    return Order(
        script=Path(data["script"]),
        mark=data["mark"],
        account=Account(**{**account, "groups": tuple(account["groups"])}),
        ask=Ask.model_validate(data["ask"]),
        time=data["time"],
        elements=data["elements"],
        offset=data["offset"],
        max_running=data["max_running"],
        node=data["node"],
        log=Path(data["log"]) if data["log"] else None,
    )


def _write(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
