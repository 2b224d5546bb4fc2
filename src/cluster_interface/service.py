"""The use cases. They write what people want; what happens is the engine's business."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from cluster_interface import __version__
from cluster_interface.capsules import baked
from cluster_interface.capsules import describe as describe_capsule
from cluster_interface.file_trees import convert, look_at
from cluster_interface.inspection import inspect as read_script
from cluster_interface.inspection.batch.queues import with_known_queue, with_known_runtime
from cluster_interface.intake import Intake
from cluster_interface.model.advice import advice, earlier, within
from cluster_interface.model.amounts import show_bytes, show_day
from cluster_interface.model.errors import ClusterError, Conflict, Forbidden, NotFound, Rejected
from cluster_interface.model.marks import image_mark, work_mark
from cluster_interface.model.plan import digest
from cluster_interface.model.queue import fill_in, find_queue
from cluster_interface.model.resources import Resources
from cluster_interface.model.state import FINAL, TASK_FINAL, JobState, TaskState
from cluster_interface.outputs import Outputs
from cluster_interface.patterns import expand, form_schema
from cluster_interface.ports import Face, Handle, Order, WorkState
from cluster_interface.runs import describe_run
from cluster_interface.store import jobs, keeping
from cluster_interface.wire import (
    AttemptView,
    BuildView,
    DeliveryView,
    DirectoryEntry,
    DirectoryPage,
    EventView,
    ImageShow,
    ImageView,
    InspectResponse,
    JobPage,
    JobSummary,
    JobView,
    KnownUpload,
    KnownUploads,
    Me,
    PatternSummary,
    PatternView,
    ProgressView,
    QueueView,
    ShellView,
    SiteDataView,
    TaskPage,
    TaskView,
    WaitingView,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from cluster_interface.inspection.software import Software
    from cluster_interface.model.filetree import FileTree
    from cluster_interface.model.job import Attempt, Job, Progress
    from cluster_interface.model.jobspec import JobSpec
    from cluster_interface.model.plan import Lock, Plan
    from cluster_interface.model.sweep import Values
    from cluster_interface.patterns import Catalogue
    from cluster_interface.ports import (
        Identity,
        ImageStore,
        LogPart,
        Site,
        Stager,
        Uploads,
        Works,
    )
    from cluster_interface.settings import (
        Defaults,
        DeliverySettings,
        FileRules,
        GlobusSettings,
        Retention,
        SharedData,
        Sharing,
        Sweeps,
    )
    from cluster_interface.store import Credentials, Store
    from cluster_interface.wire import (
        BuildRequest,
        ConvertRequest,
        DoctorReport,
        ExpandRequest,
        InspectRequest,
        KnownRequest,
        PruneRequest,
        TreeReport,
    )

MOST_LISTED = 200
MOST_SHOWN = 100  #: tasks in a job's own view; the rest by pages
MOST_TASKS_LISTED = 1000
_ID_LETTERS = "abcdefghjkmnpqrstvwxyz23456789"  # none that is easily taken for another
_ID_LENGTH = 10  #: 49 bits: not to be guessed, short enough to type the beginning of


@dataclass(frozen=True, kw_only=True)
class Service:
    """What people can do. `user` is who asks, already authenticated."""

    store: Store
    site: Site
    shelf: ImageStore
    stager: Stager
    works: Works
    uploads: Uploads
    identity: Identity
    defaults: Defaults
    sweeps: Sweeps
    patterns: Catalogue
    sharing: Sharing
    retention: Retention
    delivery: DeliverySettings
    globus: GlobusSettings
    credentials: Credentials
    shared: Mapping[str, SharedData]
    files: FileRules
    software: Software
    wake: Callable[[str], None]
    examine: Callable[..., DoctorReport]

    @property
    def intake(self) -> Intake:
        """Checks and completes what is handed in."""
        return Intake(
            store=self.store,
            site=self.site,
            uploads=self.uploads,
            defaults=self.defaults,
            sweeps=self.sweeps,
            files=self.files,
            software=self.software,
        )

    @property
    def outputs(self) -> Outputs:
        """What can be done with what jobs left behind."""
        return Outputs(store=self.store, stager=self.stager, sharing=self.sharing)

    # --- submitting

    def inspect(self, user: str, request: InspectRequest) -> InspectResponse:
        """Propose what a script needs; nothing is kept."""
        proposal = read_script(request.files, request.script, request.arguments, self.software)
        proposal = with_known_queue(proposal, [queue.name for queue in self.site.queues()])
        ask = self.intake.fit(Resources())
        proposal = with_known_runtime(proposal, self.site.queues(), ask.queue)
        queue = find_queue(self.site.queues(), ask.scheduler, ask.queue)
        with self.store.read() as db:
            last = jobs.last_like(db, user, proposal.name, proposal.script)
            used = jobs.peak_use(db, last.id) if last else (None, None, None)
        return InspectResponse(
            proposal=proposal,
            queue=ask.queue,
            runtime=ask.runtime,
            bounds=self.site.bounds(ask),
            earlier=within(earlier(last, *used[:2]), queue) if last else None,
        )

    def submit(self, user: str, spec: JobSpec, key: str) -> tuple[JobView, bool]:
        """Take a job; the same key again is the same job. Says whether it is new; Rejected names what is wrong."""
        with self.store.read() as db:
            if known := jobs.find_by_key(db, user, key):
                return self._view(db, known), False
        self._must_have_room(user)
        self._must_be_granted(spec)
        spec, rows = self.intake.take(user, spec)
        return self._add(user, spec, key, rows)

    def rerun(self, user: str, job: str, key: str, *, failed: bool = False) -> tuple[JobView, bool]:
        """Submit the same spec again as a new job: all of its tasks, or those that did not complete."""
        old = self._job(user, job)
        self._must_have_room(user)
        self.intake.check_uploads(user, old.spec)
        with self.store.read() as db:
            tasks = jobs.tasks(db, old.id)
        if failed:
            if not old.final:
                raise Conflict(f"job {job} has not ended yet: what will have failed is not known")
            tasks = [task for task in tasks if task.state is not TaskState.COMPLETED]
            if not tasks:
                raise Conflict(f"every task of job {job} completed: there is nothing to run again")
        spec = old.spec.model_copy(update={"after": ()})
        return self._add(user, spec, key, [task.parameters for task in tasks], rerun_of=old.id)

    def _must_be_granted(self, spec: JobSpec) -> None:
        """Refuse deliveries to where this site cannot or does not let them go: long before the job has run."""
        for number, to in enumerate(spec.deliver):
            path = PurePosixPath("/", to.partition(":")[2].lstrip("/"))
            if to.startswith("file:") and not any(path.is_relative_to(root) for root in self.delivery.roots):
                granted = ", ".join(map(str, self.delivery.roots)) or "none: its administrator sets delivery.roots"
                words = f"{to} is not below a directory that this site lets jobs deliver into (it grants {granted})"
                raise Rejected.field(f"deliver.{number}", words)
            if to.startswith("globus:") and not self.globus.complete:
                words = "this site has no Globus collection: its administrator can set staging.globus"
                raise Rejected.field(f"deliver.{number}", words)

    def _must_have_room(self, user: str) -> None:
        """Refuse new work of a person whose ended jobs hold more than the site lets them."""
        quota = self.retention.quota
        if quota is None:
            return
        with self.store.read() as db:
            used = keeping.used(db, user)
        if used >= quota:
            raise Forbidden(
                f"your jobs hold {show_bytes(used)} of the {show_bytes(quota)} that you may have; fetch what you need "
                "and remove the files of old jobs (`clif remove JOB…`, or on their pages)"
            )

    def _add(
        self, user: str, spec: JobSpec, key: str, rows: list[Values], rerun_of: str | None = None
    ) -> tuple[JobView, bool]:
        with self.store.write() as db:
            known = jobs.find_by_key(db, user, key, take=True)
            if known is None:
                name = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
                group = spec.group or user
                jobs.add(db, job=name, owner=user, group=group, key=key, spec=spec, rerun_of=rerun_of, tasks=rows)
            job = known or jobs.find(db, user, name)
            assert job is not None  # noqa: S101 - it was just inserted, in this transaction
            view = self._view(db, job)
        self.wake(job.id)
        return view, known is None

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
        with self.store.read() as db:
            found = self._job(user, job, db)
            shown = next(iter(jobs.task_page(db, found.id, after=task - 1, limit=1)), None)
        if shown is None or shown.index != task:
            raise NotFound(f"job {job} has no task {task}")
        ended = shown.state in TASK_FINAL or found.final
        part = self.stager.log(found.id, max(1, shown.attempt), task, stream, offset)
        return part, ended and part.offset + len(part.data) >= part.size

    def tasks(self, user: str, job: str, *, after: int = -1, limit: int = 100, state: str | None = None) -> TaskPage:
        """List a job's tasks with an index above `after`, perhaps only those in one state."""
        if state is not None and state not in [known.value for known in TaskState]:
            raise Rejected.field("state", f"{state!r} is not a task's state; there are: {', '.join(TaskState)}")
        limit = max(1, min(limit, MOST_TASKS_LISTED))
        with self.store.read() as db:
            found = jobs.task_page(db, self._job(user, job, db).id, after=after, limit=limit + 1, state=state)
        more = found[limit - 1].index if len(found) > limit else None
        return TaskPage(tasks=tuple(TaskView.of(task) for task in found[:limit]), next=more)

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

    def keep(self, user: str, job: str, seconds: int | None = None) -> JobView:
        """Keep an ended job's files for so many seconds from now (None: the site's usual time), or what it allows.

        Conflict where nothing would remove them, or the site allows no longer.
        """
        found = self._ended(user, job)
        policy = self.retention
        if policy.days is None:
            raise Conflict("this site keeps files until somebody removes them: there is nothing to put off")
        with self.store.write() as db:
            until = keeping.clock(db) + (policy.days * keeping.DAY if seconds is None else seconds)
            if policy.longest is not None:
                until = min(until, (found.ended or 0) + policy.longest * keeping.DAY)
            if until <= (found.keep_until or 0):
                raise Conflict(f"the files of job {job} are kept for that long already, or for as long as is allowed")
            keeping.keep(db, found, until, user, f"its files are kept until {show_day(until)}")
        return self.job(user, job)

    def discard(self, user: str, job: str) -> JobView:
        """Have an ended job's files removed now; what is known of the job, and its logs, stay."""
        found = self._ended(user, job)
        with self.store.write() as db:
            keeping.keep(db, found, keeping.clock(db), user, "its files are to be removed")
        self.wake("keeping")
        return self.job(user, job)

    def _ended(self, user: str, job: str) -> Job:
        found = self._job(user, job)
        if not found.final:
            raise Conflict(f"job {job} has not ended yet: its files stay as long as it needs them")
        if found.removed is not None:
            raise Conflict(f"the files of job {job} have been removed already; rerun it to have them again")
        return found

    def shell(self, user: str, job: str, task: int) -> ShellView:
        """Write what opens a shell in the image and the directory of a task; Conflict if there is none (any more)."""
        with self.store.read() as db:
            found = self._job(user, job, db)
            tasks, attempts = jobs.tasks(db, found.id), jobs.attempts(db, found.id)
        if not 0 <= task < len(tasks):
            raise NotFound(f"job {job} has no task {task}")
        attempt = next((attempt for attempt in attempts if attempt.number == tasks[task].attempt), None)
        if found.removed is not None:
            raise Conflict(f"the files of job {job} were removed; rerun the job to have them again")
        if found.plan is None or attempt is None:
            raise Conflict(f"task {task} of job {job} has not been handed over yet: it has no directory")
        ask = attempt.ask or found.plan.ask
        runtime = self.site.runtime(ask)
        image = None
        if found.plan.lock and runtime.face:
            image = self.shelf.find(found.plan.lock, runtime.face, unchecked=True)
        if image is None and runtime.face:
            raise Conflict(f"the image of job {job} is not there any more; rerun the job to have it built again")
        rows = [item.parameters for item in tasks]
        account, home = self.identity.account(user), self.stager.directory(found.id)
        run = describe_run(found, found.plan, attempt, rows, image, account, home)
        text = runtime.shell_script(run, task)
        script = self.stager.write_script(found.id, attempt.number, f"shell-{task}.sh", text)
        runs_as = self.site.runs_as(user, runtime)
        order = Order(script=script, mark=f"{attempt.mark}.shell", account=runs_as, ask=ask, time=ask.time)
        return ShellView(argv=tuple(self.site.scheduler(ask.scheduler).interactive(order)), account=runs_as.name)

    # --- capsules and patterns

    def capsule(self, user: str, job: str) -> Iterator[bytes]:
        """Stream a finished job as one image for `docker load`; Conflict in words where it cannot become one."""
        with self.store.read() as db:
            found = self._job(user, job, db)
            tasks, outputs = jobs.tasks(db, found.id), jobs.outputs(db, found.id)
        made = describe_capsule(found, tasks, outputs, self.stager)
        assert made.plan.lock is not None  # noqa: S101 - it was refused else
        whole = self.shelf.capsule(
            made.plan.lock, baked(made, self.stager), made.config(), f"cluster-interface/capsule:{found.id}"
        )
        if whole is None:
            raise Conflict(f"the image of job {job} is not there any more; rerun the job to have it built again")
        return whole

    def pattern_list(self) -> list[PatternSummary]:
        """List the patterns."""
        return [PatternSummary.of(one, self.patterns.origin(one)) for one in self.patterns.patterns()]

    def pattern(self, name: str) -> PatternView:
        """Show a pattern's form and its example."""
        found = self.patterns.find(name)
        summary = PatternSummary.of(found, self.patterns.origin(found))
        said = {field: getattr(found, field) for field in ("fields", "example", "afterwards")}
        return PatternView(**dict(summary), **said, form=form_schema(found))

    def expand(self, name: str, request: ExpandRequest) -> JobSpec:
        """Make the job spec of what was filled in; Rejected names every bad field."""
        return expand(self.patterns.find(name), request.values, example=request.example, more=request.spec)

    # --- file trees

    def convert_files(self, request: ConvertRequest) -> FileTree:
        """Read a tree in any of its forms; Rejected names what is wrong with it."""
        return convert(request)

    def check_files(self, user: str, tree: FileTree) -> TreeReport:
        """Look at what a tree's entries come from, as the user: how large it is, and what is wrong with it."""
        account, intake = self.identity.account(user), self.intake
        checks = (lambda: intake.check_uploads(user, tree), lambda: intake.check_mounts(tree))
        return look_at(tree, checks, lambda path, entry: self.stager.look_at(account, path, entry))

    def list_directory(self, user: str, path: str, after: str, limit: int) -> DirectoryPage:
        """List a directory of the server's own filesystem as the user, in order of names."""
        entries, more = self.stager.list_directory(self.identity.account(user), path, after, limit)
        return DirectoryPage(entries=tuple(map(DirectoryEntry.of, entries)), next=more)

    # --- the server

    def known_uploads(self, user: str, request: KnownRequest) -> KnownUploads:
        """Say which of these files a person has sent before, at least in part."""
        found = [(file.sha256, self.uploads.known(user, file.size, file.sha256)) for file in request.files]
        return KnownUploads(
            uploads=tuple(
                KnownUpload(sha256=sha256, upload=upload.id, offset=upload.offset) for sha256, upload in found if upload
            )
        )

    def site_data(self, user: str) -> list[SiteDataView]:
        """List the shared data that a person may read."""
        return [
            SiteDataView(
                name=name,
                source=f"site:{name}",
                path=str(data.path),
                version=data.version,
                license=data.license,
                description=data.description,
            )
            for name, data in sorted(self.shared.items())
            if data.may_read(user)
        ]

    def images(self) -> list[ImageView]:
        """List bases and images."""
        return [ImageView(**vars(image)) for image in self.shelf.images()]

    def image(self, key: str) -> ImageShow:
        """Describe one image: its lock, its sizes and the jobs that need it."""
        found = self.shelf.detail(key)
        jobs = tuple(job for job, lock in self._needed() if found.info.key in self.shelf.keys(lock))
        return ImageShow(image=ImageView(**vars(found.info)), lock=found.lock, sizes=dict(found.sizes), jobs=jobs)

    def prune(self, wanted: PruneRequest) -> list[ImageView]:
        """Remove images that nobody needs, and list them."""
        used = {key for _, lock in self._needed() for key in self.shelf.keys(lock)}
        gone = self.shelf.prune(
            used,
            older_than=wanted.older_than,
            larger_than=wanted.larger_than,
            keep=wanted.keep,
            dry_run=wanted.dry_run,
        )
        return [ImageView(**vars(image)) for image in gone]

    def build_image(self, wanted: BuildRequest) -> BuildView:
        """Begin to build an environment, or say how far it is; the same request is the same build."""
        request = wanted.model_dump(mode="json")
        for field, path in wanted.environment.files().items():
            if path not in wanted.files:
                raise Rejected.field(field, f"{path} was not sent along")
        ask = fill_in(Resources(), self.site.queues(), self.defaults.disk, self.defaults.pids)
        face = self.site.runtime(ask).face or Face.DIRECTORY
        mark = f"environment-{digest(request)[:24]}"
        if self.works.look(mark).state in (WorkState.FAILED, WorkState.DONE):
            self.works.stop(mark)  # asked again
        self.works.start(mark, "environment", {**request, "face": face.value})
        return self.image_build(mark)

    def image_build(self, mark: str) -> BuildView:
        """Say how far a build is; NotFound if there is none."""
        work = self.works.look(mark) if mark.startswith("environment-") else None
        if work is None or work.state is WorkState.ABSENT:
            raise NotFound("there is no such build; ask for it again")
        if work.state is WorkState.FAILED:
            return BuildView(id=mark, state="failed", error=str(work.error))
        if work.state is WorkState.DONE:
            return BuildView(id=mark, state="done", image=work.result["image"])
        return BuildView(id=mark, state="running", note=work.progress.note if work.progress else "")

    def _needed(self) -> list[tuple[str, Lock]]:
        with self.store.read() as db:
            return jobs.locks(db)

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
            QueueView(**{name: getattr(queue, name) for name in QueueView.model_fields}) for queue in self.site.queues()
        ]

    def me(self, user: str) -> Me:
        """Say who asks, and whose account their jobs run under."""
        account = self.identity.account(user)
        with self.store.read() as db:
            used = keeping.used(db, user)
        return Me(
            name=user,
            account=account.name,
            uid=account.uid,
            version=__version__,
            used=used,
            quota=self.retention.quota,
            kept_days=self.retention.days,
        )

    def doctor(self, *, site: bool = False) -> DoctorReport:
        """Examine the server and its settings, and what was found on the nodes of each queue if that is asked."""
        return self.examine(site=site)

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
        tasks = jobs.task_page(db, job.id, after=-1, limit=MOST_SHOWN)
        attempts = jobs.attempts(db, job.id)
        return JobView(
            **{name: getattr(JobSummary.of(job), name) for name in JobSummary.model_fields},
            spec=job.spec,
            plan=job.plan,
            plan_sha256=job.plan_sha256,
            counts=jobs.task_counts(db, job.id),
            tasks=tuple(TaskView.of(task) for task in tasks),
            attempts=tuple(AttemptView.of(attempt) for attempt in attempts),
            progress=tuple(ProgressView.of(progress) for progress in self._progress(job)),
            waiting=self._waiting(db, job, attempts),
            advice=advice(job, jobs.peak_use(db, job.id)),
            last_event=jobs.last_event(db, job.id),
            cancel_requested=job.cancel_requested,
            size=job.size,
            keep_until=job.keep_until,
            warned=job.warned,
            removed=job.removed,
            deliveries=tuple(DeliveryView.of(delivery) for delivery in job.deliveries),
        )

    def _waiting(self, db: Connection, job: Job, attempts: Sequence[Attempt]) -> WaitingView | None:
        """Say why a queued job does not run yet, and how good such guesses have been."""
        if job.state is not JobState.QUEUED or job.plan is None or not attempts or not attempts[-1].orders:
            return None
        attempt = attempts[-1]
        first = next((order for order in attempt.orders if order.native_id is not None), None)
        if first is None:
            return None
        handle = Handle(mark=first.mark, account=attempt.account, native_id=first.native_id)
        try:
            waiting = self.site.scheduler(job.plan.ask.scheduler).waiting(handle)
        except ClusterError as error:
            return WaitingView(reason=str(error))
        if waiting is None:
            return None
        return WaitingView.of(waiting, jobs.starts(db, job.plan.ask.scheduler, job.plan.ask.queue))

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
            return [work_mark(job.id, "resolve", job.number)]
        if job.state is JobState.PREPARING and job.plan:
            return [*self._building(job.plan), work_mark(job.id, "inputs", job.number)]
        kinds = ("outputs", "deliver") if job.state is JobState.STAGING_OUT else ()
        return [work_mark(job.id, kind, job.number) for kind in kinds]

    def _building(self, plan: Plan) -> Iterator[str]:
        with contextlib.suppress(ClusterError):
            face = self.site.runtime(plan.ask).face
            if plan.lock and face:
                yield image_mark(plan.lock.image, face)


def _parse_cursor(cursor: str | None) -> tuple[float, str] | None:
    if cursor is None:
        return None
    at, _, job = cursor.partition("~")
    try:
        return float(at), job
    except ValueError:
        raise Rejected.field("cursor", "is not one that this server gave out") from None
