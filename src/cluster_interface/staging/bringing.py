"""Bring every input of a job to inputs/: each file a source of its own, or one of many in a directory."""

from __future__ import annotations

import os
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from cluster_interface.model.filetree import FileEntry, Mode, is_local
from cluster_interface.model.plan import SourceInfo
from cluster_interface.staging.addresses import shown
from cluster_interface.staging.directories import file_path
from cluster_interface.staging.inputs import INPUTS, Staged
from cluster_interface.staging.movement import Movement
from cluster_interface.staging.parts import CHUNK
from cluster_interface.staging.sharing import batched, processors, shared
from cluster_interface.staging.sources import CONTENT, DIRECTORY, LINK, naming
from cluster_interface.staging.together import together
from cluster_interface.trees.beneath import look, open_directory, parent
from cluster_interface.trees.names import QUOTE, native, portable
from cluster_interface.trees.walking import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from cluster_interface.ports import Report
    from cluster_interface.staging.directories import Directories
    from cluster_interface.staging.inputs import Inputs
    from cluster_interface.staging.listings import Listings
    from cluster_interface.staging.opened import Opened
    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.tasks import Tasks
    from cluster_interface.trees.beneath import At, Kept
    from cluster_interface.trees.walking import Entry

    Files = Sequence[tuple[SourceInfo, FileEntry]]
    Member = tuple[
        str, FileEntry, Entry
    ]  #: a path in the job's tree, what it is there, and what it is in its directory


SMALL = CHUNK  #: bytes of a file in a directory that is read and written at once
BATCH = 256  #: small files that are brought and noted together

_NEAR = (CONTENT, "upload", "file", "site")  #: what is here already


class Bringing:
    """The inputs of the job whose directory is `home`, on their way."""

    def __init__(  # noqa: PLR0917 - what staging is made of
        self,
        home: Kept,
        files: Files,
        inputs: Inputs,
        tasks: Tasks,
        directories: Directories,
        listings: Listings,
        owner: str,
        report: Report,
        *,
        threads: int = 1,
        become: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        files = [_native(info, entry) for info, entry in files]
        self._home, self._files, self._inputs, self._tasks = home, files, inputs, tasks
        self._directories, self._listings, self._owner = directories, listings, owner
        self._threads, self._become = threads, become
        self._away: list[tuple[SourceInfo, FileEntry]] = []
        sizes = [info.size for info, _ in files if info.source not in (DIRECTORY, LINK) and info.mount is None]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        files_ = sum(info.source not in (DIRECTORY, LINK) and not info.path.endswith("/") for info, _ in files)
        self._movement = Movement(report, files_, total)
        self._tree: dict[str, FileEntry] = {}

    def all(self) -> dict[str, FileEntry]:
        """Bring what is not there yet, and return the whole tree: what is in directories that were copied, too.

        It counts as in place once the inputs are settled.
        """
        os.close(open_directory(self._home, INPUTS, make=True))
        for info, entry in self._files:
            if info.source in (DIRECTORY, LINK):
                self._tree[info.path] = entry
            elif not info.path.endswith("/"):
                self._file(info, entry, None, _second_name(info, entry, self._home))
            elif is_local(info.source) or info.mount is not None:
                self._directory(info, entry)
            else:
                self._listed(info, entry)
        self._bring_away()
        self._inputs.begin_to_settle()
        self._movement.close()
        return self._tree

    def _bring_away(self) -> None:
        """Bring what comes from elsewhere: what was downloaded before at once, the rest several at a time.

        The first that fails stops the rest.
        """
        works = []
        for files in batched(self._away, BATCH):
            for (info, entry), size in zip(files, self._inputs.take(files), strict=True):
                if size is None:
                    works.append(partial(self._bring, info, entry, None))
                else:
                    self._movement.end(portable(info.path), size)
        together(works, self._threads, self._become)

    def _directory(self, info: SourceInfo, entry: FileEntry) -> None:
        """Bring what is in a directory of this machine, or see that what is mounted is as it was."""
        with naming(info.path):
            opened = self._directories.open(info, entry)
        with opened:
            if info.mount is not None:
                target = file_path(info.source) if is_local(info.source) else info.mount
                self._tree[info.path.removesuffix("/")] = FileEntry.model_construct(target=target)
                return
            self._tree[info.path] = entry
            within = info.source.rstrip("/")
            small: list[Member] = []
            large: list[Member] = []
            for path, made, found in opened.members(info, entry):
                self._tree[path] = made
                if found.kind is Kind.FILE:
                    group = small if found.size <= min(SMALL, self._inputs.limit) else large
                    group.append((path, made, found))
            self._movement.more(len(small) + len(large))
            for path, made, found in large:
                self._file(
                    SourceInfo(path=path, source=f"{within}/{found.path}", size=found.size),
                    made,
                    partial(opened.bring, found),
                    lambda path, found=found: opened.link(found, self._home, path) is not None,  # type: ignore[misc]  # binds the loop's
                )
            linked = entry.mode is Mode.LINK and self._directories.rules.link
            self._small(opened, within, info.path, small, linked=linked)

    def _small(self, opened: Opened, within: str, top: str, files: Sequence[Member], *, linked: bool) -> None:
        """Bring small files of a directory, each at once to its place, and to the task's; they count when noted."""
        missing = []
        for path, made, found in files:
            if self._inputs.holds(path, f"{within}/{found.path}", found.mode & 0o777, found.size):
                self._movement.end(portable(path), found.size)
            else:
                missing.append((path, made, found))

        def note(batch: Sequence[Member], brought: Sequence[tuple[str, int]]) -> None:
            self._inputs.note(
                Staged(path, f"{within}/{found.path}", found.size, sha256, mtime_ns, found.mode & 0o777)
                for (path, _, found), (sha256, mtime_ns) in zip(batch, brought, strict=True)
            )
            self._tasks.note(path for path, _, _ in batch)
            self._movement.end(portable(batch[-1][0]), sum(found.size for _, _, found in batch), len(batch))

        def place(batch: Sequence[Member]) -> list[tuple[str, int]]:
            brought = opened.place([found for _, _, found in batch], self._home, top, linked=linked)
            self._tasks.put((path, made) for path, made, _ in batch)
            return brought

        shared(batched(missing, BATCH), place, note, processors(self._threads))

    def _listed(self, info: SourceInfo, entry: FileEntry) -> None:
        """Bring the files of a source elsewhere."""
        self._tree[info.path] = entry
        with naming(info.path):
            members = [_native(inner, made) for inner, made in self._listings.members(info, entry, self._owner)]
        self._tree.update((inner.path, made) for inner, made in members)
        files = [(inner, made) for inner, made in members if inner.source not in (DIRECTORY, LINK)]
        self._movement.more(len(files))
        for inner, made in files:
            self._file(inner, made, None, None)

    def _file(
        self,
        info: SourceInfo,
        entry: FileEntry,
        fetch: Callable[[Part], None] | None,
        link: Callable[[str], bool] | None,
    ) -> None:
        """Bring one file unless it is there; what comes over the network waits for its turn among the others."""
        self._tree[info.path] = entry
        linking = link if entry.mode is Mode.LINK and self._directories.rules.link else None
        if self._inputs.has(info, entry) or (linking and self._inputs.link(info, entry, linking)):
            seen = look(self._home, f"{INPUTS}/{info.path}")
            self._movement.end(portable(info.path), seen.st_size if seen else 0)
        elif fetch is None and info.source.partition(":")[0] not in _NEAR:
            self._away.append((info, entry))
        else:
            self._bring(info, entry, fetch)

    def _bring(self, info: SourceInfo, entry: FileEntry, fetch: Callable[[Part], None] | None) -> None:
        moved = self._movement.begin(portable(info.path), portable(shown(info.source)), info.size)
        self._movement.end(portable(info.path), self._inputs.bring(info, entry, moved, fetch))


def _native(info: SourceInfo, entry: FileEntry) -> tuple[SourceInfo, FileEntry]:
    """Name an entry as the operating system does: in a plan, names that are no UTF-8 are in their portable form."""
    if QUOTE in info.path:
        info = info.model_copy(update={"path": native(info.path)})
    if entry.target is not None and QUOTE in entry.target:
        entry = entry.model_copy(update={"target": native(entry.target)})
    return info, entry


def _second_name(info: SourceInfo, entry: FileEntry, home: At) -> Callable[[str], bool] | None:
    """Return what links a single file of this machine; None where its permissions must be others than it has."""
    if not is_local(info.source) or entry.executable or entry.permissions is not None:
        return None

    def make(path: str) -> bool:
        with parent(home, path, make=True) as (place, last):
            try:
                os.link(os.path.realpath(native(file_path(info.source))), last, dst_dir_fd=place, follow_symlinks=False)
            except OSError:
                return False
        return True

    return make
