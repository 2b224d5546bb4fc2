"""How far the inputs of a job are: all of them together, and each that is on its way, told by many threads."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

from cluster_interface.model.job import Progress, SourceProgress

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.ports import Report

EVERY = 0.1  #: seconds between reports, once there were MANY
MANY = 100
MOST_SHOWN = 8  #: files on their way that are told of one by one


class Movement:
    """Counts bytes and files, and reports at each change."""

    def __init__(self, report: Report, files: int | None, total: int | None) -> None:
        self._report, self._files, self._total = report, files, total
        self._lock = Lock()
        self._done = self._count = 0
        self._reports, self._said = 0, 0.0
        self._moving: dict[str, SourceProgress] = {}

    def begin(self, path: str, source: str, size: int | None) -> Callable[[int], None]:
        """Note that a file is on its way; what is returned is to be told how many bytes are there."""

        def moved(done: int) -> None:
            with self._lock:
                self._moving[path] = SourceProgress(path=path, source=source, done=done, total=size)
                self._say(path)

        return moved

    def end(self, path: str, size: int, files: int = 1) -> None:
        """Note that a file is in place, or so many of that size together, of which it is the last."""
        with self._lock:
            self._moving.pop(path, None)
            self._done += size
            self._count += files
            if self._files is not None:
                self._files = max(self._files, self._count)
            self._say(path)

    def more(self, files: int) -> None:
        """Note that there are more files than was known: those of a directory."""
        with self._lock:
            if self._files is not None:
                self._files += files

    def close(self) -> None:
        """Say that all is there."""
        with self._lock:
            self._said = 0.0
            self._say("")

    def _say(self, path: str) -> None:
        now = time.monotonic()
        if self._reports > MANY and now - self._said < EVERY:
            return
        self._reports, self._said = self._reports + 1, now
        moving = sorted(self._moving.values(), key=lambda one: one.path)
        self._report(
            Progress(
                stage="inputs",
                done=self._done + sum(one.done for one in moving),
                total=self._total,
                note=path,
                files=self._count,
                files_total=self._files,
                sources=tuple(moving[:MOST_SHOWN]),
            )
        )
