"""A program that starts in a directory below the job's own: what it names is looked for as it is seen from there."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.project import LARGEST, Project

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_NAMES = 2000  #: of one program that are looked at
#: what may be a file's name: it has an ending or a directory, and may stand in ${1:-…}; an #include is found wherever a
#: program starts
_NAME = re.compile(r"(?:(?<![\w.$:/~-])|(?<=:-))(?:\.{1,2}/)*(?:[\w-][\w.-]*/)*[\w-][\w-]*(?:\.\w+|/)+(?![\w(])")
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include\b.*$", re.MULTILINE)


class Rooted(Project):
    """The files of a project, called as they are from one of its directories: `../data/runs.csv`."""

    def __init__(self, project: Project, home: str) -> None:
        self.files = {posixpath.relpath(name, home): text for name, text in project.files.items()}

    def below(self, directory: str) -> list[str]:
        """List the files at any depth below a directory; the empty name is the one that is started in."""
        return _kept_in(directory, super().below(directory))

    def matching(self, pattern: str) -> list[str]:
        """List the files that a pattern matches: outside only by one that leads there."""
        return _kept_in(pattern, super().matching(pattern))


def _kept_in(asked: str, names: list[str]) -> list[str]:
    return [name for name in names if asked.startswith("..") or not name.startswith("../")]


def named_in(project: Project, script: str) -> list[str]:
    """List what in a program's text may be the name of a file, each once."""
    text = _INCLUDE.sub("", (project.text(script) or "")[:LARGEST])
    return [*dict.fromkeys(_NAME.findall(text))][:MOST_NAMES]


def found_from(project: Project, home: str, names: Sequence[str]) -> list[str]:
    """List those names that are files of the project, or its directories, for who stands in one of them."""
    places = ((name, posixpath.normpath(posixpath.join(home, name))) for name in names)
    return [name for name, place in places if place in project or ("/" in name and place in project.directories)]


def where_it_starts(project: Project, script: str, arguments: Sequence[str], names: Sequence[str]) -> tuple[str, str]:
    """Return the directory that a program starts in: its own, if it finds more from there; and a name that shows it.

    Arguments that are found from the top keep it there.
    """
    home = posixpath.dirname(script)
    if set(found_from(project, "", arguments)) - set(found_from(project, home, arguments)):
        return "", ""
    names = [name for name in names if name != posixpath.basename(script)]
    at_top, at_home = (found_from(project, place, names) for place in ("", home))
    if not home or len(at_home) <= len(at_top):
        return "", ""
    return home, next(name for name in at_home if name not in at_top)
