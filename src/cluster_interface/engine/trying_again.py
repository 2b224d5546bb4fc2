"""What becomes of an attempt that is over: the job's outputs, or another attempt at what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster_interface.engine.endings import code_of
from cluster_interface.model.resources import show_bytes
from cluster_interface.model.state import FailureCode, TaskState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.engine.tools import Case, Tools
    from cluster_interface.model.job import Attempt, Task

MOST_UNBEGUN = 5  #: attempts in a row that the scheduler may lose before they begin
MOST_CHAINED = 1000  #: attempts of a job that goes on from its own checkpoints

Facts = dict[str, Any]


def next_attempt(case: Case, tools: Tools, attempt: Attempt, tasks: Iterable[Task], unbegun: set[int]) -> Facts | None:
    """Return the facts of the attempt that is to follow; None if there is none.

    Tasks that were never begun are tried again for nothing, a few times; failures as often as the job's `retry` says;
    a program that goes on from its checkpoints whenever its time was over.
    """
    tried: dict[str, int] = dict(case.job.facts.get("tried", {}))
    again: set[int] = set(unbegun)
    why = ["never begun"] if unbegun else []
    if unbegun and _count(tried, "unbegun") > MOST_UNBEGUN:
        return None
    if not unbegun:
        tried.pop("unbegun", None)
    change: dict[str, Any] = {}
    failed: dict[FailureCode, list[int]] = {}
    for task in tasks:
        if task.state is TaskState.FAILED:
            failed.setdefault(_kind(task), []).append(task.index)
    for code, numbers in failed.items():
        if not _once_more(case, tools, attempt, code, tried):
            continue
        again.update(numbers)
        why.append(code.value)
        if code is FailureCode.OUT_OF_MEMORY:
            change["memory"] = _more_memory(case, tools, attempt)
    if not again:
        return None
    again.update(attempt.not_handed(len(case.tasks)))  # whatever is open goes along, or nobody would see to it
    keep = case.job.spec.checkpoint.resume
    return {"again": {"tasks": sorted(again), "ask": change, "keep": keep, "why": _words(why, change)}, "tried": tried}


def _kind(task: Task) -> FailureCode:
    """Take a task that vanished for what it most likely is: its node went down."""
    code = code_of(task)
    return FailureCode.NODE_FAILED if code is FailureCode.LOST else code


def _once_more(case: Case, tools: Tools, attempt: Attempt, code: FailureCode, tried: dict[str, int]) -> bool:
    if code is FailureCode.TIME_LIMIT:
        return _time_is_left(case, attempt) and _count(tried, code.value) <= MOST_CHAINED
    if code is FailureCode.OUT_OF_MEMORY and _more_memory(case, tools, attempt) <= _memory(case, attempt):
        return False
    return _count(tried, code.value) <= getattr(case.job.spec.retry, code.value, 0)


def _time_is_left(case: Case, attempt: Attempt) -> bool:
    """Say whether a chain of attempts goes on: it was cut by the queue's limit, and asked for more time in all."""
    wanted = case.job.spec.resources.time
    if not case.job.spec.checkpoint.resume or wanted is None:
        return False
    each = (attempt.ask or case.plan.ask).time
    chain = int(case.job.facts.get("tried", {}).get(FailureCode.TIME_LIMIT.value, 0)) + 1
    return chain * each < wanted


def _memory(case: Case, attempt: Attempt) -> int:
    return (attempt.ask or case.plan.ask).memory


def _more_memory(case: Case, tools: Tools, attempt: Attempt) -> int:
    """Multiply the memory, as far as the queue has it."""
    queue = tools.queue(case.plan.ask)
    more = int(_memory(case, attempt) * case.job.spec.retry.memory_factor)
    return min(more, queue.memory) if queue else more


def _count(tried: dict[str, int], what: str) -> int:
    tried[what] = tried.get(what, 0) + 1
    return tried[what]


def _words(why: list[str], change: dict[str, Any]) -> str:
    more = f", with {show_bytes(change['memory'])} of memory" if "memory" in change else ""
    return f"tried again: {', '.join(why)}{more}"
