"""States and amounts in words and colours."""

from __future__ import annotations

from typing import Any

from cluster_interface.cli.terminal import plain
from cluster_interface.model.amounts import show_bytes, show_time
from cluster_interface.model.state import JobState

#: what a person reads when a job gets there
STAGES = {
    JobState.SUBMITTED: "submitted",
    JobState.AWAITING_APPROVAL: "waiting for approval",
    JobState.PREPARING: "preparing image and inputs",
    JobState.QUEUED: "queued",
    JobState.RUNNING: "running",
    JobState.STAGING_OUT: "collecting outputs",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELED: "canceled",
    JobState.REJECTED: "rejected",
}

COLOURS: dict[JobState, str] = {
    JobState.RUNNING: "cyan",
    JobState.COMPLETED: "green",
    JobState.FAILED: "red",
    JobState.REJECTED: "red",
    JobState.CANCELED: "yellow",
}


def show_progress(progress: dict[str, Any]) -> str:
    """Say how far a stage is: bytes and files where they are counted, else what it works on."""
    parts = []
    if progress["unit"] == "bytes" and progress["done"]:
        total = f" of {show_bytes(progress['total'])}" if progress["total"] else ""
        parts.append(f"{show_bytes(progress['done'])}{total}")
    if progress.get("files_total"):
        parts.append(f"{progress['files']} of {progress['files_total']} files")
    if not progress.get("sources"):
        parts.append(plain(progress["note"]))
    return ", ".join(part for part in parts if part)


def show_use(task: dict[str, Any]) -> str:
    """Say what a task used, as far as it was measured; empty if nothing was."""
    parts = []
    if task["started"] and task["ended"]:
        parts.append(f"ran {_seconds(task['ended'] - task['started'])}")
    if task["cpu_seconds"] is not None:
        parts.append(f"{_seconds(task['cpu_seconds'])} of processor time")
    if task["peak_memory"] is not None:
        parts.append(f"{show_bytes(task['peak_memory'])} of memory at most")
    return ", ".join(parts)


def _seconds(amount: float) -> str:
    return show_time(round(amount, 1)) if amount >= 0.1 else "less than 0.1 s"


def show_ask(ask: dict[str, Any]) -> str:
    """Say what a job asks for, from a plan's `ask`."""
    parts = [
        f"{ask['cpus']} {'core' if ask['cpus'] == 1 else 'cores'}",
        show_bytes(ask["memory"]),
        f"up to {show_time(ask['time'])}",
    ]
    if ask["gpus"]:
        parts.append(f"{ask['gpus']} GPUs")
    return f"{', '.join(parts)} in queue {ask['queue']} by {ask['runtime']}"
