"""How tasks and jobs ended: this attempt's own status file first, the scheduler's verdict beside it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

from cluster_interface.model.job import OutputFile
from cluster_interface.model.resources import show_bytes, show_time
from cluster_interface.model.state import TASK_FINAL, FailureCode, JobState, TaskState
from cluster_interface.model.step import Step
from cluster_interface.ports import NativeState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster_interface.engine.tools import Case, Tools
    from cluster_interface.model.job import Task
    from cluster_interface.model.plan import Ask
    from cluster_interface.ports import Observation

GRACE = 10.0  #: seconds a task may be gone without a status file before it counts as lost

_CODE_OF_REASON = {code.value: code for code in FailureCode}


def read_endings(case: Case, tools: Tools, seen: Mapping[int, Observation]) -> tuple[dict[int, Task], dict[str, float]]:
    """Return the tasks that have ended, and since when (by index) others are gone without a word.

    Absent is not finished: a task that the scheduler no longer knows is looked up in its status file, then
    given a grace period, then lost.
    """
    ended: dict[int, Task] = {}
    missing: dict[str, float] = {}
    for task in case.tasks:
        observation = seen.get(task.index)
        if task.state in TASK_FINAL:
            ended[task.index] = task
        elif observation is not None and observation.state in (NativeState.PENDING, NativeState.RUNNING):
            continue
        elif status := tools.stager.status(case.job.id, _number(case), task.index):
            ended[task.index] = _from_status(task, status, observation, _ask(case))
        else:
            since = case.job.facts.get("missing", {}).get(str(task.index), tools.clock.now())
            missing[str(task.index)] = since
            certain = observation is not None and observation.verdict is not None
            if certain or tools.clock.now() - since >= GRACE:
                ended[task.index] = _without_status(task, observation, tools.clock.now(), _ask(case))
    return ended, missing


def tally(tasks: Sequence[Task]) -> str:
    """Say in a few words how the tasks ended."""
    if len(tasks) == 1:
        return "the program has ended"
    count = Counter(task.state.value for task in tasks)
    return ", ".join(f"{number} {state}" for state, number in sorted(count.items()))


def ending_of(case: Case, collected: dict[str, Any]) -> Step:
    """Decide how a job ended, from its tasks and from the output patterns that matched nothing."""
    failed = [task for task in case.tasks if task.state is not TaskState.COMPLETED]
    outputs = tuple(OutputFile(**{**output, "partial": bool(failed)}) for output in collected["outputs"])
    if failed:
        state, code, reason = JobState.FAILED, *_why(case, failed)
    elif unmatched := collected["unmatched"]:
        state, code = JobState.FAILED, FailureCode.OUTPUT_MISSING
        reason = f"no output matches {_quoted(unmatched)}; the job left {_quoted(collected['left']) or 'no file'}"
    else:
        state, code, reason = JobState.COMPLETED, None, f"{len(outputs)} output{'s' * (len(outputs) != 1)}"
    return Step(state=state, code=code, reason=reason, outputs=outputs, facts={})


def _why(case: Case, failed: list[Task]) -> tuple[FailureCode, str]:
    if len(case.tasks) > 1:
        return FailureCode.TASKS_FAILED, f"{len(failed)} of {len(case.tasks)} tasks failed"
    task = failed[0]
    code, _, reason = task.reason.partition(": ")
    return _CODE_OF_REASON.get(code, FailureCode.EXIT_CODE), reason or task.reason


def _from_status(task: Task, status: dict[str, Any], seen: Observation | None, ask: Ask) -> Task:
    exit_code = status.get("exit_code")
    verdict = seen.verdict if seen else None
    if status.get("oom"):
        verdict = "out_of_memory"
    reason = "" if exit_code == 0 and verdict is None else _failure(verdict, exit_code, status, ask)
    return dataclasses.replace(
        task,
        state=TaskState.FAILED if reason else TaskState.COMPLETED,
        exit_code=exit_code,
        reason=reason,
        started=status.get("started") or task.started,
        ended=status.get("ended"),
        cpu_seconds=status.get("cpu_seconds"),
        peak_memory=status.get("peak_memory"),
        measured_by=status.get("measured_by"),
    )


def _without_status(task: Task, seen: Observation | None, now: float, ask: Ask) -> Task:
    verdict = seen.verdict if seen else None
    if verdict == "canceled":
        return dataclasses.replace(task, state=TaskState.CANCELED, ended=now, reason="canceled")
    words = "lost: the task is gone and left no word of how it ended"
    reason = _failure(verdict, None, {}, ask) if verdict else words
    return dataclasses.replace(task, state=TaskState.FAILED, ended=now, reason=reason)


def _failure(verdict: str | None, exit_code: int | None, status: dict[str, Any], ask: Ask) -> str:
    """Word a failure as `code: sentence`, which `_why` takes apart for the job."""
    words = {
        "time_limit": f"time_limit: it ran longer than the {show_time(ask.time)} it asked for; "
        "ask for more with --time",
        "out_of_memory": f"out_of_memory: it needed more than the {show_bytes(ask.memory)} it asked for; "
        "ask for more with --memory",
        "disk_full": f"exit_code: it wrote more than the {show_bytes(ask.disk)} a task may write",
        "node_failed": "node_failed: the machine it ran on went down",
        "canceled": "exit_code: it was canceled at the scheduler",
    }
    if verdict in words:
        return words[verdict]
    if status.get("reason"):
        return f"exit_code: {status['reason']}"
    if status.get("signal"):
        return f"exit_code: the program was ended by signal {status['signal']}"
    return f"exit_code: the program exited with {exit_code}"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _number(case: Case) -> int:
    return case.attempt.number if case.attempt else 1


def _ask(case: Case) -> Ask:
    assert case.job.plan is not None  # noqa: S101 - a job that was handed over has a plan
    return case.job.plan.ask
