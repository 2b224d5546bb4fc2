"""Which process is meant: a pid alone is reissued, so its start time and the boot go with it. See proc(5)."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Transient

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DEAD = (b"Z", b"X")
_HERTZ = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """One process of one boot."""

    pid: int
    ticks: int  #: when it started, in clock ticks since the boot
    boot: str

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return self.boot == boot_id() and _started(self.pid) == self.ticks

    @property
    def age(self) -> float:
        """Seconds since it started, whatever was done to the wall clock."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.ticks / _HERTZ


@cache
def boot_id() -> str:
    """Return the kernel's name for this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def fork_held() -> tuple[int, int]:
    """Fork, with a pipe between: returns (0, its reading end) in the child and (pid, its writing end) in the parent.

    The child waits at the pipe for a word; should the parent die before, it closes. Transient if there can be no more
    processes.
    """
    reader, writer = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(reader)
        os.close(writer)
        raise Transient(f"no process can be started: {error.strerror}") from None
    mine, other = (writer, reader) if pid else (reader, writer)
    os.close(other)  # else our own end would keep the pipe open
    return pid, mine


def identify(pid: int) -> Process | None:
    """Name the process that has this pid now; None if there is none."""
    ticks = _started(pid)
    return None if ticks is None else Process(pid, ticks, boot_id())


def session_members(session: int) -> list[int]:
    """List the living processes of a session."""
    return [pid for pid in _pids() if (f := _stat(pid)) is not None and int(f[3]) == session and f[0] not in _DEAD]


def left_of(leader: Process) -> list[int]:
    """List what is left of the session that a process led, itself included if it lives.

    The number of a session is not given away while one of its members lives; once another process has the
    leader's pid, nothing of the session is left.
    """
    if leader.boot != boot_id() or _started(leader.pid) not in (None, leader.ticks):
        return []
    return session_members(leader.pid)


def descendants(roots: Iterable[int]) -> set[int]:
    """Collect `roots` and all that came from them, except what was left to init."""
    children: dict[int, list[int]] = {}
    for pid in _pids():
        if (fields := _stat(pid)) is not None:
            children.setdefault(int(fields[1]), []).append(pid)
    found: set[int] = set()
    todo = list(roots)
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def kill_all(pids: Iterable[int]) -> None:
    """End processes for good; those that are gone already are no error."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())


def _started(pid: int) -> int | None:
    fields = _stat(pid)
    return None if fields is None or fields[0] in _DEAD else int(fields[19])


def _stat(pid: int) -> list[bytes] | None:
    """Return the fields of /proc/<pid>/stat from the state on: the name before may hold anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(b")") + 2 :].split()
