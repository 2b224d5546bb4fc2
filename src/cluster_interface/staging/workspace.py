"""The job directories: made, filled, read and emptied as each job's account, following no link out of them.

<workspace>/<job>/plan.json    a copy, for people
                  inputs/      staged once; /inputs in the container
                  tasks/<n>/   /job in the container
                  attempts/<k>/job.sh  claim/<n>/owner  status/<n>.json  log/<n>.out  log/<n>.err
                  inputs.jsonl, inputs.lock, incoming/    staging's own
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from cluster_interface.model.errors import NotFound, Permanent, Transient
from cluster_interface.model.filetree import Mode, is_local
from cluster_interface.model.job import Progress
from cluster_interface.model.plan import SourceInfo
from cluster_interface.model.state import FailureCode
from cluster_interface.ports import LogPart, StagedFile
from cluster_interface.settings import DeliverySettings, FileRules
from cluster_interface.staging import archives, outputs, packs, stopping
from cluster_interface.staging.acting import acting_as, as_the_server
from cluster_interface.staging.bringing import Bringing
from cluster_interface.staging.destinations import Destinations, Errand
from cluster_interface.staging.directories import Directories, list_directory
from cluster_interface.staging.inputs import INCOMING, INPUTS, Inputs, recorded
from cluster_interface.staging.listings import Listings
from cluster_interface.staging.sources import LINK, Sources, naming, no_jobs
from cluster_interface.staging.tasks import TASKS, make_tasks
from cluster_interface.trees.beneath import (
    Kept,
    NotBeneath,
    create_file,
    directory,
    look,
    open_directory,
    open_file,
    remove,
    rename,
    replace_file,
)
from cluster_interface.trees.names import native
from cluster_interface.trees.walking import Kind, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.model.job import Account, Delivery, OutputFile
    from cluster_interface.ports import Form, Layout, Listed, Report
    from cluster_interface.settings import Staging
    from cluster_interface.staging.sources import Keys, OutputsOf
    from cluster_interface.staging.uploads import UploadStore

LONGEST_LOG_PART = 2**20
CLAIMS, CLOSED = "claim", "claim.closed"  #: where job.sh passes the fences of an attempt's tasks, and where it was
LONGEST_STATUS = 64 * 1024

_JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_NO_ANSWER = (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.ENFILE, errno.EMFILE)
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Workspace:
    """The directories of all jobs, below one root that the nodes share. `account_of` tells whose a job's is."""

    def __init__(
        self,
        root: Path,
        uploads: UploadStore,
        settings: Staging,
        account_of: Callable[[str], Account],
        rules: FileRules | None = None,
        *,
        owner_of: Callable[[str], str] = lambda _job: "",
        keys: Keys | None = None,
        outputs_of: OutputsOf = no_jobs,
        delivery: DeliverySettings | None = None,
    ) -> None:
        self._root = root
        self._settings = settings
        self._account_of = account_of
        self._owner_of = owner_of
        self._sources = Sources.of(
            settings,
            uploads,
            cache=settings.cache or root / ".cache",
            keys=keys,
            outputs_of=outputs_of,
            open_output=self.open_output,
        )
        self._destinations = Destinations.of(delivery or DeliverySettings(), self._sources)
        self._directories = Directories(rules or FileRules(), Path(os.path.realpath(root)))
        self._listings = Listings(self._sources)
        root.mkdir(mode=0o711, parents=True, exist_ok=True)  # accounts pass through to what is theirs

    def directory(self, job: str) -> Path:
        """Say where a job's directory is (or would be)."""
        return self._root / _checked(job)

    def check(self, job: str, files: Mapping[str, FileEntry]) -> list[SourceInfo]:
        """Find size and checksum of every source without fetching; Permanent(input_unavailable) in words.

        A file of this machine that is larger than `copy_below` is not read, hence without a checksum.
        """
        with acting_as(self._account_of(job)):
            owner = self._owner_of(job)
            try:
                return [self._measure(path, entry, owner) for path, entry in files.items()]
            finally:
                self._sources.close()

    def _measure(self, path: str, entry: FileEntry, owner: str) -> SourceInfo:
        if entry.target is not None:
            return SourceInfo(path=path, source=LINK)
        if not path.endswith("/") or entry.source is None:
            return self._sources.measure(path, entry, owner)
        with naming(path):
            if is_local(entry.source):
                return self._directories.measure(path, entry)
            if entry.mode is Mode.MOUNT:
                return self._directories.measure(path, entry, self._sources.place(entry.source, owner))
            return self._listings.measure(path, entry, owner)

    def look_at(self, account: Account, path: str, entry: FileEntry) -> SourceInfo:
        """Look at one entry's source on this machine as an account; Permanent in words."""
        with acting_as(account):
            return self._measure(path, entry, "")

    def list_directory(self, account: Account, path: str, after: str, limit: int) -> tuple[list[Listed], str | None]:
        """List a directory as an account, in order of names, and say what the next part comes after."""
        with acting_as(account):
            return list_directory(path, after, limit)

    def stage_in(self, job: str, files: Sequence[tuple[SourceInfo, FileEntry]], layout: Layout, report: Report) -> None:
        """Make inputs/ and tasks/<n>/ with every file verified; repeatable, and safe to kill at any moment.

        Files in place are not fetched again. Task directories that are there are left alone, unless they were
        made for another attempt: then they are made anew. Transient while another process stages this job.
        """
        self._make(job)
        with self._home(job) as home, self._words_for(job), _alone(home):
            owner = self._owner_of(job)
            kept = Kept(home)
            inputs = Inputs(kept, self._sources, self._settings.max_bytes, owner)
            bringing = Bringing(
                kept, files, inputs, self._directories, self._listings, owner, _as_server(report),
                threads=self._settings.parallel, become=lambda: acting_as(self._account_of(job)),
            )  # fmt: skip
            transfers = any(info.source.startswith("globus:") for info, _ in files)
            try:
                with stopping.politely() if transfers else nullcontext():
                    tree = bringing.all()
            finally:
                kept.close()
                self._sources.close()
            if layout.attempt > 1:
                packs.settle(home, layout.attempt - 1)
            make_tasks(
                home,
                tree,
                layout=layout,
                inputs=str(self.directory(job) / INPUTS) if layout.host else f"/{INPUTS}",
                copy_below=self._settings.copy_below,
                made=_tasks_made(report, layout.tasks if layout.only is None else len(layout.only)),
            )
            inputs.settle()
            remove(home, INCOMING)

    def write_attempt(self, job: str, attempt: int, script: str, plan: str, lists: Mapping[str, str]) -> Path:
        """Make attempts/<k>/ with its directories, lists and job.sh, and plan.json; return job.sh. Safe to repeat."""
        self._make(job)
        with self._home(job) as home, self._words_for(job):
            replace_file(home, "plan.json", plan.encode(), 0o600, to_disk=False)  # a copy
            for name in ("claim", "status", "log"):
                os.close(open_directory(home, f"attempts/{attempt}/{name}", make=True))
            for name, text in lists.items():
                replace_file(home, f"attempts/{attempt}/{name}", text.encode("utf-8", "surrogateescape"), 0o400)
            replace_file(home, f"attempts/{attempt}/job.sh", script.encode(), 0o500)
        return self.directory(job) / "attempts" / str(attempt) / "job.sh"

    def write_script(self, job: str, attempt: int, name: str, text: str) -> Path:
        """Write one more script beside an attempt's job.sh."""
        with self._home(job) as home, self._words_for(job):
            replace_file(home, f"attempts/{attempt}/{name}", text.encode(), 0o500)
        return self.directory(job) / "attempts" / str(attempt) / name

    def declare(self, job: str, attempt: int, mark: str) -> bool:
        """Note that this order is about to be handed over; False if that had been noted before."""
        with self._home(job) as home, self._words_for(job):
            try:
                os.close(create_file(home, f"attempts/{attempt}/handed.{mark}", 0o600))
            except FileExistsError:
                return False
        return True

    def status(self, job: str, attempt: int, task: int) -> dict[str, Any] | None:
        """Read this attempt's status file of a task; None while there is none, or none that is whole and sane."""
        where = f"attempts/{attempt}/status"
        fd = self._open_record(job, f"{where}/{task}.json")
        if fd is None and self._look_again(job, where):
            fd = self._open_record(job, f"{where}/{task}.json")
        if fd is None:
            return None
        with os.fdopen(fd, "rb", buffering=0) as file:
            data = file.read(LONGEST_STATUS)
        try:
            status = json.loads(data)
        except (ValueError, RecursionError):
            return None
        return status if isinstance(status, dict) else None

    def begun(self, job: str, attempt: int) -> set[int]:
        """Name the tasks of an attempt whose fence somebody has passed."""
        found: set[int] = set()
        for name in (CLAIMS, CLOSED):
            with (
                suppress(NotFound, FileNotFoundError),
                self._home(job) as home,
                directory(home, f"attempts/{attempt}/{name}") as claims,
                os.scandir(claims) as entries,
            ):
                found |= {int(entry.name) for entry in entries if entry.name.isdecimal()}
        return found

    def close(self, job: str, attempt: int) -> None:
        """Take the place away where claims are made: no task of this attempt can begin any more."""
        with suppress(NotFound), self._home(job) as home, self._words_for(job):
            if look(home, f"attempts/{attempt}/{CLAIMS}") is not None:
                rename(home, f"attempts/{attempt}/{CLAIMS}", f"attempts/{attempt}/{CLOSED}")

    def claimed(self, job: str, attempt: int, task: int) -> dict[str, str] | None:
        """Return who passed the fence of a task of this attempt (host, native_id …); None if nobody did."""
        for claims in (CLAIMS, CLOSED):
            claim = f"attempts/{attempt}/{claims}/{task}"
            try:
                with self._home(job) as home:
                    made = look(home, claim) is not None
            except NotFound:
                return None
            except OSError as error:
                _pass_over(error)
                continue
            if made:
                return self._owner(job, claim)
        return None

    def _owner(self, job: str, claim: str) -> dict[str, str]:
        fd = self._open_record(job, f"{claim}/owner")
        if fd is None:
            return {}
        with os.fdopen(fd, "rb", buffering=0) as file:
            lines = file.read(LONGEST_STATUS).decode(errors="replace").splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def revoke(self, job: str, attempt: int, tasks: Iterable[int]) -> list[int]:
        """Close the fence of tasks that nobody has passed; return those that can now never begin."""
        try:
            with self._home(job) as home, self._words_for(job):
                if look(home, f"attempts/{attempt}/claim") is None:
                    return list(tasks)
                with directory(home, f"attempts/{attempt}/claim") as claims:
                    revoked = [task for task in tasks if _revoke(claims, task)]
        except NotFound:
            return list(tasks)  # there is no directory: nothing was handed over, and nothing can begin
        return revoked

    def collect(
        self, job: str, tasks: int, patterns: Sequence[str] | None, report: Report, attempt: int = 1
    ) -> tuple[list[OutputFile], list[str]]:
        """List the outputs with size and checksum, and the patterns that matched nothing (see outputs.collect).

        What a container that tasks of `attempt` shared may still hold of them is put back first.
        """
        with self._home(job) as home, self._words_for(job):
            packs.settle(home, attempt)
            return outputs.collect(home, tasks, patterns, _as_server(report))

    def holds_little(self, job: str, tasks: int, entries: int, size: int) -> bool:
        """Say whether the tasks' directories have no more than so many entries, and bytes, in all."""
        with self._home(job) as home, self._words_for(job):
            return outputs.holds_little(home, tasks, entries, size)

    def log(self, job: str, attempt: int, task: int, stream: Literal["out", "err"], offset: int) -> LogPart:
        """Read at most 1 MiB of a log from `offset` (negative: from the end); empty while there is none."""
        fd = self._open_record(job, f"attempts/{attempt}/log/{task}.{stream}")
        if fd is None:
            return LogPart(data=b"", offset=0, size=0)
        with os.fdopen(fd, "rb", buffering=0):
            size = os.fstat(fd).st_size
            start = min(offset, size) if offset >= 0 else max(0, size + offset)
            return LogPart(data=os.pread(fd, LONGEST_LOG_PART, start), offset=start, size=size)

    def inputs(self, job: str) -> list[StagedFile]:
        """List the inputs that are in place, as they were when they were verified."""
        with self._home(job) as home, self._words_for(job):
            staged = recorded(home).values()
        return [StagedFile(path=s.path, size=s.size, sha256=s.sha256, mode=s.mode) for s in staged]

    def open_input(self, job: str, path: str) -> BinaryIO:
        """Open one input for reading; NotFound if it is not there any more."""
        try:
            with self._home(job) as home, directory(home, INPUTS) as root:
                return os.fdopen(open_file(root, native(path)), "rb")
        except (OSError, NotBeneath, UnicodeEncodeError):
            raise NotFound(f"there is no input {path!r} of job {job} any more") from None

    def open_output(self, job: str, task: int, path: str) -> BinaryIO:
        """Open one output for reading; NotFound if it is not a regular file inside the task's directory."""
        try:
            with self._home(job) as home, directory(home, f"{TASKS}/{task}") as root:
                return os.fdopen(open_file(root, native(path)), "rb")
        except (NotBeneath, UnicodeEncodeError):
            raise NotFound(f"there is no output {path!r}") from None
        except OSError as error:
            _pass_over(error)
            raise NotFound(f"there is no output {path!r}") from None

    def archive(self, job: str, files: Iterable[tuple[str, OutputFile]], form: Form) -> Iterator[bytes]:
        """Stream outputs, each under the name given with it, without a temporary copy (see archives.archive)."""
        return archives.archive(files, form, lambda file: self.open_output(job, file.task, file.path))

    def deliver(self, job: str, to: str, files: Sequence[tuple[str, OutputFile]], report: Report) -> Delivery:
        """Take outputs to a place, each under the name given with it: to a directory as the account, else by keys."""
        errand = Errand(
            job=job,
            to=to,
            owner=self._owner_of(job),
            files=files,
            open_output=lambda file: self.open_output(job, file.task, file.path),
            report=_as_server(report),
        )
        if not to.startswith("file:"):
            with stopping.politely() if to.startswith("globus:") else nullcontext():
                return self._destinations.deliver(errand)
        with acting_as(self._account_of(job)):
            return self._destinations.deliver(errand)

    def size(self, job: str) -> int:
        """Sum up the bytes of all files in a job's directory (0 if there is none)."""
        try:
            with self._home(job) as home, self._words_for(job):
                return sum(entry.size for entry in walk(home) if entry.kind is Kind.FILE)
        except NotFound:
            return 0

    def clear(self, job: str) -> None:
        """Remove inputs and everything the tasks left, as the account; what a runtime left there, as the server."""
        with suppress(NotFound), self._home(job) as home, self._words_for(job):
            for name in (TASKS, INPUTS, INCOMING):
                try:
                    remove(home, name)
                except PermissionError:
                    with as_the_server():
                        remove(home, name)

    def remove(self, job: str) -> None:
        """Remove the job directory. Removing what is not there is no error."""
        with suppress(NotFound, OSError), self._home(job) as home, os.scandir(home) as entries:
            for entry in entries:
                remove(home, entry.name)
        with self._parent() as root, self._words_for(job):
            remove(root, _checked(job))  # as the server: what a runtime that runs as it left, and the directory itself

    def _make(self, job: str) -> None:
        """Make the job's directory, its account's alone; a kill between making and giving is put right here."""
        account = self._account_of(job)
        with self._parent() as root:
            with self._words_for(job), suppress(FileExistsError):
                os.mkdir(_checked(job), 0o700, dir_fd=root)
            with directory(root, _checked(job)) as home:
                if os.fstat(home).st_uid == os.geteuid() != account.uid:
                    os.fchown(home, account.uid, account.gid)

    @contextmanager
    def _home(self, job: str) -> Iterator[int]:
        """Open the job's directory as its account, and stay that account; NotFound if it is not there."""
        if not _JOB.fullmatch(job):
            raise NotFound(f"there is no directory of a job {job!r}")
        with self._parent() as root, acting_as(self._account_of(job)):
            try:
                home = open_directory(root, job)
            except FileNotFoundError:
                raise NotFound(f"there is no directory of job {job}") from None
            try:
                yield home
            finally:
                os.close(home)

    def _look_again(self, job: str, where: str) -> bool:
        """Open a directory, so that what is new in it is seen; False if it cannot be.

        NFS keeps for up to a minute that a name was not there, but asks the server anew when its directory is opened
        for reading (nfs(5), "Directory entry caching" and "Close-to-open cache consistency").
        """
        try:
            with self._home(job) as home, directory(home, where):
                return True
        except (NotFound, OSError):
            return False

    def _open_record(self, job: str, path: str) -> int | None:
        """Open a file that job.sh writes; None while there is none. Where job.sh ran as the server, it may be its own.

        Such a file is read only if the server owns it and it has no other name: a link to a file of the server's
        elsewhere is not served.
        """
        try:
            with self._home(job) as home:
                try:
                    return open_file(home, path)
                except PermissionError:
                    with as_the_server():
                        fd = open_file(home, path)
        except NotFound:
            return None
        except OSError as error:
            _pass_over(error)
            return None
        seen = os.fstat(fd)
        if seen.st_uid == os.geteuid() and seen.st_nlink == 1:
            return fd
        os.close(fd)
        return None

    @contextmanager
    def _parent(self) -> Iterator[int]:
        with as_the_server():  # accounts may pass through it, but not read it
            fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def _words_for(self, job: str) -> Iterator[None]:
        """Turn the system's errors into words that name the directory."""
        try:
            yield
        except OSError as error:
            where = self.directory(job)
            if error.errno not in _FULL:
                raise Transient(f"{where} cannot be used now: {error.strerror or error}") from None
            raise Permanent(
                f"the filesystem that holds {where} is full ({error.strerror}); remove old jobs or make room",
                code=FailureCode.INPUT_UNAVAILABLE,
            ) from None


def _revoke(claims: int, task: int) -> bool:
    """Pass a task's fence so that nobody else can; False if somebody has."""
    with suppress(FileExistsError):
        os.mkdir(f"{task}", 0o700, dir_fd=claims)
        os.close(create_file(claims, f"{task}/revoked", 0o600))
    return look(claims, f"{task}/revoked") is not None


def _checked(job: str) -> str:
    if not _JOB.fullmatch(job):
        raise NotFound(f"{job!r} is not the id of a job")
    return job


@contextmanager
def _alone(home: int) -> Iterator[None]:
    """Hold the lock on a job's staging."""
    fd = os.open("inputs.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=home)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Transient("another process stages this job's inputs") from None
        yield
    finally:
        os.close(fd)


def _as_server(report: Report) -> Report:
    """Report with the server's identity: where the progress is written is none of the account's business."""

    def say(progress: Progress) -> None:
        with as_the_server():
            report(progress)

    return say


def _tasks_made(report: Report, tasks: int) -> Callable[[int], None]:
    say = _as_server(report)

    def made(count: int) -> None:
        if tasks > 1:
            say(Progress(stage="inputs", done=count, total=tasks, unit="tasks"))

    return made


def _pass_over(error: OSError) -> None:
    """Pass over what is absent or odd; Transient where the filesystem does not answer."""
    if error.errno in _NO_ANSWER:
        raise Transient(f"the job's directory cannot be read now: {error.strerror}") from None
