"""Being asked to end: a process that stages notes SIGTERM, so that what it began elsewhere can be called off."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

asked = threading.Event()  #: this process was asked to end


class Stopped(SystemExit):
    """The process was asked to end."""


@contextmanager
def politely() -> Iterator[None]:
    """End by an exception rather than at once while this lasts, where the calling thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _note(_number: int, _frame: FrameType | None) -> None:
    asked.set()
    raise Stopped(1)
