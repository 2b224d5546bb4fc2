"""Sources elsewhere that hold several files, as the source of a directory: a revision, a record, what is in an archive.

What a plan holds of it is one checksum over the names, sizes and checksums of all that is in it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent
from cluster_interface.model.filenames import check_links, check_names
from cluster_interface.model.filetree import MOST_MEMBERS, FileEntry, lacking
from cluster_interface.model.plan import SourceInfo
from cluster_interface.model.state import FailureCode
from cluster_interface.staging.sources import DIRECTORY, LINK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.staging.sources import Sources
    from cluster_interface.staging.sources.kinds import Member


@dataclass(frozen=True)
class Listings:
    """Lists what is in such sources."""

    sources: Sources

    def measure(self, path: str, entry: FileEntry, owner: str) -> SourceInfo:
        """List a directory's source and check what the entry requires; Permanent in words."""
        found = self._list(entry.source or "", owner)
        if problem := lacking(entry.require, (member.path for member in found if member.path[-1:] != "/")):
            raise Permanent(f"{problem} in {entry.source}", code=FailureCode.INPUT_UNAVAILABLE)
        sizes = [member.size for member in found]
        return SourceInfo(
            path=path,
            source=entry.source or "",
            size=None if None in sizes else sum(size or 0 for size in sizes),
            entries=len(found),
            manifest=_manifest(found),
        )

    def members(self, info: SourceInfo, entry: FileEntry, owner: str) -> Iterator[tuple[SourceInfo, FileEntry]]:
        """Yield what is in it as entries of the job's own tree; Permanent if that is not what was planned."""
        found = self._list(info.source, owner)
        if _manifest(found) != info.manifest:
            raise Permanent(
                f"{info.source} changed since this was planned ({info.entries} files then, {len(found)} now); "
                "submit it again",
                code=FailureCode.INPUT_UNAVAILABLE,
            )
        for member in found:
            path = info.path + member.path
            if member.target is not None:
                yield SourceInfo(path=path, source=LINK), FileEntry(target=member.target)
            elif path.endswith("/"):
                yield SourceInfo(path=path, source=DIRECTORY), FileEntry()
            else:
                made = FileEntry(source=member.source, mode=entry.mode, executable=member.executable)
                yield SourceInfo(path=path, source=member.source, size=member.size, sha256=member.sha256), made

    def _list(self, source: str, owner: str) -> list[Member]:
        found: list[Member] = []
        for member in self.sources.members(source, owner):
            found.append(member)
            if len(found) > MOST_MEMBERS:
                words = f"{source} holds more than {MOST_MEMBERS:,} files"
                raise Permanent(words, code=FailureCode.INPUT_UNAVAILABLE)
        try:
            check_names(member.path for member in found)
            check_links({member.path: member.target for member in found if member.target is not None})
        except ValueError as error:
            raise Permanent(f"{source} cannot be copied: {error}", code=FailureCode.INPUT_UNAVAILABLE) from None
        return sorted(found, key=lambda member: member.path)


def _manifest(found: list[Member]) -> str:
    digest = hashlib.sha256()
    for member in found:
        target = "" if member.target is None else f"\0{member.target}"
        digest.update(f"{member.path}\0{member.size}\0{member.sha256}\0{member.executable}{target}\n".encode())
    return digest.hexdigest()
