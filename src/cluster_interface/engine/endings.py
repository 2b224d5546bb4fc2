"""How tasks and jobs ended: this attempt's own status file first, the scheduler's verdict beside it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cluster_interface.model.job import OutputFile
from cluster_interface.model.resources import show_bytes, show_time
from cluster_interface.model.state import TASK_FINAL, FailureCode, JobState, TaskState
from cluster_interface.model.step import Step
from cluster_interface.ports import NativeState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster_interface.engine.tools import Case, Tools
    from cluster_interface.model.job import Attempt, Delivery, Task
    from cluster_interface.model.plan import Ask
    from cluster_interface.ports import Observation

GRACE = 20.0  #: seconds a task may be gone without a status file before it counts as lost; accounting lags by 15

_CODE_OF_REASON = {code.value: code for code in FailureCode}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An attempt's tasks as they are now."""

    tasks: Mapping[int, Task]  #: those that the attempt tries
    unbegun: tuple[int, ...] = ()  #: gone from the scheduler, and never begun
    missing: Mapping[str, float] = field(default_factory=dict)  #: gone without a word, and since when
    ended: frozenset[int] = frozenset()  #: orders of which every task has ended
    failed: frozenset[int] = frozenset()  #: those of them with a task that did not complete


def look_at(case: Case, tools: Tools, attempt: Attempt) -> Picture:
    """See how every task of an attempt is getting on.

    Absent is not finished: a task that the scheduler no longer knows is looked up in its status file, then given a
    grace period; then it was never begun if it made no claim, else it is lost. Where the scheduler was not seen or
    cannot be, nothing but a status file counts.
    """
    view = _View(case, tools, attempt)
    elements = attempt.elements(len(case.tasks))
    ended, failed = set(), set()
    for number, order in enumerate(attempt.orders):
        seen = tools.seen.get(order.mark) if order.native_id is not None else None
        mine = [
            view.task(task, seen, element)
            for element in range(order.elements)
            for task in elements[order.offset + element]
        ]
        if all(task.state in TASK_FINAL for task in mine):
            ended.add(number)
        if any(task.state in (TaskState.FAILED, TaskState.CANCELED) for task in mine):
            failed.add(number)
    return Picture(
        tasks=view.tasks,
        unbegun=tuple(view.unbegun),
        missing=view.missing,
        ended=frozenset(ended),
        failed=frozenset(failed),
    )


class _View:
    """Looks at one task after the other and keeps what it found."""

    def __init__(self, case: Case, tools: Tools, attempt: Attempt) -> None:
        self._known = {task.index: task for task in case.tasks}
        self._since = case.job.facts.get("missing", {})
        self._job, self._attempt, self._ask = case.job.id, attempt, attempt.ask or case.plan.ask
        self._tools, self._now = tools, tools.clock.now()
        self.tasks: dict[int, Task] = {}
        self.unbegun: list[int] = []
        self.missing: dict[str, float] = {}

    def task(self, number: int, seen: Mapping[int, Observation] | None, element: int) -> Task:
        """Look at a task. `seen`: its order's elements, None while nothing is known of them."""
        task = self._known[number]
        if task.state not in TASK_FINAL or task.attempt != self._attempt.number:
            observation = seen.get(element) if seen is not None else None
            task = self._look(task, observation, absent=seen is not None and observation is None)
        self.tasks[number] = task
        return task

    def _look(self, task: Task, observation: Observation | None, *, absent: bool) -> Task:
        state = observation.state if observation else None
        if state is NativeState.PENDING and task.state is TaskState.RUNNING:
            return self._taken_back(task, observation)
        if state is NativeState.PENDING or (observation is None and not absent):
            return task
        status = self._tools.stager.status(self._job, self._attempt.number, task.index)
        if state is NativeState.RUNNING and not self._is_over(status):
            return _running(task, observation) if self._attempt.pack == 1 or self._claimed(task) else task
        if status:
            return _from_status(task, status, observation, self._ask)
        if state is NativeState.UNKNOWN:
            return task
        return self._gone(task, observation)

    def _taken_back(self, task: Task, observation: Observation | None) -> Task:
        """End a task that ran and waits again: somebody put it back into the queue, where the fence would end it.

        Not at once: a controller that comes back with an old state also says that it waits, while it still runs or has
        just ended on its node.
        """
        status = self._tools.stager.status(self._job, self._attempt.number, task.index)
        if status and status.get("exit_code") == 0:
            return _from_status(task, status, observation, self._ask)
        since = self._since.get(str(task.index), self._now)
        if not status and self._now - since < GRACE:
            self.missing[str(task.index)] = since
            return task
        reason = "node_failed: the scheduler put it back into the queue while it ran"
        return dataclasses.replace(task, state=TaskState.FAILED, ended=self._now, reason=reason)

    def _is_over(self, status: dict[str, Any] | None) -> bool:
        """Say whether a task's status counts while its element is said to run.

        Schedulers take a while to say that something has ended; and only then do they say why it was ended. So a
        failure waits for that, and whatever was told to end, unless the element goes on with other tasks.
        """
        if status is None or status.get("told"):
            return False
        return status.get("exit_code") == 0 or self._attempt.pack > 1

    def _gone(self, task: Task, observation: Observation | None) -> Task:
        since = self._since.get(str(task.index), self._now)
        verdict = observation.verdict if observation else None
        begun = self._claimed(task)
        if self._now - since < GRACE and not (verdict and begun):
            self.missing[str(task.index)] = since
            return task
        if not begun and not _was_canceled(observation):
            self.unbegun.append(task.index)
            return task
        return _without_status(task, observation, self._now, self._ask)

    def _claimed(self, task: Task) -> bool:
        return self._tools.stager.claimed(self._job, self._attempt.number, task.index) is not None


def _was_canceled(seen: Observation | None) -> bool:
    """Say whether somebody canceled what had not begun.

    A scheduler that gave an id out again after a crash cancels the new job itself, when the node turns out to have the
    old one still: on its node, before it began.
    """
    return seen is not None and seen.verdict == "canceled" and seen.node is None


def tally(tasks: Sequence[Task]) -> str:
    """Say in a few words how the tasks are or ended."""
    if len(tasks) == 1:
        return "the program has ended"
    count = Counter(task.state for task in tasks)
    order = (TaskState.FAILED, TaskState.CANCELED, TaskState.RUNNING, TaskState.COMPLETED)
    words = [f"{count[state]:,} {state}" for state in order if count[state]]
    return f"{', '.join(words) or 'none begun'} of {len(tasks):,} tasks"


def ending_of(case: Case, collected: dict[str, Any], deliveries: Sequence[Delivery] | None = None) -> Step:
    """Decide how a job ended, from its tasks and from the output patterns that matched nothing.

    Outputs that could not be delivered are told in its reason; they are in the job's directory all the same.
    """
    failed = [task for task in case.tasks if task.state is not TaskState.COMPLETED]
    bad = {task.index for task in failed}
    outputs = tuple(OutputFile(**{**output, "partial": output["task"] in bad}) for output in collected["outputs"])
    if failed:
        state, code, reason = JobState.FAILED, *_why(case, failed)
    elif unmatched := collected["unmatched"]:
        state, code = JobState.FAILED, FailureCode.OUTPUT_MISSING
        reason = f"no output matches {_quoted(unmatched)}; the job left {_quoted(collected['left']) or 'no file'}"
    else:
        state, code, reason = JobState.COMPLETED, None, f"{len(outputs)} output{'s' * (len(outputs) != 1)}"
    lost = [f"not delivered to {delivery.to}: {delivery.trouble}" for delivery in deliveries or () if delivery.trouble]
    return Step(
        state=state,
        code=code,
        reason="; ".join([reason, *lost]),
        outputs=outputs,
        size=collected.get("size"),
        deliveries=None if deliveries is None else tuple(deliveries),
        facts={},
    )


def code_of(task: Task) -> FailureCode:
    """Say why a task failed, as a code."""
    return _CODE_OF_REASON.get(task.reason.partition(": ")[0], FailureCode.EXIT_CODE)


def _why(case: Case, failed: list[Task]) -> tuple[FailureCode, str]:
    if len(case.tasks) > 1:
        kinds = Counter(code_of(task).value for task in failed)
        each = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
        return FailureCode.TASKS_FAILED, f"{len(failed):,} of {len(case.tasks):,} tasks failed ({each})"
    reason = failed[0].reason
    return code_of(failed[0]), reason.partition(": ")[2] or reason


def _running(task: Task, seen: Observation | None) -> Task:
    started = task.started or (seen.started if seen else None)
    node = seen.node if seen else None
    return dataclasses.replace(task, state=TaskState.RUNNING, started=started, node=node or task.node)


def _from_status(task: Task, status: dict[str, Any], seen: Observation | None, ask: Ask) -> Task:
    exit_code = status.get("exit_code")
    verdict = seen.verdict if seen else None
    if status.get("oom"):
        verdict = "out_of_memory"
    elif status.get("limit") == "time":
        verdict = "time_limit"
    well = exit_code == 0 and verdict in (None, "canceled", "node_failed")
    reason = "" if well else _failure(verdict, exit_code, status, ask)
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
        node=(seen.node if seen else None) or task.node,
    )


def _without_status(task: Task, seen: Observation | None, now: float, ask: Ask) -> Task:
    verdict = seen.verdict if seen else None
    if verdict == "canceled":
        return dataclasses.replace(task, state=TaskState.CANCELED, ended=now, reason="canceled at the scheduler")
    words = "lost: the task is gone and left no word of how it ended"
    reason = _failure(verdict, None, {}, ask) if verdict else words
    return dataclasses.replace(task, state=TaskState.FAILED, ended=now, reason=reason)


def _failure(verdict: str | None, exit_code: int | None, status: dict[str, Any], ask: Ask) -> str:
    """Word a failure as `code: sentence`, which `code_of` takes apart for the job."""
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
