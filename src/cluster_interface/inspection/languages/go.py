"""Go: packages of the distribution lie below /usr/share/gocode."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.building import PLACE
from cluster_interface.inspection.languages.files import Verbs, Where
from cluster_interface.inspection.languages.language import Language
from cluster_interface.inspection.languages.loading import above, missing
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project


class Go(Language):
    """Go: packages of the distribution lie below /usr/share/gocode."""

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add the packages that have what is imported."""
        where = Where(draft, name)
        module = re.search(
            r"^module[ \t]+(\S+)", draft.project.text(above(draft.project, name, "go.mod") or "") or "", re.MULTILINE
        )
        own = module[1] if module else "\0"
        for text, imported in _go_imports(source):
            if "." not in imported.split("/")[0] or imported.startswith(own):
                continue
            if packages := draft.software.archive.path("go", imported):
                draft.add_system(packages[0], f"import {imported}, {where(text)}")
                draft.variables.setdefault("GOPATH", "/usr/share/gocode")
                draft.variables.setdefault("GO111MODULE", "off")
            else:
                missing(draft, imported, where(text), "Go")

    def local(self, project: Project, name: str, _source: Source) -> Iterable[str]:
        """Name the other files of its directory and what go.mod is above it."""
        home = posixpath.dirname(name)
        beside = [file for file in project.files if file.endswith(".go") and posixpath.dirname(file) == home]
        if module := above(project, name, "go.mod"):
            return [
                file for file in project.below(posixpath.dirname(module)) if file.endswith((".go", "go.mod", "go.sum"))
            ]
        return [
            file
            for file in beside
            if file != name
            and not file.endswith("_test.go")
            and _is_main(project, name)
            and "func main(" not in (project.text(file) or "")
        ]

    def command(self, draft: Draft, source: Source) -> str:
        """Return the command line that compiles and runs."""
        home = posixpath.dirname(draft.script)
        program = f"{PLACE}/{posixpath.splitext(posixpath.basename(draft.script))[0]}"
        files = [
            draft.script,
            *(
                file
                for file in self.local(draft.project, draft.script, source)
                if file.endswith(".go")
                and posixpath.dirname(file) == home
                and not file.endswith("_test.go")
                and file != draft.script
            ),
        ]
        flags = (
            "GOCACHE=/tmp/go-cache GOFLAGS=-mod=mod GOTOOLCHAIN=local"
            if draft.variables.get("GO111MODULE") != "off"
            else "GOCACHE=/tmp/go-cache"
        )
        return (
            f"{flags} {shlex.join(['go', 'build', '-o', program, *files])} && {shlex.join([program, *draft.arguments])}"
        )


def _is_main(project: Project, name: str) -> bool:
    return bool(re.search(r"^package[ \t]+main\b", project.text(name) or "", re.MULTILINE))


def _go_imports(source: Source) -> Iterable[tuple[int, str]]:
    for text in source.texts:
        if "import" in text.calls or re.search(r"\bimport\s+(?:\w+\s+)?$", text.before):
            yield text.line, text.value


LANGUAGE = Go(
    says="Go (.go)",
    suffixes=(".go",),
    lexis=lexis.GO,
    verbs=Verbs(
        reads=words("os.Open os.ReadFile ioutil.ReadFile Open ReadFile"),
        writes=words("os.Create os.WriteFile Create WriteFile"),
        opens=words("os.OpenFile"),
        joins=words("filepath.Join path.Join"),
        makes=words("os.Mkdir os.MkdirAll"),
    ),
    packages=("golang-go",),
)
