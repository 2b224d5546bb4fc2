"""Bring every input of a job to inputs/: each file a source of its own, or one of many in a directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cluster_interface.model.filetree import FileEntry, Mode, is_local
from cluster_interface.model.job import Progress
from cluster_interface.staging.directories import file_path
from cluster_interface.staging.inputs import INPUTS
from cluster_interface.staging.sources import DIRECTORY, LINK, naming
from cluster_interface.trees.beneath import look, open_directory, parent
from cluster_interface.trees.names import portable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cluster_interface.model.plan import SourceInfo
    from cluster_interface.ports import Report
    from cluster_interface.staging.directories import Directories
    from cluster_interface.staging.inputs import Inputs
    from cluster_interface.staging.listings import Listings
    from cluster_interface.staging.parts import Part

    Files = Sequence[tuple[SourceInfo, FileEntry]]


class Bringing:
    """The inputs of the job whose directory is `home`, on their way."""

    def __init__(  # noqa: PLR0917 - what staging is made of
        self,
        home: int,
        files: Files,
        inputs: Inputs,
        directories: Directories,
        listings: Listings,
        owner: str,
        report: Report,
    ) -> None:
        self._home, self._files, self._inputs, self._report = home, files, inputs, report
        self._directories, self._listings, self._owner = directories, listings, owner
        sizes = [info.size for info, _ in files if info.source not in (DIRECTORY, LINK) and info.mount is None]
        self._total = None if None in sizes else sum(size or 0 for size in sizes)
        self._done = 0
        self._tree: dict[str, FileEntry] = {}

    def all(self) -> dict[str, FileEntry]:
        """Bring what is not there yet, and return the whole tree: what is in directories that were copied, too."""
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
        self._report(Progress(stage="inputs", done=self._done, total=self._total))
        return self._tree

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
            for inner, made, found in opened.members(info, entry):
                if inner.source in (DIRECTORY, LINK):
                    self._tree[inner.path] = made
                else:
                    self._file(
                        inner,
                        made,
                        lambda part, found=found: opened.bring(found, part),  # type: ignore[misc]  # binds the loop's
                        lambda path, found=found: opened.link(found, self._home, path),  # type: ignore[misc]  # as above
                    )

    def _listed(self, info: SourceInfo, entry: FileEntry) -> None:
        """Bring the files of a source elsewhere."""
        self._tree[info.path] = entry
        with naming(info.path):
            members = list(self._listings.members(info, entry, self._owner))
        for inner, made in members:
            self._file(inner, made, None, None)

    def _file(
        self,
        info: SourceInfo,
        entry: FileEntry,
        fetch: Callable[[Part], None] | None,
        link: Callable[[str], bool] | None,
    ) -> None:
        """Bring one file unless it is there."""
        self._tree[info.path] = entry
        inputs, before, note = self._inputs, self._done, portable(info.path)

        def moved(count: int) -> None:
            self._report(Progress(stage="inputs", done=before + count, total=self._total, note=note))

        linking = link if entry.mode is Mode.LINK and self._directories.rules.link else None
        if not inputs.has(info, entry) and not (linking and inputs.link(info, entry, linking)):
            inputs.bring(info, entry, moved, fetch)
        seen = look(self._home, f"{INPUTS}/{info.path}")
        self._done += seen.st_size if seen else 0


def _second_name(info: SourceInfo, entry: FileEntry, home: int) -> Callable[[str], bool] | None:
    """Return what links a single file of this machine; None where its permissions must be others than it has."""
    if not is_local(info.source) or entry.executable or entry.permissions is not None:
        return None

    def make(path: str) -> bool:
        with parent(home, path, make=True) as (place, last):
            try:
                os.link(os.path.realpath(file_path(info.source)), last, dst_dir_fd=place, follow_symlinks=False)
            except OSError:
                return False
        return True

    return make
