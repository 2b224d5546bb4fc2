"""Makefiles, CMake and autotools: what they build and call, built in the container and then run."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import building
from cluster_interface.inspection.languages.building import ALL, PLACE, Needs, language_of, read_source
from cluster_interface.inspection.languages.c_verbs import VERBS
from cluster_interface.inspection.languages.files import Where, read_files
from cluster_interface.inspection.project import LARGEST
from cluster_interface.inspection.python.files import read_arguments
from cluster_interface.inspection.python.source import normalize
from cluster_interface.inspection.rooted import found_from
from cluster_interface.inspection.shell.reader import Reader
from cluster_interface.inspection.wordlist import words
from cluster_interface.model.executable import parse
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project
    from cluster_interface.inspection.shebang import Shebang

MOST_RULES = 2000
NAMES = ("Makefile", "makefile", "GNUmakefile")  #: of what make reads by itself
BUILD = f"{PLACE}/build"
CMAKE_BUILD = f'cmake --build {BUILD} --parallel "${{CLIF_CPUS:-1}}"'
_VARIABLE = re.compile(r"^[ \t]*(?:export[ \t]+|override[ \t]+)?([\w.]+)[ \t]*(?::{0,3}|\?|\+)=[ \t]*(.*)$")
_RULE = re.compile(r"^([^\t#=:][^=:]*?)[ \t]*::?(?!=)[ \t]*([^=;]*?)(?:;(.*))?$")
_REFERENCE = re.compile(r"\$[({](\w+)[)}]|\$(\w)")
_WORD = re.compile(r"[\w.+-]+")
_TESTS = re.compile(r"(?:^|/)(?:unit_?)?tests?/", re.IGNORECASE)
_OBJECTS = (".o", ".lo", ".obj")
_PHONY = ("all", "default", "build", "everything", "world")
_COMPILER = re.compile(
    r"\b(?:gcc|g\+\+|cc|c\+\+|gfortran|clang\+?\+?|mpi(?:cc|cxx|f90|fort|c\+\+)|rustc|go build|javac)\b|"
    r"\$[({](?:CC|CXX|FC|F90|F77|LINK\.\w+|COMPILE\.\w+|LD)[)}]"
)
_CUSTOMARY_VARIABLES = {
    "CC": "cc",
    "CXX": "g++",
    "FC": "gfortran",
    "F77": "gfortran",
    "MAKE": "make",
    "RM": "rm -f",
    "AR": "ar",
}


_PARTS = words(  # of build systems: what belongs to one is no program of its own
    "configure config.status autogen.sh bootstrap install-sh config.guess config.sub depcomp missing compile "
    "test-driver ltmain.sh Makefile configure.ac"
)


class Builder:
    """A directory that is built: every source in it counts."""

    def __init__(self, says: str, names: tuple[str, ...]) -> None:
        self.says, self._names = says, names

    def detects(self, name: str, _shebang: Shebang | None) -> bool:
        """Say whether the file is the one that says how to build."""
        return posixpath.basename(name) in self._names

    def starts(self, project: Project, name: str, arguments: Sequence[str]) -> tuple[str, str]:
        """Return its own directory: what is built there is run there, too, but for what was given from the top."""
        home = posixpath.dirname(name)
        return ("", "") if found_from(project, "", arguments) else (home, posixpath.basename(name))

    def uses(self, project: Project, name: str) -> frozenset[str]:
        """Name what is built: the sources and the other files of its sort, at any depth."""
        below = project.below(posixpath.dirname(name))
        named = set(_WORD.findall(text_of(project, name)))
        parts = (one for one in below if one.endswith(ALL) or self._is_part(one) or posixpath.basename(one) in named)
        return frozenset(parts) - {name}

    def _is_part(self, name: str) -> bool:
        base = posixpath.basename(name)
        return base in self._names or base in _PARTS

    def read(self, draft: Draft) -> None:
        """Fill the draft."""
        draft.command = self._command(draft, draft.script)
        read_arguments(draft, draft.arguments, draft.written(draft.arguments))
        draft.guess("command", draft.command, f"{self.says}: built in the container, then run", Sureness.LIKELY)

    def follow(self, draft: Draft, name: str, _arguments: Sequence[str]) -> None:
        """Add what a directory needs that a script builds."""
        self._command(draft, name)

    def _command(self, draft: Draft, name: str) -> str:
        raise NotImplementedError

    def _sources(self, draft: Draft, name: str, *, tests: bool = True) -> Needs:
        home = posixpath.dirname(name)
        below = _below(draft.project, home)
        sources = [
            one
            for one in below
            if one.lower().endswith(ALL)
            and (language_of(one) or one.endswith(building.HEADERS))
            and (tests or not _TESTS.search(one))
        ]
        needs = building.find_needs(draft, sources)
        left = _left_over(draft.project, below, draft.built)
        draft.add_inputs([one for one in below if one not in left], f"{name} builds it", Sureness.KNOWN)
        for one in [one for one in sources if language_of(one)][: building.MOST_FILES]:
            read_files(draft, read_source(draft.project, one), VERBS, Where(draft, one))
        return needs


def _below(project: Project, home: str) -> list[str]:
    """List the files below a directory, which may be one above that where the program starts: `..`."""
    own = project.below("") if {*home.split("/")} == {".."} else []
    return [*project.below(home), *own]


def _left_over(project: Project, below: list[str], built: set[str]) -> set[str]:
    """Name what an earlier build on another machine left: it is built anew where its source is there."""
    sources = {posixpath.splitext(one)[0] for one in below if language_of(one)}
    modules = {
        f"{module.lower()}.mod"
        for one in below
        if one.lower().endswith(building.FORTRAN_ENDINGS)
        for module in building.FORTRAN_MODULE.findall(project.text(one) or "")
    }
    return {
        one
        for one in below
        if (one.endswith(_OBJECTS) and posixpath.splitext(one)[0] in sources)
        or posixpath.basename(one).lower() in modules
        or (posixpath.basename(one) in built and parse(project.text(one) or "") is not None)
    }


class Make(Builder):
    """make."""

    def _command(self, draft: Draft, name: str) -> str:
        draft.add_system("make", f"{name} says how to build")
        rules = Rules(text_of(draft.project, name))
        draft.built |= {posixpath.basename(target) for target in rules.targets}
        sources = any(language_of(one) for one in draft.project.below(posixpath.dirname(name)))
        needs = Needs()
        if sources and (rules.compiles or not rules.recipes):
            needs = self._sources(draft, name)
            for library in building.linked_in(rules.text):
                building.add_library(draft, library, f"{name} says -l{library}", needs)
        for library in re.findall(r"pkg-config[^\n)`]*?\s((?:[A-Za-z][\w.+-]*[ \t]*)+)", rules.text):
            for one in library.split():
                building.add_pkgconfig(draft, one, f"{name} asks pkg-config", Needs())
            draft.add_system("pkg-config", f"{name} calls it")
        reader = Reader(draft)
        for line, recipe in rules.recipes:
            reader.read_text(recipe, name, at=line - 1)
        reader.finish()
        return self._line(draft, name, rules, needs)

    def _line(self, draft: Draft, name: str, rules: Rules, needs: Needs) -> str:
        home = posixpath.dirname(name)
        make = [
            "make",
            *(["-C", home] if home else []),
            *(["-f", name] if posixpath.basename(name) not in self._names else []),
        ]
        if "run" in rules.targets and not draft.arguments:
            return shlex.join([*make, "run"])
        program = rules.program()
        if program is None:
            return shlex.join([*make, *draft.arguments])
        path = f"./{posixpath.normpath(posixpath.join(home, program))}"
        return f"{shlex.join(make)} && {building.start(draft, path, needs)}"


class Rules:
    """A Makefile: variables, targets and recipes, as far as its text tells."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.variables = dict(_CUSTOMARY_VARIABLES)
        self.targets: dict[str, list[str]] = {}
        self.recipes: list[tuple[int, str]] = []
        self.by_target: dict[str, list[str]] = {}
        self.phony: set[str] = set()
        self.patterns: list[tuple[str, tuple[str, ...]]] = []  #: targets with a %, and what they are made of
        current: list[str] = []
        for number, line in _joined(text):
            if line.startswith("\t"):
                recipe = line.strip().lstrip("@-+")
                if recipe and len(self.recipes) < MOST_RULES:
                    filled = self.filled(recipe)
                    self.recipes.append((number, filled))
                    for target in current:
                        self.by_target.setdefault(target, []).extend((recipe, filled))
            elif found := _VARIABLE.match(line):
                self.variables[found[1]] = found[2].split(" #")[0].strip()
            elif (found := _RULE.match(line)) and len(self.targets) < MOST_RULES:
                current = self.filled(found[1]).split()
                self._take(current, self.filled(found[2]).split())
        self.compiles = bool(_COMPILER.search(text)) or ".o" in text

    def _take(self, targets: list[str], wanted: list[str]) -> None:
        if ".PHONY" in targets:
            self.phony.update(wanted)
        for target in targets:
            if "%" in target:
                self.patterns.append((target, tuple(wanted)))
            elif not target.startswith("."):
                self.targets.setdefault(target, []).extend(wanted)

    def filled(self, text: str, depth: int = 0) -> str:
        """Fill plain variables in; automatic ones and functions become wildcards."""
        if depth > 5 or len(text) > LARGEST // 16:
            return text

        def value(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            return self.filled(self.variables[name], depth + 1) if name in self.variables else "*"

        done = _REFERENCE.sub(value, text.replace("$$", "\1"))
        return re.sub(r"\$\([^()]*\)|\$[@<^*?+%|]", "*", done).replace("\1", "$")

    def program(self) -> str | None:
        """Return the program that the first target makes; None where it makes none."""
        target = next(iter(self.targets), None)
        seen: set[str] = set()
        while target is not None and target not in seen:
            seen.add(target)
            makes = " ".join(self.by_target.get(target, ()))
            if target not in self.phony and target not in _PHONY:
                compiled = _COMPILER.search(makes) or (not makes and self.compiles)
                is_program = not target.endswith((".o", ".a", ".so")) and "*" not in target
                return target if compiled and is_program else None
            target = next(
                (one for one in self.targets[target] if one in self.targets or (self.compiles and "*" not in one)), None
            )
            if target is not None and target not in self.targets:
                return target if "." not in target else None
        return None


def _joined(text: str) -> list[tuple[int, str]]:
    """List the logical lines with their numbers, comments taken off."""
    lines: list[tuple[int, str]] = []
    pending = ""
    start = 0
    for number, line in enumerate(text.split("\n"), 1):
        start = start if pending else number
        if line.endswith("\\") and len(pending) < LARGEST // 16:
            pending += line[:-1] + " "
            continue
        whole, pending = pending + line, ""
        if not whole.lstrip().startswith("#"):
            lines.append((start, whole if whole.startswith("\t") else whole.split("#")[0].rstrip()))
    return [(number, line) for number, line in lines if line.strip()]


class CMake(Builder):
    """CMake."""

    def without_tests(self, draft: Draft, name: str) -> None:
        """Add what a directory needs that is built without its tests."""
        self._command(draft, name, tests=False)

    def _command(self, draft: Draft, name: str, *, tests: bool = True) -> str:
        home = posixpath.dirname(name)
        draft.add_system("cmake", f"{name} says how to build")
        draft.add_system("make", f"{name} says how to build")
        needs = self._sources(draft, name, tests=tests)
        files = [
            one
            for one in _below(draft.project, home)
            if posixpath.basename(one) in self._names and (tests or not _TESTS.search(one))
        ][: building.MOST_FILES]
        programs: list[str] = []
        for file in files:
            text = re.sub(r"#[^\n]*", "", text_of(draft.project, file))
            self._packages(draft, file, text, needs)
            below = posixpath.relpath(posixpath.dirname(file) or ".", home or ".")
            names = {found[1]: found[2] for found in re.finditer(r"\bproject\s*\(\s*(()[\w.-]+)", text, re.IGNORECASE)}
            for program in re.findall(r"\badd_executable\s*\(\s*([\w.${}-]+)", text, re.IGNORECASE):
                plain = re.sub(r"\$\{(?:PROJECT_NAME|CMAKE_PROJECT_NAME)\}", next(iter(names), "*"), program)
                programs.append(posixpath.normpath(posixpath.join(below, plain)))
        for compiler in ("gcc", "g++"):  # CMake asks for both unless it is told otherwise
            draft.add_system(compiler, f"{name} says how to build")
        draft.add_system("libc6-dev", f"{name} says how to build")
        build = f"cmake -S {shlex.quote(home or '.')} -B {BUILD} -DCMAKE_BUILD_TYPE=Release && {CMAKE_BUILD}"
        program = next((one for one in programs if "*" not in one and "test" not in one.lower()), None)
        return f"{build} && {building.start(draft, posixpath.join(BUILD, program), needs)}" if program else build

    def _packages(self, draft: Draft, file: str, text: str, needs: Needs) -> None:
        for found in re.finditer(r"\bfind_package\s*\(\s*(\w+)([^)]*)\)", text, re.IGNORECASE):
            where = f"find_package({found[1]}) of {file}"
            if found[1] == "Boost" and "COMPONENTS" not in found[2]:
                draft.add_system("libboost-dev", where)
            elif "REQUIRED" in found[2] or draft.software.archive.find("cmake", found[1]):
                building.add_cmake(draft, found[1], where)
        for found in re.finditer(r"\bpkg_(?:check|search)_modules?\s*\(\s*\w+([^)]*)\)", text, re.IGNORECASE):
            draft.add_system("pkg-config", f"{file} calls it")
            for one in re.findall(r"(?<![\w>=.])([A-Za-z][\w.+-]*)", found[1]):
                if not one.isupper() and one != "IMPORTED_TARGET":
                    building.add_pkgconfig(draft, one, f"pkg_check_modules of {file}", needs)
        if "fortran" in text.lower():
            draft.add_system("gfortran", f"{file} names Fortran")


class Autotools(Builder):
    """autoconf and automake."""

    def _command(self, draft: Draft, name: str) -> str:
        home = posixpath.dirname(name)
        configure = posixpath.join(home, "configure")
        draft.add_system("make", f"{name} says how to build")
        needs = self._sources(draft, name)
        told = "\n".join(text_of(draft.project, posixpath.join(home, one)) for one in ("configure.ac", "configure.in"))
        for library in re.findall(r"AC_CHECK_LIB\s*\(\s*\[?(\w+)|AC_SEARCH_LIBS\s*\([^,]*,\s*\[?(\w+)", told):
            building.add_library(draft, library[0] or library[1], f"{name} checks for it", needs)
        for names in re.findall(r"PKG_CHECK_MODULES\s*\(\s*\[?\w+\]?\s*,\s*\[?([^\]),]+)", told):
            draft.add_system("pkg-config", f"{name} calls it")
            for one in re.findall(r"(?<![\w>=.])([A-Za-z][\w.+-]*)", names):
                building.add_pkgconfig(draft, one, f"{name} checks for it", needs)
        if not needs.compilers:
            building.find_needs(draft, [], Needs(compilers={"gcc": None}))
        prepare = ""
        if configure not in draft.project:
            for package in ("autoconf", "automake", "libtool"):
                draft.add_system(package, f"{name} is made into configure")
            sources = f"{PLACE}/sources"  # what it writes beside them is nothing that the job leaves
            prepare = f"cp -RL {shlex.quote(home or '.')} {sources} && autoreconf -fi {sources} && "
            configure = f"{sources}/configure"
        made = text_of(draft.project, posixpath.join(home, "Makefile.am")) + text_of(
            draft.project, posixpath.join(home, "src/Makefile.am")
        )
        programs = re.findall(r"^\s*(?:bin|noinst)_PROGRAMS\s*\+?=\s*([\w.-]+)", made, re.MULTILINE)
        below = "src/" if "PROGRAMS" in text_of(draft.project, posixpath.join(home, "src/Makefile.am")) else ""
        build = (
            f"{prepare}mkdir -p {BUILD} && (cd {BUILD} && sh {shlex.quote(posixpath.join('/job', configure))} && make)"
        )
        if not programs:
            return build
        return f"{build} && {building.start(draft, posixpath.join(BUILD, below + programs[0]), needs)}"


def text_of(project: Project, name: str) -> str:
    """Return the text of a build file; empty if it is too large."""
    text = project.text(name) or ""
    return normalize(text) if len(text) <= LARGEST else ""


AUTOTOOLS = Autotools("autotools (configure)", ("configure", "configure.ac", "configure.in"))
CMAKE = CMake("CMake (CMakeLists.txt)", ("CMakeLists.txt",))
MAKE = Make("make (Makefile)", NAMES)
