"""Do several things at the same time, each in a thread that acts for the job's account."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, TypeVar

from cluster_interface.staging.acting import as_the_server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

T = TypeVar("T")


def together(
    works: Sequence[Callable[[], T]], threads: int, become: Callable[[], AbstractContextManager[None]]
) -> list[T]:
    """Return what each gives, in order; the first that fails stops the rest. `become` is entered in each thread."""
    if len(works) < 2 or threads < 2:
        return [work() for work in works]

    numbers = iter(range(len(works)))  # a thread takes the next one when it has ended one
    results: dict[int, T] = {}

    def act() -> None:
        with become():
            for number in numbers:
                results[number] = works[number]()

    with ThreadPoolExecutor(min(threads, len(works))) as pool:
        with as_the_server():  # a thread begins as whoever makes it
            ends = [pool.submit(act) for _ in range(min(threads, len(works)))]
        try:
            for end in as_completed(ends):
                end.result()
        except BaseException:
            deque(numbers, maxlen=0)  # none is left to be taken
            raise
    return [results[number] for number in range(len(works))]
