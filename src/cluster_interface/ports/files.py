"""Job directories and uploads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.model.job import Account, Delivery, OutputFile, Progress
    from cluster_interface.model.plan import SourceInfo


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


@dataclass(frozen=True, kw_only=True)
class Repository:
    """The tree of one commit, as a job would have it."""

    source: str  #: git:URL@COMMIT
    files: dict[str, FileEntry]
    texts: dict[str, str | None]  #: of the files, for inspection; None: not text, or too large
    left_out: dict[str, str]  #: what no job can have, and why


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

    def repository(self, account: Account, user: str, source: str) -> Repository:
        """Fetch the commit that `git:URL[@REVISION]` names now, as an account and with the user's credentials.

        May take long. Permanent in words, Transient where others are being fetched.
        """

    def place(self, source: str, user: str) -> Path | None:
        """Say where on this machine a directory's source lies; None for what is elsewhere.

        Rejected in words if it is none that `user` may read.
        """

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
