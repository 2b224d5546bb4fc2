"""What a job asked for beside what it used, and what to ask for next time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.model.amounts import show_bytes, show_time
from cluster_interface.model.base import Model
from cluster_interface.model.resources import GIB, MIB

if TYPE_CHECKING:
    from cluster_interface.model.job import Job
    from cluster_interface.model.queue import Queue

ROOM = 1.5  #: how much more than it used a job should ask for
WASTE = 3.0  #: asking for so many times what was used is worth a word
TIGHT = 0.9  #: using so much of what was asked for is, too
LEAST_TIME, LEAST_MEMORY = 300, 512 * MIB


class Earlier(Model):
    """What the newest completed job of the same script used, and what that suggests."""

    job: str
    peak_memory: int | None
    seconds: float | None
    memory: int | None  #: bytes, to ask for
    time: int | None  #: seconds, to ask for


def earlier(job: Job, peak_memory: int | None, seconds: float | None) -> Earlier:
    """Suggest resources from what a job used, with room to spare."""
    return Earlier(
        job=job.id,
        peak_memory=peak_memory,
        seconds=seconds,
        memory=None if peak_memory is None else enough_memory(peak_memory),
        time=None if seconds is None else enough_time(seconds),
    )


def within(suggested: Earlier, queue: Queue | None) -> Earlier:
    """Keep a suggestion below what the queue can give at most."""
    if queue is None:
        return suggested
    memory = None if suggested.memory is None else min(suggested.memory, queue.memory)
    time = None if suggested.time is None else min(suggested.time, queue.time or suggested.time)
    return suggested.model_copy(update={"memory": memory, "time": time})


def enough_memory(used: int) -> int:
    """Round what was used up to an amount that a person would write, with room to spare."""
    wanted = max(LEAST_MEMORY, used * ROOM)
    step = 256 * MIB if wanted < 2 * GIB else GIB
    return int(-(-wanted // step) * step)


def enough_time(used: float) -> int:
    """Round a length of time up likewise: to five minutes, or to hours where it is long."""
    wanted = max(LEAST_TIME, used * 2)
    step = 300 if wanted < 7200 else 3600
    return int(-(-wanted // step) * step)


def advice(job: Job, used: tuple[int | None, float | None, float | None]) -> str:
    """Say in one line what to ask for next time, if that differs much from what was asked; else nothing."""
    if job.plan is None or not job.final:
        return ""
    ask, (memory, seconds, cpu) = job.plan.ask, used
    parts = []
    if memory is not None:
        parts += _of_memory(ask.memory, memory)
    if cpu is not None and seconds and seconds > 10 and ask.cpus > 1 and cpu / seconds < ask.cpus / 2:
        busy = max(1, round(cpu / seconds + 0.5))
        parts.append(f"asked {ask.cpus} cores, kept {cpu / seconds:.1f} busy: next time ask {busy}")
    if seconds is not None and seconds > TIGHT * ask.time:
        parts.append(
            f"ran {show_time(round(seconds))} of the {show_time(ask.time)} it asked for: "
            f"next time ask {show_time(enough_time(seconds))}"
        )
    return "; ".join(parts)


def _of_memory(asked: int, used: int) -> list[str]:
    enough = enough_memory(used)
    if used > TIGHT * asked or (asked > WASTE * used and enough < asked):
        words = f"asked {show_bytes(asked)} of memory, used {show_bytes(used)}: next time ask {show_bytes(enough)}"
        return [words]
    return []
