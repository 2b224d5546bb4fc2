"""One folder of a job's outputs as a page shows it: the way to it, what is in it, and the way on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.errors import NotFound
from cluster_interface.wire import FolderView

if TYPE_CHECKING:
    from cluster_interface.service import Service
    from cluster_interface.web.tasks import Tasks
    from cluster_interface.wire import JobView

ROWS = 100
TASKS = 20  #: folders of tasks, which have a table of their own on the page


@dataclass(frozen=True, kw_only=True)
class Crumb:
    """One folder above, and where it is."""

    name: str
    place: str


@dataclass(frozen=True, kw_only=True)
class Folder:
    """What the page shows of a folder."""

    view: FolderView
    crumbs: tuple[Crumb, ...]  #: the folders from the top to this one
    start: int  #: the first entry shown
    before: int | None  #: where the page before begins
    whole: bool  #: nobody asked for one folder: what is fetched from here is everything

    @property
    def files(self) -> int:
        """How many files there are here and below; of what takes several pages, how many entries."""
        if self.start or self.view.next is not None:
            return self.view.entries
        return self.view.entries - len(self.view.folders) + sum(folder.files for folder in self.view.folders)

    @property
    def end(self) -> int:
        """One past the last entry shown."""
        return self.start + len(self.view.folders) + len(self.view.outputs)


def folder_of(service: Service, user: str, job: JobView, tasks: Tasks | None, query: dict[str, str]) -> Folder:
    """Read one page of a folder: the one asked for, or that of the chosen task, which may have left nothing.

    Where nobody asked and all outputs are in one folder, that is shown at once.
    """
    place = query.get("in", str(tasks.chosen) if tasks and tasks.picked else "").strip("/")
    asked = query.get("from", "")
    start = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 0
    rows = TASKS if tasks and not place else ROWS
    try:
        view = service.outputs.folder(user, job.id, place, start, rows)
    except NotFound:
        if "in" in query:
            raise
        view = FolderView(place=place, folders=(), outputs=(), entries=0, next=None)
    if not tasks and "in" not in query:
        while len(view.folders) == view.entries == 1:
            view = service.outputs.folder(user, job.id, view.folders[0].place, start, ROWS)
    parts = view.place.split("/") if view.place else []
    crumbs = tuple(Crumb(name=part, place="/".join(parts[: n + 1])) for n, part in enumerate(parts))
    before = max(0, start - rows) if start else None
    return Folder(view=view, crumbs=crumbs, start=start, before=before, whole=not place)
