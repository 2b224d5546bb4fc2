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
from cluster_interface.inspection.languages.releases import newer_suite
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.inspection.project import Project

MODULE = "go.mod"
_CACHE = f"{PLACE}/go-cache"


class Go(Language):
    """Go: packages of the distribution lie below /usr/share/gocode."""

    def needs(self, draft: Draft, name: str, source: Source) -> None:
        """Add the packages that have what is imported."""
        where = Where(draft, name)
        own = _module(draft.project, name)
        for text, imported in _go_imports(source):
            if "." not in imported.split("/")[0] or (own and f"{imported}/".startswith(f"{own}/")):
                continue
            if packages := draft.software.archive.path("go", imported):
                draft.add_system(packages[0], f"import {imported}, {where(text)}")
                draft.variables.setdefault("GO111MODULE", "off")
            else:
                missing(draft, imported, where(text), "Go")
        if file := above(draft.project, name, MODULE):
            found = re.search(r"^go[ \t]+(\d+\.\d+)", draft.project.text(file) or "", re.MULTILINE)
            newer_suite(draft, "Go", found[1] if found else "", file)

    def local(self, project: Project, name: str, _source: Source) -> Iterable[str]:
        """Name the other files of its directory and what go.mod is above it."""
        home = posixpath.dirname(name)
        beside = [file for file in project.files if file.endswith(".go") and posixpath.dirname(file) == home]
        if module := above(project, name, MODULE):
            top = posixpath.dirname(module)
            return [file for file in project.below(top) if file.endswith((".go", MODULE, "go.sum")) and file != name]
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
        program = f"{PLACE}/{posixpath.splitext(posixpath.basename(draft.script))[0]}"
        module = above(draft.project, draft.script, MODULE)
        if module is None:
            build = f"GOCACHE={_CACHE} {self._build(draft, source, program)}"
        elif draft.variables.get("GO111MODULE") == "off":
            build = _by_path(draft, posixpath.dirname(module), program)
        else:
            build = f"GOCACHE={_CACHE} GOFLAGS=-mod=mod GOTOOLCHAIN=local {self._build(draft, source, program)}"
        return f"{build} && {shlex.join([program, *draft.arguments])}"

    def _build(self, draft: Draft, source: Source, program: str) -> str:
        home = posixpath.dirname(draft.script)
        others = [
            file
            for file in self.local(draft.project, draft.script, source)
            if file.endswith(".go") and posixpath.dirname(file) == home and not file.endswith("_test.go")
        ]
        path = "GOPATH=/usr/share/gocode " if "GO111MODULE" in draft.variables else ""
        return path + shlex.join(["go", "build", "-o", program, draft.script, *others])


def _by_path(draft: Draft, top: str, program: str) -> str:
    """Build a module with the distribution's packages, which lie where Go looked before there were modules.

    So the module is linked to where its name says: https://pkg.go.dev/cmd/go#hdr-GOPATH_environment_variable.
    """
    module = _module(draft.project, draft.script)
    place = f"{PLACE}/go/src/{module}"
    package = posixpath.normpath(
        posixpath.join(module, posixpath.relpath(posixpath.dirname(draft.script) or ".", top or "."))
    )
    steps = [
        shlex.join(["mkdir", "-p", posixpath.dirname(place)]),
        f'ln -sfn "$PWD"/{shlex.quote(top)} {shlex.quote(place)}',
        f"GOCACHE={_CACHE} GOPATH={PLACE}/go:/usr/share/gocode {shlex.join(['go', 'build', '-o', program, package])}",
    ]
    return " && ".join(steps)


def _module(project: Project, name: str) -> str:
    """Return the name that go.mod gives the module of a file; empty where there is none."""
    text = project.text(above(project, name, MODULE) or "") or ""
    found = re.search(r"^module[ \t]+\"?([\w./~-]+)", text, re.MULTILINE)
    return found[1].strip("/") if found and ".." not in found[1] else ""


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
