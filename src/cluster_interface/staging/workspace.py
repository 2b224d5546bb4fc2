"""The job directories: made, filled, read and emptied as each job's account, following no link out of them.

<workspace>/<job>/plan.json    a copy, for people
                  inputs/      staged once; /inputs in the container
                  tasks/<n>/   /job in the container
                  attempts/<k>/job.sh  claim/<n>/owner  status/<n>.json  log/<n>.out  log/<n>.err
                  inputs.jsonl, inputs.lock, incoming/    staging's own
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cluster_interface.model.errors import NotFound, Permanent, Rejected, Transient
from cluster_interface.model.filetree import IN_ARCHIVE, Mode, is_local, mounted_at
from cluster_interface.model.job import Progress
from cluster_interface.model.plan import SourceInfo
from cluster_interface.ports import StagedFile
from cluster_interface.settings import DeliverySettings, FileRules
from cluster_interface.staging import archives, checkouts, outputs, packs, stopping
from cluster_interface.staging.acting import acting_as, as_the_server
from cluster_interface.staging.attempts import Attempts
from cluster_interface.staging.bringing import Bringing
from cluster_interface.staging.destinations import Destinations, Errand
from cluster_interface.staging.directories import Directories, list_directory
from cluster_interface.staging.inputs import INCOMING, INPUTS, Inputs, recorded
from cluster_interface.staging.listings import Listings
from cluster_interface.staging.reading import Reading, words_for_output
from cluster_interface.staging.sharing import processors
from cluster_interface.staging.sources import LINK, Sources, naming, no_jobs
from cluster_interface.staging.tasks import TASKS, Tasks
from cluster_interface.staging.together import together
from cluster_interface.trees.beneath import (
    Kept,
    NotBeneath,
    directory,
    empty,
    open_file,
    remove,
)
from cluster_interface.trees.names import native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.model.job import Account, Delivery, OutputFile
    from cluster_interface.ports import Form, Layout, Listed, Report, Repository
    from cluster_interface.settings import Staging
    from cluster_interface.staging.sources import Keys, OutputsOf
    from cluster_interface.staging.uploads import UploadStore


MANY = 32  #: files of the web that are worth fetching while they are measured
EARLY = 2**30  #: bytes that are fetched before the job is planned


class Workspace(Attempts):
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
        super().__init__(root, account_of)
        self._settings = settings
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

    def check(self, job: str, files: Mapping[str, FileEntry]) -> list[SourceInfo]:
        """Find size and checksum of every source without fetching; Permanent(input_unavailable) in words.

        A file of this machine that is larger than `copy_below` is not read, hence without a checksum. Where many come
        from the web, the small ones are fetched into the cache at once, EARLY bytes of them at most.
        """
        account = self._account_of(job)
        with acting_as(account):
            owner = self._owner_of(job)
            far = [path for path, entry in files.items() if _is_far(entry)]
            try:
                found: dict[str, SourceInfo] = {}
                if len(far) >= MANY:
                    several = {path: files[path] for path in far}
                    most = min(EARLY, self._settings.cache_bytes // 2)
                    found.update(self._sources.take(several, owner, most, self._settings.parallel))
                far = [path for path in far if path not in found]
                works = [partial(self._measure, path, files[path], owner) for path in far]
                measured = together(works, self._settings.parallel, lambda: acting_as(account))
                found.update(zip(far, measured, strict=True))
                return [found.get(path) or self._measure(path, entry, owner) for path, entry in files.items()]
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

    def repository(self, account: Account, user: str, source: str) -> Repository:
        """Fetch the commit that `git:URL[@REVISION]` names now, as an account and with the user's credentials."""
        with acting_as(account):
            return checkouts.fetch(self._sources, user, source)

    def read(self, job: str, entry: FileEntry, limit: int) -> bytes | None:
        """Read an entry's file on this machine as the job's account; None for what is elsewhere, or larger."""
        with acting_as(self._account_of(job)):
            return self._sources.read(entry, self._owner_of(job), limit)

    def place(self, source: str, user: str) -> Path | None:
        """Say where on this machine a directory's source lies; None for what is elsewhere."""
        if is_local(source):
            return Path(mounted_at(source))
        if not source.startswith("site:") or IN_ARCHIVE in source:
            return None
        try:
            return self._sources.place(source, user)
        except Permanent as error:
            raise Rejected.field("source", str(error)) from None

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
        within = str(self.directory(job) / INPUTS) if layout.host else f"/{INPUTS}"
        with (
            self._home(job) as home,
            self._words_for(job),
            _alone(home),
            Kept(home) as kept,
            Tasks(kept, layout, inputs=within, copy_below=self._settings.copy_below) as tasks,
        ):
            owner, account = self._owner_of(job), self._account_of(job)
            inputs = Inputs(kept, self._sources, self._settings.max_bytes, owner)
            bringing = Bringing(
                kept, files, inputs, tasks, self._directories, self._listings, owner, _as_server(report),
                threads=self._settings.parallel, become=lambda: acting_as(account),
            )  # fmt: skip
            transfers = any(info.source.startswith("globus:") for info, _ in files)
            try:
                with stopping.politely() if transfers else nullcontext():
                    tree = bringing.all()
            finally:
                self._sources.close()
            if layout.attempt > 1:
                packs.settle(home, layout.attempt - 1)
            made = _tasks_made(report, layout.tasks if layout.only is None else len(layout.only))
            tasks.make(tree, made, processors(self._settings.parallel))
            inputs.settle()
            empty(home, INCOMING)  # it stays: to take a directory away may have to wait for the disk

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
        """Say whether the tasks' directories have no more than so many entries, and bytes, in all; none has little."""
        try:
            with self._home(job) as home, self._words_for(job):
                return outputs.holds_little(home, tasks, entries, size)
        except NotFound:
            return True

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
        with words_for_output(path), self._home(job) as home, directory(home, f"{TASKS}/{task}") as root:
            return os.fdopen(open_file(root, native(path)), "rb")

    def archive(self, job: str, files: Iterable[tuple[str, OutputFile]], form: Form) -> Iterator[bytes]:
        """Stream outputs, each under the name given with it, without a temporary copy (see archives.archive)."""
        with Reading(self._account_of(job), partial(self._home, job)) as reading:
            yield from archives.archive(files, form, reading.open, reading.small)

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

    def clear(self, job: str) -> None:
        """Remove inputs and everything the tasks left, as the account; what a runtime left there, as the server."""
        with suppress(NotFound), self._home(job) as home, self._words_for(job):
            for name in (TASKS, INPUTS, INCOMING):
                try:
                    remove(home, name)
                except PermissionError:
                    with as_the_server():
                        remove(home, name)


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


def _is_far(entry: FileEntry) -> bool:
    """Say whether it is one file that is asked for over the network: many such wait together."""
    source = entry.source or ""
    return source.startswith(("http:", "https:", "s3:")) and IN_ARCHIVE not in source


def _as_server(report: Report) -> Report:
    """Report with the server's identity: where the progress is written is none of the account's business."""

    def say(progress: Progress) -> None:
        with as_the_server():
            report(progress)

    return say


def _tasks_made(report: Report, tasks: int) -> Callable[[int], None]:
    say = _as_server(report) if tasks > 1 else lambda _progress: None
    return lambda count: say(Progress(stage="inputs", done=count, total=tasks, unit="tasks"))
