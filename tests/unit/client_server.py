"""A tiny server for the tests of client and command line: real HTTP on a Unix socket, the wire's own models, no engine.

A test puts jobs, logs and outputs in; `troubles` are asked before the routes, in order:
one that says True has hung up, and is over.
"""

import contextlib
import hashlib
import io
import json
import re
import shutil
import socketserver
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from cluster_interface import wire
from cluster_interface.model.errors import Rejected
from cluster_interface.model.job import OutputFile, Task
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.proposal import Proposal
from cluster_interface.model.state import FINAL, JobState, TaskState
from cluster_interface.service import gathering

PREFIX = "/api/v1"


class FakeServer(socketserver.ThreadingUnixStreamServer):
    """Listens on `path`; everything it was asked is in `asked`, everything it has can be changed by the test."""

    daemon_threads = True

    def __init__(self, path: Path):
        self.path = path
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        self.jobs: dict[str, dict] = {}
        self.keys: dict[str, str] = {}
        self.events: dict[str, list[wire.EventView]] = {}
        self.logs: dict[tuple[str, str], bytes] = {}
        self.outputs: dict[str, dict[str, bytes]] = {}
        self.uploads: dict[str, tuple[int, bytes]] = {}
        self.proposal = {}
        self.troubles: list = []
        self.reruns: list[dict[str, str]] = []  #: what each was asked with
        self.on_submit = lambda server, job: server.finish(job)
        self.changed = threading.Condition()
        super().__init__(str(path), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def add(self, spec: dict, *, job: str | None = None, name: str = "count", rerun_of: str | None = None) -> str:
        """Take a job; it is submitted."""
        job = job or f"job{len(self.jobs):07}"
        now = time.time()
        task = wire.TaskView.of(Task(job=job, index=0, state=TaskState.WAITING)).model_dump(mode="json")
        self.jobs[job] = {
            "id": job, "name": name, "owner": "ada", "group": "ada", "state": "submitted", "code": None, "reason": "",
            "created": now + len(self.jobs) / 1000, "changed": now, "ended": None,
            "rerun_of": rerun_of, "spec": spec, "plan": None, "plan_sha256": None, "attempts": [], "progress": [], "last_event": 0, "cancel_requested": False,
            "tasks": [task],
        }  # fmt: skip
        self.events[job] = []
        self.move(job, "submitted")
        return job

    def move(self, job: str, state: str, why: str = "", code: str | None = None) -> None:
        """Change a job's state and say so."""
        with self.changed:
            data, events = self.jobs[job], self.events[job]
            old = JobState(data["state"]) if events else None
            data |= {"state": state, "reason": why, "code": code}
            if state in FINAL:
                data["ended"] = time.time()
            events.append(
                wire.EventView(id=len(events) + 1, at=time.time(), old=old, new=JobState(state), who="engine", why=why)
            )
            self.changed.notify_all()

    def sweep(self, job: str, rows: list[dict], **ends: list[int]) -> None:
        """Give a job many tasks; those that `ends` names by their state have ended so, the others well."""
        fates = {number: state for state, numbers in ends.items() for number in numbers}
        self.jobs[job]["tasks"] = [
            wire.TaskView.of(
                Task(
                    job=job, index=index, state=TaskState(fates.get(index, "completed")), parameters=row,
                    exit_code=1 if fates.get(index) == "failed" else 0, started=0.0, ended=2.0, peak_memory=2**20,
                    reason=f"task {index} exited with 1" if fates.get(index) == "failed" else "",
                )
            ).model_dump(mode="json")
            for index, row in enumerate(rows)
        ]  # fmt: skip
        states = [task["state"] for task in self.jobs[job]["tasks"]]
        self.jobs[job]["counts"] = {state: states.count(state) for state in set(states)}

    def write(self, job: str, stream: str, data: bytes) -> None:
        """Let a job print something."""
        with self.changed:
            self.logs[job, stream] = self.logs.get((job, stream), b"") + data
            self.changed.notify_all()

    def finish(self, job: str, state: str = "completed", why: str = "", code: str | None = None) -> None:
        """Take a job through its life."""
        for passed in ("preparing", "queued", "running", "staging_out"):
            self.move(job, passed)
        self.jobs[job]["attempts"] = [
            {
                "number": 1,
                "mark": f"ci-{job}-1",
                "native_ids": ("7",),
                "tasks": None,
                "pack": 1,
                "memory": None,
                "created": 0.0,
                "started": 0.5,
                "ended": 1.0,
            }
        ]
        self.move(job, state, why, code)

    def stop(self) -> None:
        """End it."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeServer

    def address_string(self):
        return "peer"

    def log_message(self, *_):
        pass

    def handle(self):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            super().handle()

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        url = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        path = url.path.removeprefix(PREFIX)
        self.server.asked.append((self.command, path))
        if self.server.troubles and self.server.troubles[0](self, path):
            self.server.troubles.pop(0)
            self.close_connection = True
            return
        self.body = self.rfile.read(length)
        self.server.bodies.append(self.body)
        for method, pattern, view in ROUTES:
            if method == self.command and (found := re.fullmatch(pattern, path)):
                view(self, *map(unquote, found.groups()))
                return
        self.problem(404, "there is no such thing here, or it is not yours")

    do_GET = do_POST = do_HEAD = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server calls them so

    def send(self, status, body=b"", **headers):
        """Send an answer; names of headers with `_` for `-`."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def model(self, model, status=200):
        """Send a model."""
        self.send(status, model.model_dump_json().encode(), Content_Type="application/json")

    def problem(self, status, detail, *fields):
        """Send a problem document."""
        errors = tuple(wire.ProblemField(field=field, message=message) for field, message in fields)
        document = wire.ProblemDocument(title="Problem", status=status, detail=detail, errors=errors)
        self.send(status, document.model_dump_json().encode(), Content_Type="application/problem+json")

    # --- routes

    def me(self):
        self.model(wire.Me(name="ada", account="ada", uid=1000, version="0.1.0"))

    def inspect(self):
        asked = wire.InspectRequest.model_validate_json(self.body)
        script = asked.script or next(iter(asked.files))
        found = {"script": script, "name": Path(script).stem, "command": " ".join(["python", script, *asked.arguments])}
        proposal = Proposal.model_validate(found | self.server.proposal)
        self.model(
            wire.InspectResponse(proposal=proposal, queue="local", runtime="bubblewrap", bounds={"memory": "enforced"})
        )

    def submit(self):
        try:
            spec = wire.SubmitRequest.parse(json.loads(self.body)).spec
        except Rejected as error:
            self.problem(422, str(error), *((problem.field, problem.message) for problem in error.problems))
            return
        key, fresh = self.headers["Idempotency-Key"], False
        if key not in self.server.keys:
            fresh = True
            self.server.keys[key] = self.server.add(spec.model_dump(mode="json"), name=spec.name or "job")
        job = self.server.keys[key]
        self.view(job, 201 if fresh else 200)
        if fresh:
            threading.Thread(target=self.server.on_submit, args=(self.server, job), daemon=True).start()

    def view(self, job, status=200):
        if job not in self.server.jobs:
            self.problem(404, f"there is no job {job!r}")
            return
        self.model(wire.JobView.model_validate(self.server.jobs[job]), status)

    def list_jobs(self):
        start, limit = int(self.query.get("cursor", 0)), int(self.query["limit"])
        jobs = [job for job in reversed(self.server.jobs.values()) if self.query.get("state") in (None, job["state"])]
        page = [{name: job[name] for name in wire.JobSummary.model_fields} for job in jobs[start : start + limit]]
        more = str(start + limit) if len(jobs) > start + limit else None
        self.model(wire.JobPage.model_validate({"jobs": page, "next": more}))

    def cancel(self, job):
        if self.server.jobs[job]["state"] in FINAL:
            self.problem(409, f"job {job} is {self.server.jobs[job]['state']} already: there is nothing left to cancel")
            return
        self.server.jobs[job]["cancel_requested"] = True
        self.view(job, 202)
        self.server.move(job, "canceled", "canceled by ada")

    def list_tasks(self, job):
        after, limit = int(self.query["after"]), int(self.query["limit"])
        chosen = [task for task in self.server.jobs[job]["tasks"] if task["index"] > after]
        chosen = [task for task in chosen if self.query.get("state") in (None, task["state"])]
        more = chosen[limit - 1]["index"] if len(chosen) > limit else None
        self.model(wire.TaskPage.model_validate({"tasks": chosen[:limit], "next": more}))

    def _tasks_and_files(self, job):
        tasks = [
            Task(job=job, **{**task, "state": TaskState(task["state"])}) for task in self.server.jobs[job]["tasks"]
        ]
        return tasks, list(self._files(job))

    def task_table(self, job):
        self.send(200, b"".join(gathering.task_table(self._tasks_and_files(job)[0])), Content_Type="text/csv")

    def gather(self, job):
        def opened(file):
            return io.BytesIO(self.server.outputs[job][f"{file.task}:{file.path}"])

        try:
            tasks, files = self._tasks_and_files(job)
            done = {task.index: task.parameters for task in tasks if task.state is TaskState.COMPLETED}
            chosen = [(file, done[file.task]) for file in files if file.task in done]
            found = b"".join(gathering.gather(lambda: chosen, self.query["path"], opened))
        except Rejected as error:
            self.problem(error.status, str(error), *((problem.field, problem.message) for problem in error.problems))
            return
        self.send(200, found, Content_Type="text/csv")

    def _files(self, job):
        """Outputs by path, or by `task:path`."""
        for key, data in self.server.outputs.get(job, {}).items():
            task, colon, path = key.partition(":")
            digest = hashlib.sha256(data).hexdigest()
            yield OutputFile(path=path if colon else key, size=len(data), sha256=digest, task=int(task) if colon else 0)

    def rerun(self, job):
        self.server.reruns.append(self.query)
        again = self.server.add(self.server.jobs[job]["spec"], rerun_of=job)
        self.view(again, 201)
        threading.Thread(target=self.server.on_submit, args=(self.server, again), daemon=True).start()

    def list_events(self, job):
        after = int(self.query.get("after", 0))
        self.until(lambda: len(self.server.events[job]) > after)
        self.model(wire.EventList(events=tuple(self.server.events[job][after:])))

    def log(self, job, stream):
        offset = int(self.query.get("offset", 0))

        def read():
            data = self.server.logs.get((job, stream), b"")
            start = max(0, len(data) + offset) if offset < 0 else offset
            return data[start : start + 2**20], start, len(data)

        def final():
            return self.server.jobs[job]["state"] in FINAL

        self.until(lambda: read()[0] or final())
        ended = final()
        data, start, size = read()
        end = "true" if ended and start + len(data) >= size else "false"
        self.send(200, data, X_Log_Offset=start, X_Log_Size=size, X_Log_End=end, Content_Type="text/plain")

    def list_outputs(self, job):
        files = list(self._files(job))
        self.model(wire.OutputList(outputs=tuple(map(wire.OutputView.of, files))))

    def output(self, job, path):
        outputs = self.server.outputs[job]
        data = outputs.get(f"{self.query.get('task', 0)}:{path}") or outputs[path]
        if ranged := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or ""):
            self.send(206, data[int(ranged[1]) :])
        else:
            self.send(200, data)

    def create_upload(self):
        if self.headers.get("Tus-Resumable") != "1.0.0":
            self.problem(412, "send Tus-Resumable: 1.0.0")
            return
        name = f"up{len(self.server.uploads)}"
        self.server.uploads[name] = (int(self.headers["Upload-Length"]), self.body)
        self.send(201, Location=f"{PREFIX}/uploads/{name}", Upload_Offset=len(self.body))

    def append(self, upload):
        length, data = self.server.uploads[upload]
        if int(self.headers["Upload-Offset"]) != len(data):
            self.problem(409, "not where it ends")
            return
        self.server.uploads[upload] = (length, data + self.body)
        self.send(204, Upload_Offset=len(data + self.body))

    def look_upload(self, upload):
        length, data = self.server.uploads[upload]
        self.send(200, Upload_Offset=len(data), Upload_Length=length)

    def images(self):
        image = wire.ImageView(
            key="ab12", kind="base", name="bookworm", created=0, size=7, packages=(), base=None, faces=()
        )
        self.model(wire.ImageList(images=(image,)))

    def import_base(self):
        wanted = wire.ImportBaseRequest.model_validate_json(self.body)
        size = self.server.uploads[wanted.upload][0]
        self.model(
            wire.ImageView(
                key="cd34", kind="base", name=wanted.name, created=0, size=size, packages=(), base=None, faces=()
            ),
            201,
        )

    def queues(self):
        queue = wire.QueueView(name="local", cpus=2, memory=2**32, time=None, gpus=0, nodes=1, runtimes=("bubblewrap",))
        self.model(wire.QueueList(queues=(queue,)))

    def doctor(self):
        findings = (
            wire.Finding(about="runtime", good=True, says="works"),
            wire.Finding(about="bases", good=False, says="none", advice="make one"),
        )
        setting = wire.Setting(name="runtime", value="", origin="default")
        self.model(wire.DoctorReport(findings=findings, settings=(setting,)))

    def link(self):
        self.model(wire.UiLink(url="http://127.0.0.1:1/enter?token=x"), 201)

    def until(self, ready):
        """Wait, as long as was asked for, until there is something to say."""
        with self.server.changed:
            self.server.changed.wait_for(ready, timeout=float(self.query.get("wait", 0)))


JOB = r"/jobs/([^/]+)"
ROUTES = [
    ("GET", "/me", _Handler.me),
    ("POST", "/inspect", _Handler.inspect),
    ("POST", "/jobs", _Handler.submit),
    ("GET", "/jobs", _Handler.list_jobs),
    ("GET", JOB, _Handler.view),
    ("POST", f"{JOB}/cancel", _Handler.cancel),
    ("POST", f"{JOB}/rerun", _Handler.rerun),
    ("GET", f"{JOB}/tasks", _Handler.list_tasks),
    ("GET", f"{JOB}/tasks.csv", _Handler.task_table),
    ("GET", f"{JOB}/gather", _Handler.gather),
    ("GET", f"{JOB}/events", _Handler.list_events),
    ("GET", f"{JOB}/logs/(out|err)", _Handler.log),
    ("GET", f"{JOB}/outputs", _Handler.list_outputs),
    ("GET", f"{JOB}/outputs/(.+)", _Handler.output),
    ("POST", "/uploads", _Handler.create_upload),
    ("PATCH", "/uploads/([^/]+)", _Handler.append),
    ("HEAD", "/uploads/([^/]+)", _Handler.look_upload),
    ("GET", "/images", _Handler.images),
    ("POST", "/images/bases", _Handler.import_base),
    ("GET", "/queues", _Handler.queues),
    ("GET", "/admin/doctor", _Handler.doctor),
    ("POST", "/ui-links", _Handler.link),
]


class Place:
    """A server, a directory to stand in, and the environment that leads there. Sockets want short paths."""

    def __init__(self, tmp_path: Path):
        self.directory = tmp_path / "work"
        self.directory.mkdir()
        self.runtime = Path(tempfile.mkdtemp(prefix="clif-"))
        self.env = {
            "CLIF_SERVER__RUNTIME": str(self.runtime),
            "CLIF_SERVER__STATE": str(tmp_path / "state"),
            "CLIF_CONFIG": str(tmp_path / "config.toml"),
        }
        self.server: FakeServer | None = None

    def start(self) -> FakeServer:
        """Start the server."""
        self.server = FakeServer(self.runtime / "api.sock")
        return self.server

    def close(self) -> None:
        """End it all."""
        if self.server:
            self.server.stop()
        shutil.rmtree(self.runtime, ignore_errors=True)

    def write(self, name: str, data: str | bytes) -> Path:
        """Write a file where the person stands."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path


@contextlib.contextmanager
def serving(directory: Path):
    """Keep a place with a running server."""
    made = Place(directory)
    made.start()
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def standing(directory: Path, monkeypatch):
    """Keep a place with a running server, and stand in it."""
    with serving(directory) as made:
        for name, value in made.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("CLIF_SERVER", raising=False)
        monkeypatch.chdir(made.directory)
        yield made


def spec(**fields) -> dict:
    """The JSON of a small valid spec."""
    return JobSpec.parse({"command": "true", **fields}).model_dump(mode="json")
