"""Members of archives on the person's own machine: `data.zip!/table.csv`, `data.tar.gz!/raw/`, `data.zip!/`.

The archive is sent once, whatever of it is wanted, and the job has the members of the upload: the same that members of
archives elsewhere are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from cluster_interface.trees.archives import Archive

MARK = "!/"


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A file in an archive here, or a directory of it; all of it where `member` is empty."""

    archive: Path
    member: str
    directory: bool
    size: int = 0  #: of a file, bytes
    executable: bool = False

    @property
    def source(self) -> str:
        """How it is written as a source, as if the server had the archive where it is here."""
        return f"file:{self.archive}{MARK}{self.member}"

    def name(self, base: Path) -> str:
        """Name it as the job sees it: as if the archive were unpacked where it lies, all of it in a directory."""
        above = self.archive.parent
        inside = self.member or f"{self.archive.name.partition('.')[0]}/"
        if above.is_relative_to(base):
            return (above.relative_to(base) / inside).as_posix() + ("/" if self.directory else "")
        return inside.rstrip("/").rpartition("/")[2] + ("/" if self.directory else "")


def find_packed(text: str, base: Path, field: str) -> Packed | None:
    """Return the member of an archive here that a path names; None if it names none.

    Rejected, naming `field`, where the archive cannot be read or has no such member.
    """
    if "!" not in text or os.path.lexists(base / text):
        return None
    from cluster_interface.trees.archives import Unfit, splits  # noqa: PLC0415 - few have archives

    for outer, member in splits(text if MARK in text else f"{text}/"):  # a Path has lost the sign at its end
        archive = Path(os.path.abspath(base / outer))  # noqa: PTH100 - links keep their names
        if archive.is_file():
            try:
                return _member(_listed(archive, archive.stat().st_mtime_ns), archive, member)
            except Unfit as error:
                raise Rejected.field(field, f"{archive} {error}") from None
            except OSError as error:
                raise Rejected.field(field, f"{archive} cannot be read: {error.strerror}") from None
    return None


def _member(found: Archive, archive: Path, member: str) -> Packed:
    member = member.strip("/")
    if member in found.sizes:
        executable = bool(found.modes[member] & 0o100)
        return Packed(archive=archive, member=member, directory=False, size=found.sizes[member], executable=executable)
    if member and member not in found.directories and not any(one.startswith(f"{member}/") for one in found.names()):
        found.must_have(member)
    found.below(member)
    return Packed(archive=archive, member=f"{member}/" if member else "", directory=True)


@lru_cache(maxsize=8)
def _listed(archive: Path, _mtime_ns: int) -> Archive:
    """List an archive; several of its members may be wanted."""
    from cluster_interface.trees.opening import list_archive  # noqa: PLC0415 - as above

    listed = list_archive(archive.open("rb"))
    listed.close()
    return listed
