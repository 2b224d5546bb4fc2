"""Queues, and fitting a job's wishes into one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Problem, Rejected, Transient
from cluster_interface.model.plan import Ask
from cluster_interface.model.resources import show_bytes, show_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cluster_interface.model.resources import Resources


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Where jobs can go: limits, defaults and the runtimes that work on its nodes. None: not known, not checked."""

    name: str
    scheduler: str = "local"
    cpus: int  #: of the largest node
    memory: int  #: bytes, of the largest node
    time: int | None  #: seconds, most; None: no limit
    default_cpus: int
    default_memory: int
    default_time: int
    runtimes: tuple[str, ...] = ()  #: the first is the default
    why_not: str = ""  #: why there is no runtime
    surveying: bool = False  #: it is being found out which runtimes work
    gpus: int = 0  #: of the node with the most
    gpu_types: tuple[str, ...] = ()
    driver: str | None = None  #: version of its nodes' NVIDIA driver, such as 535.104.05
    nodes: int = 1
    node_cpus: tuple[int, ...] | None = None  #: that a job on several nodes can have on each; None: any number
    exclusive: bool = True  #: whether a job can have its nodes alone
    features: tuple[str, ...] | None = None
    licenses: tuple[str, ...] | None = None
    accounts: tuple[str, ...] | None = None
    qos: tuple[str, ...] | None = None
    reservations: tuple[str, ...] | None = None
    max_array: int | None = None  #: most elements of one order
    state: str = ""  #: what is amiss with it, in the scheduler's words


def check_fits(ask: Ask, queue: Queue) -> None:
    """Raise Rejected naming every resource of which the queue has less than is asked, and saying what would fit."""
    problems = [*_too_much(ask, queue), *_unknown(ask, queue)]
    if ask.runtime not in queue.runtimes:
        known = ", ".join(queue.runtimes) or "none"
        problems.append(Problem("resources.runtime", f"{ask.runtime!r} is not in queue {queue.name}; it has: {known}"))
    if problems:
        raise Rejected(problems=problems)


def _too_much(ask: Ask, queue: Queue) -> Iterator[Problem]:
    where = f"the largest node of queue {queue.name} has"
    if ask.cpus * ask.tasks_per_node > queue.cpus:
        asked = f"{ask.cpus}" if ask.tasks_per_node == 1 else f"{ask.tasks_per_node} x {ask.cpus}"
        yield Problem("resources.cpus", f"asks {asked}; {where} {queue.cpus}")
    if ask.memory > queue.memory:
        asked, most = show_bytes(ask.memory), show_bytes(queue.memory)
        yield Problem("resources.memory", f"asks {asked}; {where} {most}")
    if queue.time is not None and ask.time > queue.time:
        asked, most = show_time(ask.time), show_time(queue.time)
        yield Problem("resources.time", f"asks {asked}; the longest job of queue {queue.name} is {most}")
    if ask.gpus > queue.gpus:
        yield Problem("resources.gpus", f"asks {ask.gpus}; {where} {queue.gpus or 'none'}")
    if ask.nodes > queue.nodes:
        yield Problem("resources.nodes", f"asks {ask.nodes}; queue {queue.name} has {queue.nodes}")
    elif ask.nodes > 1 and queue.node_cpus is not None and ask.cpus * ask.tasks_per_node not in queue.node_cpus:
        several = (
            f"several only with {' or '.join(map(str, queue.node_cpus))}" if queue.node_cpus else "none of several"
        )
        words = f"asks {ask.nodes} nodes with {ask.cpus * ask.tasks_per_node} processors each; queue {queue.name} has "
        yield Problem("resources.nodes", f"{words}{several}")
    if ask.exclusive and not queue.exclusive:
        yield Problem("resources.exclusive", f"queue {queue.name} gives no node to one job alone")


def _unknown(ask: Ask, queue: Queue) -> Iterator[Problem]:
    """Name what the scheduler does not know, where it told us what it knows."""
    named = {"account": queue.accounts, "qos": queue.qos, "reservation": queue.reservations}
    for field, known in named.items():
        value = getattr(ask, field)
        if value is not None and known == () and field == "qos" and queue.accounts:
            words = f"{queue.scheduler} has no qos; what it has are projects, named by resources.account: "
            yield Problem("resources.qos", words + ", ".join(queue.accounts))
        elif value is not None and known is not None and value not in known:
            words = f"the scheduler has no {field} {value!r} for this; it has: {', '.join(known) or 'none'}"
            yield Problem(f"resources.{field}", words)
    if ask.gpu_type is not None and ask.gpus and ask.gpu_type not in queue.gpu_types:
        words = f"queue {queue.name} has no GPU {ask.gpu_type!r}; it has: {', '.join(queue.gpu_types) or 'none'}"
        yield Problem("resources.gpu_type", words)
    for wanted in re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.sub(r"\*\d+", "", ask.constraint or "")):
        if queue.features is not None and wanted not in queue.features and not wanted.isdigit():
            words = f"no node of queue {queue.name} has {wanted!r}; there are: {', '.join(queue.features) or 'none'}"
            yield Problem("resources.constraint", words)
    for wanted in ask.licenses:
        if queue.licenses is not None and wanted.partition(":")[0] not in queue.licenses:
            words = f"the scheduler has no licence {wanted!r}; it has: {', '.join(queue.licenses) or 'none'}"
            yield Problem("resources.licenses", words)


def fill_in(wanted: Resources, queues: Sequence[Queue], disk: int, pids: int, *, chained: bool = False) -> Ask:
    """Fill every default in and check that the queue can give it; Rejected says what would fit.

    Transient while it is not known yet which runtimes work in the queue.

    `chained`: what is left when a queue's time is over goes on in a new attempt, so a longer time is none too long.
    """
    queue = _queue(wanted, queues)
    time = wanted.time or min(queue.default_time, queue.time or queue.default_time)
    ask = Ask(
        cpus=wanted.cpus or min(queue.default_cpus, queue.cpus),
        memory=wanted.memory or min(queue.default_memory, queue.memory),
        time=min(time, queue.time or time) if chained else time,
        gpus=wanted.gpus,
        gpu_type=wanted.gpu_type if wanted.gpus else None,
        nodes=wanted.nodes,
        tasks_per_node=wanted.tasks_per_node or 1,
        exclusive=wanted.exclusive,
        queue=queue.name,
        scheduler=queue.scheduler,
        runtime=_runtime(wanted, queue),
        account=wanted.account,
        qos=wanted.qos,
        reservation=wanted.reservation,
        constraint=wanted.constraint,
        licenses=wanted.licenses,
        disk=disk,
        pids=pids,
    )
    check_fits(ask, queue)
    return ask


def find_queue(queues: Sequence[Queue], scheduler: str, name: str) -> Queue | None:
    """Return a scheduler's queue by its name."""
    return next((queue for queue in queues if (queue.scheduler, queue.name) == (scheduler, name)), None)


def _queue(wanted: Resources, queues: Sequence[Queue]) -> Queue:
    """Choose the queue: the one that is named, else the scheduler's default."""
    if not queues:
        raise Rejected.field("resources.queue", "this server has no queue now; `clif doctor` says why")
    known = [queue for queue in queues if wanted.scheduler in (None, queue.scheduler)]
    if not known:
        names = ", ".join(dict.fromkeys(queue.scheduler for queue in queues))
        words = f"there is no scheduler {wanted.scheduler!r}; there are: {names}"
        raise Rejected.field("resources.scheduler", words)
    if wanted.queue is None:
        return known[0]
    for queue in known:
        if queue.name == wanted.queue:
            return queue
    names = ", ".join(queue.name for queue in known)
    raise Rejected.field("resources.queue", f"there is no queue {wanted.queue!r}; there are: {names}")


def _runtime(wanted: Resources, queue: Queue) -> str:
    if not queue.runtimes and queue.surveying:
        words = f"what works on the nodes of queue {queue.name} is being found out by a small job in it"
        raise Transient(f"{words}; try again in a minute")
    if not queue.runtimes:
        words = queue.why_not or (
            f"no container runtime works in queue {queue.name}: install bubblewrap or start a Docker engine "
            "(`clif doctor` says what is amiss)"
        )
        raise Rejected.field("resources.runtime", words)
    if wanted.runtime not in (None, *queue.runtimes):
        names = ", ".join(queue.runtimes)
        words = f"queue {queue.name} has no runtime {wanted.runtime!r}; it has: {names}"
        raise Rejected.field("resources.runtime", words)
    return wanted.runtime or queue.runtimes[0]
