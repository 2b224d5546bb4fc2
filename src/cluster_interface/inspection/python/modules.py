"""The project's own modules: which file an import means, and everything a script brings in with it."""

from __future__ import annotations

import posixpath
import sys
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.beside import homes
from cluster_interface.inspection.python.distributions import table
from cluster_interface.inspection.python.imports import Import, find_imports
from cluster_interface.inspection.python.names import look_up
from cluster_interface.inspection.python.requirements import local_packages
from cluster_interface.inspection.python.source import Module, as_imported, as_started, parse
from cluster_interface.inspection.wordlist import words
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.project import Project

REMOVED = words(  # in the standard library of some Python 3 that still runs: no package has to bring them
    "asynchat asyncore audioop binhex cgi cgitb chunk crypt formatter imghdr imp lib2to3 macpath mailcap msilib nis "
    "nntplib ossaudiodev parser pipes smtpd sndhdr spwd sunau symbol telnetlib uu xdrlib"
)
STANDARD = (sys.stdlib_module_names | REMOVED | {"__main__", "test"}) - {"distutils"}
MOST_MODULES = 400  #: of one program that are read
MOST_READ = 4 * 2**20  #: characters of them, all together
_COMPILED = (".so", ".pyd")


@dataclass(frozen=True)
class Outside:
    """An import that no file of the project answers."""

    file: str
    item: Import


@dataclass
class Program:
    """A script and the project's modules that it imports, directly or not."""

    script: str
    modules: dict[str, Module] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  #: module file -> which import asks for it
    packages: dict[str, str] = field(default_factory=dict)  #: directory of a local package -> which import asks for it
    roots: dict[str, str] = field(default_factory=dict)  #: directory that must be on the path -> the import
    outside: list[Outside] = field(default_factory=list)
    standard: dict[str, Outside] = field(default_factory=dict)  #: top-level names of the standard library
    relative: Import | None = None  #: the script's own first relative import: it runs only inside its package
    troubles: list[str] = field(default_factory=list)
    read: int = 0  #: characters of the modules so far

    @property
    def main(self) -> Module:
        """The script itself."""
        return self.modules[self.script]


def gather(project: Project, script: str, main: Module | None = None) -> Program:
    """Parse a script, unless it is at hand, and follow its imports; Rejected if it cannot be parsed."""
    program = Program(script, {script: as_started(main or parse(project, script))})
    program.troubles += [program.main.trouble] if program.main.trouble else []
    local = Local(project, script)
    pending = [script]
    while pending:
        name = pending.pop()
        for item in find_imports(program.modules[name].tree, local.needs_package):
            pending += _follow(project, program, local, name, item)
    return program


def imported_files(project: Project, script: str, main: Module | None = None) -> frozenset[str]:
    """Name the files of the project that a script imports itself; Rejected if it cannot be parsed."""
    local = Local(project, script)
    found = find_imports((main or parse(project, script)).tree, local.needs_package)
    return frozenset(file for item in found for file in local.files(script, item))


def _follow(project: Project, program: Program, local: Local, name: str, item: Import) -> list[str]:
    if item.level and name == program.script and program.relative is None and not item.optional:
        program.relative = item
    found = local.files(name, item)
    if not found:
        if not item.level and local.needs_package(item.top):
            program.outside.append(Outside(name, item))
        elif not item.level:
            program.standard.setdefault(item.top, Outside(name, item))
        return []
    if (root := local.root(item)) and not item.level:
        program.roots.setdefault(root, f"import {item.top}, line {item.line} of {name}")
    if package := local.package(name, item):
        program.packages.setdefault(package, f"import {item.name or '.'}, line {item.line} of {name}")
    new = []
    for file in found:
        program.files.setdefault(file, f"import {item.name or '.'}, line {item.line} of {name}")
        if file not in program.modules and file.endswith(".py") and project.text(file) is not None:
            new += _add_module(project, program, file)
    return new


def _add_module(project: Project, program: Program, file: str) -> list[str]:
    program.read += len(project.text(file) or "")
    if len(program.modules) >= MOST_MODULES or program.read > MOST_READ:
        program.troubles = [*program.troubles[:MOST_MODULES], "not every module of the project was read"]
        return []
    try:
        program.modules[file] = as_imported(parse(project, file))
    except Rejected as error:
        program.troubles.append(error.problems[0].message)
        return []
    program.troubles += [program.modules[file].trouble] if program.modules[file].trouble else []
    return [file]


class Local:
    """Answers imports from the files of the project, as Python would with the script's directory first."""

    def __init__(self, project: Project, script: str) -> None:
        self._project = project
        self._home = posixpath.dirname(script)
        above = [posixpath.join(home, root) if root else home for home in homes(script) for root in ("", "src", "lib")]
        installed = [place for home in homes(script) for place in local_packages(project, home, script)]
        sources = [posixpath.join(place, root) if root else place for place in installed for root in ("", "src")]
        self._roots = list(dict.fromkeys([self._home, *above, *sources]))
        self._compiled = [name for name in project.files if name.endswith(_COMPILED)]
        self.needs_package = partial(_needs_package, self)

    def has(self, top: str) -> bool:
        """Say whether a top-level name is a module or package of the project."""
        return (
            any(self._exists(posixpath.join(root, top)) for root in self._roots)
            or self._elsewhere(Import(top, 0)) is not None
        )

    def root(self, item: Import) -> str | None:
        """Return the directory that has to be put on the path for this import; None if none has to."""
        root, _ = self._found(item)
        return None if root in (None, self._home) else root or "."

    def package(self, importer: str, item: Import) -> str | None:
        """Return the directory of the local package that an import is from; None for a single module."""
        if item.level:
            return posixpath.dirname(importer) or None
        root, _ = self._found(item)
        base = "" if root is None else posixpath.join(root, item.top)
        return base if base in self._project.directories else None

    def files(self, importer: str, item: Import) -> list[str]:
        """List the files that an import loads: packages on the way, the module, members that are modules."""
        if item.level:
            above = importer
            for _ in range(item.level):
                above = posixpath.dirname(above)
            return self._along(above, [part for part in item.name.split(".") if part], item.members)
        return [] if item.top in sys.builtin_module_names else self._found(item)[1]

    def _found(self, item: Import) -> tuple[str | None, list[str]]:
        """Return the first directory with a module of that name, and its files; of those that are no packages any."""
        first = None
        for root in self._roots if item.top else ():
            if self._exists(posixpath.join(root, item.top)):
                if files := self._along(root, item.name.split("."), item.members):
                    return root, files
                first = root if first is None else first
        if first is None and (elsewhere := self._elsewhere(item)) is not None:
            return elsewhere, self._along(elsewhere, item.name.split("."), item.members)
        return first, []

    def _elsewhere(self, item: Import) -> str | None:
        """Return the one directory of the project that has a module which nobody else is known to bring."""
        places = self._places.get(item.top, ())
        if len(places) != 1 or table().find(item) or look_up(item):
            return None
        return places[0]

    @cached_property
    def _places(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self._project.files:
            directory, file = posixpath.split(name)
            if file.endswith(".py"):
                found.setdefault(file.removesuffix(".py"), []).append(directory)
        return found

    def _along(self, start: str, parts: list[str], members: Iterable[str]) -> list[str]:
        found: dict[str, None] = dict.fromkeys(self._loads(start) if start else ())
        here = start
        for part in parts:
            here = posixpath.join(here, part)
            found.update(dict.fromkeys(self._loads(here)))
        for member in members:
            found.update(dict.fromkeys(self._loads(posixpath.join(here, member))))
        return list(found)

    def _exists(self, base: str) -> bool:
        """Say whether there is a top-level module; a directory that is no package gives way to a well-known one."""
        if self._loads(base):
            return True
        if base not in self._project.directories or table().find(Import(posixpath.basename(base), 0)):
            return False
        return any(name.endswith((".py", *_COMPILED)) for name in self._project.below(base))

    def _loads(self, base: str) -> list[str]:
        for name in (f"{base}/__init__.py", f"{base}.py"):
            if name in self._project:
                return [name]
        return [n for n in self._compiled if n.startswith(f"{base}.") and "/" not in n[len(base) :]]


def _needs_package(local: Local, top: str) -> bool:
    return bool(top) and top not in STANDARD and not local.has(top)
