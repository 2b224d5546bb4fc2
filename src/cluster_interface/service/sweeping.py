"""What a sweep over files goes through: the names in a job's tree, and in the directories here that it takes."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Rejected
from cluster_interface.model.patterns import matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.model.job import Account
    from cluster_interface.ports import Stager

LONGEST_LOOK = 20.0  #: seconds to list directories, inside what a client waits for an answer
_PART = 10_000  #: entries listed at a time
_SIGN = re.compile(r"[*?[]")
_FIELD = "sweep.files"


def names_for(pattern: str, files: Mapping[str, FileEntry], stager: Stager, account: Account, user: str) -> list[str]:
    """Return the names that a sweep's pattern may choose from: the tree's own, and those it chooses in directories.

    Directories are listed as the account. Rejected where one cannot be, is too large, or is not on this machine.
    """
    end = time.monotonic() + LONGEST_LOOK
    found = set(files)
    for path, entry in files.items():
        if entry.source is None or not path.endswith("/") or not may_reach(pattern, path):
            continue
        try:
            place = stager.place(entry.source, user)
        except Rejected as error:
            raise Rejected.field(f"files.{path}", error.problems[0].message) from None
        if place is None:
            words = f"{pattern!r} would look into {path}, which is not here before the job begins; name the files in a "
            raise Rejected.field(_FIELD, f"{words}table (sweep.table), or give {path} as a directory of this machine")
        found.update(_within(pattern, path, str(place), stager, account, end))
    return sorted(found)


def _within(  # noqa: PLR0917 - where it looks, as whom and for how long
    pattern: str, path: str, place: str, stager: Stager, account: Account, end: float
) -> Iterator[str]:
    """Yield what the pattern chooses below `path`, the tree's name of the directory `place`."""
    waiting = [""]
    while waiting:
        below, after = waiting.pop(), ""
        more: str | None = ""
        while more is not None:
            if time.monotonic() > end:
                words = f"{pattern!r}: {path} has too much in it to be listed at once; write a pattern with the names "
                raise Rejected.field(_FIELD, f"{words}of directories, or name the files in a table (sweep.table)")
            try:
                entries, more = stager.list_directory(account, f"{place}/{below}", after, _PART)
            except Rejected as error:
                raise Rejected.field(_FIELD, f"{pattern!r}: {error.problems[0].message}") from None
            after = more or ""
            for entry in entries:
                name = f"{below}{entry.name}"
                if entry.kind == "directory":
                    if may_reach(pattern, f"{path}{name}/"):
                        waiting.append(f"{name}/")
                elif entry.kind in ("file", "link") and matches(pattern, path + name):
                    yield path + name


def may_reach(pattern: str, directory: str) -> bool:
    """Say whether a pattern may choose something below a directory, whose name ends in a slash."""
    if pattern.endswith("/") or "**" in pattern or not _SIGN.search(pattern):
        fixed = _SIGN.split(pattern, maxsplit=1)[0]
        return directory.startswith(fixed) or f"{fixed}/".startswith(directory)
    wanted, parts = pattern.split("/"), directory.removesuffix("/").split("/")
    return len(parts) < len(wanted) and matches("/".join(wanted[: len(parts)]), "/".join(parts))
