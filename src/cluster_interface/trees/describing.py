"""Describe what lies in a directory as a file tree."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from cluster_interface.model.errors import Problem, Rejected
from cluster_interface.model.filenames import LONGEST_PATH, MOST_ENTRIES
from cluster_interface.model.filetree import FileTree
from cluster_interface.trees.beneath import open_file, parent
from cluster_interface.trees.listing import Ignored
from cluster_interface.trees.names import portable
from cluster_interface.trees.walking import Entry, Kind, walk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BLOCK = 2**20
MOST_PROBLEMS = 20  #: named at a time

_ODD = {
    Kind.OTHER: "is a fifo, a socket or a device: remove it, or name it in .clusterignore",
    Kind.UNREADABLE: "cannot be gone into: permission denied, or too deep",
}


def describe(
    directory: Path,
    *,
    checksums: bool = True,
    everything: bool = False,
    source_of: Callable[[str], str] | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> FileTree:
    """Return the tree of what is in `directory`: sizes, permissions, links, and SHA-256 unless that is not wanted.

    What .gitignore and .clusterignore name is left out, and version control's and Python's own directories, unless
    `everything` is wanted. `source_of(path)` gives each file its source. `progress(path, bytes)` is told of every
    file that was read. Raises Rejected, naming them, for what a tree cannot hold or what cannot be read, and where a
    file changes meanwhile.
    """
    root = open_root(directory)
    try:
        files, problems = {}, []
        for entry in walk(root, None if everything else Ignored(root), deepest=LONGEST_PATH):
            try:
                found = _entry(root, entry, checksums=checksums)
            except (OSError, ValueError) as error:
                words = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
                problems.append(Problem(portable(entry.path), words))
                if len(problems) >= MOST_PROBLEMS:
                    break
                continue
            if found is None:
                continue
            name = portable(entry.path)
            if source_of and entry.kind is Kind.FILE:
                found["source"] = source_of(entry.path)
            files[name + ("/" if entry.kind is Kind.DIRECTORY else "")] = found
            if progress:
                progress(name, entry.size)
            if len(files) > 2 * MOST_ENTRIES:
                break  # more than any tree may have
        if problems:
            raise Rejected(problems=problems)
        return FileTree.parse({"files": _without_implied(files)})
    finally:
        os.close(root)


def open_root(directory: Path) -> int:
    """Open a directory; Rejected in words if that cannot be."""
    try:
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Rejected.field(str(directory), f"cannot be read: {(error.strerror or '').lower()}") from None


def _entry(root: int, entry: Entry, *, checksums: bool) -> dict[str, Any] | None:
    if entry.kind in _ODD:
        raise ValueError(_ODD[entry.kind])
    if entry.kind is Kind.LINK:
        return {"target": portable(read_link(root, entry.path))}
    permissions = entry.mode & 0o777
    if entry.kind is Kind.DIRECTORY:
        return {} if permissions == 0o755 else {"permissions": f"{permissions:04o}"}
    found: dict[str, Any] = {"size": entry.size}
    if checksums:
        found["sha256"] = checksum(root, entry)
    if permissions == 0o755:
        found["executable"] = True
    elif permissions != 0o644:
        found["permissions"] = f"{permissions:04o}"
    return found


def read_link(root: int, path: str) -> str:
    """Return what a symbolic link says."""
    with parent(root, path) as (above, name):
        return os.readlink(name, dir_fd=above)


def checksum(root: int, entry: Entry) -> str:
    """Read a file whole and return its SHA-256; ValueError if it is not the one that was seen, or changes."""
    with os.fdopen(open_file(root, entry.path), "rb", buffering=0) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        seen = os.fstat(file.fileno())
    if (seen.st_size, seen.st_mtime_ns) != (entry.size, entry.mtime_ns):
        raise ValueError("changed while it was read; try again when it is complete")
    return digest


def _without_implied(files: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Leave out the directories of which nothing is to be said but that something is in them."""
    above = {name.removesuffix("/").rpartition("/")[0] + "/" for name in files}
    return {name: entry for name, entry in files.items() if entry or name not in above}
