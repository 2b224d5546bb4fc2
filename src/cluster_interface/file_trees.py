"""File trees that are handed in to be looked at rather than run: read in any form, and their sources as far as here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cluster_interface.model.errors import ClusterError, Rejected
from cluster_interface.model.filetree import FileTree, is_local
from cluster_interface.trees.bagit import from_bag
from cluster_interface.trees.reading import from_document, from_text
from cluster_interface.wire import ProblemField, SourceView, TreeReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.model.plan import SourceInfo
    from cluster_interface.wire import ConvertRequest

LONGEST_LOOK = 10.0  #: seconds of one request


def convert(request: ConvertRequest) -> FileTree:
    """Read a tree from a document, a text, or the texts of a BagIt bag; Rejected names what is wrong with it."""
    if request.document is not None:
        files = from_document(request.document)
    elif request.text is not None:
        files = from_text(request.text)
    else:
        files = from_bag(request.manifest or "", request.fetch or "")
    return FileTree.parse({"files": files})


def look_at(
    tree: FileTree,
    checks: Sequence[Callable[[], None]],
    measure: Callable[[str, FileEntry], SourceInfo],
) -> TreeReport:
    """Say of every entry that comes from this server's filesystem how large it is, and of all what is wrong with them.

    What would take the network is left to a job.
    """
    end = time.monotonic() + LONGEST_LOOK
    problems: dict[str, str] = {}
    for check in checks:
        try:
            check()
        except Rejected as error:
            problems |= {item.field.removesuffix(".source"): item.message for item in error.problems}
    sources: list[SourceView] = []
    for path, entry in tree.files.items():
        field = f"files.{path}"
        if field in problems or entry.source is None or not is_local(entry.source):
            continue
        if time.monotonic() > end:
            return _report(sources, problems, complete=False)
        try:
            sources.append(SourceView.of(measure(path, entry)))
        except ClusterError as error:
            problems[field] = str(error).removeprefix(f"{field}: ")
    return _report(sources, problems, complete=True)


def _report(sources: list[SourceView], problems: dict[str, str], *, complete: bool) -> TreeReport:
    found = tuple(ProblemField(field=field, message=words) for field, words in problems.items())
    return TreeReport(sources=tuple(sources), problems=found, complete=complete)
