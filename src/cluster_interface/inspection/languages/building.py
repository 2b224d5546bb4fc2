"""What a program needs to be compiled: headers, libraries and pkg-config names, each to its -dev package."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.lexis import FORTRAN, C, Source
from cluster_interface.inspection.project import LARGEST
from cluster_interface.inspection.python.source import normalize
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from cluster_interface.inspection.archive.index import Section
    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project

PLACE = "/tmp"  # noqa: S108 - private in the container; what is built there is no output
#: a process for each processor, and two at least: who writes for MPI has others to talk to, and many programs say so
_MPIRUN = 'mpirun -np "$((CLIF_CPUS > 2 ? CLIF_CPUS : 2))"'
MOST_FILES = 500  #: sources that are read
C_ENDINGS = (".c",)
CXX_ENDINGS = (".cc", ".cpp", ".cxx", ".c++", ".cp")
FORTRAN_ENDINGS = (".f", ".for", ".f77", ".f90", ".f95", ".f03", ".f08")
SOURCES = (*C_ENDINGS, *CXX_ENDINGS, *FORTRAN_ENDINGS)
HEADERS = (".h", ".hh", ".hpp", ".hxx", ".inc", ".ipp", ".tpp")
ALL = (*SOURCES, *HEADERS)

INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*([<\"])([^>\"\n]+)[>\"]", re.MULTILINE)
_OF_OTHERS = re.compile(  #: what is only for other systems
    r"""(?msx) ^[ \t]* \# [ \t]* (?:if|ifdef|elif) \b (?![^\n]*(?:!|linux|unix|GNUC)) [^\n]*
    \b (?:_?WIN32|_?WIN64|_MSC_VER|__APPLE__|__MINGW32__|__CYGWIN__) \b [^\n]* \n
    .*? (?= ^[ \t]* \# [ \t]* (?:else|elif|endif) | \Z )"""
)
FORTRAN_USE = re.compile(
    r"(?:^|;)[ \t]*use(?:[ \t]*(?:,[^:\n]*)?::[ \t]*|[ \t]+)(?!.*intrinsic)([a-z]\w*)", re.MULTILINE | re.IGNORECASE
)
FORTRAN_MODULE = re.compile(r"^[ \t]*module[ \t]+(?!procedure\b)([a-z]\w*)", re.MULTILINE | re.IGNORECASE)
_FORTRAN_INCLUDE = re.compile(r"^[ \t]*include[ \t]*['\"]([^'\"\n]+)", re.MULTILINE | re.IGNORECASE)
_LINKED = re.compile(r"(?<![\w-])-l([A-Za-z][\w+.-]*)")
_COMPILING = re.compile(r"\b(?:gcc|g\+\+|cc|c\+\+|gfortran|clang|clang\+\+|mpicc|mpicxx|mpif90)\b[^\n]*")
_OPENMP = re.compile(r"^[ \t]*(?:#[ \t]*pragma[ \t]+omp\b|!\$omp\b|[cC*]\$omp\b)", re.MULTILINE | re.IGNORECASE)
_COARRAYS = re.compile(
    r"\bcodimension\s*\[|\bsync[ \t]+(?:all|images|memory)\b|\b(?:this_image|num_images)[ \t]*\(", re.IGNORECASE
)
_MPI_CALL = re.compile(r"\bMPI_Init", re.IGNORECASE)
_THREADS = re.compile(r"\b(?:pthread_create|std::thread|std::async|std::jthread)\b")
#: what a library looks for when a program runs, and no package of it brings along
_RUNS_WITH = {"OpenCL": "pocl-opencl-icd"}
_STANDARD = (
    "libc6-dev",
    "linux-libc-dev",
    "libcrypt-dev",
    "libstdc++",
    "libgcc-",
    "libgfortran-",
    "gcc",
    "gfortran",
    "g++",
)
#: https://gcc.gnu.org/onlinedocs/gcc/Standards.html, what a freestanding implementation has; and of its intrinsics
_OF_COMPILER = re.compile(
    r"(?:float|iso646|limits|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdnoreturn|varargs|cpuid|mm_malloc|"
    r"quadmath|unwind|\w*intrin)\.h"
)
_FORTRAN_OWN = frozenset(
    {"iso_fortran_env", "iso_c_binding", "ieee_arithmetic", "ieee_exceptions", "ieee_features", "omp_lib"}
)
_OF_CMAKE = frozenset({"Threads", "OpenMP", "Perl"})  #: what find_package finds without a package
_LAPACK = re.compile(
    r"\bcall[ \t]+[sdcz](?:ge|sy|he|po|gt|gb|tr|or|un)[a-z]{2,4}\b|\b[sdcz]gesvd?_?\s*\(", re.IGNORECASE
)
_BLAS = re.compile(r"\bcall[ \t]+[sdcz](?:gemm|gemv|axpy|scal|copy|swap|ger|syrk|trsm)\b|\b[sd]dot\s*\(", re.IGNORECASE)


@dataclass
class Needs:
    """What the sources of one program need."""

    compilers: dict[str, None] = field(default_factory=dict)  #: packages: gcc, g++, gfortran
    pkgconfig: dict[str, None] = field(default_factory=dict)
    libraries: dict[str, None] = field(default_factory=dict)
    openmp: bool = False
    mpi: bool = False
    threads: bool = False
    coarrays: bool = False

    @property
    def compiler(self) -> str:
        """The program that compiles and links: C++ links C, Fortran links both."""
        kind = next((name for name in ("gfortran", "g++", "gcc") if name in self.compilers), "gcc")
        return {"gfortran": "mpifort", "g++": "mpicxx", "gcc": "mpicc"}[kind] if self.mpi else kind

    @property
    def flags(self) -> list[str]:
        """The words behind the sources."""
        words = ["-fopenmp"] if self.openmp else []
        words += ["-pthread"] if self.threads else []
        words += ["-fcoarray=single"] if self.coarrays else []
        if self.pkgconfig:
            words.append(f"$(pkg-config --cflags --libs {' '.join(self.pkgconfig)})")
        return [*words, *(f"-l{name}" for name in self.libraries), *(["-lm"] if "m" not in self.libraries else [])]


def language_of(name: str) -> str:
    """Return the package of the compiler for a file; empty: it is no source."""
    ending = posixpath.splitext(name)[1].lower()
    if ending in C_ENDINGS:
        return "g++" if name.endswith(".C") else "gcc"
    return "g++" if ending in CXX_ENDINGS else "gfortran" if ending in FORTRAN_ENDINGS else ""


def read_source(project: Project, name: str) -> Source:
    """Read a file of C, C++ or Fortran."""
    text = project.text(name) or ""
    lexis = FORTRAN if posixpath.splitext(name)[1].lower() in FORTRAN_ENDINGS else C
    return Source(normalize(text) if len(text) <= LARGEST else "", lexis)


def find_needs(draft: Draft, names: list[str], needs: Needs | None = None) -> Needs:
    """Add the packages that sources and headers of the project need, and return what compiles them."""
    needs = needs or Needs()
    for name in names[:MOST_FILES]:
        _of_file(draft, name, needs)
    for compiler in needs.compilers:
        draft.add_system(compiler, "it is compiled in the container")
    if needs.compilers:
        draft.add_system("libc6-dev", "it is compiled in the container")
    if needs.mpi:
        draft.add_system("libopenmpi-dev", "it uses MPI")
        draft.add_system("openmpi-bin", "it uses MPI")
    if needs.pkgconfig:
        draft.add_system("pkg-config", "its libraries are found with it")
    return needs


def _of_file(draft: Draft, name: str, needs: Needs) -> None:
    source = read_source(draft.project, name)
    if compiler := language_of(name):
        needs.compilers[compiler] = None
    of = "" if name == draft.script else f" of {name}"
    for found in INCLUDE.finditer(_OF_OTHERS.sub(_blank, _without_comments(source))):
        where = f"#include <{found[2]}>, line {source.line(found.start())}{of}"
        if not local_header(draft.project, name, found[2]):
            add_header(draft, found[2], where, needs)
    if source.lexis is FORTRAN:
        _fortran(draft, source, needs, of)
    needs.openmp |= bool(_OPENMP.search(source.text)) or "omp.h" in source.text
    needs.mpi |= bool(_MPI_CALL.search(source.code))
    needs.threads |= bool(_THREADS.search(source.code))
    source.code  # noqa: B018 - finds the comments
    for comment in source.comments:
        for line in _COMPILING.findall(comment):
            for library in _LINKED.findall(line):
                add_library(draft, library, f"a comment of {name} says -l{library}", needs)


def _without_comments(source: Source) -> str:
    """Return the text with its comments blanked and its strings kept: `#include "x.h"` is one."""
    text = list(source.text)
    for found in source.lexis.pattern.finditer(source.text):
        if found.lastgroup == "comment":
            text[found.start() : found.end()] = _blank(found)
    return "".join(text)


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


def _fortran(draft: Draft, source: Source, needs: Needs, of: str) -> None:
    if not needs.coarrays and (found := _COARRAYS.search(source.code)):
        needs.coarrays = True
        line = f"line {source.line(found.start())}{of}"
        draft.warn_once("coarrays", f"{line} uses coarrays: the program runs as one image (-fcoarray=single)")
    own = {name.lower() for name in FORTRAN_MODULE.findall(source.code)}
    for found in FORTRAN_USE.finditer(source.code):
        module = found[1].lower()
        if module in own | _FORTRAN_OWN or _fortran_file(draft.project, module):
            continue
        where = f"use {module}, line {source.line(found.start())}{of}"
        if module in ("mpi", "mpi_f08"):
            needs.mpi = True
        elif packages := draft.software.archive.find("fortran", f"{module}.mod"):
            _take(draft, packages[0], module, where, needs)
            if packages[0] == "libnetcdff-dev":
                needs.pkgconfig["netcdf-fortran"] = None
        else:
            draft.warn_once(f"module {module}", f"{where}: no package of Debian has the Fortran module {module}")
    for name in _FORTRAN_INCLUDE.findall(source.text):
        needs.mpi |= name.lower() == "mpif.h"
    if _LAPACK.search(source.code):
        add_library(draft, "lapack", f"it calls LAPACK{of}", needs)
        add_library(draft, "blas", f"it calls LAPACK{of}", needs)
    elif _BLAS.search(source.code):
        add_library(draft, "blas", f"it calls BLAS{of}", needs)


def _fortran_file(project: Project, module: str) -> bool:
    pattern = re.compile(rf"^[ \t]*module[ \t]+{re.escape(module)}\b", re.MULTILINE | re.IGNORECASE)
    files = [name for name in project.files if name.lower().endswith(FORTRAN_ENDINGS)][:MOST_FILES]
    return any(pattern.search(project.text(name) or "") for name in files)


def start(draft: Draft, program: str, needs: Needs) -> str:
    """Return the command line that starts what was built."""
    run = shlex.join([program, *draft.arguments])
    if not needs.mpi:
        return run
    draft.set_variable("OMPI_MCA_rmaps_base_oversubscribe", "1", "it uses MPI", Sureness.KNOWN)
    draft.set_variable("OMPI_MCA_btl_vader_single_copy_mechanism", "none", "it uses MPI", Sureness.KNOWN)
    return f"{_MPIRUN} {run}"


def local_header(project: Project, name: str, header: str) -> str | None:
    """Return the project's own file that an #include means."""
    home = posixpath.dirname(name)
    for place in dict.fromkeys((home, posixpath.dirname(home), "include", "src", "inc", "")):
        path = posixpath.normpath(posixpath.join(place, header))
        if path in project:
            return path
    ends = f"/{header}"
    return (
        next((path for path in project.files if path.endswith(ends)), None) if "/" in header or "." in header else None
    )


def add_header(draft: Draft, header: str, rests_on: str, needs: Needs) -> None:
    """Add the package that has a header, and what finds it when compiling."""
    header = posixpath.normpath(header)
    archive = draft.software.archive
    if "mpi.h" in (header, posixpath.basename(header)):
        needs.mpi = True
        return
    if header.startswith("CL/"):  # whose package only names those that have them
        add_library(draft, "OpenCL", rests_on, needs)
        return
    plain = "." not in header and "/" not in header
    if header == "omp.h" or (plain and not archive.find("header", header)) or _OF_COMPILER.fullmatch(header):
        return
    packages = archive.path("header", header)
    below = "" if packages else next(iter(archive.find("below", header.split("/")[0])), "")
    below = below or ("" if packages else _versioned(draft, header))
    if below:
        packages = archive.find("pkgconfig", below)
    if not packages:
        draft.warn_once(
            f"header {header}",
            f"{rests_on}: no package of Debian {archive.suite} has this header; bring it among the files, or say "
            "--system PACKAGE if one has it under another name",
        )
        return
    if packages[0].startswith(_STANDARD):
        needs.threads |= header == "pthread.h"
        return
    draft.add_system(packages[0], rests_on)
    if below:
        needs.pkgconfig[below] = None
    else:
        _link(draft, packages[0], header, needs)


def _versioned(draft: Draft, header: str) -> str:
    """Return the pkg-config name that finds a header below a directory called like it and its version; empty: none."""
    archive, parts = draft.software.archive, header.split("/")
    package = next(iter(archive.versioned(parts[0]) if len(parts) > 1 else ()), "")
    names = [f"{parts[0]}_{parts[1]}" if len(parts) > 2 else "", *(parts[0] + end for end in ("", "_core", "_common"))]
    return next((name for name in names if package and package in archive.find("pkgconfig", name)), "")


def _link(draft: Draft, package: str, header: str, needs: Needs) -> None:
    """Find how what a header declares is linked: by pkg-config, or a library called like it."""
    archive = draft.software.archive
    stem = posixpath.splitext(posixpath.basename(header))[0].lower()
    stems = [stem, header.split("/", maxsplit=1)[0].lower().removesuffix(".h")]
    base = re.sub(r"-dev$", "", package)
    names = dict.fromkeys(
        [*stems, *(f"lib{one}" for one in stems), base, base.removeprefix("lib"), re.sub(r"1?g$", "", base)]
    )
    for name in names:
        if package in archive.find("pkgconfig", name):
            needs.pkgconfig[name] = None
            return
    if _variant(draft, package, base.removeprefix("lib"), needs) and stem == base.removeprefix("lib"):
        return
    for one in dict.fromkeys([f"{stems[1]}_{stem}", *stems, base.removeprefix("lib")]):
        if archive.find("library", f"lib{one}.so"):
            add_library(draft, one, f"{package} has it", needs)
            return


def _variant(draft: Draft, package: str, base: str, needs: Needs) -> bool:
    """Take the one of several builds of a library that a package has: hdf5-serial, its parts for C++ and Fortran."""
    archive = draft.software.archive
    name = next((name for name in archive.names("pkgconfig", package) if name.startswith(f"{base}-")), None)
    if name is None:
        return False
    needs.pkgconfig[name] = None
    if "g++" in needs.compilers:
        libraries = (re.fullmatch(r"lib(.+(?:_cpp|_cxx|\+\+))\.so", one) for one in archive.names("library", package))
        needs.libraries.update(dict.fromkeys([one[1] for one in libraries if one][:1]))
    if "gfortran" in needs.compilers:
        libraries = (re.fullmatch(r"lib(.+_fortran)\.so", one) for one in archive.names("library", package))
        needs.libraries.update(dict.fromkeys(one[1] for one in libraries if one))
    return True


def add_library(draft: Draft, library: str, rests_on: str, needs: Needs) -> None:
    """Add the package that has what `-l` names."""
    found = draft.software.archive.find("library", f"lib{library}.so")
    if not found:
        return
    needs.libraries[library] = None
    if library in _RUNS_WITH:
        draft.add_system(_RUNS_WITH[library], f"{rests_on}: what it finds when it runs, on the processors of any node")
    if not found[0].startswith(_STANDARD):
        draft.add_system(_unversioned(found[0]), rests_on)


def add_pkgconfig(draft: Draft, name: str, rests_on: str, needs: Needs) -> None:
    """Add the package that pkg-config finds under a name."""
    if found := draft.software.archive.find("pkgconfig", name):
        draft.add_system(found[0], rests_on)
        needs.pkgconfig[name] = None


def has_cmake(draft: Draft, name: str) -> bool:
    """Say whether CMake's find_package finds something under a name, by itself or in a package."""
    return name in _OF_CMAKE or bool(_in_cmake(draft, name))


def _in_cmake(draft: Draft, name: str) -> str:
    archive = draft.software.archive
    places: tuple[tuple[Section, str], ...] = (
        *(("cmake", one) for one in (name, name.upper(), name.lower())),
        ("pkgconfig", name.lower()),
        ("library", f"lib{name.lower()}.so"),
    )
    return next((found[0] for section, key in places if (found := archive.find(section, key))), "")


def add_cmake(draft: Draft, name: str, rests_on: str) -> None:
    """Add the package that CMake's find_package finds under a name."""
    if package := _in_cmake(draft, name):
        draft.add_system(_unversioned(package), rests_on)
    elif name not in _OF_CMAKE:
        draft.guess("environment.system", name, f"{rests_on}: no package of Debian is known to have it", Sureness.ASK)


def _unversioned(package: str) -> str:
    """Take the package that has the suite's own version: libboost-system-dev for libboost-system1.74-dev."""
    return (
        re.sub(r"(?<=[a-z])-?\d+\.\d+(?:\.\d+)?-dev$", "-dev", package) if package.startswith("libboost") else package
    )


def linked_in(text: str) -> list[str]:
    """List what `-l` names in a text."""
    return list(dict.fromkeys(_LINKED.findall(text)))


def _take(draft: Draft, package: str, name: str, rests_on: str, needs: Needs) -> None:
    draft.add_system(package, rests_on)
    _link(draft, package, name, needs)
