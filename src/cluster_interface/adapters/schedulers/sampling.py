"""Limits that the kernel does not keep for us, looked at from time to time: memory of processes, bytes on disk."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from cluster_interface.adapters.processes import descendants

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_BURST = 0.02  # seconds of disk walking at a time: the dispatcher has other things to do


@dataclass(frozen=True)
class Use:
    """What a family of processes uses now."""

    memory: int  #: bytes
    cpu_seconds: float  #: of those alive, and of those of their children that they have waited for


def use_of(root: int, limit: int) -> Use:
    """Look at a process and all that came from it.

    The resident sizes are added up; only where that is above `limit` are shared pages divided among those who
    share them (PSS), which takes the kernel much longer: forked workers do not count their parent's data twice.
    """
    processes = list(_processes(descendants([root])))
    memory = sum(_resident(process) for process in processes)
    if memory > limit:
        memory = sum(_proportional(process) for process in processes)
    return Use(memory, sum(_cpu_seconds(process) for process in processes))


def _processes(pids: Iterable[int]) -> Iterator[psutil.Process]:
    for pid in pids:
        try:
            yield psutil.Process(pid)
        except psutil.Error:
            continue


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _proportional(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        return _resident(process)
    except psutil.Error:
        return 0


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


class DiskWatch:
    """Adds up what lies in a few directories, a little at a time, over and over.

    `lent` is where what is in one of them may be moved to and back, if it is there.
    """

    def __init__(self, roots: Iterable[Path], lent: Path | None = None) -> None:
        self._roots = tuple(roots)
        self._lent = lent
        self._walk: Iterator[int] = iter(())
        self._sum = 0
        self.size: int | None = None  #: bytes found by the last complete walk
        self.highest = 0  #: of any walk, also of one under way: never more than was there

    def advance(self) -> None:
        """Walk on for a moment."""
        end = time.monotonic() + _BURST
        while time.monotonic() < end:
            size = next(self._walk, None)
            if size is None:
                self.size, self._sum, self._walk = self._sum, 0, self._begin()
                return
            self._sum += size
            self.highest = max(self.highest, self._sum)

    def _begin(self) -> Iterator[int]:
        if self._lent is None or not self._lent.exists():
            return _sizes(self._roots, moving=False)
        return _sizes((*self._roots, self._lent), moving=True)


def _sizes(roots: Iterable[Path], *, moving: bool) -> Iterator[int]:
    """Yield the bytes on disk of each file below; no link is followed.

    A file with many names counts once, and where files may be `moving` so does one that is met at both places.
    """
    todo: list[str] = [str(root) for root in roots]
    seen: set[tuple[int, int]] = set()
    while todo:
        try:
            entries = list(os.scandir(path := todo.pop()))
        except NotADirectoryError:
            yield os.lstat(path).st_blocks * 512
            continue
        except OSError:
            continue
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
            except OSError:
                continue
            if (moving or found.st_nlink > 1) and not entry.is_dir(follow_symlinks=False):
                if (found.st_dev, found.st_ino) in seen:
                    continue
                seen.add((found.st_dev, found.st_ino))
            yield found.st_blocks * 512
