"""A service with a few weeks of made-up work behind it, behind the real REST routes, sessions and pages.

The browser tests look at every state a job can be in, hostile names included, without waiting for a cluster.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import time
from dataclasses import replace

from sqlalchemy import delete, insert
from tests.browser.sample_files import EVIL, FIT
from tests.browser.sample_jobs import KEY, OWNER, PLACE, Made, S, made_up, make_job, propose

from cluster_interface.inspection import inspect as real_inspect
from cluster_interface.inspection.sweeps import with_places
from cluster_interface.model.errors import Conflict, NotFound, Rejected, Transient
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.media import media_type
from cluster_interface.model.plan import Lock
from cluster_interface.model.resources import GIB, MIB
from cluster_interface.model.state import FINAL, JobState, TaskState
from cluster_interface.patterns import Catalogue
from cluster_interface.ports import LogPart, Upload
from cluster_interface.service.files import Files
from cluster_interface.service.outputs import Outputs
from cluster_interface.service.patterns import Patterns
from cluster_interface.settings import Sharing
from cluster_interface.staging import archives
from cluster_interface.store import Credentials, Store, Vault
from cluster_interface.store import tables as t
from cluster_interface.wire import (
    EventView,
    ImageShow,
    ImageView,
    InspectResponse,
    JobPage,
    JobSummary,
    JobView,
    Me,
    ProgressView,
    QueueView,
    SiteDataView,
    TaskPage,
)


def _record(db: object, made: list[Made]) -> None:
    """Write made-up jobs and their outputs into the tables that the use cases on outputs read."""
    db.execute(insert(t.job), [_job_row(item.view) for item in made])
    tasks = [
        {"job": item.view.id, "index": n.index, "state": n.state, "parameters": n.parameters, **_whose(item.view)}
        for item in made
        for n in item.tasks
    ]
    if tasks:
        db.execute(insert(t.task), tasks)
    _record_outputs(db, made)


def _job_row(view: JobView) -> dict[str, object]:
    return {
        "id": view.id, "submission_key": view.id, "name": view.name, "state": view.state, "spec": view.spec.model_dump(mode="json"),
        "created": view.created, "changed": view.changed, "ended": view.ended, "due": 0, "keep_until": view.keep_until, **_whose(view),
    }  # fmt: skip


def _whose(view: JobView) -> dict[str, str]:
    return {"owner": view.owner, "group": view.group}


def _record_outputs(db: object, made: list[Made]) -> None:
    rows = [row for item in made for row in _output_rows(item)]
    if rows:
        db.execute(insert(t.output), rows)


def _output_rows(item: Made) -> list[dict[str, object]]:
    view = item.view
    files = [(0, path, data) for path, data in item.files.items()]
    if item.tasks:
        done = [task.index for task in item.tasks if task.state is TaskState.COMPLETED][:90]
        files = [(n, "results/fit.csv", FIT) for n in done]
    return [
        {
            "job": view.id, "task": task, "path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(),
            "partial": view.state is not S.COMPLETED, "type": media_type(path, data[:4096]), **_whose(view),
        }
        for task, path, data in files
    ]  # fmt: skip


class SampleStager:
    """Opens what the made-up jobs left."""

    def __init__(self, made: dict[str, Made]) -> None:
        self.made = made

    def open_output(self, job: str, task: int, path: str) -> object:
        """Open an output as a real file."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever reads it
        file.write(self.made[job].files[path] if self.made[job].files else FIT)
        file.seek(0)
        return file

    def archive(self, job: str, files: list, form: str) -> object:
        """Make a real archive."""
        return archives.archive(
            files, form, lambda file: self.open_output(job, file.task, file.path), lambda some: [None for _ in some]
        )


BUILT = "$ setpriv -- bwrap /bin/sh -e\n+ make tools\n/bin/sh: 2: make: not found\n<script>document.title='owned'</script>\n"


class SampleImages:
    """One image on one base, and what building it printed."""

    def listed(self) -> list[ImageView]:
        """List both."""
        more = {"created": time.time() - 9000, "base": None, "faces": ("directory",)}
        python = {"kind": "image", "name": "numpy, pandas and 3 more", "packages": ("numpy==2.3.4", "pandas==2.3.3")}
        base = {"kind": "base", "name": "bookworm", "packages": ("python3",)}
        return [
            ImageView(key=KEY, size=300 * MIB, used=time.time() - 60, **python, **more),
            ImageView(key="bookworm-3f1c", size=141 * MIB, **base, **more),
        ]

    def show(self, key: str) -> ImageShow:
        """Show one of them."""
        image = next((one for one in self.listed() if one.key.startswith(key)), None)
        if image is None:
            raise NotFound(f"there is no image {key[:64]!r}")
        lock = Lock(
            base="bookworm-3f1c", python="3.11", image=image.key, suite="bookworm", packages=image.packages,
            requirements="numpy==2.3.4 --hash=sha256:00\n", system=("libgl1", "python3"), why=("libgl1: cv2 needs it",),
        )  # fmt: skip
        return ImageShow(image=image, lock=lock, sizes={"base": 141 * MIB, "layer": 159 * MIB}, jobs=("runjob2345",))

    def log(self, key: str) -> str:
        """Return what its build printed."""
        return BUILT


class SampleService:
    """What the pages and the routes call, over the made-up jobs."""

    def __init__(self, store: Store, uploads: SampleUploads, vault: Vault) -> None:
        self.store, self.uploads = store, uploads
        self.credentials = Credentials(store, vault)
        self.patterns = Patterns(catalogue=Catalogue())
        self.submitting = self.following = self.wishes = self.files = self
        self.images = SampleImages()
        self.reset()

    def reset(self) -> None:
        """Begin anew with the made-up jobs; sessions stay."""
        self.made = made_up(time.time())
        self.submitted: dict[str, str] = {}  #: key -> job
        self.specs: list[JobSpec] = []
        self.failed_again = False  #: whether only the failed tasks were last asked for again
        self.silent = False  #: whether everything answers Transient
        with self.store.write() as db:
            for table in reversed(t.metadata.sorted_tables):
                if table is not t.session:
                    db.execute(delete(table))
            _record(db, list(self.made.values()))

    def shared_data(self, user: str) -> list[SiteDataView]:
        """Share one data set."""
        return [
            SiteDataView(
                name="genomes",
                source="site:genomes",
                path="/srv/genomes",
                version="2026-03",
                license="CC0",
                description="",
            )
        ]

    def _find(self, user: str, job: str) -> Made:
        if self.silent:
            raise Transient("the database does not answer; it is tried again")
        if user != OWNER or job not in self.made:
            raise NotFound(f"there is no job {job[:64]!r}")
        return self.made[job]

    def change(self, job: str, state: JobState, **more: object) -> None:
        """Move a job on, as the engine would."""
        item = self.made[job]
        event = EventView(
            id=len(item.events) + 1, at=time.time(), old=item.view.state, new=state, who="cluster-interface", why=""
        )
        item.events.append(event)
        view = item.view.model_copy(update={"state": state, "last_event": event.id, "changed": event.at, **more})
        if state in FINAL:  # its outputs are there when its end is seen
            with self.store.write() as db:
                _record_outputs(db, [replace(item, view=view)])
        item.view = view

    def inspect(self, user: str, request: object) -> InspectResponse:
        """Propose the same for whatever comes, but for scripts with parsers of their own: those are read."""
        name = request.script or next(iter(request.files))
        real = any(sign in (request.files[name] or "") for sign in ("import argparse", "#SBATCH"))
        read = real_inspect if real else propose
        proposal = read(*((request.files, name) if read is real_inspect else (name, request.files)), request.arguments)
        proposal = with_places(proposal, request.parameters)
        return InspectResponse(proposal=proposal, queue="local", runtime="bubblewrap", bounds={"memory": "enforced"})

    def submit(self, user: str, spec: JobSpec, key: str) -> tuple[JobView, bool]:
        """Take a job, once per key."""
        if key in self.submitted:
            return self.made[self.submitted[key]].view, False
        if (spec.resources.memory or 0) > 8 * GIB:
            raise Rejected.field("resources.memory", "asks for more than 8 GiB; the most in queue local is 8 GiB")
        job = f"newjob{len(self.submitted):04d}"
        item = make_job(job, spec.name or "job", S.SUBMITTED, time.time(), ())
        item.view = item.view.model_copy(update={"spec": spec})
        self.made = {job: item, **self.made}
        with self.store.write() as db:
            _record(db, [item])
        self.submitted[key] = job
        self.specs.append(spec)
        return item.view, True

    known_uploads = Files.known_uploads

    def rerun(
        self, user: str, job: str, key: str, *, failed: bool = False, with_missing: bool = False
    ) -> tuple[JobView, bool]:
        """Submit the same again."""
        self.failed_again, self.with_missing = failed, with_missing
        return self.submit(user, self._find(user, job).view.spec, key)

    def jobs(self, user: str, cursor: str | None, limit: int, state: str | None) -> JobPage:
        """List jobs; the cursor is an index."""
        if self.silent:
            raise Transient("the database does not answer; it is tried again")
        if state is not None and state not in set(JobState):
            raise Rejected.field("state", f"{state!r} is not a state")
        start = int(cursor or 0)
        found = [item.view for item in self.made.values() if user == OWNER and state in (None, item.view.state)]
        page = [JobSummary(**{n: getattr(v, n) for n in JobSummary.model_fields}) for v in found]
        return JobPage(
            jobs=tuple(page[start : start + limit]), next=str(start + limit) if len(page) > start + limit else None
        )

    def job(self, user: str, job: str) -> JobView:
        """Show a job."""
        return self._find(user, job).view

    def events(self, user: str, job: str, after: int = 0) -> list[EventView]:
        """List events."""
        return [event for event in self._find(user, job).events if event.id > after]

    def log(self, user: str, job: str, stream: str, task: int, offset: int) -> tuple[LogPart, bool]:
        """Read a log."""
        item = self._find(user, job)
        text = {"out": item.out, "err": item.err}[stream]
        start = max(0, len(text) + offset) if offset < 0 else offset
        return LogPart(data=text[start:], offset=start, size=len(text)), item.view.state in FINAL

    def tasks(self, user: str, job: str, *, after: int, limit: int, state: str | None) -> TaskPage:
        """List tasks."""
        found = [t for t in self._find(user, job).tasks if t.index > after and state in (None, t.state)]
        return TaskPage(tasks=tuple(found[:limit]), next=found[limit - 1].index if len(found) > limit else None)

    def deliver(self, user: str, job: str) -> JobView:
        """Begin to deliver what did not arrive; `arrive` ends it."""
        item = self.made[self._find(user, job).view.id]
        if not any(one.trouble for one in item.view.deliveries):
            raise Conflict(f"the outputs of job {job} were delivered already")
        progress = ProgressView(stage="delivery", done=MIB, total=3 * MIB, unit="bytes", note=PLACE)
        item.view = item.view.model_copy(update={"delivering": True, "progress": (progress,)})
        return item.view

    def arrive(self, job: str, trouble: str = "") -> None:
        """End a delivery, as the engine would."""
        item = self.made[job]
        ended = {"trouble": trouble} if trouble else {"trouble": "", "files": 11, "size": 3 * MIB}
        found = tuple(one.model_copy(update=ended) if one.trouble else one for one in item.view.deliveries)
        reason = "; ".join(
            ["11 outputs", *(f"not delivered to {one.to}: {one.trouble}" for one in found if one.trouble)]
        )
        more = {"deliveries": found, "delivering": False, "progress": (), "reason": reason}
        item.view = item.view.model_copy(update=more)

    def cancel(self, user: str, job: str) -> JobView:
        """Cancel at once."""
        if self._find(user, job).view.state in FINAL:
            raise Conflict(f"job {job} has ended already: there is nothing left to cancel")
        self.change(job, S.CANCELED, reason="canceled by ada")
        return self.job(user, job)

    @property
    def outputs(self) -> Outputs:
        """The real use cases on the made-up jobs' outputs."""
        return Outputs(store=self.store, stager=SampleStager(self.made), sharing=Sharing())

    def keep(self, user: str, job: str, seconds: int | None = None) -> JobView:
        """Keep a job's files for longer."""
        item = self.made[self._find(user, job).view.id]
        item.view = item.view.model_copy(update={"keep_until": time.time() + (seconds or 30 * 86400), "warned": None})
        return item.view

    def queues(self) -> list[QueueView]:
        """List queues."""
        local = QueueView(
            name="local", scheduler="local", cpus=8, memory=8 * GIB, time=86400, default_cpus=1, default_memory=GIB,
            default_time=3600, gpus=0, gpu_types=(), nodes=1, features=None, licenses=None, accounts=("chem", EVIL),
            qos=("normal", "high"), reservations=None, runtimes=("bubblewrap", "docker"), why_not="", state="",
        )  # fmt: skip
        return [local, local.model_copy(update={"name": "big", "cpus": 64, "memory": 512 * GIB})]

    def me(self, user: str) -> Me:
        """Say who asks."""
        return Me(name=user, account="clif-job", uid=999, version="0", used=3 * GIB, quota=20 * GIB, kept_days=30)


class SampleUploads:
    """Uploads kept in memory."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.data: dict[str, bytearray] = {}
        self.made: dict[str, Upload] = {}
        self.sums: dict[str, str] = {}  #: upload -> what its bytes are to be
        self.received: list[int] = []  #: bytes of each append
        self.break_next = False  #: whether the next append stops halfway, as a broken connection does

    def create(self, owner: str, name: str, length: int, sha256: str | None = None) -> Upload:
        """Begin an upload."""
        upload = Upload(id=f"up{len(self.made)}", owner=owner, name=name, length=length, offset=0, created=time.time())
        self.made[upload.id], self.data[upload.id] = upload, bytearray()
        self.sums[upload.id] = sha256 or ""
        return upload

    def known(self, owner: str, length: int, sha256: str) -> Upload | None:
        """Return an earlier upload of these bytes."""
        found = [name for name, upload in self.made.items() if (upload.length, self.sums[name]) == (length, sha256)]
        return self.find(owner, found[0]) if found else None

    def find(self, owner: str, upload: str) -> Upload:
        """Return an upload."""
        if upload not in self.made:
            raise NotFound("there is no such upload")
        made = self.made[upload]
        return Upload(**{**vars(made), "offset": len(self.data[upload])})

    def append(self, owner: str, upload: str, offset: int, stream: io.BufferedIOBase) -> Upload:
        """Add bytes."""
        if offset != len(self.data[upload]):
            raise Conflict("the upload ends elsewhere")
        data = stream.read()
        self.received.append(len(data))
        if self.break_next:
            self.break_next = False
            self.data[upload] += data[: len(data) // 2]
            raise Transient("the disk did not answer")
        self.data[upload] += data
        return self.find(owner, upload)

    def remove(self, owner: str, upload: str) -> None:
        """Forget an upload."""
        del self.made[upload], self.data[upload]
