"""Go: packages of the distribution lie below /usr/share/gocode."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.building import PLACE
from cluster_interface.inspection.languages.files import Verbs, Where
from cluster_interface.inspection.languages.go_options import go_options
from cluster_interface.inspection.languages.language import Language
from cluster_interface.inspection.languages.loading import above, missing
from cluster_interface.inspection.languages.releases import newer_suite, version_of
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

    moves = False  # what it is a part of is looked for above it

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
            newer_suite(draft, "Go", _asked(draft.project, file), file)

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
            home = posixpath.dirname(module)
            lower, flags = _lowered(draft, module)
            build = f"{lower}GOCACHE={_CACHE} GOFLAGS='-mod=mod{flags}' GOTOOLCHAIN=local "
            build += self._build(draft, source, program, home)
            build = f"(cd {shlex.quote(home)} && {build})" if home else build
        return f"{build} && {shlex.join([program, *draft.arguments])}"

    def _build(self, draft: Draft, source: Source, program: str, start: str = "") -> str:
        home = posixpath.dirname(draft.script)
        others = [
            file
            for file in self.local(draft.project, draft.script, source)
            if file.endswith(".go") and posixpath.dirname(file) == home and not file.endswith("_test.go")
        ]
        path = "GOPATH=/usr/share/gocode " if "GO111MODULE" in draft.variables else ""
        return path + shlex.join(
            ["go", "build", "-o", program, *(posixpath.relpath(one, start or ".") for one in (draft.script, *others))]
        )


def _asked(project: Project, module: str) -> str:
    """Return the version of Go that a go.mod asks for."""
    found = re.search(r"^go[ \t]+(\d+\.\d+)", project.text(module) or "", re.MULTILINE)
    return found[1] if found else ""


def _lowered(draft: Draft, module: str) -> tuple[str, str]:
    """Have a go.mod that asks for what is there: Go refuses one that asks for a newer Go, whatever its code needs."""
    asked, there = _asked(draft.project, module), version_of(draft, "Go")
    if not asked or tuple(map(int, asked.split("."))) <= tuple(map(int, there.split("."))):
        return "", ""
    copy = f"{PLACE}/{MODULE}"
    lower = f"sed -e 's/^go .*/go {there}/' -e '/^toolchain /d' {MODULE} >{copy} && "
    sums = posixpath.join(posixpath.dirname(module), "go.sum") in draft.project
    return lower + (f"cp go.sum {PLACE}/go.sum && " if sums else ""), f" -modfile={copy}"


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
    declares=go_options,
)
