"""Which tasks an element has come to: job.sh says so with its claims, see `docs/architecture.md`."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from cluster_interface.adapters.processes import boot_id

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST = 4096  # bytes of an owner file
_GRANULARITY = 50_000_000  # nanoseconds


class Claims:
    """The claims of one attempt, read as they are made; each says which process made it."""

    def __init__(self, attempt: Path) -> None:
        self._directory = attempt / "claim"
        self._seen_at = 0
        self._known: set[str] = set()
        self._tasks: dict[int, list[int]] = {}

    def tasks(self, pid: int) -> list[int]:
        """List the tasks that this process of this boot has claimed, in the order in which they were seen."""
        with suppress(OSError):
            changed = self._directory.stat().st_mtime_ns
            if changed != self._seen_at:
                self._read(changed)
        return self._tasks.get(pid, [])

    def _read(self, changed: int) -> None:
        whole = True
        for claim in os.scandir(self._directory):
            name = claim.name
            if name in self._known or not name.isdecimal():
                continue
            owner = _owner(self._directory / name / "owner")
            if owner is None:
                whole = False  # made and not signed yet
                continue
            self._known.add(name)
            if owner.get("boot_id") == boot_id() and owner.get("pid", "").isdecimal():
                self._tasks.setdefault(int(owner["pid"]), []).append(int(name))
        # A change within the clock's granularity of this reading would not move the time again.
        self._seen_at = changed if whole and time.time_ns() - changed > _GRANULARITY else 0


def _owner(path: Path) -> dict[str, str] | None:
    """Read an owner file; None if it is not there or not whole. It is the job's: nothing is followed or waited for."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        text = os.read(file, _LONGEST).decode(errors="replace")
    except OSError:
        return None
    finally:
        os.close(file)
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line) if "pid=" in text else None
