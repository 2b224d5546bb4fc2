"""How tasks and jobs ended: this attempt's own status file first, the scheduler's verdict beside it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cluster_interface.engine.tools import Looked
from cluster_interface.model.job import OutputFile
from cluster_interface.model.resources import show_bytes, show_time
from cluster_interface.model.state import TASK_FINAL, FailureCode, JobState, TaskState
from cluster_interface.model.step import Step
from cluster_interface.ports import NativeState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster_interface.engine.tools import Case, Tools
    from cluster_interface.model.job import Attempt, Delivery, NativeOrder, Task
    from cluster_interface.model.plan import Ask
    from cluster_interface.ports import Observation

GRACE = 20.0  #: seconds a task may be gone without a status file before it counts as lost; accounting lags by 15

NOTHING: Mapping[int, Observation] = {}

_CODE_OF_REASON = {code.value: code for code in FailureCode}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What is to be seen of an attempt's tasks: of those that may have changed since the last look."""

    changed: tuple[Task, ...]  #: as they are now, those that were not so before
    counts: Counter[TaskState]  #: all of the job's tasks
    started: float | None = None  #: when the latest that was looked at began
    first_started: float | None = None
    unbegun: tuple[int, ...] = ()  #: gone from the scheduler, and never begun
    missing: Mapping[str, float] = field(default_factory=dict)  #: gone without a word, and since when; unbegun ones too
    live: bool = False  #: some have left the queue and not ended: they need another look soon

    @property
    def still_open(self) -> int:
        """How many tasks have not ended."""
        return sum(count for state, count in self.counts.items() if state not in TASK_FINAL)


def look_at(case: Case, tools: Tools, attempt: Attempt) -> Picture:
    """See how the tasks of an attempt are getting on.

    Looked at are those that run, that are gone, and whose elements no longer wait or changed since the last look: what
    waits as before costs nothing. Absent is not finished: a task that the scheduler no longer knows is looked up in
    its status file, then given a grace period; then it was never begun if it made no claim, else it is lost. Where the
    scheduler was not seen or cannot be, nothing but a status file counts.
    """
    view, elements = _View(case, tools, attempt), attempt.elements(len(case.tasks))
    running = case.tasks.running()
    told = {elements.of(number) for number in [*(task.index for task in running), *view.since]}
    before: dict[int, Task] = {}
    live = False
    for order in attempt.orders:
        seen = tools.seen.get(order.mark)
        if order.native_id is None or seen is None:
            continue
        mine = {element - order.offset for element in told if 0 <= element - order.offset < order.elements}
        places = {order.offset + element for element in mine | _moved(order, seen, tools.looked.get(order.mark))}
        asked = case.tasks.still_open(number for place in places for number in elements[place])
        again = set()
        for task in asked:
            element = elements.of(task.index) - order.offset
            view.task(task, seen.get(element))
            if task.state is TaskState.RUNNING or not _waits(seen.get(element)):
                again.add(element)
        before |= {task.index: task for task in asked}
        tools.looked[order.mark] = Looked(seen, frozenset(again))
        live |= bool(again)
    changed = tuple(task for number, task in view.tasks.items() if task != before[number])
    written = case.job.facts.get("counts")
    counts = Counter({TaskState(state): count for state, count in written.items()}) if written else case.tasks.counts()
    counts.subtract(before[task.index].state for task in changed)
    counts.update(task.state for task in changed)
    starts = [task.started for task in view.tasks.values() if task.started]
    return Picture(
        changed=changed,
        counts=counts,
        started=max(starts, default=None),
        first_started=min(starts, default=None),
        unbegun=tuple(view.unbegun),
        missing=view.missing,
        live=live,
    )


def _moved(order: NativeOrder, seen: Mapping[int, Observation], last: Looked | None) -> set[int]:
    """Name the elements of an order that may have moved: that changed, or did not wait at the last look either."""
    if last is not None and last.seen is seen:
        return set(last.again)
    was = last.seen if last else NOTHING
    moved = {element for element, found in seen.items() if found is not was.get(element) and not _waits(found)}
    if len(seen) < order.elements:
        moved.update(set(range(order.elements)) - seen.keys())
    return moved.intersection(range(order.elements)).union(last.again if last else ())


def _waits(seen: Observation | None) -> bool:
    return seen is not None and seen.state is NativeState.PENDING


class _View:
    """Looks at one task after the other and keeps what it found."""

    def __init__(self, case: Case, tools: Tools, attempt: Attempt) -> None:
        self.since = {int(number): at for number, at in case.job.facts.get("missing", {}).items()}
        self._job, self._attempt, self._ask = case.job.id, attempt, attempt.ask or case.plan.ask
        self._tools, self._now = tools, tools.clock.now()
        self.tasks: dict[int, Task] = {}
        self.unbegun: list[int] = []
        self.missing: dict[str, float] = {}

    def task(self, task: Task, observation: Observation | None) -> None:
        """Look at a task that has not ended. `observation`: what was seen of its element, None if it is gone."""
        self.tasks[task.index] = self._look(task, observation)

    def _look(self, task: Task, observation: Observation | None) -> Task:
        state = observation.state if observation else None
        if state is NativeState.PENDING and task.state is TaskState.RUNNING:
            return self._taken_back(task, observation)
        if state is NativeState.PENDING:
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
        since = self.since.get(task.index, self._now)
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
        since = self.since.get(task.index, self._now)
        verdict = observation.verdict if observation else None
        begun = self._claimed(task)
        if self._now - since < GRACE and not (verdict and begun):
            self.missing[str(task.index)] = since
            return task
        if not begun and not _was_canceled(observation):
            self.unbegun.append(task.index)
            self.missing[str(task.index)] = since  # else its time would begin again, while others' is not over
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


def tally(counts: Mapping[TaskState, int]) -> str:
    """Say in a few words how the tasks are or ended."""
    total = sum(counts.values())
    if total == 1:
        return "the program has ended"
    order = (TaskState.FAILED, TaskState.CANCELED, TaskState.RUNNING, TaskState.COMPLETED)
    words = [f"{counts[state]:,} {state}" for state in order if counts.get(state)]
    return f"{', '.join(words) or 'none begun'} of {total:,} tasks"


def ending_of(case: Case, collected: dict[str, Any], deliveries: Sequence[Delivery] | None = None) -> Step:
    """Decide how a job ended, from its tasks and from the output patterns that matched nothing.

    Outputs that could not be delivered are told in its reason; they are in the job's directory all the same.
    """
    failed = case.tasks.not_completed()
    bad = {task.index for task in failed}
    outputs = tuple(OutputFile(**{**output, "partial": output["task"] in bad}) for output in collected["outputs"])
    if failed:
        state, code, reason = JobState.FAILED, *_why(case, failed)
    elif unmatched := collected["unmatched"]:
        state, code = JobState.FAILED, FailureCode.OUTPUT_MISSING
        reason = f"no output matches {_quoted(unmatched)}; the job left {_quoted(collected['left']) or 'no file'}"
    else:
        state, code, reason = JobState.COMPLETED, None, f"{len(outputs):,} output{'s' * (len(outputs) != 1)}"
    lost = [f"not delivered to {delivery.to}: {delivery.trouble}" for delivery in deliveries or () if delivery.trouble]
    return Step(
        state=state,
        code=code,
        reason="; ".join([reason, *lost]),
        outputs=outputs,
        size=collected.get("size"),
        deliveries=None if deliveries is None else tuple(deliveries),
        facts={"counts": dict(case.tasks.counts()), "used": case.tasks.peak_use()},
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
        code, _, words = status["reason"].partition(": ")
        return status["reason"] if words and code in _CODE_OF_REASON else f"exit_code: {status['reason']}"
    if status.get("signal"):
        return f"exit_code: the program was ended by signal {status['signal']}"
    return f"exit_code: the program exited with {exit_code}"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
