"""A few weeks of made-up work: every state a job can be in, hostile names included."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from tests.browser.sample_files import BIDI, ERRORS, EVIL, EVIL_LOG, FILES, LOG, LONG

from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.plan import Ask, Bound, Lock, Plan
from cluster_interface.model.proposal import Proposal
from cluster_interface.model.resources import GIB, MIB
from cluster_interface.model.state import FINAL, FailureCode, JobState, TaskState
from cluster_interface.wire import (
    AttemptView,
    DeliveryView,
    EventView,
    JobView,
    MissingView,
    ProgressView,
    TaskView,
    WaitingView,
)

S = JobState
OWNER = "ada"
KEY = "img-77aa"  #: of the image that the made-up jobs run in
PLACE = "sftp://archive.example.edu/ada/surveys"  #: could not be reached when a job ended
WAY = (S.SUBMITTED, S.PREPARING, S.QUEUED, S.RUNNING, S.STAGING_OUT)


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
    lock = Lock(base="bookworm-3f1c", python="3.11", packages=packages, image=KEY)
    ask = Ask(cpus=2, memory=4 * GIB, time=7200, queue="local", runtime="bubblewrap", disk=20 * GIB)
    return Plan(spec=spec, command=spec.command or "", lock=lock, ask=ask, bounds={"memory": Bound.ENFORCED})


def make_job(job: str, name: str, state: JobState, began: float, way: tuple[float, ...], **more: object) -> Made:
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
    item = make_job(job, "scan-temperatures", state, began, (2, 20, 4, 300, 3)[: 5 if state in FINAL else 3])
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


def _lost(job: str, began: float) -> Made:
    """Make a job whose outputs reached one of two places."""
    told = DeliveryView(to=PLACE, trouble="the host refused the connection (tried 3 times)", at=began + 400)
    there = DeliveryView(to="file:/srv/results/lostjob234", files=len(FILES), size=3 * MIB, at=began + 400)
    reason = f"{len(FILES)} outputs; not delivered to {told.to}: {told.trouble}"
    item = make_job(job, "nightly-survey", S.COMPLETED, began, (2, 41, 4, 312, 3), files=FILES, reason=reason)
    spec = item.view.spec.model_copy(update={"deliver": (told.to, there.to)})
    item.view = item.view.model_copy(update={"deliveries": (told, there), "spec": spec})
    return item


def _unbuilt(job: str, began: float) -> Made:
    """Make a job whose image could not be built."""
    reason = "environment.setup ends with 127, at `make tools`: /bin/sh: 2: make: not found"
    item = make_job(job, "own-tools", S.FAILED, began, (2, 9), code=FailureCode.IMAGE_FAILED, reason=reason)
    item.view = item.view.model_copy(update={"build_log": KEY})
    return item


def _lacking(job: str, began: float) -> Made:
    """Make a job whose program wanted a package that its script does not tell of."""
    err = "Traceback (most recent call last):\nModuleNotFoundError: No module named 'slycot'\n"
    reason = "the program exited with 1"
    item = make_job(
        job, "h-infinity", S.FAILED, began, (2, 12, 3, 9, 1), code=FailureCode.EXIT_CODE, err=err, reason=reason
    )
    missing = MissingView(field="environment.python.packages", package="slycot")
    advice = "it found no Python module `slycot`: `--with slycot` brings it"
    item.view = item.view.model_copy(update={"missing": missing, "advice": advice})
    return item


def made_up(now: float) -> dict[str, Made]:
    """Make the jobs, newest first."""
    image = ProgressView(stage="image", done=3, total=5, unit="packages", note="installing pandas 2.3.3")
    inputs = ProgressView(stage="inputs", done=812 * MIB, total=2 * GIB, unit="bytes", note="spectra.tar")
    memory = "task 0 used all of its 4 GiB of memory and was stopped by the kernel"
    made = [
        make_job("prepjob234", "spectra, second batch", S.PREPARING, now - 40, (3,), progress=(image, inputs)),
        make_job("runjob2345", "angstrom-fit", S.RUNNING, now - 200, (2, 24, 9)),
        make_job("waitjob234", "nightly-alignment", S.QUEUED, now - 900, (2, 12), reason="waits for 2 free cores"),
        make_job("donejob234", "angstrom-fit", S.COMPLETED, now - 5000, (2, 41, 4, 312, 3), files=FILES),
        make_job(
            "failjob234", "fold-proteins", S.FAILED, now - 9000, (2, 19, 3, 77, 1),
            code=FailureCode.OUT_OF_MEMORY, reason=memory, err=ERRORS,
        ),
        make_job("stopjob234", "too-many-permutations", S.CANCELED, now - 90000, (2, 8), reason="canceled by ada"),
        make_job(
            "eviljob234", EVIL, S.FAILED, now - 180000, (1, 1, 1, 2, 1), code=FailureCode.EXIT_CODE,
            out=EVIL_LOG, reason=f"{EVIL}: no such file \u202e{LONG}{LONG}",
        ),
        _unbuilt("imagejob23", now - 200000),
        _lost("lostjob234", now - 240000),
        _lacking("lackjob234", now - 250000),
        make_job("longjob234", LONG[:120], S.COMPLETED, now - 260000, (1, 1, 1, 1, 1), rerun_of="donejob234"),
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
    old = [
        make_job(f"oldjob{n:04d}", f"survey-{n}", S.COMPLETED, now - 400000 - n, (1, 9, 1, 60, 1)) for n in range(59)
    ]
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
