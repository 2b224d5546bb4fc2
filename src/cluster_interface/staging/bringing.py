"""Bring every input of a job to inputs/: each file a source of its own, or one of many in a directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cluster_interface.model.filetree import FileEntry, Mode
from cluster_interface.model.job import Progress
from cluster_interface.staging.directories import file_path
from cluster_interface.staging.inputs import INPUTS, Inputs
from cluster_interface.staging.sources import DIRECTORY, LINK, naming
from cluster_interface.trees.beneath import look, open_directory, parent
from cluster_interface.trees.names import portable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cluster_interface.model.plan import SourceInfo
    from cluster_interface.ports import Report
    from cluster_interface.staging.directories import Directories
    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.sources import Sources


def bring(  # noqa: PLR0917 - what staging is made of
    home: int,
    files: Sequence[tuple[SourceInfo, FileEntry]],
    sources: Sources,
    directories: Directories,
    limit: int,
    report: Report,
) -> dict[str, FileEntry]:
    """Bring what is not there yet, and return the whole tree: what is in directories that were copied, too."""
    os.close(open_directory(home, INPUTS, make=True))
    bringing = _Bringing(Inputs(home, sources, limit), directories, home, files, report)
    for info, entry in files:
        bringing.one(info, entry)
    report(Progress(stage="inputs", done=bringing.done, total=bringing.total))
    return bringing.tree


class _Bringing:
    def __init__(
        self,
        inputs: Inputs,
        directories: Directories,
        home: int,
        files: Sequence[tuple[SourceInfo, FileEntry]],
        report: Report,
    ) -> None:
        sizes = [info.size for info, entry in files if info.source not in (DIRECTORY, LINK) and info.mount is None]
        self.total = None if None in sizes else sum(size or 0 for size in sizes)
        self.done = 0
        self.tree: dict[str, FileEntry] = {}
        self._inputs, self._directories, self._home, self._report = inputs, directories, home, report

    def one(self, info: SourceInfo, entry: FileEntry) -> None:
        """Bring one entry of the spec."""
        self.tree[info.path] = entry
        if info.source in (DIRECTORY, LINK):
            return
        if not info.path.endswith("/"):
            self._file(info, entry, None, _second_name(info, entry, self._home))
            return
        with naming(info.path):
            opened = self._directories.open(info, entry)
        with opened:
            if info.mount is None:
                for inner, made, found in opened.members(info, entry):
                    self.tree[inner.path] = made
                    if inner.source not in (DIRECTORY, LINK):
                        self._file(
                            inner,
                            made,
                            lambda part, found=found: opened.bring(found, part),  # type: ignore[misc]  # binds the loop's
                            lambda path, found=found: opened.link(found, self._home, path),  # type: ignore[misc]
                        )

    def _file(
        self,
        info: SourceInfo,
        entry: FileEntry,
        fetch: Callable[[Part], None] | None,
        link: Callable[[str], bool] | None,
    ) -> None:
        """Bring one file unless it is there."""
        inputs, before, note = self._inputs, self.done, portable(info.path)

        def moved(count: int) -> None:
            self._report(Progress(stage="inputs", done=before + count, total=self.total, note=note))

        linking = link if entry.mode is Mode.LINK and self._directories.rules.link else None
        if not inputs.has(info, entry) and not (linking and inputs.link(info, entry, linking)):
            inputs.bring(info, entry, moved, fetch)
        seen = look(self._home, f"{INPUTS}/{info.path}")
        self.done += seen.st_size if seen else 0


def _second_name(info: SourceInfo, entry: FileEntry, home: int) -> Callable[[str], bool] | None:
    """Return what links a single file of this machine; None where its permissions must be others than it has."""
    if not info.source.startswith("file:") or entry.executable or entry.permissions is not None:
        return None

    def make(path: str) -> bool:
        with parent(home, path, make=True) as (place, last):
            try:
                os.link(os.path.realpath(file_path(info.source)), last, dst_dir_fd=place, follow_symlinks=False)
            except OSError:
                return False
        return True

    return make
