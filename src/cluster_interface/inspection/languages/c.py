"""C, C++ and Fortran without a build file: the program is compiled in the container, then run."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import building
from cluster_interface.inspection.languages.building import PLACE, SOURCES, language_of, read_source
from cluster_interface.inspection.languages.files import Verbs, Where, read_files
from cluster_interface.inspection.python.files import read_arguments
from cluster_interface.inspection.wordlist import words
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project
    from cluster_interface.inspection.shebang import Shebang

MOST_TOGETHER = 200  #: files that are compiled into one program
VERBS = Verbs(
    reads=words("ifstream std::ifstream imread H5Fopen nc_open gzopen"),
    writes=words("ofstream std::ofstream imwrite H5Fcreate nc_create"),
    opens=words("fopen freopen fstream std::fstream open OPEN Open"),
    makes=words("mkdir create_directory create_directories"),
)
_MAIN = re.compile(r"\bmain\s*\(|^[ \t]*program[ \t]+\w+|^[ \t]*PROGRAM[ \t]+\w+", re.MULTILINE)
_QUOTED = re.compile(r"^[ \t]*#[ \t]*include[ \t]*[\"<]([^\">\n]+)", re.MULTILINE)
_USED = re.compile(r"^[ \t]*use[ \t]+([a-z]\w*)", re.MULTILINE | re.IGNORECASE)
_MODULE = re.compile(r"^[ \t]*module[ \t]+(?!procedure\b)([a-z]\w*)", re.MULTILINE | re.IGNORECASE)


class Compiled:
    """A source with a main program."""

    says = "C, C++ or Fortran (.c, .cpp, .f90)"

    def detects(self, name: str, shebang: Shebang | None) -> bool:
        """Say whether the ending is that of a source."""
        return shebang is None and bool(language_of(name))

    def uses(self, project: Project, name: str) -> frozenset[str]:
        """Name the files that are compiled with this one."""
        return frozenset(together(project, name)) - {name}

    def read(self, draft: Draft) -> None:
        """Fill the draft."""
        files = together(draft.project, draft.script)
        needs = self._add(draft, files)
        read_arguments(draft, draft.arguments, draft.written(draft.arguments))
        sources = [name for name in files if language_of(name)]
        draft.command = command(draft, sources, needs)
        draft.guess("command", draft.command, "it is compiled in the container, then run", Sureness.KNOWN)

    def follow(self, draft: Draft, name: str, _arguments: Sequence[str]) -> None:
        """Add what a file needs that a script compiles."""
        self._add(draft, together(draft.project, name))

    def _add(self, draft: Draft, files: list[str]) -> building.Needs:
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
    homes = dict.fromkeys(posixpath.dirname(name) for name in draft.project.files if name.endswith(building.HEADERS))
    includes = [shlex.quote(f"-I{home}") for home in homes if home][:20] if len(sources) > 1 or any(homes) else []
    names = [shlex.quote(f"./{name}" if name.startswith("-") else name) for name in sources]
    modules = [f"-J{PLACE}"] if "gfortran" in needs.compilers else []
    run = shlex.join([program, *draft.arguments])
    if needs.mpi:
        run = f'mpirun -np "${{CLIF_CPUS:-1}}" {run}'
        draft.set_variable("OMPI_MCA_rmaps_base_oversubscribe", "1", "it uses MPI", Sureness.KNOWN)
        draft.set_variable("OMPI_MCA_btl_vader_single_copy_mechanism", "none", "it uses MPI", Sureness.KNOWN)
    links = ["-lstdc++"] if needs.compiler in ("gfortran", "mpifort") and "g++" in needs.compilers else []
    links += ["-lgfortran"] if needs.compiler in ("g++", "mpicxx") and "gfortran" in needs.compilers else []
    build = " ".join([needs.compiler, "-O2", *modules, *includes, "-o", program, *names, *needs.flags, *links])
    return f"{build} && {run}"


def together(project: Project, name: str) -> list[str]:
    """List a source and the project's files that it takes to compile and link it: headers, and what they declare."""
    found: dict[str, None] = {}
    pending = [name]
    while pending and len(found) < MOST_TOGETHER:
        one = pending.pop(0)
        if one in found:
            continue
        found[one] = None
        source = read_source(project, one)
        for header in _QUOTED.findall(source.text):
            if path := building.local_header(project, one, header):
                pending += [path, *_implementation(project, path)]
        pending += _modules(project, one, source.code)
    files = [one for one in found if one != name]
    return [*(one for one in files if _is_module(one)), name, *(one for one in files if not _is_module(one))]


def _is_module(name: str) -> bool:
    return name.lower().endswith(building.FORTRAN_ENDINGS)


def _implementation(project: Project, header: str) -> list[str]:
    """List the sources called like a header, without a main program of their own."""
    stem = posixpath.splitext(header)[0]
    places = (stem, stem.replace("include/", "src/", 1), posixpath.join("src", posixpath.basename(stem)))
    candidates = dict.fromkeys(place + ending for place in places for ending in SOURCES)
    return [path for path in candidates if path in project and not _MAIN.search(read_source(project, path).code)]


def _modules(project: Project, name: str, code: str) -> list[str]:
    """List the files that have the Fortran modules which a file uses."""
    if not _is_module(name):
        return []
    used = {module.lower() for module in _USED.findall(code)} - {module.lower() for module in _MODULE.findall(code)}
    if not used:
        return []
    files = [path for path in project.files if _is_module(path) and path != name][: building.MOST_FILES]
    return [path for path in files if used & {m.lower() for m in _MODULE.findall(project.text(path) or "")}]


LANGUAGE = Compiled()
