"""Schedulers, and the site that has them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from cluster_interface.model.job import Account
    from cluster_interface.model.plan import Ask, Bounds
    from cluster_interface.model.queue import Queue
    from cluster_interface.ports.runtimes import Runtime


class NativeState(StrEnum):
    """What a scheduler says of one task. Absent is `unknown`, never `ended`."""

    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One element of an order as its scheduler sees it."""

    state: NativeState
    reason: str = ""  #: why it waits or how it ended, in the scheduler's words
    verdict: Literal["time_limit", "out_of_memory", "node_failed", "disk_full", "canceled"] | None = None
    started: float | None = None
    node: str | None = None  #: where it runs or ran, as the scheduler calls it


UNSEEN = Observation(state=NativeState.UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is handed to a scheduler: `sh script offset`, run once for each of its elements.

    An element knows its own number (0, 1, …) by what its scheduler puts into the environment; `offset` is where this
    order begins among the elements of its attempt. The scheduler never runs an element a second time by itself.
    """

    script: Path
    mark: str
    account: Account  #: whom the script runs as
    ask: Ask
    time: int  #: seconds that one element may take: those of all tasks it runs one after the other
    elements: int = 1  #: more than one: an array
    offset: int = 0
    max_running: int | None = None  #: most elements at the same time
    node: str | None = None  #: on this node and no other
    log: Path | None = None  #: where the script's own output goes; user output has its own files


@dataclass(frozen=True, kw_only=True)
class Handle:
    """By what an order is known again. The mark and the owner are its identity; a native id may be given out again."""

    mark: str
    account: str  #: name of the account it runs as
    native_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Why an order is not running yet, for people."""

    reason: str  #: in plain words
    native_reason: str = ""  #: in the scheduler's
    position: int | None = None  #: 1: the next of its queue, as far as is known
    start: float | None = None  #: when the scheduler expects it to start


class Scheduler(Protocol):
    """What owns the nodes."""

    name: str

    def queues(self) -> list[Queue]:
        """List the queues, the default first, without runtimes; Transient if it does not answer."""

    def submit(self, order: Order) -> str:
        """Hand over an order and return the native id. Rejected: refused in its own words. Transient: unknown."""

    def find(self, handle: Handle) -> str | None:
        """Return the native id of the order with this mark and account, ended ones included.

        None only where it is certain that there is none; Transient where it cannot tell, or not see such orders.
        """

    def observe(self, handles: Collection[Handle]) -> Mapping[str, Mapping[int, Observation]]:
        """Look at many orders in one call: mark -> element (counted from the order's own 0) -> what is seen.

        What is not there is left out, if its absence is certain: where this account may not see such orders, they
        are there as UNSEEN. Several native jobs of one mark count as the one that is most alive. What has not
        changed since the last look is the same object.
        """

    def cancel(self, handle: Handle) -> None:
        """End every element of every native job of this mark, the polite signal first. No error if all has ended."""

    def interactive(self, order: Order) -> list[str]:
        """Return the command that runs an order's script on the caller's terminal, as the order's account."""

    def waiting(self, handle: Handle) -> Waiting | None:
        """Explain why an order waits; None if it does not, or nothing is known."""


class Site(Protocol):
    """The site's schedulers and queues together, and which runtimes work where."""

    def queues(self) -> list[Queue]:
        """List the queues of all schedulers with their runtimes, the default first. May be some seconds old."""

    def schedulers(self) -> Mapping[str, Scheduler]:
        """Return the schedulers by name."""

    def scheduler(self, name: str) -> Scheduler:
        """Return a scheduler; Transient if the site has none of that name now."""

    def runtime(self, ask: Ask, *, offered: bool = True) -> Runtime:
        """Return the runtime as it is on the nodes of a queue; Transient if it is `offered` there no more."""

    def bounds(self, ask: Ask) -> Bounds:
        """Say how well each limit is kept on the nodes of a queue by a runtime."""

    def runs_as(self, owner: str, runtime: Runtime) -> Account:
        """Say which account the job script of an owner's job runs as."""

    def reap(self, ask: Ask, mark: str, owner: str, nodes: Mapping[str, str]) -> None:
        """Remove what an attempt's containers left behind. `nodes`: what a host calls itself -> its scheduler, it."""

    def survey(self) -> float:
        """Get on with finding out what works on the nodes; return the seconds until it wants to be called again."""
