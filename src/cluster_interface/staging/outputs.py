"""What the tasks left behind: found without following a link, each with size and SHA-256."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.model.job import OutputFile, Progress
from cluster_interface.model.media import BEGINNING, media_type
from cluster_interface.model.patterns import matches
from cluster_interface.staging.inputs import recorded
from cluster_interface.staging.tasks import TASKS
from cluster_interface.trees.beneath import directory, open_file, parent
from cluster_interface.trees.names import portable
from cluster_interface.trees.walking import Entry, Kind, walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster_interface.ports import Report
    from cluster_interface.staging.inputs import Staged

#: What programs leave behind that nobody asked for; left out where no patterns are given.
NOISE = ("__pycache__", ".cache", ".config", ".local", ".ipynb_checkpoints", ".nfs*")

CHUNK = 1024 * 1024

_NEEDED = {Kind.FILE: 0o400, Kind.DIRECTORY: 0o500}  #: of the owner's permissions, to read it


def collect(
    home: int, tasks: int, patterns: Sequence[str] | None, report: Report
) -> tuple[list[OutputFile], list[str]]:
    """List the regular files that the patterns choose below each tasks/<n>/, and the patterns that choose none.

    Patterns are those of `model.patterns`; a pattern counts as matched if it chooses a file of any task. None
    chooses every file that is new or was written to since it was staged, NOISE left out. Links, fifos, sockets and
    devices are never outputs. A name that is not UTF-8 is listed in the form of `trees.names`. What the
    program took even its owner's permissions from gets them back. What goes away meanwhile, or cannot be read all the
    same, is left out, and the report's note says how many there were.
    """
    search = _Search(home, patterns, recorded(home) if patterns is None else {}, report)
    for task in range(tasks):
        search.look_at(task)
    return search.outputs, [pattern for pattern in patterns or () if pattern not in search.matched]


def holds_little(home: int, tasks: int, entries: int, size: int) -> bool:
    """Say whether the tasks' directories have at most so many entries and bytes; look at no more than that."""
    for task in range(tasks):
        entries -= 1
        with suppress(FileNotFoundError), directory(home, f"{TASKS}/{task}") as root:
            for entry in walk(root):
                entries -= 1
                size -= entry.size
                if entries < 0 or size < 0:
                    return False
    return entries >= 0


@dataclass
class _Search:
    home: int
    patterns: Sequence[str] | None
    staged: Mapping[str, Staged]
    report: Report
    outputs: list[OutputFile] = field(default_factory=list)
    matched: set[str] = field(default_factory=set)
    skipped: int = 0

    def look_at(self, task: int) -> None:
        """Go through one task's directory; there is nothing in one that was never made."""
        try:
            with directory(self.home, f"{TASKS}/{task}") as root:
                for entry in walk(root, self._skip):
                    if entry.kind in _NEEDED and entry.mode & _NEEDED[entry.kind] != _NEEDED[entry.kind]:
                        _let_the_owner_in(root, entry)  # before the walk goes on into it
                    if entry.kind is Kind.UNREADABLE:
                        self.skipped += 1
                    elif entry.kind is Kind.FILE and self._chosen(entry):
                        self._add(root, task, entry)
        except FileNotFoundError:
            return

    def _skip(self, path: str, _kind: Kind) -> bool:
        name = path.rpartition("/")[2]
        return self.patterns is None and any(fnmatchcase(name, noise) for noise in NOISE)

    def _chosen(self, entry: Entry) -> bool:
        if self.patterns is None:
            return not _untouched(self.staged.get(entry.path), entry)
        name = portable(entry.path)
        hits = {pattern for pattern in self.patterns if matches(pattern, name)}
        self.matched |= hits
        return bool(hits)

    def _add(self, root: int, task: int, entry: Entry) -> None:
        try:
            size, checksum, beginning, executable = _measure(root, entry.path)
        except OSError:
            self.skipped += 1
            return
        name = portable(entry.path)
        kind = media_type(name, beginning)
        self.outputs.append(
            OutputFile(path=name, size=size, sha256=checksum, task=task, type=kind, executable=executable)
        )
        note = f"{self.skipped} could not be read" if self.skipped else ""
        self.report(Progress(stage="outputs", done=len(self.outputs), unit="files", note=note))


def _let_the_owner_in(root: int, entry: Entry) -> None:
    """Give the owner what it takes to read it; by descriptor, since chmod by name would follow a link."""
    with suppress(OSError), parent(root, entry.path) as (above, name):
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        try:
            Path(f"/proc/self/fd/{fd}").chmod(entry.mode & 0o777 | _NEEDED[entry.kind])
        finally:
            os.close(fd)


def _untouched(staged: Staged | None, entry: Entry) -> bool:
    return staged is not None and (entry.size, entry.mtime_ns) == (staged.size, staged.mtime_ns)


def _measure(root: int, path: str) -> tuple[int, str, bytes, bool]:
    """Return how many bytes there are, their SHA-256, the first of them and whether it is a program, in one reading."""
    checksum = hashlib.sha256()
    size = 0
    beginning = b""
    with os.fdopen(open_file(root, path), "rb", buffering=0) as file:
        while data := file.read(CHUNK):
            checksum.update(data)
            beginning = beginning or data[:BEGINNING]
            size += len(data)
        executable = bool(os.fstat(file.fileno()).st_mode & 0o100)
    return size, checksum.hexdigest(), beginning, executable
