"""Requests and responses that the API and the client share. Times are seconds since 1970, UTC."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from cluster_interface.model.base import Model
from cluster_interface.model.job import Attempt, Event, Job, OutputFile, Progress, Task  # noqa: TC001
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.plan import Bounds, Plan
from cluster_interface.model.proposal import Proposal
from cluster_interface.model.state import FailureCode, JobState, TaskState


class SubmitRequest(Model):
    """POST /jobs. The Idempotency-Key header makes a repeated request the same job."""

    spec: JobSpec


class InspectRequest(Model):
    """POST /inspect: what lies beside the script. Null text: too large or not text; only its name counts."""

    script: str | None = Field(default=None, description="which file is run; null: found among the files")
    arguments: tuple[str, ...] = ()
    files: dict[str, str | None] = {}


class InspectResponse(Model):
    """The proposal, and what this server would do with it."""

    proposal: Proposal
    queue: str
    runtime: str
    bounds: Bounds


class ProgressView(Model):
    """How far a stage has come."""

    stage: str
    done: int
    total: int | None
    unit: str
    note: str

    @classmethod
    def of(cls, progress: Progress) -> ProgressView:
        """Show a progress."""
        return cls(**vars(progress))


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

    @classmethod
    def of(cls, task: Task) -> TaskView:
        """Show a task."""
        return cls(**{name: value for name, value in vars(task).items() if name != "job"})


class AttemptView(Model):
    """One attempt."""

    number: int
    mark: str
    native_id: str | None
    created: float
    ended: float | None

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptView:
        """Show an attempt."""
        return cls(**{name: value for name, value in vars(attempt).items() if name != "job"})


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


class JobView(JobSummary):
    """Everything about one job."""

    spec: JobSpec
    plan: Plan | None
    plan_sha256: str | None
    tasks: tuple[TaskView, ...]
    attempts: tuple[AttemptView, ...]
    progress: tuple[ProgressView, ...]
    last_event: int
    cancel_requested: bool


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


class OutputView(Model):
    """One output."""

    path: str
    size: int
    sha256: str
    task: int
    partial: bool

    @classmethod
    def of(cls, output: OutputFile) -> OutputView:
        """Show an output."""
        return cls(**vars(output))


class OutputList(Model):
    """GET /jobs/{id}/outputs."""

    outputs: tuple[OutputView, ...]


class ImageView(Model):
    """One image or base."""

    key: str
    kind: str
    name: str
    created: float
    size: int
    packages: tuple[str, ...]
    base: str | None
    faces: tuple[str, ...]


class ImageList(Model):
    """GET /images."""

    images: tuple[ImageView, ...]


class ImportBaseRequest(Model):
    """POST /images/bases: an upload that holds a root filesystem (tar, perhaps compressed)."""

    upload: str
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")


class QueueView(Model):
    """One queue."""

    name: str
    cpus: int
    memory: int
    time: int | None
    gpus: int
    nodes: int
    runtimes: tuple[str, ...]


class QueueList(Model):
    """GET /queues."""

    queues: tuple[QueueView, ...]


class Me(Model):
    """GET /me."""

    name: str
    account: str
    uid: int
    version: str


class Finding(Model):
    """One line of the doctor's report."""

    about: str
    good: bool
    says: str
    advice: str = ""


class Setting(Model):
    """One setting, and where its value came from."""

    name: str
    value: str
    origin: str


class DoctorReport(Model):
    """GET /admin/doctor."""

    findings: tuple[Finding, ...]
    settings: tuple[Setting, ...]


class UiLink(Model):
    """POST /ui-links: a link that opens the pages once, within a minute."""

    url: str


class ProblemField(Model):
    """One bad field."""

    field: str
    message: str


class ProblemDocument(Model):
    """RFC 9457: what every error answer looks like."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: tuple[ProblemField, ...] = ()
    extra: dict[str, Any] = {}
