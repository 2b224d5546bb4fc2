"""inputs/ of a job: every file fetched under a temporary name, verified, and only then moved into place.

What is in place is noted in `inputs.jsonl`, one line a file, once it has been moved and is on the disk: a kill at any
moment costs at most bringing the last small files again, or the verification of one large one. The temporary names lie
in `incoming/`, which no container sees.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent
from cluster_interface.model.state import FailureCode
from cluster_interface.staging.parts import LARGE, forget, part, sync_filesystem
from cluster_interface.staging.sources import naming
from cluster_interface.trees.beneath import look, open_file, parent, remove, rename

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.model.plan import SourceInfo
    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.sources import Sources
    from cluster_interface.trees.beneath import At, Kept

COMMON = 0o644  #: permissions of most inputs
INCOMING = "incoming"
INPUTS = "inputs"
RECORD = "inputs.jsonl"
FEW = 32  #: files that are written to the disk one by one: all that others have on it would take longer
MOST_UNSETTLED = 10_000  #: small files that a kill costs at most, which are then brought again
SETTLE_EVERY = 5.0  #: seconds of work that it costs at most


@dataclass(frozen=True, kw_only=True)
class Staged:
    """One file in place, as it was when it was verified."""

    path: str
    source: str
    size: int
    sha256: str
    mtime_ns: int
    mode: int  #: permissions


def recorded(home: At) -> dict[str, Staged]:
    """Read what is noted as in place: path -> file; a line that a kill cut short is left out."""
    try:
        fd = open_file(home, RECORD)
    except FileNotFoundError:
        return {}
    found = {}
    with os.fdopen(fd, encoding="utf-8", errors="replace") as file:
        for line in file:
            with suppress(ValueError, TypeError):
                staged = Staged(**json.loads(line))
                found[staged.path] = staged
    return found


class Inputs:
    """Brings files into inputs/ of the job directory `home`."""

    def __init__(self, home: Kept, sources: Sources, limit: int, owner: str = "") -> None:
        self._owner = owner
        self._home = home
        self._sources = sources
        self._limit = limit
        self._known = recorded(home)
        self._lock = RLock()
        self._unsettled: dict[str, str] = {}  #: path -> line of the record that is not written yet
        self._bytes = 0
        self._settled = time.monotonic()

    def has(self, info: SourceInfo, entry: FileEntry) -> bool:
        """Say whether the file is in place, unchanged since it was verified against this very source."""
        staged = self._known.get(info.path)
        if staged is None or (staged.source, staged.mode) != (info.source, entry.bits()):
            return False
        if info.sha256 not in (None, staged.sha256) or info.size not in (None, staged.size):
            return False
        seen = look(self._home, f"{INPUTS}/{info.path}")
        return seen is not None and (seen.st_size, seen.st_mtime_ns) == (staged.size, staged.mtime_ns)

    def bring(
        self,
        info: SourceInfo,
        entry: FileEntry,
        moved: Callable[[int], None],
        fetch: Callable[[Part], None] | None = None,
    ) -> int:
        """Fetch, verify and move one file into place; return its size. `moved(n)` is told how many bytes are there.

        `fetch` brings the bytes of what is not a source of its own, but in one.
        """
        temporary = f"{INCOMING}/{hashlib.sha256(os.fsencode(info.path)).hexdigest()[:32]}"
        with naming(info.path), part(self._home, temporary, self._limit, moved) as incoming:
            incoming.alone = entry.bits() != COMMON  # others' has other permissions
            if fetch:
                fetch(incoming)
            else:
                self._sources.fetch(info, entry, incoming, self._owner)
            try:
                _must_be_as_planned(info, incoming.size, incoming.sha256)
            except Permanent:
                forget(self._home, temporary)
                raise
            incoming.finish(entry.bits(), to_disk=incoming.size > LARGE)
            rename(self._home, temporary, f"{INPUTS}/{info.path}")
            self._note(info, entry, incoming.size, incoming.sha256)
        if incoming.left:
            forget(self._home, temporary)
        return incoming.size

    def link(self, info: SourceInfo, entry: FileEntry, make: Callable[[str], bool]) -> bool:
        """Have `make(path)` give a file of this filesystem a second name among the inputs; False if it cannot."""
        path = f"{INPUTS}/{info.path}"
        with naming(info.path):
            remove(self._home, path)
            if not make(path):
                return False
            with os.fdopen(open_file(self._home, path), "rb") as file:
                size, sha256 = os.fstat(file.fileno()).st_size, info.sha256 or ""
                if info.sha256 is not None:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            try:
                _must_be_as_planned(info, size, sha256)
            except Permanent:
                remove(self._home, path)
                raise
            self._note(info, entry, size, sha256)
        return True

    def _note(self, info: SourceInfo, entry: FileEntry, size: int, sha256: str) -> None:
        seen = look(self._home, f"{INPUTS}/{info.path}")
        if seen is None:
            raise Permanent("was removed while the inputs were staged", code=FailureCode.INPUT_UNAVAILABLE)
        staged = Staged(
            path=info.path,
            source=info.source,
            size=size,
            sha256=sha256,
            mtime_ns=seen.st_mtime_ns,
            mode=entry.bits(),
        )
        with self._lock:
            self._known[info.path] = staged
            self._unsettled[info.path] = json.dumps(vars(staged))
            self._bytes += size
            late = time.monotonic() - self._settled > SETTLE_EVERY
            if late or len(self._unsettled) >= MOST_UNSETTLED or self._bytes > LARGE:
                self._settle()

    def settle(self) -> None:
        """Note what was moved into place, once it is on the disk: many small files wait for it together."""
        with self._lock:
            self._settle()

    def _settle(self) -> None:
        if self._unsettled:
            if len(self._unsettled) > FEW:
                sync_filesystem(self._home.fd)
            else:
                for path in self._unsettled:
                    self._sync(path)
            self._append("\n".join(self._unsettled.values()))
            self._unsettled.clear()
            self._bytes = 0
        self._settled = time.monotonic()

    def _sync(self, path: str) -> None:
        with suppress(FileNotFoundError):  # who removed it will miss it later
            fd = open_file(self._home, f"{INPUTS}/{path}")
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def _append(self, line: str) -> None:
        """Add lines, on lines of their own even after one that a kill cut short."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with parent(self._home, RECORD) as (above, name):
            fd = os.open(name, flags, 0o600, dir_fd=above)
        with os.fdopen(fd, "r+b", buffering=0) as file:
            size = os.fstat(fd).st_size
            whole = size == 0 or os.pread(fd, 1, size - 1) == b"\n"
            file.write((line if whole else f"\n{line}").encode() + b"\n")


def _must_be_as_planned(info: SourceInfo, size: int, sha256: str) -> None:
    if info.sha256 is not None and sha256 != info.sha256:
        raise Permanent(
            f"{_words(info)} has the SHA-256 {sha256} ({size} bytes), not {info.sha256} as planned; "
            f"it changed, or the checksum given is wrong",
            code=FailureCode.INPUT_UNAVAILABLE,
        )
    if info.size is not None and size != info.size:
        raise Permanent(
            f"{_words(info)} has {size} bytes, not {info.size} as planned; it changed since",
            code=FailureCode.INPUT_UNAVAILABLE,
        )


def _words(info: SourceInfo) -> str:
    return info.source.partition("?")[0]
