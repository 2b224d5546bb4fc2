"""Requirements files in pip's format: which lines are packages, and which the image builder will refuse.

The format: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.inspection.draft import distribution_of, shown
from cluster_interface.model.jobspec import PythonEnvironment
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project

MOST_INCLUDED = 30  #: files that one requirements file brings in

_COMMENT = re.compile(r"(^|\s+)#.*$")
_INCLUDE = re.compile(r"(?:-r|--requirement)(?:\s*=\s*|\s*)(\S+)")
_HASHES = re.compile(r"(?:\s+--hash[= ]\s*\S+)+\s*$")
_NOT_FOR_RUNNING = re.compile(
    r"[-_.](?:dev|development|tests?|testing|docs?|lint|build|ci|style|typing|optional|extras?)[-_.]"
)


@dataclass(frozen=True)
class Line:
    """One logical line: comments dropped, continuations joined."""

    number: int
    text: str

    @property
    def include(self) -> str | None:
        """The file that `-r other.txt` names."""
        found = _INCLUDE.fullmatch(self.text)
        return str(found[1]) if found else None

    @property
    def requirement(self) -> str | None:
        """The package of this line; None for options, paths, links and what is no requirement."""
        text: str = _HASHES.sub("", self.text)
        return text if is_requirement(text) else None


def read_requirements(text: str) -> list[Line]:
    """Split a requirements file into logical lines, as pip does; never raises."""
    lines: list[Line] = []
    start, pending = 0, ""
    for number, raw in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        start = start if pending else number
        if raw.endswith("\\") and not raw.lstrip().startswith("#"):
            pending += raw[:-1] + " "
            continue
        _add(lines, start, pending + raw)
        pending = ""
    _add(lines, start, pending)
    return lines


def is_requirement(text: str) -> bool:
    """Say whether the job spec would take this text as a package."""
    try:
        PythonEnvironment(packages=(text,))
    except ValueError:
        return False
    return True


def find_requirements(project: Project, script: str) -> str | None:
    """Return the requirements file that lies beside the script, or else at the top; None if there is none."""
    for home in dict.fromkeys([posixpath.dirname(script), ""]):
        names = [posixpath.join(home, name) for name in _customary(script)]
        others = [
            name
            for name in sorted(project.files)
            if posixpath.dirname(name) == home and re.fullmatch(r"requirements.*\.txt", posixpath.basename(name))
        ]
        runtime = [name for name in others if not _NOT_FOR_RUNNING.search(posixpath.basename(name))]
        candidates = [*names, *runtime] if len(runtime) == 1 else names
        for name in candidates:
            if name in project:
                return name
    return None


def names_in(project: Project, name: str) -> list[str]:
    """List what a requirements file names, roughly: the first word of every line that begins like a package."""
    return re.findall(r"^[ \t]*([A-Za-z0-9][A-Za-z0-9._-]*)", project.text(name) or "", re.MULTILINE)


def add_requirements(draft: Draft, name: str) -> set[str] | None:
    """Make a requirements file the environment's; return the distributions it names, None if it is no text.

    The file itself is named where it can be; one that includes others is copied out, line by line, since images
    are built from one text.
    """
    if draft.project.text(name) is None:
        draft.warn(f"{shown(name)} is not UTF-8 text and was not read; save it as UTF-8")
        return None
    draft.uses_python = True
    draft.add_inputs([name], "the requirements file", Sureness.STATED)
    found = list(_read_all(draft, name, set()))
    if any(file != name for file, _ in found):
        for file, line in found:
            draft.add_package(line.requirement or "", f"{file}, line {line.number}", Sureness.STATED)
    else:
        draft.requirements = name
        draft.guess("environment.python.requirements", name, "lies beside the script", Sureness.STATED)
    return {distribution_of(line.requirement or "") for _, line in found}


def _customary(script: str) -> Iterable[str]:
    stem = posixpath.basename(script).rpartition(".")[0]
    return (f"requirements-{stem}.txt", f"requirements_{stem}.txt", f"{stem}-requirements.txt", "requirements.txt")


def _add(lines: list[Line], number: int, raw: str) -> None:
    if text := _COMMENT.sub("", raw).strip():
        lines.append(Line(number, text))


def _read_all(draft: Draft, name: str, seen: set[str]) -> Iterable[tuple[str, Line]]:
    """Yield the package lines of a file and of those it includes; warn of every other line."""
    seen.add(name)
    for line in read_requirements(draft.project.text(name) or ""):
        if line.include:
            yield from _included(draft, name, line, seen)
        elif line.requirement:
            yield name, line
        else:
            draft.warn(
                f"{name}, line {line.number}: {shown(line.text)} is not a package by name; options, paths and "
                f"links are refused when the image is built: take the line out, or write name==version"
            )


def _included(draft: Draft, name: str, line: Line, seen: set[str]) -> Iterable[tuple[str, Line]]:
    other = posixpath.normpath(posixpath.join(posixpath.dirname(name), line.include or ""))
    if draft.project.text(other) is None:
        draft.warn(f"{name}, line {line.number}: {shown(line.text)}: there is no such text file beside it")
    elif other not in seen and len(seen) < MOST_INCLUDED:
        draft.add_inputs([other], f"{name}, line {line.number}", Sureness.STATED)
        yield from _read_all(draft, other, seen)
