"""The use cases. They write what people want; what happens is the engine's business."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

from cluster_interface import __version__
from cluster_interface.inspection import inspect as read_script
from cluster_interface.inspection.batch.queues import with_known_queue
from cluster_interface.model.errors import Conflict, NotFound, Problem, Rejected
from cluster_interface.model.marks import image_mark, work_mark
from cluster_interface.model.queue import fill_in
from cluster_interface.model.resources import Resources
from cluster_interface.model.state import FINAL, TASK_FINAL, JobState
from cluster_interface.ports import WorkState
from cluster_interface.store import jobs
from cluster_interface.wire import (
    AttemptView,
    EventView,
    ImageView,
    InspectResponse,
    JobPage,
    JobSummary,
    JobView,
    Me,
    OutputView,
    ProgressView,
    QueueView,
    TaskView,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Connection

    from cluster_interface.model.job import Job, OutputFile, Progress
    from cluster_interface.model.jobspec import JobSpec
    from cluster_interface.ports import (
        Identity,
        ImageStore,
        LogPart,
        Runtime,
        Scheduler,
        Stager,
        Uploads,
        Works,
    )
    from cluster_interface.settings import Defaults
    from cluster_interface.store import Store
    from cluster_interface.wire import DoctorReport, InspectRequest

LONGEST_SCRIPT = 2**20  #: bytes of a file that inspection reads
MOST_LISTED = 200
_ID_LETTERS = "abcdefghjkmnpqrstvwxyz23456789"  # none that is easily taken for another
_ID_LENGTH = 10  #: 49 bits: not to be guessed, short enough to type the beginning of


@dataclass(frozen=True, kw_only=True)
class Service:
    """What people can do. `user` is who asks, already authenticated."""

    store: Store
    scheduler: Scheduler
    runtimes: Mapping[str, Runtime]
    shelf: ImageStore
    stager: Stager
    works: Works
    uploads: Uploads
    identity: Identity
    defaults: Defaults
    wake: Callable[[str], None]
    examine: Callable[[], DoctorReport]

    # --- submitting

    def inspect(self, request: InspectRequest) -> InspectResponse:
        """Propose what a script needs; nothing is kept."""
        queues = self.scheduler.queues()
        proposal = read_script(request.files, request.script, request.arguments)
        proposal = with_known_queue(proposal, [queue.name for queue in queues])
        ask = fill_in(Resources(), queues, self.defaults.disk, self.defaults.pids)
        bounds = self.runtimes[ask.runtime].bounds()
        return InspectResponse(proposal=proposal, queue=ask.queue, runtime=ask.runtime, bounds=bounds)

    def submit(self, user: str, spec: JobSpec, key: str) -> tuple[JobView, bool]:
        """Take a job; the same key again is the same job. Says whether it is new; Rejected names what is wrong."""
        with self.store.read() as db:
            if known := jobs.find_by_key(db, user, key):
                return self._view(db, known), False
        self._check_uploads(user, spec)
        spec = self._complete(user, spec)
        fill_in(spec.resources, self.scheduler.queues(), self.defaults.disk, self.defaults.pids)
        return self._add(user, spec, key, rerun_of=None)

    def rerun(self, user: str, job: str, key: str) -> tuple[JobView, bool]:
        """Submit the same spec again as a new job."""
        old = self._job(user, job)
        self._check_uploads(user, old.spec)
        return self._add(user, old.spec, key, rerun_of=old.id)

    def _add(self, user: str, spec: JobSpec, key: str, rerun_of: str | None) -> tuple[JobView, bool]:
        with self.store.write() as db:
            known = jobs.find_by_key(db, user, key)
            if known is None:
                name = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
                jobs.add(db, job=name, owner=user, group=spec.group or user, key=key, spec=spec, rerun_of=rerun_of)
            job = known or jobs.find(db, user, name)
            assert job is not None  # noqa: S101 - it was just inserted, in this transaction
            view = self._view(db, job)
        self.wake(job.id)
        return view, known is None

    def _check_uploads(self, user: str, spec: JobSpec) -> None:
        problems = []
        for path, entry in spec.files.items():
            scheme, _, upload = (entry.source or "").partition(":")
            if scheme != "upload":
                continue
            try:
                found = self.uploads.find(user, upload)
            except NotFound:
                problems.append(Problem(f"files.{path}.source", "there is no such upload; send the file again"))
                continue
            if not found.complete:
                words = f"only {found.offset} of {found.length} bytes are here; finish the upload first"
                problems.append(Problem(f"files.{path}.source", words))
        if problems:
            raise Rejected(problems=problems)

    def _complete(self, user: str, spec: JobSpec) -> JobSpec:
        """Infer what the spec leaves out: the command, and the environment where nothing is said of it."""
        unsaid = "environment" not in spec.model_fields_set
        if spec.script is None or (spec.command and not unsaid):
            return spec.model_copy(update={"name": spec.name or "job"})
        proposal = read_script({path: self._text(user, spec, path) for path in spec.files}, spec.script)
        asked = [guess.value for guess in proposal.guesses if guess.sure == "ask" and "packages" in guess.field]
        if unsaid and asked:
            words = f"not sure which package {', '.join(asked)} means; name it, or write `environment: {{}}` for none"
            raise Rejected.field("environment.python.packages", words)
        return spec.model_copy(
            update={
                "name": spec.name or proposal.name,
                "command": spec.command or proposal.command,
                "environment": proposal.environment if unsaid else spec.environment,
            }
        )

    def _text(self, user: str, spec: JobSpec, path: str) -> str | None:
        entry = spec.files[path]
        if entry.content is not None:
            return entry.content
        scheme, _, upload = (entry.source or "").partition(":")
        data = self.uploads.read(user, upload, LONGEST_SCRIPT) if scheme == "upload" else None
        try:
            return None if data is None else data.decode()
        except UnicodeDecodeError:
            return None

    # --- looking

    def jobs(self, user: str, cursor: str | None, limit: int, state: str | None) -> JobPage:
        """List a user's jobs, newest first."""
        if state is not None and state not in [known.value for known in JobState]:
            raise Rejected.field("state", f"{state!r} is not a state; there are: {', '.join(JobState)}")
        limit = max(1, min(limit, MOST_LISTED))
        with self.store.read() as db:
            found = jobs.page(db, user, before=_parse_cursor(cursor), limit=limit + 1, state=state)
        more = f"{found[limit - 1].created!r}~{found[limit - 1].id}" if len(found) > limit else None
        return JobPage(jobs=tuple(JobSummary.of(job) for job in found[:limit]), next=more)

    def job(self, user: str, job: str) -> JobView:
        """Show one job; NotFound for unknown ones and others' alike."""
        with self.store.read() as db:
            return self._view(db, self._job(user, job, db))

    def events(self, user: str, job: str, after: int = 0) -> list[EventView]:
        """List a job's events after an id."""
        with self.store.read() as db:
            return [EventView.of(event) for event in jobs.events(db, self._job(user, job, db).id, after)]

    def log(self, user: str, job: str, stream: Literal["out", "err"], task: int, offset: int) -> tuple[LogPart, bool]:
        """Read a piece of a task's log; True when the task has ended and this is the end of it."""
        found = self._job(user, job)
        with self.store.read() as db:
            tasks = {item.index: item for item in jobs.tasks(db, found.id)}
        if task not in tasks:
            raise NotFound(f"job {job} has no task {task}")
        ended = tasks[task].state in TASK_FINAL or found.final
        part = self.stager.log(found.id, max(1, found.attempt), task, stream, offset)
        return part, ended and part.offset + len(part.data) >= part.size

    # --- wishes

    def cancel(self, user: str, job: str) -> JobView:
        """Ask for a job to be canceled; what has ended stays as it is (Conflict)."""
        found = self._job(user, job)
        if found.final and found.state is not JobState.CANCELED:
            raise Conflict(f"job {job} is {found.state} already: there is nothing left to cancel")
        with self.store.write() as db:
            jobs.request_cancel(db, found.id)
        self.wake(found.id)
        return self.job(user, job)

    # --- outputs

    def outputs(self, user: str, job: str) -> list[OutputView]:
        """List what a job left behind."""
        return [OutputView.of(output) for output in self._outputs(user, job)]

    def open_output(self, user: str, job: str, task: int, path: str) -> BinaryIO:
        """Open one output; NotFound for anything that is not in the list."""
        if not any(output.path == path and output.task == task for output in self._outputs(user, job)):
            raise NotFound(f"job {job} has no output {path!r}")
        return self.stager.open_output(job, task, path)

    def archive(self, user: str, job: str, form: Literal["zip", "tar.gz"]) -> Iterator[bytes]:
        """Stream all outputs as one archive."""
        outputs = self._outputs(user, job)
        return self.stager.archive(job, outputs, form)

    def _outputs(self, user: str, job: str) -> list[OutputFile]:
        with self.store.read() as db:
            return jobs.outputs(db, self._job(user, job, db).id)

    # --- the server

    def images(self) -> list[ImageView]:
        """List bases and images."""
        return [ImageView(**vars(image)) for image in self.shelf.images()]

    def import_base(self, user: str, upload: str, name: str) -> ImageView:
        """Take an uploaded root filesystem as a base."""
        found = self.uploads.find(user, upload)
        if not found.complete:
            raise Rejected.field("upload", "is not complete; finish it first")
        image = self.shelf.import_base(self.uploads.path(user, upload), name)
        self.uploads.remove(user, upload)
        return ImageView(**vars(image))

    def build_log(self, key: str) -> str:
        """Return the log of an image's last build."""
        return self.shelf.log(key)

    def queues(self) -> list[QueueView]:
        """List the queues."""
        return [
            QueueView(**{name: getattr(queue, name) for name in QueueView.model_fields})
            for queue in self.scheduler.queues()
        ]

    def me(self, user: str) -> Me:
        """Say who asks, and whose account their jobs run under."""
        account = self.identity.account(user)
        return Me(name=user, account=account.name, uid=account.uid, version=__version__)

    def doctor(self) -> DoctorReport:
        """Examine the server and its settings."""
        return self.examine()

    # --- views

    def _job(self, user: str, job: str, db: Connection | None = None) -> Job:
        if db is None:
            with self.store.read() as own:
                return self._job(user, job, own)
        found = jobs.find(db, user, job)
        if found is None:
            raise NotFound(f"there is no job {job[:64]!r}")
        return found

    def _view(self, db: Connection, job: Job) -> JobView:
        return JobView(
            **{name: getattr(JobSummary.of(job), name) for name in JobSummary.model_fields},
            spec=job.spec,
            plan=job.plan,
            plan_sha256=job.plan_sha256,
            tasks=tuple(TaskView.of(task) for task in jobs.tasks(db, job.id)),
            attempts=tuple(AttemptView.of(attempt) for attempt in jobs.attempts(db, job.id)),
            progress=tuple(ProgressView.of(progress) for progress in self._progress(job)),
            last_event=jobs.last_event(db, job.id),
            cancel_requested=job.cancel_requested,
        )

    def _progress(self, job: Job) -> Iterator[Progress]:
        """Ask the running long work how far it is."""
        if job.state in FINAL:
            return
        for mark in self._marks(job):
            work = self.works.look(mark)
            if work.state is WorkState.RUNNING and work.progress:
                yield work.progress

    def _marks(self, job: Job) -> list[str]:
        if job.state is JobState.SUBMITTED:
            return [work_mark(job.id, "resolve", job.attempt)]
        if job.state is JobState.PREPARING and job.plan and (runtime := self.runtimes.get(job.plan.ask.runtime)):
            return [image_mark(job.plan.lock.image, runtime.face), work_mark(job.id, "inputs", job.attempt)]
        return [work_mark(job.id, "outputs", job.attempt)] if job.state is JobState.STAGING_OUT else []


def _parse_cursor(cursor: str | None) -> tuple[float, str] | None:
    if cursor is None:
        return None
    at, _, job = cursor.partition("~")
    try:
        return float(at), job
    except ValueError:
        raise Rejected.field("cursor", "is not one that this server gave out") from None
