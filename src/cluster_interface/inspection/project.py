"""The files that were handed over, as names and text: the only thing inspection ever looks at."""

from __future__ import annotations

import posixpath
import re
from functools import cached_property
from typing import TYPE_CHECKING

from cluster_interface.model.filenames import check_name

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST = 2**20  #: characters of a program that are still read; beyond that only the name counts
MOST_STARS = 3  #: wildcards kept per path segment, so that matching stays linear in practice


class Project:
    """Files by name, relative to the directory where the job starts; text None: binary or too large.

    The text of an executable is what `model.executable` wrote of it.
    """

    def __init__(self, files: Mapping[str, str | None]) -> None:
        named = ((name.removeprefix("./"), text) for name, text in files.items())
        self.files = {name: text for name, text in named if _is_file_name(name)}

    @cached_property
    def directories(self) -> frozenset[str]:
        """Every directory that has a file somewhere below it."""
        found: set[str] = set()
        for name in self.files:
            above = posixpath.dirname(name)
            while above and above not in found:
                found.add(above)
                above = posixpath.dirname(above)
        return frozenset(found)

    def __contains__(self, name: str) -> bool:
        return name in self.files

    def text(self, name: str) -> str | None:
        """Return the text of a file without its byte order mark; None if there is none to read."""
        text = self.files.get(name)
        return None if text is None else text.removeprefix("\ufeff")

    def below(self, directory: str) -> list[str]:
        """List the files at any depth below a directory; the empty name is the whole project."""
        start = f"{directory}/" if directory else ""
        return sorted(name for name in self.files if name.startswith(start) and "__pycache__/" not in name)

    def matching(self, pattern: str) -> list[str]:
        """List the files that a pattern matches; `*` stays within a segment, `**` does not."""
        fits = re.compile(_expression(pattern), re.DOTALL)
        return sorted(name for name in self.files if fits.fullmatch(name))


def _is_file_name(name: str) -> bool:
    """Say whether a name could be a file of a job; others cannot be staged, so they are not there."""
    try:
        check_name(name)
    except ValueError:
        return False
    return not name.endswith("/")


def simplify(pattern: str) -> str:
    """Fold wildcards: `a**b` and runs of stars become one star, more than three in a segment head*tail."""
    segments = []
    for segment in pattern.split("/"):
        folded = segment if segment == "**" else re.sub(r"\*+", "*", segment)
        if folded != "**" and folded.count("*") > MOST_STARS:
            folded = f"{folded.split('*', 1)[0]}*{folded.rsplit('*', 1)[1]}"
        segments.append(folded)
    return "/".join(segments)


def _expression(pattern: str) -> str:
    segments = simplify(pattern).split("/")
    parts = []
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment == "**":
            parts.append(".*" if last else "(?:.*/)?")
        else:
            parts.append("".join({"*": "[^/]*", "?": "[^/]"}.get(c, re.escape(c)) for c in segment))
            parts.append("" if last else "/")
    return "".join(parts)
