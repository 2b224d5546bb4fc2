"""Jobs: handed in, shown, waited for."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cluster_interface.model.advice import Earlier
from cluster_interface.model.base import Model
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.plan import Bounds, Plan
from cluster_interface.model.proposal import Proposal
from cluster_interface.model.resources import Seconds
from cluster_interface.model.state import FailureCode, JobState, TaskState
from cluster_interface.model.sweep import PARAMETER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.model.job import Attempt, Delivery, Event, Job, Progress, Task
    from cluster_interface.ports import Waiting


class SubmitRequest(Model):
    """POST /jobs. The Idempotency-Key header makes a repeated request the same job."""

    spec: JobSpec


class InspectRequest(Model):
    """POST /inspect: what lies beside the script. Null text: too large or not text; only its name counts."""

    script: str | None = Field(default=None, description="which file is run; null: found among the files")
    arguments: tuple[str, ...] = ()
    parameters: tuple[Annotated[str, Field(pattern=PARAMETER)], ...] = Field(
        default=(), description="the names of a sweep's parameters, to be given to options of these names"
    )
    files: dict[str, str | None] = {}
    start: str | None = Field(
        default=None, description="the directory, among these, in which the script is started; null: found out"
    )


class InspectResponse(Model):
    """The proposal, and what this server would do with it."""

    proposal: Proposal
    queue: str
    runtime: str
    bounds: Bounds
    earlier: Earlier | None = Field(default=None, description="what the same script asked for and used last time")


class MovingView(Model):
    """How far one input is."""

    path: str
    source: str
    done: int
    total: int | None


class ProgressView(Model):
    """How far a stage has come."""

    stage: str
    done: int
    total: int | None
    unit: str
    note: str
    files: int | None = Field(default=None, description="that are done")
    files_total: int | None = None
    sources: tuple[MovingView, ...] = Field(default=(), description="some of the inputs that are on their way")

    @classmethod
    def of(cls, progress: Progress) -> ProgressView:
        """Show a progress."""
        return cls(**{**vars(progress), "sources": tuple(MovingView(**vars(one)) for one in progress.sources)})


class TaskView(Model):
    """One task."""

    index: int
    state: TaskState
    attempt: int
    exit_code: int | None
    reason: str
    started: float | None
    ended: float | None
    cpu_seconds: float | None
    peak_memory: int | None
    measured_by: str | None
    node: str | None = None
    parameters: dict[str, str] = {}

    @classmethod
    def of(cls, task: Task) -> TaskView:
        """Show a task."""
        return cls(**{name: value for name, value in vars(task).items() if name != "job"})


class TaskPage(Model):
    """GET /jobs/{id}/tasks?state=&after=N: in order; pass `next` as ?after= for the rest."""

    tasks: tuple[TaskView, ...]
    next: int | None


class AttemptView(Model):
    """One attempt."""

    number: int
    mark: str
    native_ids: tuple[str, ...]
    tasks: int | None = Field(description="how many tasks it tries; null: all")
    pack: int
    memory: int | None = Field(description="bytes that it asked for")
    created: float
    started: float | None
    ended: float | None

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptView:
        """Show an attempt."""
        return cls(
            number=attempt.number,
            mark=attempt.mark,
            native_ids=tuple(order.native_id for order in attempt.orders if order.native_id),
            tasks=None if attempt.tasks is None else len(attempt.tasks),
            pack=attempt.pack,
            memory=attempt.ask.memory if attempt.ask else None,
            created=attempt.created,
            started=attempt.started,
            ended=attempt.ended,
        )


class WaitingView(Model):
    """Why a job in the queue does not run yet."""

    reason: str
    native_reason: str = ""
    position: int | None = None
    start: float | None = Field(default=None, description="when the scheduler expects it to start")
    usually_off: float | None = Field(default=None, description="seconds by which such guesses were wrong, the median")
    guesses: int = Field(default=0, description="how many guesses that rests on")

    @classmethod
    def of(cls, waiting: Waiting, starts: Sequence[tuple[float, float]]) -> WaitingView:
        """Show why, with the (expected, actual) starts of earlier jobs."""
        off = [abs(actual - expected) for expected, actual in starts]
        return cls(**vars(waiting), usually_off=median(off) if off else None, guesses=len(off))


class JobSummary(Model):
    """One line of the list."""

    id: str
    name: str
    owner: str
    group: str
    state: JobState
    code: FailureCode | None
    reason: str
    created: float
    changed: float
    ended: float | None
    rerun_of: str | None

    @classmethod
    def of(cls, job: Job) -> JobSummary:
        """Show a job in a list."""
        return cls(**{name: getattr(job, name) for name in cls.model_fields})


class DeliveryView(Model):
    """What became of taking a job's outputs to one place."""

    to: str
    files: int = 0
    size: int = Field(default=0, description="bytes")
    trouble: str = Field(default="", description="why it did not all get there; empty: it did")
    at: float | None = None

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryView:
        """Show a delivery."""
        return cls(**vars(delivery))


class MissingView(Model):
    """A package that a failed program lacked by its own words; `POST …/rerun?with_missing=true` adds it."""

    field: str = Field(description="of the job spec, such as environment.system")
    package: str


class JobView(JobSummary):
    """Everything about one job."""

    spec: JobSpec
    plan: Plan | None
    plan_sha256: str | None
    counts: dict[TaskState, int] = Field(default={}, description="how many tasks are in which state")
    tasks: tuple[TaskView, ...] = Field(description="the first hundred; the others by pages")
    attempts: tuple[AttemptView, ...]
    progress: tuple[ProgressView, ...]
    waiting: WaitingView | None = None
    advice: str = Field(default="", description="what to do otherwise next time")
    missing: MissingView | None = None
    build_log: str = Field(default="", description="the key of the image whose build failed, for GET /images/{key}/log")
    last_event: int
    cancel_requested: bool
    size: int | None = Field(default=None, description="bytes that it holds; before its end, of what was staged")
    keep_until: float | None = Field(default=None, description="when its files are removed; null: never")
    warned: float | None = Field(default=None, description="since when that is announced as near")
    removed: float | None = Field(default=None, description="when its files were removed")
    deliveries: tuple[DeliveryView, ...] = ()
    delivering: bool = Field(default=False, description="whether what was not delivered is being delivered again")


class JobPage(Model):
    """GET /jobs: newest first; pass `next` as ?cursor= for the rest."""

    jobs: tuple[JobSummary, ...]
    next: str | None


class EventView(Model):
    """One line of the timeline."""

    id: int
    at: float
    old: JobState | None
    new: JobState
    who: str
    why: str

    @classmethod
    def of(cls, event: Event) -> EventView:
        """Show an event."""
        return cls(**{name: value for name, value in vars(event).items() if name != "job"})


class EventList(Model):
    """GET /jobs/{id}/events?after=N&wait=S; with `Accept: text/event-stream`, the same as a stream."""

    events: tuple[EventView, ...]


class KeepRequest(Model):
    """POST /jobs/{id}/keep."""

    seconds: Seconds | None = Field(default=None, description="from now, or a text such as 30d; null: the usual time")


class ShellView(Model):
    """POST /jobs/{id}/shell: what opens a shell in a task's image and directory, on the server's machine."""

    argv: tuple[str, ...]
    account: str = Field(description="whom it is to be run as")
