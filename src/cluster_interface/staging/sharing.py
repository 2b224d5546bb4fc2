"""Share work on many small files between processes.

Each file costs a few system calls, of which most can go on side by side, and about as much again of Python; threads
would wait for the interpreter's lock before and after every call. The processes are forked from this one, so they act
for whomever this thread acts for, and what this one holds, such as the lock of a job's staging, is held until the last
of them is gone.
"""

from __future__ import annotations

import os
import select
from array import array
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe, wait
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
R = TypeVar("R")

WORTH_A_FORK = 4  #: pieces of work that are shared rather than done here
MOST_NUMBERS = select.PIPE_BUF // array("I").itemsize  #: that even the smallest pipe holds


def shared(works: Sequence[T], do: Callable[[T], R], done: Callable[[T, R], None], processes: int) -> None:
    """Call `do` of each in one of several processes, and here `done` with it and what that gave, in any order.

    What another process did not bring to its end, since it failed or was killed, is done again here, where its error
    is raised; so `do` must bear that. The others end with their next piece once this process is gone or gives up.
    """
    left = dict(enumerate(works))

    def take(number: int, result: R) -> None:
        done(left.pop(number), result)

    if processes > 1 and len(works) >= WORTH_A_FORK:
        for numbers in batched(range(len(works)), MOST_NUMBERS):
            _share(numbers, lambda number: do(works[number]), take, min(processes, len(numbers)))
    for number, work in list(left.items()):
        take(number, do(work))


def batched(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Cut a sequence in pieces of work."""
    return [items[at : at + size] for at in range(0, len(items), size)]


def processors(most: int) -> int:
    """Say how many processes are worth having: one for each processor that this one may use."""
    return min(most, len(os.sched_getaffinity(0)))


def _share(numbers: Sequence[int], do: Callable[[int], R], take: Callable[[int, R], None], processes: int) -> None:
    waiting = _pipe_of(numbers)
    others: dict[Connection, int] = {}  #: what tells, and the process that does
    try:
        for _ in range(processes - 1):
            with suppress(OSError):  # no more can be had: those that there are share it
                results, pid = _fork(waiting, do)
                others[results] = pid
        telling = list(others)
        for number in _taken(waiting):
            take(number, do(number))
            _hear(telling, take, 0)
        while telling:
            _hear(telling, take, None)
    finally:
        os.close(waiting)
        for results in others:  # all of them first: the later ones were forked with those of the earlier ones open
            results.close()
        for pid in others.values():
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _hear(telling: list[Connection], take: Callable[[int, R], None], timeout: float | None) -> None:
    """Take what the others have told by now, or wait for some; who has come to an end tells nothing any more."""
    ready = wait(telling, timeout)
    for results in [one for one in telling if one in ready]:
        try:
            number, result = results.recv()
        except (EOFError, OSError):
            telling.remove(results)
        else:
            take(number, result)


def _pipe_of(numbers: Sequence[int]) -> int:
    """Return the end of a pipe from which each number is read once, whoever reads."""
    waiting, writer = os.pipe()
    os.write(writer, array("I", numbers))
    os.close(writer)
    return waiting


def _taken(waiting: int) -> Iterator[int]:
    while data := os.read(waiting, array("I").itemsize):
        yield array("I", data)[0]


def _fork(waiting: int, do: Callable[[int], R]) -> tuple[Connection, int]:
    """Begin another process, which has nothing to tell but results."""
    results, told = Pipe(duplex=False)
    pid = os.fork()
    if pid == 0:
        _work(waiting, do, results, told)
    told.close()
    return results, pid


def _work(waiting: int, do: Callable[[int], R], results: Connection, told: Connection) -> NoReturn:
    try:
        results.close()
        for number in _taken(waiting):
            told.send((number, do(number)))
    finally:  # whatever it was: a forked process must not go back into the code it came from
        os._exit(0)
