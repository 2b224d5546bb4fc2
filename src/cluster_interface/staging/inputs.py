"""inputs/ of a job: every file fetched under a temporary name, verified, and only then moved into place.

What is in place is noted in `inputs.jsonl`, one line a file, appended after the move: a kill at any moment costs
at most the verification of one file. The temporary names lie in `incoming/`, which no container sees.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent
from cluster_interface.model.state import FailureCode
from cluster_interface.staging.parts import forget, part
from cluster_interface.staging.sources import naming
from cluster_interface.trees.beneath import look, open_file, parent, rename

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.model.plan import SourceInfo
    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.sources import Sources

INCOMING = "incoming"
INPUTS = "inputs"
RECORD = "inputs.jsonl"


@dataclass(frozen=True, kw_only=True)
class Staged:
    """One file in place, as it was when it was verified."""

    path: str
    source: str
    size: int
    sha256: str
    mtime_ns: int
    executable: bool


def recorded(home: int) -> dict[str, Staged]:
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

    def __init__(self, home: int, sources: Sources, limit: int, owner: str = "") -> None:
        self._owner = owner
        self._home = home
        self._sources = sources
        self._limit = limit
        self._known = recorded(home)

    def has(self, info: SourceInfo, entry: FileEntry) -> bool:
        """Say whether the file is in place, unchanged since it was verified against this very source."""
        staged = self._known.get(info.path)
        if staged is None or (staged.source, staged.executable) != (info.source, entry.executable):
            return False
        if info.sha256 not in (None, staged.sha256) or info.size not in (None, staged.size):
            return False
        seen = look(self._home, f"{INPUTS}/{info.path}")
        return seen is not None and (seen.st_size, seen.st_mtime_ns) == (staged.size, staged.mtime_ns)

    def bring(self, info: SourceInfo, entry: FileEntry, moved: Callable[[int], None]) -> None:
        """Fetch, verify and move one file into place; `moved(n)` is told how many bytes are there."""
        temporary = f"{INCOMING}/{hashlib.sha256(info.path.encode()).hexdigest()[:32]}"
        with naming(info.path), part(self._home, temporary, self._limit, moved) as incoming:
            incoming.alone = entry.executable  # others' has other permissions
            self._sources.fetch(info, entry, incoming, self._owner)
            try:
                _verify(info, incoming)
            except Permanent:
                forget(self._home, temporary)
                raise
            incoming.finish(0o755 if entry.executable else 0o644)
            rename(self._home, temporary, f"{INPUTS}/{info.path}")
            self._note(info, entry, incoming)
        forget(self._home, temporary)

    def _note(self, info: SourceInfo, entry: FileEntry, incoming: Part) -> None:
        seen = look(self._home, f"{INPUTS}/{info.path}")
        if seen is None:
            raise Permanent("was removed while the inputs were staged", code=FailureCode.INPUT_UNAVAILABLE)
        staged = Staged(
            path=info.path,
            source=info.source,
            size=incoming.size,
            sha256=incoming.sha256,
            mtime_ns=seen.st_mtime_ns,
            executable=entry.executable,
        )
        self._append(json.dumps(asdict(staged)))
        self._known[info.path] = staged

    def _append(self, line: str) -> None:
        """Add a line, on a line of its own even after one that a kill cut short."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with parent(self._home, RECORD) as (above, name):
            fd = os.open(name, flags, 0o600, dir_fd=above)
        with os.fdopen(fd, "r+b", buffering=0) as file:
            size = os.fstat(fd).st_size
            whole = size == 0 or os.pread(fd, 1, size - 1) == b"\n"
            file.write((line if whole else f"\n{line}").encode() + b"\n")


def _verify(info: SourceInfo, incoming: Part) -> None:
    if info.sha256 is not None and incoming.sha256 != info.sha256:
        raise Permanent(
            f"{_words(info)} has the SHA-256 {incoming.sha256} ({incoming.size} bytes), not {info.sha256} as planned; "
            f"it changed, or the checksum given is wrong",
            code=FailureCode.INPUT_UNAVAILABLE,
        )
    if info.size is not None and incoming.size != info.size:
        raise Permanent(
            f"{_words(info)} has {incoming.size} bytes, not {info.size} as planned; it changed since",
            code=FailureCode.INPUT_UNAVAILABLE,
        )


def _words(info: SourceInfo) -> str:
    return info.source.partition("?")[0]
