"""What a directory of this machine holds, as a plan knows it: one checksum over all that is in it."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent
from cluster_interface.model.state import FailureCode
from cluster_interface.trees.beneath import parent
from cluster_interface.trees.names import portable
from cluster_interface.trees.walking import Kind

if TYPE_CHECKING:
    from cluster_interface.trees.walking import Entry

MOST_LISTED = 10_000  #: entries of a mounted directory that job.sh looks through on the node

_LETTERS = {Kind.FILE: "f", Kind.DIRECTORY: "d", Kind.LINK: "l"}  #: as find(1) says it


class Manifest:
    """Paths, kinds, sizes, times and permissions, hashed as they are met.

    `listed`: job.sh will look, too, so keep what it can know there.
    """

    def __init__(self, *, keep: bool, keep_names: bool, listed: bool) -> None:
        self._hash = hashlib.sha256()
        self._keep, self._keep_names = keep, keep_names
        self.kept: list[Entry] = []
        self._newest = -1
        self.names: list[str] = []
        self.entries = self.size = 0
        self.newest = ""
        self._lines: list[bytes] | None = [] if listed else None

    @property
    def sha256(self) -> str:
        """The checksum of all that was added."""
        return self._hash.hexdigest()

    @property
    def listing(self) -> str | None:
        """The checksum that `unchanged` of task.sh makes again; None if there is too much, or what it cannot see.

        It is of lines that end in NUL, in the order of their bytes. Times are whole seconds, as every network's
        filesystem has them.
        """
        return None if self._lines is None else hashlib.sha256(b"".join(sorted(self._lines))).hexdigest()

    def add(self, root: int, entry: Entry) -> None:
        """Add one entry, in the order of the walk."""
        path, kind, size, mtime_ns, mode, _, _ = entry
        target = ""
        if kind is Kind.FILE:
            line = f"{kind}\0{path}\0{size}\0{mtime_ns}\0{mode & 0o777:o}\n"
            self.size += size
            if self._keep_names:
                self.names.append(path)
            if mtime_ns > self._newest:
                self._newest, self.newest = mtime_ns, portable(path)
        elif kind is Kind.LINK:
            target = target_of(root, path)
            line = f"{kind}\0{path}\0{target}\n"
        else:
            line = f"{kind}\0{path}\n"
        self._hash.update(line.encode("utf-8", "surrogateescape"))
        self.entries += 1
        if self._keep:
            self.kept.append(entry)
        if self._lines is not None:
            self._list(self._lines, entry, target)

    def _list(self, lines: list[bytes], entry: Entry, target: str) -> None:
        letter = _LETTERS.get(entry.kind)
        if letter is None or len(lines) == MOST_LISTED:
            self._lines = None
            return
        known = {"f": f" {entry.size} {entry.mtime_ns // 10**9}", "l": f" {target}/"}.get(letter, "")
        lines.append(f"{letter}{known} /{entry.path}\0".encode("utf-8", "surrogateescape"))


def target_of(root: int, path: str) -> str:
    """Return where a link below `root` leads; Permanent if it is none by now."""
    try:
        with parent(root, path) as (above, name):
            return os.readlink(name, dir_fd=above)
    except OSError:
        raise unavailable(f"{portable(path)!r} in it changed while it was looked at; submit again") from None


def unavailable(message: str) -> Permanent:
    """Make the error of an input that cannot be had."""
    return Permanent(message, code=FailureCode.INPUT_UNAVAILABLE)
