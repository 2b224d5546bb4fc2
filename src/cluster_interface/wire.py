"""Requests and responses that the API and the client share. Times are seconds since 1970, UTC."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - pydantic reads annotations
from statistics import median
from typing import Any, Literal

from pydantic import Field

from cluster_interface.model.advice import Earlier
from cluster_interface.model.base import Model
from cluster_interface.model.credential import Credential  # noqa: TC001 - pydantic reads annotations
from cluster_interface.model.job import Attempt, Delivery, Event, Job, Link, OutputFile, Progress, Task  # noqa: TC001
from cluster_interface.model.job_pattern import Example, Pattern
from cluster_interface.model.job_pattern import Field as PatternField
from cluster_interface.model.jobspec import Environment, JobSpec
from cluster_interface.model.plan import Bounds, Lock, Plan, SourceInfo
from cluster_interface.model.proposal import Proposal
from cluster_interface.model.resources import Seconds
from cluster_interface.model.state import FailureCode, JobState, TaskState
from cluster_interface.ports import Listed, Waiting  # noqa: TC001 - as above


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
    advice: str = Field(default="", description="what to ask for next time, where that differs")
    last_event: int
    cancel_requested: bool
    size: int | None = Field(default=None, description="bytes that its directory holds, inputs too, since its end")
    keep_until: float | None = Field(default=None, description="when its files are removed; null: never")
    warned: float | None = Field(default=None, description="since when that is announced as near")
    removed: float | None = Field(default=None, description="when its files were removed")
    deliveries: tuple[DeliveryView, ...] = ()


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
    type: str = Field(default="", description="media type by content and name; empty: not known")
    place: str = Field(default="", description="its path among all outputs: in a sweep, below its task's number")

    @classmethod
    def of(cls, output: OutputFile, *, by_task: bool = False) -> OutputView:
        """Show an output."""
        return cls(**vars(output), place=output.place(by_task=by_task))


class OutputList(Model):
    """GET /jobs/{id}/outputs."""

    outputs: tuple[OutputView, ...]


class PatternSummary(Model):
    """One pattern in the list."""

    name: str
    title: str
    summary: str
    origin: str = Field(description="shipped, or the site's own")

    @classmethod
    def of(cls, pattern: Pattern, origin: str) -> PatternSummary:
        """Show a pattern in a list."""
        return cls(name=pattern.name, title=pattern.title, summary=pattern.summary, origin=origin)


class PatternList(Model):
    """GET /patterns, in the order in which they are offered."""

    patterns: tuple[PatternSummary, ...]


class PatternView(PatternSummary):
    """GET /patterns/{name}: the form, as fields and as JSON Schema, and an example that runs."""

    fields: dict[str, PatternField]
    form: dict[str, Any] = Field(description="JSON Schema of the values")
    example: Example
    afterwards: str = Field(description="what a person does with the outputs")


class ExpandRequest(Model):
    """POST /patterns/{name} and /patterns/{name}/jobs. A file is a source, or name and source or content."""

    values: dict[str, Any] = {}
    example: bool = Field(default=False, description="the example's values stand in for those that are missing")
    spec: dict[str, Any] = Field(default={}, description="fields of the job spec that go on top: name, resources …")


class ExpandResponse(Model):
    """The job spec that the values make; what it leaves out is inferred when it is submitted."""

    spec: dict[str, Any]


class FolderEntry(Model):
    """A folder in a folder, with all that is below it."""

    name: str
    place: str
    files: int
    size: int = Field(description="bytes")


class FolderView(Model):
    """GET /jobs/{id}/browse?place=&start=&limit=: one page of a folder, folders first."""

    place: str
    folders: tuple[FolderEntry, ...]
    outputs: tuple[OutputView, ...]
    entries: int = Field(description="in this folder, on all pages")
    next: int | None = Field(description="pass it as ?start= for the following page")


class PreviewPart(Model):
    """A piece of a notebook, or a sheet of a workbook."""

    kind: Literal["markdown", "code", "output", "error", "image", "note", "sheet"]
    text: str = ""
    image: str = Field(default="", description="a data: URL of a PNG or JPEG")
    rows: tuple[tuple[str, ...], ...] = ()


class PreviewView(Model):
    """GET /jobs/{id}/preview/{path}: what can be looked at of an output, as text and rows: nothing in it is markup."""

    kind: Literal["text", "table", "image", "pdf", "parts", "none"]
    type: str
    size: int = Field(description="bytes of the whole file")
    text: str = ""
    offset: int = Field(default=0, description="where the text begins, in bytes")
    length: int = Field(default=0, description="bytes that the text is made of")
    rows: tuple[tuple[str, ...], ...] = ()
    parts: tuple[PreviewPart, ...] = ()
    note: str = Field(default="", description="what is not shown, and why")


class ShareRequest(Model):
    """POST /jobs/{id}/links."""

    path: str = Field(default="", description="a file or a folder among the outputs; empty: all of them")
    expires: Seconds = Field(default=7 * 86400, description="seconds from now, or a text such as 7d")
    most: int | None = Field(default=None, ge=1, le=1_000_000, description="downloads; null: any number")


class LinkView(Model):
    """One link. Its address is known only to whom it was given when it was made."""

    id: str
    job: str
    path: str
    created: float
    expires: float
    most: int | None
    downloads: int
    used: float | None
    url: str = Field(default="", description="the address, only in the answer that makes the link")

    @classmethod
    def of(cls, link: Link) -> LinkView:
        """Show a link."""
        return cls(**{name: value for name, value in vars(link).items() if name != "owner"})


class LinkList(Model):
    """GET /jobs/{id}/links: those that are still good, the newest first."""

    links: tuple[LinkView, ...]


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
    used: float = 0.0
    imported: bool = False


class ImageShow(Model):
    """GET /images/{key}."""

    image: ImageView
    lock: Lock
    sizes: dict[str, int]  #: base, layer and the files made of them -> bytes
    jobs: tuple[str, ...]  #: those that have not ended and need it


class PruneRequest(Model):
    """POST /images/prune: what goes; what a job needs that has not ended never does."""

    older_than: Seconds = Field(default=30 * 86400, description="not used for so long")
    larger_than: int = Field(default=0, ge=0, description="bytes")
    keep: int = Field(default=0, ge=0, description="how many of those that were used last stay in any case")
    dry_run: bool = False


class BuildRequest(Model):
    """POST /images/builds: an environment that is built before a job asks for it."""

    environment: Environment
    files: dict[str, str] = Field(default={}, description="the texts of files that it names")


class BuildView(Model):
    """A build that was asked for."""

    id: str
    state: Literal["running", "done", "failed"]
    note: str = ""
    image: str | None = None  #: its key
    error: str | None = None


class ImageList(Model):
    """GET /images."""

    images: tuple[ImageView, ...]


class ImportBaseRequest(Model):
    """POST /images/bases: an upload that holds a root filesystem (tar, perhaps compressed)."""

    upload: str
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")


class QueueView(Model):
    """One queue. What is null is not known."""

    name: str
    scheduler: str = "local"
    cpus: int
    memory: int
    time: int | None
    default_cpus: int | None = None
    default_memory: int | None = None
    default_time: int | None = None
    gpus: int = 0
    gpu_types: tuple[str, ...] = ()
    nodes: int = 1
    features: tuple[str, ...] | None = None
    licenses: tuple[str, ...] | None = None
    accounts: tuple[str, ...] | None = None
    qos: tuple[str, ...] | None = None
    reservations: tuple[str, ...] | None = None
    runtimes: tuple[str, ...] = ()
    why_not: str = ""
    state: str = ""


class QueueList(Model):
    """GET /queues."""

    queues: tuple[QueueView, ...]


class Me(Model):
    """GET /me."""

    name: str
    account: str
    uid: int
    version: str
    used: int = Field(default=0, description="bytes that your ended jobs hold")
    quota: int | None = Field(default=None, description="bytes that they may hold; null: any amount")
    kept_days: int | None = Field(default=None, description="after a job's end its files are kept; null: for good")


class KeepRequest(Model):
    """POST /jobs/{id}/keep."""

    seconds: Seconds | None = Field(default=None, description="from now, or a text such as 30d; null: the usual time")


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


class ShellView(Model):
    """POST /jobs/{id}/shell: what opens a shell in a task's image and directory, on the server's machine."""

    argv: tuple[str, ...]
    account: str = Field(description="whom it is to be run as")


class ConvertRequest(Model):
    """POST /files/convert: a tree in any form: a document, its text, or the texts of a BagIt bag."""

    document: Any = Field(default=None, description="the JSON itself")
    text: str | None = Field(default=None, description="JSON or YAML")
    manifest: str | None = Field(default=None, description="manifest-sha256.txt of a BagIt bag")
    fetch: str | None = Field(default=None, description="fetch.txt of a BagIt bag")


class SourceView(Model):
    """What is known of one input."""

    path: str
    source: str
    size: int | None = Field(description="bytes")
    sha256: str | None
    entries: int | None = Field(description="of a directory")
    pinned: bool

    @classmethod
    def of(cls, info: SourceInfo) -> SourceView:
        """Show what a plan would hold."""
        names = ("path", "source", "size", "sha256", "entries", "pinned")
        return cls(**{name: getattr(info, name) for name in names})


class TreeReport(Model):
    """POST /files/check: the sources on this server, and what is wrong with any entry."""

    sources: tuple[SourceView, ...]
    problems: tuple[ProblemField, ...]
    complete: bool = Field(description="false: to look at all of them would have taken too long")


class DirectoryEntry(Model):
    """One entry of a directory of the server's filesystem."""

    name: str
    kind: str = Field(description="file, directory, link or other")
    size: int = Field(description="bytes")
    modified: float

    @classmethod
    def of(cls, entry: Listed) -> DirectoryEntry:
        """Show an entry."""
        return cls(**vars(entry))


class DirectoryPage(Model):
    """GET /files/list: a part of a directory; `next` is what the following part comes after."""

    entries: tuple[DirectoryEntry, ...]
    next: str | None


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


class KnownFile(Model):
    """A file that may have been sent before."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class KnownRequest(Model):
    """POST /uploads/known."""

    files: tuple[KnownFile, ...] = Field(max_length=10_000)


class KnownUpload(Model):
    """An earlier upload of yours with these bytes; go on from `offset` where that is less than its size."""

    sha256: str
    upload: str
    offset: int


class KnownUploads(Model):
    """Those that there are."""

    uploads: tuple[KnownUpload, ...]


class CredentialView(Model):
    """A credential, without what is secret in it."""

    name: str
    kind: str
    match: str
    shown: dict[str, str] = Field(description="its parts that are no secret, such as the user name")
    created: float

    @classmethod
    def of(cls, credential: Credential, created: float) -> CredentialView:
        """Show a credential."""
        parts = {name: getattr(credential, name) for name in ("name", "kind", "match", "shown")}
        return cls(**parts, created=created)


class CredentialList(Model):
    """All of a person's."""

    credentials: tuple[CredentialView, ...]


class SiteDataView(Model):
    """One data set that the site shares."""

    name: str
    source: str = Field(description="what a file entry says to have it, or a file in it below")
    path: str = Field(description="where it is on the cluster")
    version: str
    license: str
    description: str


class SiteDataList(Model):
    """What a person may read of it."""

    data: tuple[SiteDataView, ...]
