"""The use cases on what a job left behind: list, browse, look at, download; and links for those without an account."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from cluster_interface.model.amounts import show_time
from cluster_interface.model.errors import Conflict, NotFound, Rejected
from cluster_interface.service.browsing import chosen, folder
from cluster_interface.service.gathering import gather, task_table
from cluster_interface.service.previews import preview
from cluster_interface.store import jobs, links
from cluster_interface.store import outputs as rows
from cluster_interface.store.roll import Roll
from cluster_interface.wire import LinkView, OutputView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from cluster_interface.model.job import Job, Link, OutputFile
    from cluster_interface.ports import Form, Stager
    from cluster_interface.settings import Sharing
    from cluster_interface.store import Store
    from cluster_interface.wire import FolderView, PreviewView, ShareRequest

MOST_TABLES = 8
MOST_LINKS = 100  #: of one job at a time
NO_LINK = "there is nothing here: the address is mistyped, or the link has expired or was taken back"


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An output that is open for reading, as it is now."""

    output: OutputFile
    file: BinaryIO
    size: int  #: bytes
    mtime: float
    tag: str  #: names these bytes: another file, or a changed one, has another


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What a link leads to, for whoever has it."""

    name: str
    files: int
    size: int
    expires: float
    left: int | None  #: downloads


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What people can do with outputs. `user` is who asks, already authenticated."""

    store: Store
    stager: Stager
    sharing: Sharing

    def listed(self, user: str, job: str) -> list[OutputView]:
        """List all of them."""
        with self.store.read() as db:
            found = jobs.get(db, user, job)
            return [OutputView.of(output, by_task=found.by_task) for output in jobs.outputs(db, found.id)]

    def folder(self, user: str, job: str, place: str, start: int, limit: int) -> FolderView:
        """Show one page of a folder."""
        with self.store.read() as db:
            return folder(db, jobs.get(db, user, job), place, start=start, limit=limit)

    def tables(self, user: str, job: str) -> list[str]:
        """Name the tables that more than one task left, and that can be gathered."""
        with self.store.read() as db:
            return rows.tables(db, jobs.get(db, user, job).id, MOST_TABLES)

    def opened(self, user: str, job: str, task: int, path: str) -> Opened:
        """Open one; NotFound for anything that is not in the list."""
        with self.store.read() as db:
            found = jobs.get(db, user, job)
            output = rows.find(db, found.id, task, path)
        if output is None:
            raise NotFound(f"job {job} has no output {path!r}")
        return self._open(found, output)

    def preview(self, user: str, job: str, task: int, path: str, offset: int | None) -> PreviewView:
        """Show what can be looked at of one, text from `offset` (negative: from the end)."""
        found = self.opened(user, job, task, path)
        with found.file:
            return preview(path, found.file, found.size, offset)

    def archive(self, user: str, job: str, place: str, form: Form) -> tuple[str, Iterator[bytes]]:
        """Stream what is at a place (empty: everything) as one archive; return also what to call it."""
        with self.store.read() as db:
            found = jobs.get(db, user, job)
            _must_be_kept(found)
            files = list(chosen(db, found, place))
        if place and not files:
            raise NotFound(f"job {job} has no outputs in {place!r}")
        name = place.strip("/").rpartition("/")[2] if place.strip("/") else found.id
        return f"{name}.{form}", self.stager.archive(found.id, files, form)

    def gather(self, user: str, job: str, path: str) -> Iterator[bytes]:
        """Stream the tables of this name of all completed tasks as one, with the parameters as leading columns."""
        with self.store.read() as db:
            found = jobs.get(db, user, job)
            _must_be_kept(found)

        def opened(file: OutputFile) -> BinaryIO:
            return self.stager.open_output(found.id, file.task, file.path)

        return gather(lambda: rows.of_completed(self.store, found.id), path, opened)

    def task_table(self, user: str, job: str) -> Iterator[bytes]:
        """Stream a table of a job's tasks: their parameters, how they ended and what they took."""
        with self.store.read() as db:
            found = jobs.get(db, user, job)
        return task_table(Roll(self.store, found.id))

    # --- links

    def share(self, user: str, job: str, request: ShareRequest) -> tuple[LinkView, str]:
        """Make a link to a file, a folder or everything; return it and its token, which nobody can ask for again.

        NotFound where the files are gone: a link to them would lead nowhere.
        """
        if not self.sharing.enabled:
            raise Conflict("this site does not allow links for people without an account")
        if request.expires > self.sharing.longest:
            words = f"is longer than the {show_time(self.sharing.longest)} that links may live here"
            raise Rejected.field("expires", words)
        place = request.path.strip("/")
        with self.store.write() as db:
            found = jobs.get(db, user, job)
            _must_be_kept(found)
            if next(chosen(db, found, place), None) is None:
                raise Rejected.field("path", f"job {job} has no output or folder {request.path!r}")
            if len(links.of_job(db, found.id)) >= MOST_LINKS:
                raise Conflict(f"job {job} has {MOST_LINKS} links already; take some back")
            link, token = links.add(
                db, owner=found.owner, group=found.group, job=found.id, path=place,
                seconds=request.expires, most=request.most,
            )  # fmt: skip
        return LinkView.of(link), token

    def links(self, user: str, job: str) -> list[LinkView]:
        """List the links of a job that are still good."""
        with self.store.read() as db:
            return [LinkView.of(link) for link in links.of_job(db, jobs.get(db, user, job).id)]

    def revoke(self, user: str, job: str, link: str) -> None:
        """Take a link back at once, downloads that it began included; NotFound if there is none."""
        with self.store.write() as db:
            if not links.revoke(db, jobs.get(db, user, job).id, link):
                raise NotFound(f"job {job} has no link {link[:40]!r}")

    def shared(self, token: str) -> Shared:
        """Show what a link leads to; NotFound, always in the same words, for one that is not good."""
        with self.store.read() as db:
            link = links.find(db, token)
            job = self._linked(db, link)
            files = list(chosen(db, job, link.path)) if link else []
        if link is None or not files:
            raise NotFound(NO_LINK)
        name = link.path.rpartition("/")[2] or job.name
        left = None if link.most is None else link.most - link.downloads
        size = sum(file.size for _, file in files)
        return Shared(name=name, files=len(files), size=size, expires=link.expires, left=left)

    def click(self, token: str) -> str:
        """Count a download and return the ticket for it; NotFound as `shared` does."""
        self.shared(token)
        with self.store.write() as db:
            ticket = links.click(db, token)
        if ticket is None:
            raise NotFound(NO_LINK)
        return ticket

    def handed(self, ticket: str) -> Opened | tuple[str, Iterator[bytes]]:
        """Open what a ticket is for: one file, or a folder as (name, chunks of a zip); NotFound as above."""
        with self.store.read() as db:
            link = links.of_ticket(db, ticket)
            job = self._linked(db, link)
            files = list(chosen(db, job, link.path)) if link else []
        if link is None or not files:
            raise NotFound(NO_LINK)
        _, first = files[0]
        if len(files) == 1 and link.path == first.place(by_task=job.by_task):
            return self._open(job, first)
        return f"{link.path.rpartition('/')[2] or job.id}.zip", self.stager.archive(job.id, files, "zip")

    # --- parts

    def _linked(self, db: Connection, link: Link | None) -> Job:
        found = jobs.find(db, link.owner, link.job) if link else None
        if found is None or found.removed is not None:
            raise NotFound(NO_LINK)
        return found

    def _open(self, job: Job, output: OutputFile) -> Opened:
        _must_be_kept(job)
        file = self.stager.open_output(job.id, output.task, output.path)
        seen = os.fstat(file.fileno())
        tag = f"{output.sha256[:16]}-{seen.st_size:x}-{seen.st_mtime_ns:x}"
        return Opened(output=output, file=file, size=seen.st_size, mtime=seen.st_mtime, tag=tag)


def _must_be_kept(job: Job) -> None:
    if job.removed is not None:
        raise NotFound(f"the files of job {job.id} were removed; rerun it to have them again")
