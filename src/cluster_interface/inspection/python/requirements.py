"""Requirements files in pip's format: which lines are packages, and which the image builder will refuse.

The format: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.conda_files import of_conda
from cluster_interface.inspection.python.distributions import table
from cluster_interface.inspection.python.indexes import of_words
from cluster_interface.inspection.python.stated import Need, Stated, parsed, without_build
from cluster_interface.inspection.wanted import distribution_of
from cluster_interface.inspection.wording import shown
from cluster_interface.model.jobspec import PythonEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cluster_interface.inspection.project import Project

MOST_INCLUDED = 30  #: files that one requirements file brings in

_COMMENT = re.compile(r"(^|\s+)#.*$")
_INCLUDE = re.compile(r"(?:-r|--requirement)(?:\s*=\s*|\s*)(\S+)")
_CONSTRAIN = re.compile(r"(?:-c|--constraint)(?:\s*=\s*|\s*)(\S+)")
_LOCAL = re.compile(r"(?:(?:-e|--editable)\s*=?\s*)?(?:[\w.-]+\s*@\s*)?(?:\.|\./|file:\.)(?:\[([\w., -]*)\])?")
_AT = re.compile(r"(?:(?:-e|--editable)\s*=?\s*(?=[\w.])|(?:file:)?(?=\.{1,2}/))([\w./-]+)(?:\[.*\])?")  #: ./model
_METADATA = ("pyproject.toml", "setup.py", "setup.cfg")
_CONDA_LIST = re.compile(r"([\w.-]+)=(\d[\w.!+]*)=(\w+)")  # `conda list --export`: name=version=build
_PYPI_BUILD = "pypi"
_ELSEWHERE = re.compile(r"([\w.-]+)(?:\[[^]]*\])?\s*@\s*file:(?!\.).*")  # `pip freeze` among packages of conda
_VERSION = re.compile(r"===?|~=")  #: as who installed it had it
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


def local_packages(project: Project, home: str, script: str) -> list[str]:
    """List the directories of the project whose packages a requirements file installs: `./model`, `-e ../lib`."""
    name = find_requirements(project, home, script)
    lines = read_requirements((project.text(name) if name else None) or "")
    return [found for line in lines if name and (found := _package_at(project, name, line.text)) is not None]


def _package_at(project: Project, name: str, text: str) -> str | None:
    found = _AT.fullmatch(text)
    directory = posixpath.normpath(posixpath.join(posixpath.dirname(name), found[1])) if found else ""
    return directory if found and any(f"{directory}/{file}" in project for file in _METADATA) else None


def read_requirements_file(project: Project, name: str) -> Stated:
    """Read a requirements file with those that it includes and the constraints that it names.

    It is handed on as it is where every line is a package; else the packages are copied out, since images are built
    from one text without options, paths or links.
    """
    if project.text(name) is None:
        return Stated(name, troubles=(f"{shown(name)} is not UTF-8 text and was not read; save it as UTF-8",))
    if (exported := _of_conda_list(project, name)) is not None:
        return exported
    reader = _Reader(project)
    reader.read(name)
    constraints = reader.constraints
    needs = [Need(_constrained(need.requirement, constraints), need.where) for need in reader.needs]
    frozen = (reader.elsewhere or reader.foreign) and all(_VERSION.search(need.requirement) for need in needs)
    return Stated(
        name,
        () if frozen else tuple(needs),
        troubles=(*reader.troubles, *_left_out(name, reader)),
        local=reader.local,
        chosen=tuple(reader.chosen),
        indexes=tuple(reader.indexes),
        extras={"pip freeze": (*needs, *reader.elsewhere)} if frozen else {"file:": tuple(reader.elsewhere)},
        whole=reader.is_plain
        and not (project.files[name] or "").startswith("\ufeff")  # as it is, it may not be UTF-8
        and all(without_build(need.requirement) == need.requirement for need in needs),
        includes=tuple(reader.others),
    )


def _left_out(name: str, reader: _Reader) -> Iterator[str]:
    """Say what a list of all that was installed somewhere names for that place alone.

    As a whole such a list can be had nowhere else, so of what `pip freeze` wrote that is taken which is imported.
    """
    if reader.foreign:
        yield (
            f"{name}: {', '.join(reader.foreign)}: left out, because only Windows or macOS has that; where the list "
            f"names exact versions throughout, what is imported is taken of it"
        )
    if reader.elsewhere:
        yield (
            f"{name}: {len(reader.elsewhere)} of its lines name places on another machine, such as "
            f"{shown(reader.elsewhere[0].where.partition(': ')[2])}: of these what is imported is taken, in any version"
        )


def _of_conda_list(project: Project, name: str) -> Stated | None:
    """Read what `conda list --export` wrote, whatever the file is called; None if it is not that.

    It names all that was installed then, for whatever: what is imported is taken, in the version that it names.
    """
    lines = read_requirements(project.text(name) or "")
    found = [exported for line in lines if (exported := _CONDA_LIST.fullmatch(line.text))]
    if not found or 2 * len(found) < len(lines):
        return None
    conda = of_conda(
        f"{name}, of `conda list`", [f"{one[1]}=={one[2]}" for one in found if not one[3].startswith(_PYPI_BUILD)]
    )
    pip = [Need(f"{one[1]}=={one[2]}", f"{name}, of `conda list`") for one in found if one[3].startswith(_PYPI_BUILD)]
    needs = (*conda.needs, *(need for need in pip if is_requirement(need.requirement)))
    return replace(conda, file=name, needs=(), system=(), unsure=(), extras={"conda list": needs})


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
        self.elsewhere: list[Need] = []
        self.foreign: list[str] = []
        self.local = False
        self.beside = False  #: it installs a package from another directory of the project

    @property
    def is_plain(self) -> bool:
        """Whether every line is a package, in one file."""
        return not (
            self.troubles or self.elsewhere or self.foreign or self.local or self.others or self.indexes
            or self.constraints or self.beside
        )  # fmt: skip

    def read(self, name: str, *, constrains: bool = False) -> None:
        self._seen.add(name)
        for line in read_requirements(self._project.text(name) or ""):
            where = f"{name}, line {line.number}"
            if included := line.include or line.constraints:
                self._include(name, included, where, constrains=constrains or line.include is None)
            elif line.requirement and constrains:
                self.constraints.setdefault(distribution_of(line.requirement), []).append(line.requirement)
            elif line.requirement and distribution_of(line.requirement) in table().other_systems:
                self.foreign.append(distribution_of(line.requirement))
            elif line.requirement:
                self.needs.append(Need(line.requirement, where))
            elif (found := _ELSEWHERE.fullmatch(line.text)) and not constrains:
                self.elsewhere.append(Need(found[1], f"{where}: {line.text}"))
            elif self._is_here(name, line.text):
                pass
            elif indexes := of_words(line.text.split(), where):
                self.indexes += indexes
            elif not constrains:
                self.troubles.append(
                    f"{where}: {shown(line.text)} is not a package by name and was left out: options, paths and "
                    f"links are refused where images are built; write name==version instead"
                )

    def _is_here(self, name: str, text: str) -> bool:
        """Take a line that installs the project itself, or a package from another directory of it."""
        local = _LOCAL.fullmatch(text)
        self.local = self.local or local is not None
        self.chosen += re.findall(r"[\w.-]+", local[1] or "") if local else []
        beside = local is None and _package_at(self._project, name, text) is not None
        self.beside = self.beside or beside
        return beside or local is not None

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
