"""Tasks into elements, elements into orders: how much one container start and one native job take on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.model.errors import Rejected
from cluster_interface.model.job import NativeOrder
from cluster_interface.model.marks import order_mark
from cluster_interface.model.resources import show_time

if TYPE_CHECKING:
    from cluster_interface.model.plan import Ask
    from cluster_interface.model.queue import Queue

WORTHWHILE = 120.0  #: seconds an element should take, so that starting it costs next to nothing
START = 0.5  #: seconds that the start of a container takes; where tasks take less, starts are what is to be saved
LEAST = 5 * START  #: seconds that an element of such tasks should take, even if slots stay empty
EACH = 0.1  #: seconds that a task counts at least
SHORT = 60.0  #: seconds; tasks that take longer gain nothing by sharing
GUESS = 0.2  #: of the time they may take, for tasks that were never seen: people ask for more than is needed


def pack_size(wanted: int | None, tasks: int, ask: Ask, queue: Queue, seconds: float | None) -> int:
    """Choose how many tasks share an element, given what one took on average last time (None: never seen).

    What is `wanted` goes first; Rejected if the queue's time is too short for it. Otherwise tasks that are known or
    bound to be short share, as long as every slot of the queue has as much to do that is worth its start.
    """
    most = max(1, queue.time // ask.time) if queue.time else tasks
    if wanted is not None:
        if wanted > most:
            limit = show_time(queue.time or 0)
            words = (
                f"{wanted} tasks of up to {show_time(ask.time)} take longer than queue {queue.name} allows ({limit})"
            )
            raise Rejected.field("sweep.pack", f"{words}; at most {most} fit")
        return min(wanted, tasks)
    if tasks == 1 or min(ask.time, ask.time if seconds is None else seconds) > SHORT or ask.nodes > 1:
        return 1
    each = max(EACH, min(ask.time, ask.time * GUESS if seconds is None else seconds))
    at_once = min(queue.cpus // (ask.cpus * ask.tasks_per_node), queue.memory // ask.memory)  # on a node
    slots = max(1, queue.nodes * at_once)
    turns = max(1, int(tasks * each // (slots * WORTHWHILE)))  # of all slots: none should have but a few more tasks
    spread = -(-tasks // (slots * turns))
    return max(1, min(max(spread, int(LEAST / each) if each < START else 1), tasks, most))


def orders_of(mark: str, tasks: int, pack: int, *, first_alone: bool, max_array: int | None) -> tuple[NativeOrder, ...]:
    """Cut an attempt into native jobs of at most `max_array` elements, the first task alone if that is wished."""
    alone = 1 if first_alone and tasks > 1 else 0
    elements = alone + -(-(tasks - alone) // pack)
    most = max_array or elements
    starts = [0] if alone else []
    starts += range(alone, elements, most)
    ends = [*starts[1:], elements]
    stretches = zip(starts, ends, strict=True)
    return tuple(
        NativeOrder(mark=order_mark(mark, number), offset=start, elements=end - start)
        for number, (start, end) in enumerate(stretches)
    )
