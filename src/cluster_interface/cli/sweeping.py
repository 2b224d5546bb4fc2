"""Many tasks at a glance: counted, drawn as a bar, their failures grouped by reason."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from cluster_interface.cli.ending import say_last_words
from cluster_interface.cli.talk import say
from cluster_interface.cli.terminal import plain
from cluster_interface.model.amounts import show_bytes, show_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.client import Job

MOST_GROUPS = 8
MOST_EXAMPLES = 5
MOST_LOOKED_AT = 20_000  #: failed tasks
WIDTH = 40  #: of the bar

_TONES = (("completed", "green"), ("failed", "red"), ("canceled", "yellow"), ("running", "cyan"))
_ENDED = ("completed", "failed", "canceled")


def ended(counts: dict[str, int]) -> int:
    """Count the tasks that have ended."""
    return sum(counts.get(state, 0) for state in _ENDED)


def show_counts(counts: dict[str, int]) -> str:
    """Say how many tasks are where: `12 running, 37 failed, 412 of 1,000 done`."""
    parts = [f"{counts[state]:,} {state}" for state in ("running", "failed", "canceled") if counts.get(state)]
    return ", ".join([*parts, f"{ended(counts):,} of {sum(counts.values()):,} done"])


def bar(counts: dict[str, int], width: int = WIDTH) -> str:
    """Draw the counts; whatever is there at all is seen."""
    total = max(1, sum(counts.values()))
    cells = {state: max(1, counts[state] * width // total) if counts.get(state) else 0 for state, _ in _TONES}
    while sum(cells.values()) > width:
        cells[max(cells, key=lambda state: cells[state])] -= 1
    drawn = "".join(click.style("█" * cells[state], fg=colour) for state, colour in _TONES)
    return drawn + click.style("░" * (width - sum(cells.values())), dim=True)


def say_failed_tasks(job: Job) -> None:
    """Say why tasks failed, by reason with some of their numbers, and how to go on."""
    failed = job.counts.get("failed", 0)
    if not failed:
        return
    groups = _grouped(job.tasks("failed"))
    for reason, numbers in sorted(groups.items(), key=lambda group: -len(group[1]))[:MOST_GROUPS]:
        examples = ", ".join(map(str, numbers[:MOST_EXAMPLES])) + (", …" if len(numbers) > MOST_EXAMPLES else "")
        word = "task " if len(numbers) == 1 else "tasks"
        say(f"  {len(numbers):>8,}  {reason}: {word} {examples}", colour="red")
    if len(groups) > MOST_GROUPS:
        say(f"            … and {len(groups) - MOST_GROUPS} more reasons: clif tasks {job.id} --state failed", dim=True)
    first = next(iter(groups.values()))[0]
    say_last_words(job, first, f"task {first}'s")
    say(f"  see more     clif logs {job.id} --task {first} --err", dim=True)
    say(f"  again        clif rerun {job.id} --failed", dim=True)


def _grouped(tasks: Iterable[dict[str, Any]]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for seen, task in enumerate(tasks):
        if seen == MOST_LOOKED_AT:
            break
        groups.setdefault(_reason(task), []).append(task["index"])
    return groups


def _reason(task: dict[str, Any]) -> str:
    """Return why a task failed, without its own number, so that tasks with one reason are one line."""
    said = plain(task["reason"]) or f"exit code {task['exit_code']}"
    return re.sub(rf"\btask {task['index']}\b", "a task", said)[:120]


def task_row(task: dict[str, Any], names: list[str]) -> list[str]:
    """Return the cells of a task's row: number, state, parameters, exit code, time and memory."""
    ran = task["started"] is not None and task["ended"] is not None
    return [
        str(task["index"]),
        task["state"],
        *(task["parameters"].get(name, "") for name in names),
        "" if task["exit_code"] is None else str(task["exit_code"]),
        show_time(round(task["ended"] - task["started"], 1)) if ran else "",
        "" if task["peak_memory"] is None else show_bytes(task["peak_memory"]),
        task["reason"],
    ]


def show_waiting(waiting: dict[str, Any] | None, now: float) -> str:
    """Say why a job waits, where it stands, when it is expected to start, and how good such guesses were."""
    if not waiting:
        return ""
    native = f" ({waiting['native_reason']})" if waiting["native_reason"] else ""
    parts = [f"{waiting['reason']}{native}"]
    if waiting["position"] is not None:
        parts.append(f"place {waiting['position']} in the queue")
    if waiting["start"] is not None:
        parts.append(f"expected to start in {show_time(max(0, round(waiting['start'] - now)))}")
    if waiting["start"] is not None and waiting["usually_off"] is not None:
        off = show_time(round(waiting["usually_off"]))
        parts.append(f"such guesses were off by {off} (the median of {waiting['guesses']})")
    return plain("; ".join(parts))
