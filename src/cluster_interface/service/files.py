"""File trees looked at before any job runs, and where files can come from: directories here, uploads, shared data."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cluster_interface.model.errors import ClusterError, Permanent, Rejected
from cluster_interface.model.filetree import FileTree, is_local
from cluster_interface.trees.bagit import from_bag
from cluster_interface.trees.reading import from_document, from_text
from cluster_interface.wire import (
    DirectoryEntry,
    DirectoryPage,
    KnownUpload,
    KnownUploads,
    ProblemField,
    RepositoryView,
    SiteDataView,
    SourceView,
    TreeReport,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.ports import Identity, Stager, Uploads
    from cluster_interface.service.intake import Intake
    from cluster_interface.settings import SharedData
    from cluster_interface.wire import ConvertRequest, KnownRequest

LONGEST_LOOK = 10.0  #: seconds of one request


@dataclass(frozen=True, kw_only=True)
class Files:
    """What people can do with files that no job has yet. `user` is who asks, already authenticated."""

    stager: Stager
    identity: Identity
    intake: Intake
    uploads: Uploads
    shared: Mapping[str, SharedData]

    @staticmethod
    def convert(request: ConvertRequest) -> FileTree:
        """Read a tree from a document, a text, or the texts of a BagIt bag; Rejected names what is wrong with it."""
        if request.document is not None:
            files = from_document(request.document)
        elif request.text is not None:
            files = from_text(request.text)
        else:
            files = from_bag(request.manifest or "", request.fetch or "")
        return FileTree.parse({"files": files})

    def check(self, user: str, tree: FileTree) -> TreeReport:
        """Say how large each entry of this server's filesystem is, and of all what is wrong with them.

        It looks as the user. What would take the network is left to a job.
        """
        account = self.identity.account(user)
        end = time.monotonic() + LONGEST_LOOK
        problems = self._refused(user, tree)
        sources: list[SourceView] = []
        for path, entry in tree.files.items():
            field = f"files.{path}"
            if field in problems or entry.source is None or not is_local(entry.source):
                continue
            if time.monotonic() > end:
                return _report(sources, problems, complete=False)
            try:
                sources.append(SourceView.of(self.stager.look_at(account, path, entry)))
            except ClusterError as error:
                problems[field] = str(error).removeprefix(f"{field}: ")
        return _report(sources, problems, complete=True)

    def repository(self, user: str, source: str) -> RepositoryView:
        """Fetch the commit that `git:URL[@REVISION]` names now, as the user; Rejected says why that cannot be."""
        try:
            found = self.stager.repository(self.identity.account(user), user, source)
        except Permanent as error:
            raise Rejected.field("source", str(error)) from None
        return RepositoryView(source=found.source, files=found.files, texts=found.texts, left_out=found.left_out)

    def _refused(self, user: str, tree: FileTree) -> dict[str, str]:
        problems: dict[str, str] = {}
        checks = (self.intake.check_addresses, partial(self.intake.check_uploads, user), self.intake.check_mounts)
        for check in checks:
            try:
                check(tree)
            except Rejected as error:
                problems |= {item.field.removesuffix(".source"): item.message for item in error.problems}
        return problems

    def list_directory(self, user: str, path: str, after: str, limit: int) -> DirectoryPage:
        """List a directory of the server's own filesystem as the user, in order of names."""
        entries, more = self.stager.list_directory(self.identity.account(user), path, after, limit)
        return DirectoryPage(entries=tuple(map(DirectoryEntry.of, entries)), next=more)

    def known_uploads(self, user: str, request: KnownRequest) -> KnownUploads:
        """Say which of these files a person has sent before, at least in part."""
        found = [(file.sha256, self.uploads.known(user, file.size, file.sha256)) for file in request.files]
        return KnownUploads(
            uploads=tuple(
                KnownUpload(sha256=sha256, upload=upload.id, offset=upload.offset) for sha256, upload in found if upload
            )
        )

    def shared_data(self, user: str) -> list[SiteDataView]:
        """List the site's shared data that a person may read."""
        return [
            SiteDataView(
                name=name,
                source=f"site:{name}",
                path=str(data.path),
                version=data.version,
                license=data.license,
                description=data.description,
            )
            for name, data in sorted(self.shared.items())
            if data.may_read(user)
        ]


def _report(sources: list[SourceView], problems: dict[str, str], *, complete: bool) -> TreeReport:
    found = tuple(ProblemField(field=field, message=words) for field, words in problems.items())
    return TreeReport(sources=tuple(sources), problems=found, complete=complete)
