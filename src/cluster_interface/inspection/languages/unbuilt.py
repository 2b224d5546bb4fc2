"""Programs that a script starts and nobody has built yet: made first, from the build file or the source beside them."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import c, make
from cluster_interface.inspection.languages.building import SOURCES, language_of, read_source
from cluster_interface.inspection.languages.linking import has_main
from cluster_interface.inspection.wording import shown

if TYPE_CHECKING:
    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project

MOST_BUILT = 50  #: programs of one script
_ENDINGS = (".x", ".exe", ".out", ".bin")  #: what programs are called besides their sources' names


def build_first(draft: Draft) -> None:
    """Have what the draft's scripts start and what is not there built before; say where it cannot be."""
    if draft.builds:
        return
    as_it_is = draft.on_host or any(one.detects(draft.script, None) for one in (make.CMAKE, make.AUTOTOOLS, make.MAKE))
    missing = [(one, where) for one, where in draft.unbuilt.items() if posixpath.basename(one) not in draft.built]
    for program, where in missing[:MOST_BUILT]:
        if line := None if as_it_is else _line(draft, posixpath.normpath(program)):
            draft.first.setdefault(line, f"{where} starts {shown(program)}, which is built first")
        else:
            draft.opaque = True
            draft.warn_once(
                f"program {program}",
                f"{where} starts {shown(program)}, which is not among the files: bring it with --input, or build "
                "it in the script",
            )


def _line(draft: Draft, program: str) -> str | None:
    """Return the command line that builds a program, and add what that needs."""
    if program.startswith("../"):
        return None
    home, name = posixpath.split(program)
    return _by_make(draft, home, name) or _by_cmake(draft, home, name) or _by_compiler(draft, program)


def _by_make(draft: Draft, home: str, name: str) -> str | None:
    file = next((one for one in (posixpath.join(home, n) for n in make.NAMES) if one in draft.project), None)
    if file is None:
        return None
    rules = make.Rules(make.text_of(draft.project, file))
    if name in rules.targets or any(_fits(pattern, name, home, draft.project) for pattern in rules.patterns):
        target = [name]
    elif re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", rules.text):
        target = []
    else:
        return None
    make.MAKE.follow(draft, file, ())
    return shlex.join(["make", *(["-C", home] if home else []), *target])


def _fits(pattern: tuple[str, tuple[str, ...]], name: str, home: str, project: Project) -> bool:
    """Say whether a rule like `%.x: %.c` makes a file of sources that are there."""
    before, _, after = pattern[0].partition("%")
    if not (name.startswith(before) and name.endswith(after) and len(name) > len(before + after)):
        return False
    stem = name[len(before) : len(name) - len(after)]
    wanted = [one.replace("%", stem) for one in pattern[1] if "%" in one]
    return bool(wanted) and all(posixpath.normpath(posixpath.join(home, one)) in project for one in wanted)


def _by_cmake(draft: Draft, home: str, name: str) -> str | None:
    """Build it where it is looked for, by the project that lies there or above: build/prog is one of CMakeLists.txt."""
    top = home
    while (file := posixpath.join(top, "CMakeLists.txt")) not in draft.project:
        if not top:
            return None
        top = posixpath.dirname(top)
    files = [one for one in draft.project.below(top) if posixpath.basename(one) == "CMakeLists.txt"]
    made = rf"\badd_executable\s*\(\s*{re.escape(name)}\s"
    if not any(re.search(made, make.text_of(draft.project, one), re.IGNORECASE) for one in files):
        return None
    make.CMAKE.follow(draft, file, ())
    place = f'"$PWD"/{shlex.quote(home)}' if home else '"$PWD"'
    options = f"-DCMAKE_BUILD_TYPE=Release -DCMAKE_RUNTIME_OUTPUT_DIRECTORY={place}"
    return f"cmake -S {shlex.quote(top or '.')} -B {make.BUILD} {options} && {make.CMAKE_BUILD}"


def _by_compiler(draft: Draft, program: str) -> str | None:
    """Compile the one source that is called like it; a.out is the only program that there is."""
    home, name = posixpath.split(program)
    found = _sources(draft.project, home, name)
    if len(found) != 1:
        return None
    files = c.together(draft.project, found[0])
    needs = c.LANGUAGE.add(draft, files)
    return c.build(draft, program, [one for one in files if language_of(one)], needs)


def _sources(project: Project, home: str, name: str) -> list[str]:
    if name == "a.out":
        beside = [one for one in project.files if posixpath.dirname(one) == home and language_of(one)]
        return [one for one in beside if has_main(read_source(project, one))]
    stems = dict.fromkeys([name, *(name.removesuffix(ending) for ending in _ENDINGS)])
    places = [posixpath.join(place, stem) for stem in stems for place in (home, posixpath.join(home, "src"))]
    endings = dict.fromkeys([*SOURCES, *(one.upper() for one in SOURCES if one.startswith(".f"))])
    return [place + ending for place in places for ending in endings if place + ending in project]
