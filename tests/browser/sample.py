"""A service with a few weeks of made-up work behind it, behind the real REST routes, sessions and pages.

The browser tests look at every state a job can be in, hostile names included, without waiting for a cluster.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import shlex
import struct
import tempfile
import time
import zlib
from base64 import b64encode
from dataclasses import dataclass, field

from sqlalchemy import insert

from cluster_interface.model.errors import Conflict, NotFound, Rejected, Transient
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.media import media_type
from cluster_interface.model.plan import Ask, Bound, Lock, Plan
from cluster_interface.model.proposal import Proposal
from cluster_interface.model.resources import GIB, MIB
from cluster_interface.model.state import FINAL, FailureCode, JobState, TaskState
from cluster_interface.patterns import Catalogue
from cluster_interface.ports import LogPart, Upload
from cluster_interface.service.outputs import Outputs
from cluster_interface.service.patterns import Patterns
from cluster_interface.settings import Sharing
from cluster_interface.staging import archives
from cluster_interface.store import tables as t
from cluster_interface.wire import (
    AttemptView,
    EventView,
    InspectResponse,
    JobPage,
    JobSummary,
    JobView,
    Me,
    ProgressView,
    QueueView,
    SiteDataView,
    TaskPage,
    TaskView,
    WaitingView,
)

S = JobState
OWNER = "ada"
EVIL = "<img src=x onerror=\"document.title='owned'\">"
BIDI = "report\u202egnp.exe"
LONG = "very-long-name-without-any-break-" * 3
WAY = (S.SUBMITTED, S.PREPARING, S.QUEUED, S.RUNNING, S.STAGING_OUT)


def picture() -> bytes:
    """Draw a PNG (RFC 2083) of a damped wave, so that there is a picture to look at."""
    width, height = 560, 320
    rows = [bytearray(b"\xff" * width * 3) for _ in range(height)]
    for x in range(width):
        y = int(height / 2 - math.sin(x / 26) * math.exp(-x / 240) * height * 0.42)
        for thick in range(-2, 3):
            rows[min(height - 1, max(0, y + thick))][x * 3 : x * 3 + 3] = b"\x14\x64\x6d"
        rows[height // 2][x * 3 : x * 3 + 3] = b"\xbb\xc4\xc2"

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    raw = b"".join(b"\0" + bytes(row) for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def paper() -> bytes:
    """Write a PDF (ISO 32000-1) of one page with a line of text, a link and a script that no viewer here runs."""
    stream = b"BT /F1 24 Tf 60 700 Td (Angstrom fit) Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >> >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    made, offsets = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, start=1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(made)
    return made + b"xref\n0 6\n0000000000 65535 f \n" + table + trailer


def notebook() -> bytes:
    """Write a Jupyter notebook with every kind of output, hostile HTML and SVG among them."""
    evil = "<img src=x onerror=\"document.title='owned'\">"
    outputs = [
        {"output_type": "stream", "text": ["41 rounds\n"]},
        {"output_type": "display_data", "data": {"image/png": b64encode(picture()).decode(), "text/plain": "<Figure>"}},
        {"output_type": "execute_result", "data": {"text/html": [evil, "<script>1</script>"], "text/plain": "0.982"}},
        {"output_type": "display_data", "data": {"image/svg+xml": evil}},
        {"output_type": "display_data", "data": {"image/png": b64encode(evil.encode()).decode()}},
        {"output_type": "error", "traceback": ["\x1b[31mZeroDivisionError\x1b[0m", evil]},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Fit\n", evil]},
        {"cell_type": "code", "source": "fit(spectra)", "outputs": outputs},
    ]
    return json.dumps({"cells": cells, "nbformat": 4}).encode()


FIT = b"x\n=1+1\n"
FILES = {
    "results/paper.pdf": paper(),
    "results/fit.ipynb": notebook(),
    "results/all.json": b'{"amplitude":0.982,"tags":["<b>"]}',
    "run.log": b"".join(b"line %d\n" % n for n in range(60_000)) + b"the very end\n",
    "results/fit.png": picture(),
    "results/parameters.csv": b'parameter,value,"standard, error"\namplitude,0.982,0.011\n=HYPERLINK("x"),1,2\n',
    "results/summary.txt": "Ångström fit: converged after 41 rounds\nχ² = 1.07\n".encode(),
    "results/figure.svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=\'owned\'"/>',
    f"{EVIL}.html": b"<script>document.title='owned'</script><b>bold</b>",
    f"{BIDI}": b"\x7fELF\0",
    f"{LONG}.dat": b"1 2 3\n\x1b]52;c;AAAA\x07 and \xe2\x80\xae backwards\n",
}

LOG = (
    b"Reading 1204 spectra from /inputs/spectra\n"
    b"\x1b[32mok\x1b[0m 1204 read, \x1b[1;33mwarning\x1b[0m: 3 skipped\n"
    + b"".join(b"round %2d  chi2/nu %.4f\n" % (n, 1.07 + 9 * 0.8**n) for n in range(41))
    + b"  0%|          | 0/41\r 46%|####6     | 19/41\r100%|##########| 41/41\n"
)
EVIL_LOG = (
    b"\x1b]52;c;b3duZWQ=\x07tried to reach the clipboard\n"
    b"\x1b[2J\x1b[Hcleared? \xe2\x80\xaeesrever\xe2\x80\xac\n"
    b"<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\n"
)
ERRORS = (
    b"Traceback (most recent call last):\n"
    b'  File "/job/fold.py", line 88, in <module>\n'
    b"    stack = np.zeros((64, 40_000, 512))\n"
    b"\x1b[31mnumpy._core._exceptions._ArrayMemoryError\x1b[0m: Unable to allocate 9.77 GiB\n"
)


@dataclass
class Made:
    """One made-up job."""

    view: JobView
    events: list[EventView]
    files: dict[str, bytes] = field(default_factory=dict)
    out: bytes = LOG
    err: bytes = b""
    tasks: tuple[TaskView, ...] = ()


def _spec(name: str | None, script: str, packages: tuple[str, ...] = ()) -> JobSpec:
    return JobSpec.parse(
        {
            "name": name,
            "script": script,
            "command": f"python3 {script} --rounds 41 data/spectra",
            "environment": {"python": {"packages": packages}, "system": ["samtools"] if packages else []},
            "files": {script: {"content": "print()"}, "data/spectra/a.txt": {"source": "file:/data/a.txt"}},
            "resources": {"cpus": 2, "memory": "4GiB", "time": "2h"},
        }
    )


def _plan(spec: JobSpec) -> Plan:
    packages = ("numpy==2.3.4", "pandas==2.3.3", "python-dateutil==2.9.0", "pytz==2025.2", "six==1.17.0")
    lock = Lock(base="bookworm-3f1c", python="3.11", packages=packages, image="img-77aa")
    ask = Ask(cpus=2, memory=4 * GIB, time=7200, queue="local", runtime="bubblewrap", disk=20 * GIB)
    return Plan(spec=spec, command=spec.command or "", lock=lock, ask=ask, bounds={"memory": Bound.ENFORCED})


def _make(job: str, name: str, state: JobState, began: float, way: tuple[float, ...], **more: object) -> Made:
    """Make a job that went through as many stages as `way` has lengths (seconds), then stands in `state`."""
    spec = _spec(None, "fit.py", ("numpy", "pandas"))
    at, events = began, [EventView(id=1, at=began, old=None, new=S.SUBMITTED, who=OWNER, why="")]
    reached = [*WAY[1 : len(way)], state] if way else []
    for number, (new, seconds) in enumerate(zip(reached, way, strict=True)):
        at += seconds
        why = str(more.get("reason", "")) if new == state else ""
        events.append(EventView(id=number + 2, at=at, old=events[-1].new, new=new, who="cluster-interface", why=why))
    running = next((event.at for event in events if event.new == S.RUNNING), None)
    code = more.get("code")
    task = TaskView(
        index=0,
        state=TaskState(state.value) if state.value in set(TaskState) else TaskState.WAITING,
        attempt=1,
        exit_code={S.COMPLETED: 0, S.FAILED: 1}.get(state) if running else None,
        reason="",
        started=running,
        ended=at if running and state in FINAL else None,
        cpu_seconds=((at - running) * 1.6) if running and state in FINAL else None,
        peak_memory={S.COMPLETED: 811 * MIB, S.FAILED: 4 * GIB}.get(state) if running else None,
        measured_by="cgroup" if running else None,
    )
    planned = len(way) > 0
    view = JobView(
        id=job, name=name, owner=OWNER, group=OWNER, state=state, code=code, reason=str(more.get("reason", "")),
        created=began, changed=at, ended=at if state in FINAL else None, rerun_of=more.get("rerun_of"), spec=spec,
        plan=_plan(spec) if planned else None, plan_sha256=_plan(spec).sha256 if planned else None,
        tasks=(task,), attempts=(), progress=tuple(more.get("progress", ())), last_event=len(events),
        cancel_requested=False,
    )  # fmt: skip
    out = more.get("out", LOG if running else b"")
    return Made(view=view, events=events, files=more.get("files", {}), out=out, err=more.get("err", b""))


def _sweep(job: str, state: JobState, began: float) -> Made:
    """Make a sweep of a thousand tasks with hostile parameters, some of which failed."""
    item = _make(job, "scan-temperatures", state, began, (2, 20, 4, 300, 3)[: 5 if state in FINAL else 3])
    tasks = []
    for n in range(1000):
        fate = TaskState.FAILED if n % 27 == 3 else TaskState.COMPLETED
        if state not in FINAL and n >= 375:
            fate = TaskState.RUNNING if n < 391 else TaskState.QUEUED
        ended = fate in (TaskState.FAILED, TaskState.COMPLETED)
        tasks.append(
            TaskView(
                index=n, state=fate, attempt=1, exit_code={"failed": 1, "completed": 0}.get(fate),
                reason="exited with 1" if fate == "failed" else "", started=began + n, ended=began + n + 31 if ended else None,
                cpu_seconds=30.0, peak_memory=(200 + n % 90) * MIB if ended else None, measured_by="cgroup", node="n1",
                parameters={"temperature": str(250 + n % 40), "seed": str(n // 40), "label": EVIL if n == 2 else BIDI if n == 3 else f"run {n}"},
            )
        )  # fmt: skip
    states = [task.state for task in tasks]
    attempts = tuple(
        AttemptView(
            number=n, mark=f"ci-{job}-{n}", native_ids=("71",), tasks=37 if n > 1 else None, pack=1,
            memory=n * GIB, created=began, started=None, ended=None,
        )
        for n in (1, 2)
    )  # fmt: skip
    sweep = {"parameters": {"temperature": [1], "seed": [1], "label": ["x"]}}
    spec = JobSpec.parse({**item.view.spec.model_dump(mode="json"), "sweep": sweep, "after": ["donejob234:any"]})
    code = {"code": FailureCode.TASKS_FAILED, "reason": "37 of 1,000 tasks failed"} if state is S.FAILED else {}
    more = {"advice": "asked 4 GiB of memory, used 289 MiB: next time ask 512 MiB"} if state in FINAL else {}
    item.view = item.view.model_copy(
        update={
            "tasks": tuple(tasks[:100]), "counts": {s: states.count(s) for s in TaskState if s in states}, "spec": spec,
            "attempts": attempts, **code, **more,
        }
    )  # fmt: skip
    item.tasks = tuple(tasks)
    return item


def made_up(now: float) -> dict[str, Made]:
    """Make the jobs, newest first."""
    image = ProgressView(stage="image", done=3, total=5, unit="packages", note="installing pandas 2.3.3")
    inputs = ProgressView(stage="inputs", done=812 * MIB, total=2 * GIB, unit="bytes", note="spectra.tar")
    memory = "task 0 used all of its 4 GiB of memory and was stopped by the kernel"
    made = [
        _make("prepjob234", "spectra, second batch", S.PREPARING, now - 40, (3,), progress=(image, inputs)),
        _make("runjob2345", "angstrom-fit", S.RUNNING, now - 200, (2, 24, 9)),
        _make("waitjob234", "nightly-alignment", S.QUEUED, now - 900, (2, 12), reason="waits for 2 free cores"),
        _make("donejob234", "angstrom-fit", S.COMPLETED, now - 5000, (2, 41, 4, 312, 3), files=FILES),
        _make(
            "failjob234", "fold-proteins", S.FAILED, now - 9000, (2, 19, 3, 77, 1),
            code=FailureCode.OUT_OF_MEMORY, reason=memory, err=ERRORS,
        ),
        _make("stopjob234", "too-many-permutations", S.CANCELED, now - 90000, (2, 8), reason="canceled by ada"),
        _make(
            "eviljob234", EVIL, S.FAILED, now - 180000, (1,), code=FailureCode.INPUT_UNAVAILABLE,
            out=EVIL_LOG, reason=f"{EVIL}: no such file \u202e{LONG}{LONG}",
        ),
        _make("longjob234", LONG[:120], S.COMPLETED, now - 260000, (1, 1, 1, 1, 1), rerun_of="donejob234"),
    ]  # fmt: skip
    waiting = WaitingView(
        reason="waits for free nodes",
        native_reason="Resources",
        position=3,
        start=now + 900,
        usually_off=240.0,
        guesses=12,
    )
    made[2].view = made[2].view.model_copy(update={"waiting": waiting, "reason": ""})
    made[1:1] = [_sweep("sweepjob23", S.FAILED, now - 3000), _sweep("sweeprun23", S.RUNNING, now - 400)]
    old = [_make(f"oldjob{n:04d}", f"survey-{n}", S.COMPLETED, now - 400000 - n, (1, 9, 1, 60, 1)) for n in range(60)]
    return {item.view.id: item for item in [*made, *old]}


def propose(script: str, files: dict[str, str | None], arguments: tuple[str, ...]) -> Proposal:
    """Say what inspection would say of a script like `fit.py`."""
    python = "environment.python.packages"
    return Proposal.parse(
        {
            "script": script,
            "name": script.removesuffix(".py"),
            "command": shlex.join(["python3", script, *arguments]),
            "environment": {"python": {"packages": ["numpy", "pandas", "pyyaml", "scikit-learn"]}},
            "inputs": [name for name in files if name != script],
            "outputs": ["results/summary.csv"],
            "options": [
                {"name": "table", "positional": True, "required": True, "help": "the spectra to fit", "kind": "path"},
                {"name": "--rounds", "default": "40", "kind": "int", "help": "how many rounds at most"},
                {"name": "--method", "choices": ["fast", "exact"], "default": "fast", "help": "how it is fitted"},
                {"name": "--plot", "flag": True, "help": "draw the result"},
            ],
            "guesses": [
                {"field": python, "value": "numpy", "rests_on": "import numpy, line 3", "sure": "known"},
                {"field": python, "value": "pandas", "rests_on": "import pandas, line 4", "sure": "known"},
                {
                    "field": python,
                    "value": "pyyaml",
                    "rests_on": "import yaml, line 5 (curated table)",
                    "sure": "known",
                },
                {"field": python, "value": "scikit-learn", "rests_on": "import sklearn, line 7", "sure": "known"},
                {"field": python, "value": "labtools", "rests_on": "import labtools, line 6", "sure": "ask"},
                {"field": "files", "value": "spectra.csv", "rests_on": "read_csv, line 14", "sure": "likely"},
                {"field": "outputs", "value": "results/summary.csv", "rests_on": "to_csv, line 15", "sure": "likely"},
            ],
            "warnings": ["labtools is not a well-known package: tick it only if you know that it is the right one"],
        }
    )


def _record(db: object, item: Made) -> None:
    """Write a made-up job and its outputs into the tables that the use cases on outputs read."""
    view = item.view
    whose = {"owner": view.owner, "group": view.group}
    db.execute(
        insert(t.job).values(
            id=view.id, submission_key=view.id, name=view.name, state=view.state, spec=view.spec.model_dump(mode="json"),
            created=view.created, changed=view.changed, ended=view.ended, due=0, keep_until=view.keep_until, **whose,
        )
    )  # fmt: skip
    if item.tasks:
        rows = [
            {"job": view.id, "index": n.index, "state": n.state, "parameters": n.parameters, **whose}
            for n in item.tasks
        ]
        db.execute(insert(t.task), rows)
    _record_outputs(db, item)


def _record_outputs(db: object, item: Made) -> None:
    view = item.view
    files = [(0, path, data) for path, data in item.files.items()]
    if item.tasks:
        done = [task.index for task in item.tasks if task.state is TaskState.COMPLETED][:90]
        files = [(n, "results/fit.csv", FIT) for n in done]
    for task, path, data in files:
        db.execute(
            insert(t.output).values(
                job=view.id, task=task, path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest(),
                partial=view.state is not S.COMPLETED, type=media_type(path, data[:4096]),
                owner=view.owner, group=view.group,
            )
        )  # fmt: skip


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
        return archives.archive(files, form, lambda file: self.open_output(job, file.task, file.path))


class SampleService:
    """What the pages and the routes call, over the made-up jobs."""

    def __init__(self, store: object) -> None:
        self.store = store
        self.patterns = Patterns(catalogue=Catalogue())
        self.submitting = self.following = self.wishes = self.files = self
        self.made = made_up(time.time())
        self.submitted: dict[str, str] = {}  #: key -> job
        self.specs: list[JobSpec] = []
        self.failed_again = False  #: whether only the failed tasks were last asked for again
        self.silent = False  #: whether everything answers Transient
        with store.write() as db:
            for item in self.made.values():
                _record(db, item)

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
        item.view = item.view.model_copy(update={"state": state, "last_event": event.id, "changed": event.at, **more})
        if state in FINAL:
            with self.store.write() as db:
                _record_outputs(db, item)

    def inspect(self, user: str, request: object) -> InspectResponse:
        """Propose the same for whatever comes."""
        proposal = propose(request.script or next(iter(request.files)), request.files, request.arguments)
        return InspectResponse(proposal=proposal, queue="local", runtime="bubblewrap", bounds={"memory": "enforced"})

    def submit(self, user: str, spec: JobSpec, key: str) -> tuple[JobView, bool]:
        """Take a job, once per key."""
        if key in self.submitted:
            return self.made[self.submitted[key]].view, False
        if (spec.resources.memory or 0) > 8 * GIB:
            raise Rejected.field("resources.memory", "asks for more than 8 GiB; the most in queue local is 8 GiB")
        job = f"newjob{len(self.submitted):04d}"
        item = _make(job, spec.name or "job", S.SUBMITTED, time.time(), ())
        item.view = item.view.model_copy(update={"spec": spec})
        self.made = {job: item, **self.made}
        with self.store.write() as db:
            _record(db, item)
        self.submitted[key] = job
        self.specs.append(spec)
        return item.view, True

    def rerun(self, user: str, job: str, key: str, *, failed: bool = False) -> tuple[JobView, bool]:
        """Submit the same again."""
        self.failed_again = failed
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
        return Me(name=user, account="clif-job", uid=999, version="0")


class SampleUploads:
    """Uploads kept in memory."""

    def __init__(self) -> None:
        self.data: dict[str, bytearray] = {}
        self.made: dict[str, Upload] = {}
        self.break_next = False  #: whether the next append stops halfway, as a broken connection does

    def create(self, owner: str, name: str, length: int, sha256: str | None = None) -> Upload:
        """Begin an upload."""
        upload = Upload(id=f"up{len(self.made)}", owner=owner, name=name, length=length, offset=0, created=time.time())
        self.made[upload.id], self.data[upload.id] = upload, bytearray()
        return upload

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
        if self.break_next:
            self.break_next = False
            self.data[upload] += data[: len(data) // 2]
            raise Transient("the disk did not answer")
        self.data[upload] += data
        return self.find(owner, upload)

    def remove(self, owner: str, upload: str) -> None:
        """Forget an upload."""
        del self.made[upload], self.data[upload]
