"""Jobs, tasks, attempts, events and outputs as the store hands them out: frozen values."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cluster_interface.model.state import FINAL

if TYPE_CHECKING:
    from cluster_interface.model.jobspec import JobSpec
    from cluster_interface.model.plan import Ask, Plan
    from cluster_interface.model.state import FailureCode, JobState, TaskState


JOB_HERE = "{job}"  #: stands for the job's id in a place that outputs are delivered to


@dataclass(frozen=True, kw_only=True)
class Job:
    """One submission. Times are seconds since 1970, UTC."""

    id: str
    owner: str
    group: str
    name: str
    state: JobState
    spec: JobSpec
    plan: Plan | None = None
    plan_sha256: str | None = None
    reason: str = ""  #: why it is where it is, in words
    code: FailureCode | None = None
    attempt: int = 0  #: number of the present attempt; 0 before the first
    tries: int = 0  #: steps that had to be looked at again, in a row
    cancel_requested: bool = False
    approved_by: str | None = None
    rerun_of: str | None = None
    created: float
    changed: float
    ended: float | None = None
    size: int | None = None  #: bytes that its directory holds; before its end, of what was staged; None: not known yet
    keep_until: float | None = None  #: when its files are removed; None: never, or it has not ended
    warned: float | None = None  #: when that was announced
    removed: float | None = None  #: when its files were removed
    deliveries: tuple[Delivery, ...] = ()  #: where its outputs were taken
    deliver_asked: float | None = None  #: when it was asked that what was not delivered be, while that waits
    facts: dict[str, Any] = field(default_factory=dict)  #: the engine's own notes: progress, since when it is missing
    lease_token: str | None = None

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL

    @property
    def places(self) -> tuple[str, ...]:
        """Where its outputs are to be delivered."""
        return tuple(place.replace(JOB_HERE, self.id) for place in self.spec.deliver)

    @property
    def undelivered(self) -> tuple[str, ...]:
        """Those of its places that its outputs did not reach."""
        reached = {delivery.to for delivery in self.deliveries if not delivery.trouble}
        return tuple(place for place in self.places if place not in reached)

    @property
    def by_task(self) -> bool:
        """Whether its outputs stand in a directory for each task."""
        return self.spec.sweep is not None

    @property
    def number(self) -> int:
        """The number of the attempt that is being prepared or under way."""
        return max(1, self.attempt) + ("again" in self.facts)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One of a job's 1..n tasks."""

    job: str
    index: int
    state: TaskState
    attempt: int = 0
    exit_code: int | None = None
    reason: str = ""
    started: float | None = None
    ended: float | None = None
    cpu_seconds: float | None = None
    peak_memory: int | None = None  #: bytes
    measured_by: str | None = None
    node: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class NativeOrder:
    """One native job of an attempt: a stretch of its elements."""

    mark: str  #: in the native job's name: finds it after a lost answer
    offset: int  #: its first element among the attempt's
    elements: int
    native_id: str | None = None  #: None: not handed over yet


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try at running tasks through the scheduler: elements of one or more tasks, in one or more native jobs."""

    job: str
    number: int
    mark: str
    account: str = ""  #: whom the native jobs run as
    ask: Ask | None = None  #: what was asked for: the plan's, or more after a failure
    tasks: tuple[int, ...] | None = None  #: the tasks that are tried; None: all
    pack: int = 1  #: tasks per element
    orders: tuple[NativeOrder, ...] = ()
    expected: float | None = None  #: when the scheduler expected it to start, as it said at first
    started: float | None = None
    created: float
    ended: float | None = None

    def numbers(self, tasks: int) -> Sequence[int]:
        """Name the tasks that are tried, out of the job's so many."""
        return range(tasks) if self.tasks is None else self.tasks

    def not_handed(self, tasks: int) -> list[int]:
        """Name the tasks of those orders that the scheduler has not been given, out of the job's so many."""
        elements = self.elements(tasks)
        waiting = (order for order in self.orders if order.native_id is None)
        places = (range(order.offset, order.offset + order.elements) for order in waiting)
        return [task for order in places for place in order for task in elements[place]]

    def elements(self, tasks: int) -> Elements:
        """Say which tasks each element runs, one after the other, out of the job's so many."""
        numbers = self.numbers(tasks)
        with_one_alone = 1 - (1 - len(numbers)) // self.pack
        so_many = sum(order.elements for order in self.orders) == with_one_alone
        alone = int(so_many and len(self.orders) > 1 and self.orders[0].elements == 1)
        return Elements(numbers, self.pack, alone)


@dataclass(frozen=True)
class Elements(Sequence[Sequence[int]]):
    """The tasks of each element of an attempt; computed, since there may be very many."""

    numbers: Sequence[int]  #: the tasks that are tried, in order
    pack: int
    alone: int  #: 1 if the first element has but one task, else 0

    def __len__(self) -> int:
        """Count the elements."""
        return self.alone - (self.alone - len(self.numbers)) // self.pack

    def __getitem__(self, element: int) -> Sequence[int]:  # type: ignore[override]  # nobody wants a slice
        """Return the tasks of an element; IndexError if there is none of this number."""
        if not 0 <= element < len(self):
            raise IndexError(element)
        end = self.alone + (element + 1 - self.alone) * self.pack
        return self.numbers[max(0, end - self.pack) : end] if element or not self.alone else self.numbers[:1]

    def of(self, task: int) -> int:
        """Return the element that a task is in."""
        at = bisect_left(self.numbers, task)
        return (at - self.alone) // self.pack + self.alone if at or not self.alone else 0


@dataclass(frozen=True, kw_only=True)
class Event:
    """One change of a job: the timeline."""

    id: int
    job: str
    at: float
    old: JobState | None
    new: JobState
    who: str
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """One file that a task left behind."""

    path: str
    size: int
    sha256: str
    task: int = 0
    partial: bool = False  #: its job did not end well
    type: str = ""  #: media type by content and name, such as text/csv; empty: listed before types were
    executable: bool = False  #: its owner may execute it, and so may who fetches it

    def place(self, *, by_task: bool) -> str:
        """Say where it stands among all outputs of its job: `results/top.txt`, or in a sweep `3/results/top.txt`.

        Archives, delivered trees, folders on pages and what `clif outputs --to` writes are all named so.
        """
        return f"{self.task}/{self.path}" if by_task else self.path


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What became of taking a job's outputs to one place."""

    to: str  #: as the spec says it, without secrets
    files: int = 0
    size: int = 0  #: bytes
    trouble: str = ""  #: why it did not all get there, in words; empty: it did
    at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link by which somebody without an account fetches one file or folder of one job."""

    id: str
    job: str
    owner: str
    path: str  #: a place among the outputs; empty: all of them
    created: float
    expires: float
    most: int | None = None  #: downloads it is good for; None: any number
    downloads: int = 0
    used: float | None = None  #: when it was last used


@dataclass(frozen=True, kw_only=True)
class SourceProgress:
    """How far one input is."""

    path: str
    source: str  #: without anything that may be secret
    done: int  #: bytes
    total: int | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a stage of long work has come."""

    stage: str  #: image, inputs, outputs
    done: int = 0
    total: int | None = None
    unit: str = "bytes"
    note: str = ""
    files: int | None = None  #: that are done
    files_total: int | None = None
    sources: tuple[SourceProgress, ...] = ()  #: some of those on their way

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Progress:
        """Make it again of what `dataclasses.asdict` made of it."""
        return cls(**{**found, "sources": tuple(SourceProgress(**one) for one in found.get("sources", ()))})


def nobody_hears(progress: Progress) -> None:
    """Report to nobody."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """The Unix account that a job runs under."""

    name: str
    uid: int
    gid: int
    home: str = "/"
    groups: tuple[int, ...] = field(default=())
