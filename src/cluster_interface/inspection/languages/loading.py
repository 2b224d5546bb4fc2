"""Languages that load modules by a name, which one section of the index knows."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.files import Where
from cluster_interface.inspection.languages.language import Language

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project


MOST_MODULES = 300  #: of one file that are looked up


class Loading(Language):
    """A language that loads modules by their first name, from one section of the index."""

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add the packages of the modules that are loaded."""
        where = Where(draft, name)
        for module, line in list(self.modules(source))[:MOST_MODULES]:
            if module in self.own or not module or self.beside(draft.project, name, module):
                continue
            if packages := self.packages_of(draft, module):
                if packages[0] not in self.packages:
                    draft.add_system(packages[0], f"it loads {module}, {where(line)}")
            elif self.complains:
                missing(draft, module, where(line), self.says.split(" (")[0], self.otherwise)

    own: frozenset[str] = frozenset()
    complains = True
    otherwise = ""  #: what to do about a module that the distribution lacks, where that is known

    def modules(self, _source: Source) -> Iterable[tuple[str, int]]:
        """Yield the modules that are loaded and the lines where they are."""
        return ()

    def packages_of(self, _draft: Draft, _module: str) -> tuple[str, ...]:
        """List the packages that have a module."""
        return ()

    def beside(self, _project: Project, _name: str, _module: str) -> str | None:
        """Return the project's own file that a module is."""
        return None

    def local(self, project: Project, name: str, source: Source) -> Iterable[str]:
        """Name the project's own modules."""
        return [file for module, _ in self.modules(source) if (file := self.beside(project, name, module))]


def missing(draft: Draft, what: str, where: str, language: str, otherwise: str = "") -> None:
    """Say that no package of the distribution has a module."""
    otherwise = otherwise or "bring it among the files, or say --system PACKAGE if one has it under another name"
    draft.warn_once(
        f"{language} {what}",
        f"{where} needs the {language} module {what}, which no package of Debian {draft.software.suite} has: "
        f"{otherwise.format(what)}",
    )


def beside_it(project: Project, name: str, module: str, *endings: str) -> str | None:
    """Return the file of a module that is named from where another file is; None if there is none."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), module))
    return next((path + ending for ending in endings if path + ending in project), None)


def above(project: Project, name: str, wanted: str) -> str | None:
    """Return the nearest file of a name in the directories above."""
    home = posixpath.dirname(name)
    while True:
        if (path := posixpath.join(home, wanted)) in project:
            return path
        if not home:
            return None
        home = posixpath.dirname(home)
