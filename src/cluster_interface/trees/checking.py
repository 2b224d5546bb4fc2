"""Compare a directory with a file tree."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.filenames import LONGEST_PATH
from cluster_interface.model.filetree import lacking
from cluster_interface.trees.describing import checksum, open_root, read_link
from cluster_interface.trees.listing import Ignored
from cluster_interface.trees.names import portable
from cluster_interface.trees.walking import Kind, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cluster_interface.model.filetree import FileEntry, FileTree
    from cluster_interface.trees.walking import Entry

_WORDS = {Kind.FILE: "a file", Kind.DIRECTORY: "a directory", Kind.LINK: "a link", Kind.OTHER: "a fifo or a device"}


@dataclass(frozen=True, kw_only=True)
class Differences:
    """How a directory differs from a tree."""

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    changed: tuple[tuple[str, str], ...] = ()  #: name, and in what

    def __bool__(self) -> bool:
        return bool(self.missing or self.extra or self.changed)


def check(
    tree: FileTree,
    directory: Path,
    *,
    checksums: bool = True,
    everything: bool = False,
    progress: Callable[[str, int], None] | None = None,
) -> Differences:
    """Compare `directory` with a tree: kinds, sizes, permissions, links, SHA-256 where known, required patterns.

    What .gitignore and .clusterignore name is no extra, unless `everything` is asked about; nor is what is in a
    directory that has a source. Raises Rejected if the directory cannot be read.
    """
    root = open_root(directory)
    try:
        comparing = _Comparing(tree, root, checksums=checksums, ignored=None if everything else Ignored(root))
        return comparing.run(progress)
    finally:
        os.close(root)


class _Comparing:
    """Goes through a directory once."""

    def __init__(self, tree: FileTree, root: int, *, checksums: bool, ignored: Ignored | None) -> None:
        self._root, self._checksums, self._ignored = root, checksums, ignored
        self._wanted = {name.removesuffix("/"): (name, entry) for name, entry in tree.files.items()}
        self._implied = {above for path in self._wanted for above in _above(path)}
        self._filled = {path for path, (name, entry) in self._wanted.items() if name[-1] == "/" and entry.source}
        self._seen: dict[str, list[str]] = {path: [] for path, (_, entry) in self._wanted.items() if entry.require}
        self._missing = set(self._wanted)
        self._extra: list[str] = []
        self._changed: list[tuple[str, str]] = []

    def run(self, progress: Callable[[str, int], None] | None) -> Differences:
        for entry in walk(self._root, deepest=LONGEST_PATH):
            path = portable(entry.path)
            self._count(path, entry)
            self._compare(path, entry)
            if progress and path in self._wanted:
                progress(path, entry.size)
        for path, names in self._seen.items():
            if why := lacking(self._wanted[path][1].require, names):
                self._changed.append((path, why))
        missing = sorted(self._wanted[path][0] for path in self._missing)
        return Differences(missing=tuple(missing), extra=tuple(self._extra), changed=tuple(self._changed))

    def _compare(self, path: str, entry: Entry) -> None:
        if path in self._wanted:
            self._missing.discard(path)
            if why := _difference(self._root, entry, self._wanted[path], checksums=self._checksums):
                self._changed.append((path, why))
        elif path in self._implied:
            if entry.kind is not Kind.DIRECTORY:
                self._changed.append((path, f"is {_WORDS.get(entry.kind, 'unreadable')}, not a directory"))
        elif self._is_extra(path, entry):
            self._extra.append(path + ("/" if entry.kind is Kind.DIRECTORY else ""))

    def _count(self, path: str, entry: Entry) -> None:
        """Note a file for the directories that require some."""
        for above in _above(path) if self._seen and entry.kind is Kind.FILE else ():
            if above in self._seen:
                self._seen[above].append(path.removeprefix(f"{above}/"))

    def _is_extra(self, path: str, entry: Entry) -> bool:
        if entry.kind is Kind.UNREADABLE or (self._filled and not self._filled.isdisjoint(_above(path))):
            return False
        return not _is_ignored(self._ignored, entry)


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _is_ignored(ignored: Ignored | None, entry: Entry) -> bool:
    """Say whether an entry or a directory it lies in is ignored."""
    if ignored is None:
        return False
    return any(ignored(above, Kind.DIRECTORY) for above in _above(entry.path)) or ignored(entry.path, entry.kind)


def _difference(root: int, found: Entry, named: tuple[str, FileEntry], *, checksums: bool) -> str | None:
    name, entry = named
    wanted = Kind.DIRECTORY if name.endswith("/") else Kind.LINK if entry.target is not None else Kind.FILE
    if found.kind is not wanted:
        return f"is {_WORDS.get(found.kind, 'unreadable')}, not {_WORDS[wanted]}"
    try:
        if wanted is Kind.LINK:
            target = portable(read_link(root, found.path))
            return None if target == entry.target else f"leads to {target}, not {entry.target}"
        return _content(root, found, entry, checksums=checksums) or _permissions(found, name, entry)
    except (OSError, ValueError) as error:
        return f"cannot be read: {error}"


def _content(root: int, found: Entry, entry: FileEntry, *, checksums: bool) -> str | None:
    if found.kind is not Kind.FILE:
        return None
    data = None if entry.content is None else entry.content.encode()
    size = entry.size if data is None else len(data)
    if size is not None and found.size != size:
        return f"has {found.size} bytes, not {size}"
    sha256 = entry.sha256 if data is None else hashlib.sha256(data).hexdigest()
    if checksums and sha256 is not None and (has := checksum(root, found)) != sha256:
        return f"has the SHA-256 {has}, not {sha256}"
    return None


def _permissions(found: Entry, name: str, entry: FileEntry) -> str | None:
    """Compare permissions where the tree says something of them: a file's, always; of a directory with a source, no."""
    if name.endswith("/") and entry.permissions is None and entry.source is not None:
        return None
    wanted = entry.bits(directory=name.endswith("/"))
    has = found.mode & 0o777
    return None if has == wanted else f"has permissions {has:04o}, not {wanted:04o}"
