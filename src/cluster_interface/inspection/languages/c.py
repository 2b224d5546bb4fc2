"""C, C++ and Fortran without a build file: the program is compiled in the container, then run."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import building
from cluster_interface.inspection.languages.building import (
    FORTRAN_MODULE,
    FORTRAN_USE,
    PLACE,
    SOURCES,
    language_of,
    read_source,
)
from cluster_interface.inspection.languages.c_options import c_options
from cluster_interface.inspection.languages.c_verbs import VERBS
from cluster_interface.inspection.languages.cmake_target import built_by
from cluster_interface.inspection.languages.files import Where, read_files
from cluster_interface.inspection.languages.linking import has_main, linked_with
from cluster_interface.inspection.python.files import read_arguments
from cluster_interface.inspection.rooted import named_in, where_it_starts
from cluster_interface.inspection.suggestions import offer
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project
    from cluster_interface.inspection.shebang import Shebang

MOST_TOGETHER = 200  #: files that are compiled into one program
#: what older compilers took and newer ones refuse, as nobody has told them which the program was written for
_AS_BEFORE = {"g++": "-fpermissive", "gfortran": "-std=legacy"}
#: what came with a newer C++ than compilers take by themselves: https://en.cppreference.com/w/cpp/compiler_support
_SINCE = (
    ("gnu++23", re.compile(r"#[ \t]*include[ \t]*<(?:expected|print|generator|mdspan|flat_map|stdfloat|stacktrace)>")),
    (
        "gnu++20",
        re.compile(
            r"#[ \t]*include[ \t]*<(?:concepts|ranges|span|numbers|format|bit|compare|coroutine|source_location|"
            r"semaphore|latch|barrier|stop_token)>|\bconcept\s+\w+\s*=|^[ \t]*requires\b|>\s*requires\b|<=>|"
            r"\bconst(?:eval|init)\b|\bco_(?:await|yield|return)\b",
            re.MULTILINE,
        ),
    ),
)


class Compiled:
    """A source with a main program."""

    says = "C, C++ or Fortran (.c, .cpp, .f90)"

    def detects(self, name: str, shebang: Shebang | None) -> bool:
        """Say whether the ending is that of a source."""
        return shebang is None and bool(language_of(name))

    def uses(self, project: Project, name: str) -> frozenset[str]:
        """Name the files that are compiled with this one."""
        return frozenset(together(project, name)) - {name}

    def starts(self, project: Project, name: str, arguments: Sequence[str]) -> tuple[str, str]:
        """Return the directory that it is compiled and started in, and what is found from there."""
        return where_it_starts(project, name, arguments, named_in(project, name))

    def read(self, draft: Draft) -> None:
        """Fill the draft."""
        if line := built_by(draft):
            read_arguments(draft, draft.arguments, draft.written(draft.arguments))
            draft.command = line
            draft.guess("command", line, "CMakeLists.txt builds it, then it is run", Sureness.LIKELY)
            offer(draft, c_options(read_source(draft.project, draft.script)), "its C or C++")
            return
        files = together(draft.project, draft.script)
        needs = self.add(draft, files)
        read_arguments(draft, draft.arguments, draft.written(draft.arguments))
        sources = [name for name in files if language_of(name)]
        draft.command = command(draft, sources, needs)
        draft.guess("command", draft.command, "it is compiled in the container, then run", Sureness.KNOWN)
        offer(draft, c_options(read_source(draft.project, draft.script)), "its C or C++")

    def follow(self, draft: Draft, name: str, _arguments: Sequence[str]) -> None:
        """Add what a file needs that a script compiles."""
        self.add(draft, together(draft.project, name))

    def add(self, draft: Draft, files: list[str]) -> building.Needs:
        """Add what files need that are compiled together."""
        needs = building.find_needs(draft, files)
        draft.add_inputs(files, "it is compiled with it", Sureness.KNOWN)
        for name in files:
            read_files(draft, read_source(draft.project, name), VERBS, Where(draft, name))
        return needs


def command(draft: Draft, sources: list[str], needs: building.Needs) -> str:
    """Return the command line that compiles and runs."""
    program = posixpath.join(
        PLACE, re.sub(r"[^\w.-]", "-", posixpath.splitext(posixpath.basename(draft.script))[0]) or "a"
    )
    return f"{build(draft, program, sources, needs)} && {building.start(draft, program, needs)}"


def build(draft: Draft, program: str, sources: list[str], needs: building.Needs) -> str:
    """Return the command line that compiles sources into a program."""
    includes = [shlex.quote(f"-I{home}") for home in _include_directories(draft.project, sources)]
    names = [shlex.quote(f"./{name}" if name.startswith("-") else name) for name in sources]
    modules = [f"-J{PLACE}"] if "gfortran" in needs.compilers else []
    links = ["-lstdc++"] if needs.compiler in ("gfortran", "mpifort") and "g++" in needs.compilers else []
    links += ["-lgfortran"] if needs.compiler in ("g++", "mpicxx") and "gfortran" in needs.compilers else []
    older = _standard(draft.project, sources) if [*needs.compilers] == ["g++"] else []
    older += [_AS_BEFORE[one] for one in needs.compilers if len(needs.compilers) == 1 and one in _AS_BEFORE]
    words = [
        needs.compiler,
        "-O2",
        *older,
        *modules,
        *includes,
        "-o",
        shlex.quote(program),
        *names,
        *needs.flags,
        *links,
    ]
    return " ".join(words)


def _standard(project: Project, sources: list[str]) -> list[str]:
    """Ask for the C++ that sources and headers are written in, where the compiler takes an older one by itself."""
    files = [one for one in _reached(project, sources) if not one.lower().endswith(building.FORTRAN_ENDINGS)]
    texts = [project.text(one) or "" for one in files]
    found = next((standard for standard, said in _SINCE if any(said.search(text) for text in texts)), "")
    return [f"-std={found}"] if found else []


def _include_directories(project: Project, sources: list[str]) -> list[str]:
    """List the directories where the compiler is to look for headers that do not lie beside what includes them."""
    found: dict[str, None] = {}
    for one in _reached(project, sources):
        for mark, header in building.INCLUDE.findall(read_source(project, one).text):
            path = building.local_header(project, one, header)
            if path and (mark == "<" or path != posixpath.normpath(posixpath.join(posixpath.dirname(one), header))):
                found[path.removesuffix(header).rstrip("/") or "."] = None
    return [*found]


def _reached(project: Project, sources: list[str]) -> list[str]:
    """List sources and the project's headers that they include, at any depth."""
    pending, seen = [*sources], dict[str, None]()
    while pending and len(seen) < MOST_TOGETHER:
        one = pending.pop()
        if one not in seen:
            seen[one] = None
            headers = building.INCLUDE.findall(read_source(project, one).text)
            paths = (building.local_header(project, one, header) for _, header in headers)
            pending += [path for path in paths if path]
    return [*seen]


def together(project: Project, name: str) -> list[str]:
    """List a source and the project's files that it takes to compile and link it: headers, and what they declare."""
    found: dict[str, list[str]] = {}  # each with the files whose modules it uses
    pending = [name]
    while pending and len(found) < MOST_TOGETHER:
        one = pending.pop(0)
        if one in found:
            continue
        source = read_source(project, one)
        found[one] = _modules(project, one, source.code)
        for _, header in building.INCLUDE.findall(source.text):
            if path := building.local_header(project, one, header):
                pending += [path, *_implementation(project, path)]
        pending += found[one]
        if not pending:
            pending += linked_with(project, name, [*found])
    files = [one for one in _after_what_they_use(found) if one != name]
    return [*(one for one in files if _is_module(one)), name, *(one for one in files if not _is_module(one))]


def _after_what_they_use(uses: dict[str, list[str]]) -> list[str]:
    """Put each file behind those whose modules it uses, as the compiler wants them; else they stay in their order."""
    placed: dict[str, None] = {}
    pending, seen = [*reversed(uses)], set[str]()
    while pending:
        one = pending[-1]
        ahead = [] if one in seen else [other for other in uses[one] if other in uses and other not in seen]
        seen.add(one)
        pending += reversed(ahead)
        if not ahead:
            placed[pending.pop()] = None
    return [*placed]


def _is_module(name: str) -> bool:
    return name.lower().endswith(building.FORTRAN_ENDINGS)


def _implementation(project: Project, header: str) -> list[str]:
    """List the sources called like a header, without a main program of their own."""
    stem = posixpath.splitext(header)[0]
    places = (stem, stem.replace("include/", "src/", 1), posixpath.join("src", posixpath.basename(stem)))
    candidates = dict.fromkeys(place + ending for place in places for ending in SOURCES)
    return [path for path in candidates if path in project and not has_main(read_source(project, path))]


def _modules(project: Project, name: str, code: str) -> list[str]:
    """List the files that have the Fortran modules which a file uses."""
    if not _is_module(name):
        return []
    used = {module.lower() for module in FORTRAN_USE.findall(code)} - {
        module.lower() for module in FORTRAN_MODULE.findall(code)
    }
    if not used:
        return []
    files = [path for path in project.files if _is_module(path) and path != name][: building.MOST_FILES]
    found: dict[str, None] = {}
    for path in sorted(files, key=lambda path: _away(name, path)):  # of several with one module the nearest
        has = {module.lower() for module in FORTRAN_MODULE.findall(project.text(path) or "")}
        if used & has:
            found[path] = None
            used -= has
    return [path for path in files if path in found]


def _away(name: str, other: str) -> int:
    """Count the steps from a file's directory to another one's."""
    steps = posixpath.relpath(posixpath.dirname(other) or ".", posixpath.dirname(name) or ".")
    return 0 if steps == "." else steps.count("/") + 1


LANGUAGE = Compiled()
