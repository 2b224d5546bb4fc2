"""What the inside asks of the outside world: one Protocol per kind of thing.

Adapters raise Transient where the outcome is unknown, Permanent where it can never work, Rejected where
the caller asked for something wrong. Nothing here writes to the database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.model.job import Account, OutputFile, Progress
    from cluster_interface.model.jobspec import Environment
    from cluster_interface.model.plan import Ask, Bounds, Lock, SourceInfo
    from cluster_interface.model.queue import Queue


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""


class Identity(Protocol):
    """Who people are, and which Unix account acts for them."""

    def account(self, owner: str) -> Account:
        """Return the account that `owner`'s jobs run under (never uid 0); raise Permanent if there is none."""


# --- schedulers


class NativeState(StrEnum):
    """What a scheduler says of one task. Absent is `unknown`, never `ended`."""

    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One task as its scheduler sees it."""

    state: NativeState
    reason: str = ""  #: why it waits or how it ended, in the scheduler's words
    verdict: Literal["time_limit", "out_of_memory", "node_failed", "disk_full", "canceled"] | None = None
    started: float | None = None


UNSEEN = Observation(state=NativeState.UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is handed to a scheduler. `script` is run with `sh`, once per task, with CLIF_TASK=<index>."""

    script: Path
    mark: str
    account: Account  #: whom the script runs as
    ask: Ask
    tasks: int = 1
    log: Path | None = None  #: where the script's own output goes; user output has its own files


class Scheduler(Protocol):
    """What owns the nodes."""

    name: str

    def queues(self) -> list[Queue]:
        """List the queues; raise Transient if it does not answer."""

    def submit(self, order: Order) -> str:
        """Hand over an order and return the native id. Rejected: refused in its own words. Transient: unknown."""

    def find(self, mark: str) -> str | None:
        """Return the native id of the order with this mark, ended ones included; Transient if it cannot tell."""

    def observe(self, native_ids: Collection[str]) -> Mapping[str, Mapping[int, Observation]]:
        """Look at many jobs in one call: native id -> task -> what is seen. Missing ones are left out."""

    def cancel(self, native_id: str) -> None:
        """End every task, the polite signal first. Canceling what has ended is no error."""


# --- images and runtimes


class Face(StrEnum):
    """The forms in which runtimes take an image."""

    DIRECTORY = "directory"
    DOCKER = "docker"


@dataclass(frozen=True, kw_only=True)
class ImageRef:
    """An image a runtime can start.

    directory: `rootfs` is the base's directory and `layer` (or None) is mounted read-only at /opt/env.
    docker: `tag` names an image that the engine has, base and layer together.
    """

    key: str
    face: Face
    rootfs: Path | None = None
    layer: Path | None = None
    tag: str | None = None


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """One image or base of the store, for people."""

    key: str
    kind: Literal["base", "image"]
    name: str
    created: float
    size: int  #: bytes on disk, of its own layer
    packages: tuple[str, ...] = ()
    base: str | None = None
    faces: tuple[str, ...] = ()


class ImageStore(Protocol):
    """Content-addressed images; what is there is never rewritten, and all of it can be rebuilt."""

    def find_lock(self, environment: Environment, requirements: str) -> Lock | None:
        """Return the lock of an environment resolved before, at once and without the network; None if never."""

    def resolve(self, environment: Environment, requirements: str) -> Lock:
        """Resolve and keep the lock. May take long and use the network. Permanent(image_failed) in words."""

    def find(self, lock: Lock, face: Face) -> ImageRef | None:
        """Return the image if it is ready in this face, at once; None if it must be built."""

    def build(self, lock: Lock, face: Face, report: Report) -> ImageRef:
        """Build what is missing, once however many ask at the same moment. Permanent(image_failed) in words."""

    def images(self) -> list[ImageInfo]:
        """List bases and images, newest first."""

    def import_base(self, archive: Path, name: str) -> ImageInfo:
        """Take a root filesystem made elsewhere as a base; Rejected if it is none."""

    def log(self, key: str) -> str:
        """Return the log of the last build of this image; empty if there is none."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a runtime is to run: one attempt at a plan's tasks, in a job directory."""

    mark: str
    job_dir: Path
    attempt: int
    image: ImageRef
    command: str  #: a shell command line, run with `sh -c` in /job
    account: Account
    ask: Ask
    network: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)


class Runtime(Protocol):
    """What runs an image on a node."""

    name: str
    face: Face
    runs_as: Literal["user", "server"]  #: whom job.sh must run as: docker needs an account the engine obeys

    def probe(self) -> str | None:
        """Say why it cannot be used on this machine; None when it works."""

    def bounds(self) -> Bounds:
        """Say how well each limit is kept here."""

    def job_script(self, run: Run) -> str:
        """Write job.sh: POSIX sh that fences, runs, forwards signals and writes status/<n>.json."""

    def reap(self, mark: str) -> None:
        """Stop and remove whatever containers this mark left behind on this machine."""


# --- files


class Report(Protocol):
    """Where long work says how far it is."""

    def __call__(self, progress: Progress) -> None:
        """Note the progress; cheap, may be called often."""


@dataclass(frozen=True, kw_only=True)
class LogPart:
    """A piece of a task's log."""

    data: bytes
    offset: int  #: where it begins
    size: int  #: of the whole log now


class Stager(Protocol):
    """The job directory: made, filled, read and emptied as the job's user, following no link out of it."""

    def directory(self, job: str) -> Path:
        """Say where a job's directory is (or would be)."""

    def check(self, job: str, files: Mapping[str, FileEntry]) -> list[SourceInfo]:
        """Find size and checksum of every source without fetching; Permanent(input_unavailable) in words.

        Reads as the job's account, whether or not the job's directory is there already. May take long.
        """

    def stage_in(
        self, job: str, files: Sequence[tuple[SourceInfo, FileEntry]], tasks: int, report: Report, attempt: int = 1
    ) -> None:
        """Make inputs/ and tasks/<n>/ with every file verified; a new attempt finds its tasks fresh.

        Safe to repeat and to kill; nothing partial is ever visible under its name.
        """

    def write_attempt(self, job: str, attempt: int, script: str, plan: str) -> Path:
        """Make attempts/<k>/ with its directories and job.sh; return job.sh. Safe to repeat."""

    def status(self, job: str, attempt: int, task: int) -> dict[str, Any] | None:
        """Read this attempt's status file of a task; None while there is none."""

    def claimed(self, job: str, attempt: int, task: int) -> bool:
        """Say whether a task of this attempt has passed its fence."""

    def collect(
        self, job: str, tasks: int, patterns: Sequence[str] | None, report: Report
    ) -> tuple[list[OutputFile], list[str]]:
        """List the outputs with size and checksum, and the patterns that matched nothing."""

    def log(self, job: str, attempt: int, task: int, stream: Literal["out", "err"], offset: int) -> LogPart:
        """Read at most 1 MiB of a log from `offset` (negative: from the end)."""

    def open_output(self, job: str, task: int, path: str) -> BinaryIO:
        """Open one output for reading; NotFound if it is not a regular file inside the task's directory."""

    def archive(self, job: str, files: Sequence[OutputFile], form: Literal["zip", "tar.gz"]) -> Iterator[bytes]:
        """Stream the outputs as one archive, without a temporary copy."""

    def remove(self, job: str) -> None:
        """Remove the job directory. Removing what is not there is no error."""


# --- long work


class WorkState(StrEnum):
    """Where a piece of long work is."""

    ABSENT = "absent"  #: never started, or died without a result: start it (again)
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Work:
    """A piece of long work as last seen."""

    state: WorkState
    result: Any = None
    error: Exception | None = None  #: Permanent, Rejected or Transient, as the work raised it
    progress: Progress | None = None
    deaths: int = 0  #: how often it died without a result


class Works(Protocol):
    """Detached processes with a mark, a pid + start time and a result file; a step starts one, then looks."""

    def start(self, mark: str, kind: str, request: Mapping[str, Any]) -> None:
        """Start the work unless a process with this mark runs or has a result."""

    def look(self, mark: str) -> Work:
        """See how it is getting on."""

    def stop(self, mark: str) -> None:
        """End the process if it runs and forget mark and result."""


# --- uploads


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file on its way from a browser or the command line (tus 1.0)."""

    id: str
    owner: str
    name: str
    length: int  #: bytes in all
    offset: int  #: bytes here already
    created: float

    @property
    def complete(self) -> bool:
        """Whether every byte is here."""
        return self.offset == self.length


class Uploads(Protocol):
    """Where uploaded bytes wait until a job stages them."""

    def create(self, owner: str, name: str, length: int) -> Upload:
        """Begin an upload; Rejected if it is larger than the site allows or the disk has no room."""

    def find(self, owner: str, upload: str) -> Upload:
        """Return an upload; NotFound if there is none or it is somebody else's."""

    def append(self, owner: str, upload: str, offset: int, stream: IO[bytes]) -> Upload:
        """Add bytes at `offset`, which must be where it ends now (Conflict); keep what came if the stream breaks."""

    def read(self, owner: str, upload: str, limit: int) -> bytes | None:
        """Return the bytes of a complete upload; None if there are more than `limit`."""

    def path(self, owner: str, upload: str) -> Path:
        """Say where the bytes of a complete upload lie on the server."""

    def remove(self, owner: str, upload: str) -> None:
        """Forget an upload and its bytes."""
