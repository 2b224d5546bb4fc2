"""Programs that are compiled already: which libraries they ask for, and whether they can run on the image's system."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cluster_interface.inspection.archive.index import SUITES
from cluster_interface.inspection.languages.building import Needs, start
from cluster_interface.inspection.python.files import read_arguments
from cluster_interface.inspection.wording import shown
from cluster_interface.model.executable import Executable, parse
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project
    from cluster_interface.inspection.shebang import Shebang

MACHINE = "x86_64"  #: what the archive's table is of
GLIBC = dict(zip(SUITES, ((2, 31), (2, 36), (2, 41)), strict=True))  #: which C library each suite has
IN_EVERY_BASE = frozenset({"libc6", "libgcc-s1", "libstdc++6", "libcrypt1", "zlib1g"})
_PATH = "LD_LIBRARY_PATH"


class Program:
    """An executable file; its text is what `model.executable` wrote of it."""

    says = "an executable program (ELF)"

    def detects(self, _name: str, _shebang: Shebang | None) -> bool:
        """Programs are known by what their files say, not by name."""
        return False

    def uses(self, project: Project, name: str) -> frozenset[str]:
        """Name the libraries of the project that it asks for."""
        found = parse(project.text(name) or "")
        return frozenset(_beside(project, found)) if found else frozenset()

    def read(self, draft: Draft) -> None:
        """Fill the draft."""
        self.follow(draft, draft.script, ())
        read_arguments(draft, draft.arguments, set())
        if len(draft.project.files) > 1:
            draft.warn("which files a compiled program reads cannot be seen: say --input for what it needs")
        path = draft.script if "/" in draft.script else f"./{draft.script}"
        draft.command = start(draft, path, Needs(mpi=draft.has_system("openmpi-bin")))
        draft.guess("command", draft.command, "an executable program", Sureness.KNOWN)

    def follow(self, draft: Draft, name: str, _arguments: Sequence[str]) -> None:
        """Add the packages of the libraries that a program asks for; say where it cannot run."""
        found = parse(draft.project.text(name) or "")
        if found is None:
            return
        draft.opaque = True
        if found.machine != MACHINE:
            draft.warn(f"{name} was made for {found.machine}, so it does not run on {MACHINE}: compile it for that")
            return
        _check_loader(draft, name, found)
        own = _beside(draft.project, found)
        for library in (one for one in found.libraries if posixpath.basename(one) not in map(posixpath.basename, own)):
            _library(draft, name, library)
        if own:
            draft.add_inputs(own, f"{name} asks for it", Sureness.KNOWN)
            homes = dict.fromkeys(posixpath.join("/job", posixpath.dirname(one)).rstrip("/") for one in own)
            draft.set_variable(_PATH, ":".join(homes), f"{name} asks for libraries that lie there", Sureness.LIKELY)


def is_program(text: str) -> bool:
    """Say whether a text stands for a program that can be started."""
    found = parse(text)
    return found is not None and found.runs


def _check_loader(draft: Draft, name: str, found: Executable) -> None:
    """Look at the C library: a newer release of the distribution, or musl, or none where it is static."""
    if found.interpreter and "musl" in found.interpreter:
        draft.add_system("musl", f"{name} was made with musl")
    wanted = tuple(int(part) for part in found.glibc.split(".") if part.isdigit()) if found.glibc else ()
    if not wanted or wanted <= GLIBC[draft.software.archive.suite]:
        return
    why = f"{name} asks for glibc {found.glibc}, which is newer than that of Debian {draft.software.archive.suite}"
    newer = next((suite for suite in SUITES if GLIBC[suite] >= wanted), None)
    if newer is None or not draft.in_suite(newer, why):
        draft.warn(f"{why}: compile it on an older system, or bring its source")


def _library(draft: Draft, name: str, library: str) -> None:
    if library.startswith(("ld-linux", "libc.musl")):
        return
    archive = draft.software.archive
    packages = archive.find("library", posixpath.basename(library))
    if not packages:
        said = f"{name} asks for {shown(library)}, which no package of Debian {archive.suite} has"
        draft.warn(f"{said}: bring the file with --input")
    elif packages[0] not in IN_EVERY_BASE:
        draft.add_system(packages[0], f"{name} asks for {library}")
    if library.startswith("libmpi.so"):
        draft.add_system("openmpi-bin", f"{name} asks for {library}")


def _beside(project: Project, found: Executable) -> list[str]:
    names = {posixpath.basename(library) for library in found.libraries}
    return [file for file in project.files if posixpath.basename(file) in names]


PROGRAM = Program()
