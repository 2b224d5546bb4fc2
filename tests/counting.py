"""Counts what Python code asks of the system (open, os.fork, subprocess.Popen …), which is the same on a busy machine.

The events are those of sys.audit, https://docs.python.org/3/library/audit_events.html.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import tracemalloc
from collections import Counter

_counting: list[Counter[str]] = []


def _note(event: str, _arguments: tuple) -> None:
    for counter in _counting:
        counter[event] += 1


def asked_by(what) -> Counter[str]:
    """Call `what()` and count the events; a hook cannot be taken away again, so it counts only meanwhile."""
    if not hasattr(asked_by, "hooked"):
        sys.addaudithook(_note)
        asked_by.hooked = True
    _counting.append(counter := Counter())
    try:
        what()
    finally:
        _counting.remove(counter)
    return counter


def processor(what, times: int = 5) -> float:
    """The least processor seconds of several `what()`, children's included: two sizes of one thing can be compared."""
    took = []
    for _ in range(times):
        before = _used()
        what()
        took.append(_used() - before)
    return min(took)


def _used() -> float:
    both = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in both)


@contextlib.contextmanager
def taken():
    """Give a function that says how many bytes of memory a block had at most, beside what was there before."""
    tracemalloc.start()
    try:
        yield lambda: most
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
