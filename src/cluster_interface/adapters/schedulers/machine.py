"""What this machine has to give: the lower of what is built in and what its own cgroup allows."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/sys/fs/cgroup")


def cpus() -> int:
    """Count the processors we may use."""
    limits = [len(os.sched_getaffinity(0))]
    for directory in _own_cgroups("cpu"):
        quota, period = (
            _numbers(directory / "cpu.max")
            or (
                *_numbers(directory / "cpu.cfs_quota_us"),
                *_numbers(directory / "cpu.cfs_period_us"),
            )
            or (0, 0)
        )
        if quota > 0 and period > 0:
            limits.append(math.ceil(quota / period))
    return max(1, min(limits))


def memory() -> int:
    """Bytes of memory we may use."""
    limits = [int(psutil.virtual_memory().total)]
    for directory in _own_cgroups("memory"):
        limits += _numbers(directory / "memory.max") + _numbers(directory / "memory.limit_in_bytes")
    return min(limit for limit in limits if limit > 0)


def _own_cgroups(controller: str) -> Iterator[Path]:
    """List our cgroup and those above it, in both versions; see cgroups(7)."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mounts = [ROOT / controller, ROOT / controllers] if controllers else [ROOT, ROOT / "unified"]
        inside = PurePosixPath(path.lstrip("/"))
        for mount in mounts:
            for part in (inside, *inside.parents):
                yield mount / part


def _numbers(path: Path) -> tuple[int, ...]:
    """Read the numbers in a control file; nothing if it is missing or says `max`."""
    try:
        return tuple(int(word) for word in path.read_text().split())
    except (OSError, ValueError):
        return ()
