"""The outputs of a job as a tree of folders, one page of one folder at a time.

A place is a path in that tree: the output's own, and in a sweep the number of its task before it (`3/results/top.txt`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.model.errors import NotFound
from cluster_interface.store import outputs
from cluster_interface.wire import FolderEntry, FolderView, OutputView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from cluster_interface.model.job import Job, OutputFile


def folder(db: Connection, job: Job, place: str, *, start: int, limit: int) -> FolderView:
    """Show a folder, folders first, from its entry number `start`; NotFound if there is nothing below it."""
    place = place.strip("/")
    folders, task, files = _contents(db, job, place)
    if place and not folders and not files:
        raise NotFound(f"job {job.id} has no outputs in {place!r}")
    end = start + limit
    entries = len(folders) + len(files)
    wanted = [(task, path) for path in files[max(0, start - len(folders)) : max(0, end - len(folders))]]
    found = outputs.some(db, job.id, wanted)
    return FolderView(
        place=place,
        folders=tuple(folders[start:end]),
        outputs=tuple(OutputView.of(found[key], by_task=job.by_task) for key in wanted if key in found),
        entries=entries,
        next=end if end < entries else None,
    )


def _contents(db: Connection, job: Job, place: str) -> tuple[list[FolderEntry], int, list[str]]:
    """Return the folders in a folder, its task, and the paths of its files, all in order."""
    if job.by_task and not place:
        tasks = outputs.sizes_by_task(db, job.id)
        return [FolderEntry(name=str(n), place=str(n), files=files, size=size) for n, files, size in tasks], 0, []
    task, prefix = split(job, f"{place}/" if place else "")
    folders: dict[str, tuple[int, int]] = {}
    files: list[str] = []
    for path, size in outputs.sizes(db, job.id, task, prefix):
        name, below, _ = path[len(prefix) :].partition("/")
        if below:
            count, total = folders.get(name, (0, 0))
            folders[name] = (count + 1, total + size)
        else:
            files.append(path)
    above = f"{place}/" if place else ""
    entries = [FolderEntry(name=name, place=above + name, files=n, size=size) for name, (n, size) in folders.items()]
    return sorted(entries, key=lambda entry: entry.name), task, sorted(files)


def split(job: Job, place: str) -> tuple[int, str]:
    """Take a place apart into task and path; NotFound if a sweep's place begins with no number."""
    if not job.by_task:
        return 0, place
    task, _, path = place.partition("/")
    if not task.isascii() or not task.isdigit() or len(task) > 9:
        raise NotFound(f"job {job.id} has no output {place!r}")
    return int(task), path


def chosen(db: Connection, job: Job, place: str) -> Iterator[tuple[str, OutputFile]]:
    """Yield what is at a place (a file, a folder; empty: everything), each under its name in an archive of that.

    A folder keeps its own name: that of `results/plots` holds `plots/fit.png`.
    """
    place = place.strip("/")
    if not place:
        found = outputs.beneath(db, job.id, None, "")
        yield from ((file.place(by_task=job.by_task), file) for file in found)
        return
    task, path = split(job, place)
    if file := outputs.find(db, job.id, task, path):
        yield file.path.rpartition("/")[2], file
        return
    above = len(place.rpartition("/")[0])
    cut = above + 1 if above else 0
    for file in outputs.beneath(db, job.id, task, f"{path}/" if path else ""):
        yield file.place(by_task=job.by_task)[cut:], file
