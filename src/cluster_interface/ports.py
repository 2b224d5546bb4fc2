"""What the inside asks of the outside world: one Protocol per kind of thing.

Adapters raise Transient where the outcome is unknown, Permanent where it can never work, Rejected where
the caller asked for something wrong. Nothing here writes to the database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.model.job import Account, Delivery, OutputFile, Progress
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

    def runtime(self, ask: Ask) -> Runtime:
        """Return the runtime as it is on the nodes of a queue; Transient if it is not there now."""

    def bounds(self, ask: Ask) -> Bounds:
        """Say how well each limit is kept on the nodes of a queue by a runtime."""

    def runs_as(self, owner: str, runtime: Runtime) -> Account:
        """Say which account the job script of an owner's job runs as."""

    def reap(self, ask: Ask, mark: str, owner: str, nodes: Mapping[str, str]) -> None:
        """Remove what an attempt's containers left behind. `nodes`: what a host calls itself -> its scheduler, it."""

    def survey(self) -> float:
        """Get on with finding out what works on the nodes; return the seconds until it wants to be called again."""


# --- images and runtimes


class Face(StrEnum):
    """The forms in which runtimes take an image."""

    DIRECTORY = "directory"
    DOCKER = "docker"
    ARCHIVE = "archive"
    REGISTRY = "registry"
    SQUASHFS = "squashfs"


@dataclass(frozen=True, kw_only=True)
class ImageRef:
    """An image a runtime can start.

    directory: `rootfs` is the base's directory and `layer` (or None) is mounted read-only at /opt/env.
    docker: `tag` names an image that the server's own engine has, base and layer together.
    archive: `archives` are what a node's engine loads, in this order, to have `tag`: the base, then what is new.
    registry: `pulled` names, by digest, what a node's engine pulls to have `tag`.
    squashfs: `file` is one file with base and layer.
    """

    key: str
    face: Face
    rootfs: Path | None = None
    layer: Path | None = None
    tag: str | None = None
    archives: tuple[Path, ...] = ()
    pulled: str | None = None
    file: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)  #: what the image sets in its programs' environment


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
    used: float = 0.0  #: when last, to the hour
    imported: bool = False  #: a base that cannot be made again here


@dataclass(frozen=True, kw_only=True)
class ImageDetail:
    """All that is known of one image or base."""

    info: ImageInfo
    lock: Lock
    sizes: Mapping[str, int] = field(default_factory=dict)  #: face or base -> bytes on disk


@dataclass(frozen=True, kw_only=True)
class Baked:
    """What is put into an image over its layers: a file, a link, or (name ending in `/`) a directory."""

    path: str  #: below the image's root
    size: int = 0
    mode: int = 0o644
    open: Callable[[], BinaryIO] | None = None
    target: str | None = None  #: of a symbolic link


class ImageStore(Protocol):
    """Content-addressed images; what is there is never rewritten, and all of it can be rebuilt."""

    def find_lock(
        self,
        environment: Environment,
        requirements: str,
        files: Mapping[str, bytes] | None = None,
        *,
        gpus: bool = True,
    ) -> Lock | None:
        """Return the lock of an environment resolved before, at once and without the network; None if never."""

    def resolve(
        self,
        environment: Environment,
        requirements: str,
        files: Mapping[str, bytes] | None = None,
        *,
        gpus: bool = True,
    ) -> Lock:
        """Resolve and keep the lock; `files` are the job's small files where its environment wants them.

        May take long and use the network. Permanent(image_failed) in words.
        """

    def find(self, lock: Lock, face: Face, *, unchecked: bool = False) -> ImageRef | None:
        """Return the image if it is ready in this face, at once; None if it must be built.

        A registry may lose what was pushed to it: after an hour `build` looks, unless `unchecked` will do.
        """

    def build(self, lock: Lock, face: Face, report: Report) -> ImageRef:
        """Build what is missing, once however many ask at the same moment. Permanent(image_failed) in words."""

    def capsule(
        self, lock: Lock, baked: Sequence[Baked], config: Mapping[str, Any], name: str
    ) -> Iterator[bytes] | None:
        """Stream an image that is there as `docker load` takes it, more baked into it; None if it must be built.

        `config` is what its configuration says beside the usual, `name` what an engine will call it.
        """

    def images(self) -> list[ImageInfo]:
        """List bases and images, newest first."""

    def detail(self, key: str) -> ImageDetail:
        """Describe one image or base by its key, or how that begins; NotFound."""

    def sbom(self, key: str) -> dict[str, Any]:
        """Return its bill of materials (CycloneDX 1.6); NotFound."""

    def export(self, key: str, form: str) -> Iterator[bytes]:
        """Stream it for elsewhere: docker, oci, apptainer or dockerfile, as one tar. NotFound, Rejected."""

    def prune(
        self, used: Collection[str], *, older_than: float, larger_than: int, keep: int, dry_run: bool
    ) -> list[ImageInfo]:
        """Remove images that are not among the `used` keys, and return those that went (or would go)."""

    def keys(self, lock: Lock) -> set[str]:
        """Name every image and base that a lock needs."""

    def import_base(self, archive: Path, name: str) -> ImageInfo:
        """Take a root filesystem made elsewhere as a base; Rejected if it is none."""

    def log(self, key: str) -> str:
        """Return the log of the last build of this image; empty if there is none."""


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A directory of the nodes that a container sees, with nothing else that may be mounted below it."""

    source: Path  #: where it really is; no component is a link
    target: Path  #: where it is seen: its absolute path outside, as people write it
    writable: bool = False


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a runtime is to run: one attempt at a plan's tasks, in a job directory."""

    mark: str
    job_dir: Path
    attempt: int
    image: ImageRef | None  #: None: the host's own software
    command: str  #: a shell command line, run with `sh -c` in /job; parameters are $CLIF_PARAM_name in it
    account: Account
    ask: Ask
    network: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()  #: names of the parameters; the values are in attempts/<k>/parameters
    dialect: Literal["slurm", "gridengine", "pbs"] | None = None
    modules: tuple[str, ...] = ()  #: of the host, where there is no image
    name: str = ""  #: the job's, for people and for scripts that look at it
    tasks: int = 1  #: of the whole job
    array: tuple[int, int, int] | None = None  #: lowest, highest and step of the parameter `array`, where known
    packed: bool = False  #: elements run several tasks one after the other
    signal_before: int | None = None  #: seconds before the end of its time at which the program gets USR1
    mounts: tuple[Mount, ...] = ()  #: parents before what is in them; never below what a container has itself


class Runtime(Protocol):
    """What runs an image on a node."""

    name: str
    runs_as: Literal["user", "server"]  #: whom job.sh must run as: docker needs an account the engine obeys

    @property
    def face(self) -> Face | None:
        """The form in which it takes images; None: it takes none."""

    def probe(self) -> str | None:
        """Say why it cannot be used on this machine; None when it works."""

    def bounds(self) -> Bounds:
        """Say how well each limit is kept on the nodes it is for."""

    def job_script(self, run: Run) -> str:
        """Write job.sh: POSIX sh that fences, runs, forwards signals and writes status/<n>.json."""

    def shell_script(self, run: Run, task: int) -> str:
        """Write a script that opens an interactive shell in the image and a task's directory, on a terminal."""

    def reap(self, mark: str) -> None:
        """Stop and remove whatever containers this mark left behind on this machine."""

    def reap_script(self, mark: str) -> str:
        """Write what does the same on another node: POSIX sh; empty where nothing can be left behind."""


# --- files

Form = Literal["zip", "tar.gz", "tar.zst"]  #: of an archive


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


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the tasks' directories are made."""

    tasks: int  #: of the whole job
    attempt: int = 1
    only: tuple[int, ...] | None = None  #: the tasks of this attempt; the others stay as they are. None: all
    keep: bool = False  #: go on with what an earlier attempt left
    host: bool = False  #: no container: links lead to where the inputs really are


@dataclass(frozen=True, kw_only=True)
class StagedFile:
    """One input in its place."""

    path: str
    size: int
    sha256: str
    mode: int  #: permissions


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One entry of a directory, links not followed."""

    name: str
    kind: str  #: file, directory, link or other
    size: int
    modified: float


class Stager(Protocol):
    """The job directory: made, filled, read and emptied as the job's user, following no link out of it."""

    def directory(self, job: str) -> Path:
        """Say where a job's directory is (or would be)."""

    def check(self, job: str, files: Mapping[str, FileEntry]) -> list[SourceInfo]:
        """Find size and checksum of every source without fetching; Permanent(input_unavailable) in words.

        Reads as the job's account, whether or not the job's directory is there already. May take long.
        """

    def look_at(self, account: Account, path: str, entry: FileEntry) -> SourceInfo:
        """Look at one entry's source on this machine as an account, for nobody's job yet; Permanent in words."""

    def list_directory(self, account: Account, path: str, after: str, limit: int) -> tuple[list[Listed], str | None]:
        """List a directory as an account, in order of names, and say what the next part comes after.

        Rejected in words if it cannot be read.
        """

    def stage_in(
        self,
        job: str,
        files: Sequence[tuple[SourceInfo, FileEntry]],
        layout: Layout,
        report: Report,
    ) -> None:
        """Make inputs/ and tasks/<n>/ with every file verified; a new attempt finds its tasks fresh, or as they were.

        Safe to repeat and to kill; nothing partial is ever visible under its name.
        """

    def write_attempt(self, job: str, attempt: int, script: str, plan: str, lists: Mapping[str, str]) -> Path:
        """Make attempts/<k>/ with its directories, the lists (name -> text) and job.sh; return job.sh. Repeatable."""

    def status(self, job: str, attempt: int, task: int) -> dict[str, Any] | None:
        """Read this attempt's status file of a task; None while there is none."""

    def write_script(self, job: str, attempt: int, name: str, text: str) -> Path:
        """Write one more script beside an attempt's job.sh; Transient in words where that cannot be."""

    def declare(self, job: str, attempt: int, mark: str) -> bool:
        """Note that this order is about to be handed over; False if that had been noted before."""

    def claimed(self, job: str, attempt: int, task: int) -> dict[str, str] | None:
        """Return who passed the fence of a task of this attempt (host, native_id …); None if nobody did."""

    def begun(self, job: str, attempt: int) -> set[int]:
        """Name the tasks of an attempt whose fence somebody has passed."""

    def close(self, job: str, attempt: int) -> None:
        """Close the fence of a whole attempt at once: no task of it can begin any more. Repeatable."""

    def revoke(self, job: str, attempt: int, tasks: Iterable[int]) -> list[int]:
        """Close the fence of tasks that nobody has passed; return those that can now never begin."""

    def collect(
        self, job: str, tasks: int, patterns: Sequence[str] | None, report: Report, attempt: int = 1
    ) -> tuple[list[OutputFile], list[str]]:
        """List the outputs with size and checksum, and the patterns that matched nothing.

        To be called once nothing of `attempt`, the newest one, runs any more.
        """

    def log(self, job: str, attempt: int, task: int, stream: Literal["out", "err"], offset: int) -> LogPart:
        """Read at most 1 MiB of a log from `offset` (negative: from the end)."""

    def inputs(self, job: str) -> list[StagedFile]:
        """List the inputs in place, each with size and checksum; NotFound if the job's directory is gone."""

    def open_input(self, job: str, path: str) -> BinaryIO:
        """Open one of those inputs for reading; NotFound if it is not there any more."""

    def open_output(self, job: str, task: int, path: str) -> BinaryIO:
        """Open one output for reading; NotFound if it is not a regular file inside the task's directory."""

    def archive(self, job: str, files: Iterable[tuple[str, OutputFile]], form: Form) -> Iterator[bytes]:
        """Stream outputs, each under the name given with it, as one archive, without a temporary copy."""

    def deliver(self, job: str, to: str, files: Sequence[tuple[str, OutputFile]], report: Report) -> Delivery:
        """Take outputs to a place, each under the name given with it; say what became of it, trouble included.

        Safe to kill and to repeat: what is there already is left alone. May take long.
        """

    def size(self, job: str) -> int:
        """Sum up the bytes of all files in a job's directory (0 if there is none). May take long."""

    def clear(self, job: str) -> None:
        """Remove a job's inputs and everything its tasks left; logs and the plan stay. Repeatable. May take long."""

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

    def create(self, owner: str, name: str, length: int, sha256: str | None = None) -> Upload:
        """Begin an upload; Rejected if it is larger than the site allows or the disk has no room.

        With the `sha256` of the whole it is refused at its end (and gone) if it has another.
        """

    def known(self, owner: str, length: int, sha256: str) -> Upload | None:
        """Find an earlier upload of the owner's with these bytes, whole or on its way."""

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
