"""Queues, and fitting a job's wishes into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Problem, Rejected
from cluster_interface.model.plan import Ask
from cluster_interface.model.resources import show_bytes, show_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.model.resources import Resources


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Where jobs can go: limits, defaults and the runtimes that work on its nodes."""

    name: str
    cpus: int  #: most per task
    memory: int  #: bytes, most per task
    time: int | None  #: seconds, most; None: no limit
    default_cpus: int
    default_memory: int
    default_time: int
    runtimes: tuple[str, ...]  #: the first is the default
    gpus: int = 0
    nodes: int = 1


def check_fits(ask: Ask, queue: Queue) -> None:
    """Raise Rejected naming every resource of which the queue's largest node has less than is asked."""
    where = f"the largest node of queue {queue.name} has"
    problems = []
    if ask.cpus > queue.cpus:
        problems.append(Problem("resources.cpus", f"asks {ask.cpus}; {where} {queue.cpus}"))
    if ask.memory > queue.memory:
        asked, most = show_bytes(ask.memory), show_bytes(queue.memory)
        problems.append(Problem("resources.memory", f"asks {asked}; {where} {most}"))
    if queue.time is not None and ask.time > queue.time:
        asked, most = show_time(ask.time), show_time(queue.time)
        problems.append(Problem("resources.time", f"asks {asked}; the longest job of queue {queue.name} is {most}"))
    if ask.gpus > queue.gpus:
        problems.append(Problem("resources.gpus", f"asks {ask.gpus}; {where} {queue.gpus or 'none'}"))
    if ask.nodes > queue.nodes:
        problems.append(Problem("resources.nodes", f"asks {ask.nodes}; queue {queue.name} has {queue.nodes}"))
    if ask.runtime not in queue.runtimes:
        known = ", ".join(queue.runtimes) or "none"
        problems.append(Problem("resources.runtime", f"{ask.runtime!r} is not in queue {queue.name}; it has: {known}"))
    if problems:
        raise Rejected(problems=problems)


def fill_in(wanted: Resources, queues: Sequence[Queue], disk: int, pids: int) -> Ask:
    """Fill every default in and check that the queue can give it; Rejected says what would fit."""
    queue = _queue(wanted, queues)
    ask = Ask(
        cpus=wanted.cpus or min(queue.default_cpus, queue.cpus),
        memory=wanted.memory or min(queue.default_memory, queue.memory),
        time=wanted.time or min(queue.default_time, queue.time or queue.default_time),
        gpus=wanted.gpus,
        nodes=wanted.nodes,
        queue=queue.name,
        runtime=_runtime(wanted, queue),
        disk=disk,
        pids=pids,
    )
    check_fits(ask, queue)
    return ask


def _queue(wanted: Resources, queues: Sequence[Queue]) -> Queue:
    if not queues:
        raise Rejected.field("resources.queue", "this server has no queue now; `clif doctor` says why")
    if wanted.queue is None:
        return queues[0]
    for queue in queues:
        if queue.name == wanted.queue:
            return queue
    names = ", ".join(queue.name for queue in queues)
    raise Rejected.field("resources.queue", f"there is no queue {wanted.queue!r}; there are: {names}")


def _runtime(wanted: Resources, queue: Queue) -> str:
    if not queue.runtimes:
        words = (
            f"no container runtime works in queue {queue.name}: install bubblewrap or start a Docker engine "
            "(`clif doctor` says what is amiss)"
        )
        raise Rejected.field("resources.runtime", words)
    if wanted.runtime not in (None, *queue.runtimes):
        names = ", ".join(queue.runtimes)
        words = f"queue {queue.name} has no runtime {wanted.runtime!r}; it has: {names}"
        raise Rejected.field("resources.runtime", words)
    return wanted.runtime or queue.runtimes[0]
