"""Requirements files in pip's format: which lines are packages, and which the image builder will refuse.

The format: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.inspection.draft import distribution_of, shown
from cluster_interface.inspection.python.indexes import of_words
from cluster_interface.inspection.python.stated import Need, Stated, parsed, without_build
from cluster_interface.model.jobspec import PythonEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.project import Project

MOST_INCLUDED = 30  #: files that one requirements file brings in

_COMMENT = re.compile(r"(^|\s+)#.*$")
_INCLUDE = re.compile(r"(?:-r|--requirement)(?:\s*=\s*|\s*)(\S+)")
_CONSTRAIN = re.compile(r"(?:-c|--constraint)(?:\s*=\s*|\s*)(\S+)")
_LOCAL = re.compile(r"(?:(?:-e|--editable)\s*=?\s*)?(?:[\w.-]+\s*@\s*)?(?:\.|\./|file:\.)(?:\[([\w., -]*)\])?")
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
    def constraints(self) -> str | None:
        """The file that `-c other.txt` names."""
        found = _CONSTRAIN.fullmatch(self.text)
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


def find_requirements(project: Project, home: str, script: str) -> str | None:
    """Return the requirements file that a directory has for a script; None if there is none."""
    names = [posixpath.join(home, name) for name in _customary(script)]
    here = sorted(name for name in project.files if posixpath.dirname(name) == home)
    others = [name for name in here if re.fullmatch(r"requirements.*\.txt", posixpath.basename(name))]
    runtime = [name for name in others if not _NOT_FOR_RUNNING.search(posixpath.basename(name))]
    below = [posixpath.join(home, "requirements", name) for name in ("base.txt", "main.txt", "requirements.txt")]
    candidates = [*names, *(runtime if len(runtime) == 1 else ()), *below]
    return next((name for name in candidates if name in project), None)


def read_requirements_file(project: Project, name: str) -> Stated:
    """Read a requirements file with those that it includes and the constraints that it names.

    It is handed on as it is where every line is a package; else the packages are copied out, since images are built
    from one text without options, paths or links.
    """
    if project.text(name) is None:
        return Stated(name, troubles=(f"{shown(name)} is not UTF-8 text and was not read; save it as UTF-8",))
    reader = _Reader(project)
    reader.read(name)
    constraints = reader.constraints
    needs = [Need(_constrained(need.requirement, constraints), need.where) for need in reader.needs]
    return Stated(
        name,
        tuple(needs),
        troubles=tuple(reader.troubles),
        local=reader.local,
        chosen=tuple(reader.chosen),
        indexes=tuple(reader.indexes),
        whole=not (reader.troubles or reader.local or reader.others or reader.indexes or constraints)
        and all(without_build(need.requirement) == need.requirement for need in needs),
        includes=tuple(reader.others),
    )


def _customary(script: str) -> Iterable[str]:
    stem = posixpath.basename(script).rpartition(".")[0]
    return (f"requirements-{stem}.txt", f"requirements_{stem}.txt", f"{stem}-requirements.txt", "requirements.txt")


def _add(lines: list[Line], number: int, raw: str) -> None:
    if text := _COMMENT.sub("", raw).strip():
        lines.append(Line(number, text))


class _Reader:
    """Goes through a requirements file and what it includes."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._seen: set[str] = set()
        self.needs: list[Need] = []
        self.constraints: dict[str, list[str]] = {}
        self.others: list[str] = []
        self.troubles: list[str] = []
        self.indexes: list[Need] = []
        self.chosen: list[str] = []
        self.local = False

    def read(self, name: str, *, constrains: bool = False) -> None:
        self._seen.add(name)
        for line in read_requirements(self._project.text(name) or ""):
            where = f"{name}, line {line.number}"
            if included := line.include or line.constraints:
                self._include(name, included, where, constrains=constrains or line.include is None)
            elif line.requirement and constrains:
                self.constraints.setdefault(distribution_of(line.requirement), []).append(line.requirement)
            elif line.requirement:
                self.needs.append(Need(line.requirement, where))
            elif local := _LOCAL.fullmatch(line.text):
                self.local = True
                self.chosen += re.findall(r"[\w.-]+", local[1] or "")
            elif indexes := of_words(line.text.split(), where):
                self.indexes += indexes
            elif not constrains:
                self.troubles.append(
                    f"{where}: {shown(line.text)} is not a package by name and was left out: options, paths and "
                    f"links are refused where images are built; write name==version instead"
                )

    def _include(self, name: str, other: str, where: str, *, constrains: bool) -> None:
        file = posixpath.normpath(posixpath.join(posixpath.dirname(name), other))
        if self._project.text(file) is None:
            self.troubles.append(f"{where}: {shown(other)}: there is no such text file beside it")
        elif file not in self._seen and len(self._seen) < MOST_INCLUDED:
            self.others.append(file)
            self.read(file, constrains=constrains)


def _constrained(requirement: str, constraints: dict[str, list[str]]) -> str:
    """Add to a requirement what the constraints say of its distribution."""
    wanted = parsed(requirement)
    if wanted is None or (found := constraints.get(distribution_of(requirement))) is None:
        return requirement
    for limit in filter(None, map(parsed, found)):
        wanted.specifier &= limit.specifier
    return str(wanted)
