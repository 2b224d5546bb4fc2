"""Where a program is to start, and how far above that its files lie.

Its own directory, where it finds what it names; else one above from which it finds that: many programs that lie in
`code/` are written to be started from the top of their project, whatever the directory a person stands in. What is
built with all of its project starts where that one's manifest lies.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.client.above import HIGHEST, is_of_a_project
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from pathlib import Path

ENDINGS = words(
    ".py .r .rmd .qmd .pl .rb .m .lua .c .cc .cpp .cxx .f .f77 .f90 .f95 .f03 .f08 "
    ".sh .bash .sbatch .slurm .sge .pbs .job .qsub "
    ".tex .plt .gp .gnuplot .awk .tcl .hs .ml .php .sql .sps .sce .lmp .smk Snakefile"
)
_COMPILED = words(".c .cc .cpp .cxx .f .f77 .f90 .f95 .f03 .f08")
_SHELL = words(".sh .bash .sbatch .slurm .sge .pbs .job .qsub")
MOST_NAMES = 1000
#: a path of which at least one directory is said, in quotes or as a word, up to where a part of it varies
_QUOTED = re.compile(r"""["']((?:\./)?(?:\.\./)*[\w.-][\w. -]*/[^"'\\\n$*?{}<>|;]*)""")
#: the name of a file that may lie beside it
_PLAIN = re.compile(r"""["']([\w-][\w. -]{0,100}\.\w{1,8})["']""")
_WORD = re.compile(r"""(?:^|[\s=<>(])((?:\./)?(?:\.\./)*[\w.-]+/[\w./-]*)""", re.MULTILINE)
#: files that say what a program is built with, and how far above it they may lie: a Java package is many directories
MANIFESTS = {
    ".rs": ("Cargo.toml",),
    ".go": ("go.mod",),
    ".java": ("pom.xml", "build.gradle", "build.gradle.kts"),
    ".jl": ("Project.toml",),
}
#: what a build tool that a script of the shell calls reads, where it is called
_BUILDS = {
    re.compile(rf"^[ \t]*(?:\w+=\S*[ \t]+)*{called}", re.MULTILINE): files
    for called, files in (
        (r"cmake\b(?!.*--(?:build|install))(?=.*[ \t]\.(?:[ \t]|$))", ("CMakeLists.txt",)),
        (r"g?make(?![\w.-])(?!.*[ \t](?:-C|-f|--directory)\b)", ("Makefile", "makefile", "GNUmakefile")),
        (r"cargo[ \t]+(?:build|run|test)\b", ("Cargo.toml",)),
        (r"go[ \t]+(?:build|run|test)[ \t]+\.", ("go.mod",)),
        (r"mvn\b", ("pom.xml",)),
        (r"pip3?[ \t]+install[ \t]+(?:-e[ \t]+)?\.", ("pyproject.toml", "setup.py")),
    )
}
DEEPEST = 10
_NAME_OF_PROJECT = re.compile(r"^name\s*=\s*\"(\w+)\"", re.MULTILINE)
_HERE = re.compile(r"\bhere(?:::here)?\s*\(")
_MARKS = ("*.Rproj", ".here", ".git")  #: of a project's top, by which R's here() goes


def start_of(script: Path, text: str | None) -> tuple[Path, Path]:
    """Return the directory whose files a program may need, and the one below or the same in which it starts.

    Of Python only those that start above are said here: `above` knows what else leads there.
    """
    here = script.parent
    if script.name == "Snakefile" and here.name == "workflow":  # as its documentation lays projects out
        return here.parent, here.parent
    if text is None or (script.suffix.lower() or script.name) not in ENDINGS:
        project = _project(script, text or "")
        return project, project
    homes = [here, *_above(here)]
    names = list(dict.fromkeys([*_QUOTED.findall(text), *_PLAIN.findall(text), *_WORD.findall(text)]))[:MOST_NAMES]
    found = {home: [name for name in names if _is_there(home, name)] for home in homes}
    for called, files in _BUILDS.items() if script.suffix in _SHELL else ():
        if called.search(text):
            for home in homes:
                found[home] += [name for name in files if (home / name).is_file()][:1]
    start = max(homes, key=lambda home: len(found[home]))  # the first of equal ones: where it lies
    if start == here and _HERE.search(text):
        start = next((home for home in homes if any(next(home.glob(mark), None) for mark in _MARKS)), here)
    if start == here and script.suffix == ".py":
        return here, here
    levels = max((name.count("../") for name in found[start]), default=0)
    base = [start, *_above(start)][: levels + 1][-1]
    return min(base, _of_cmake(script) or base, key=lambda home: len(home.parts)), start


def _of_cmake(script: Path) -> Path | None:
    """Return the top of the CMake project that makes a program of a source; None if there is none."""
    homes = [script.parent, *_above(script.parent)] if script.suffix.lower() in _COMPILED else []
    texts = {home: (home / "CMakeLists.txt").read_text(errors="replace") for home in homes if _has_cmake(home)}
    for at, home in enumerate(homes):
        named = re.escape(script.relative_to(home).as_posix())
        if re.search(rf"\badd_executable\s*\([^()]*\s{named}\s*[\s)]", texts.get(home, ""), re.IGNORECASE):
            tops = (one for one in homes[at:] if re.search(r"\bproject\s*\(", texts.get(one, ""), re.IGNORECASE))
            return next(tops, None)
    return None


def _has_cmake(home: Path) -> bool:
    return (home / "CMakeLists.txt").is_file()


def _project(script: Path, text: str) -> Path:
    """Return the directory of a program's manifest; a script of Julia belongs to a project whose module it uses."""
    here = script.parent
    for home in [here, *_above(here, DEEPEST)]:
        for file in (home / name for name in MANIFESTS.get(script.suffix, ()) if (home / name).is_file()):
            named = _NAME_OF_PROJECT.search(file.read_text(errors="replace"))
            used = named and re.search(rf"^[ \t]*(?:using|import)\b[^\n]*\b{named[1]}\b", text, re.MULTILINE)
            if script.suffix != ".jl" or used:
                return home
    return here


def _above(directory: Path, most: int = HIGHEST) -> list[Path]:
    """List the directories above that are of the same project: never the person's home, nor somebody else's."""
    found: list[Path] = []
    for one in [*directory.parents][:most]:
        if not is_of_a_project(one, directory):
            break
        found.append(one)
    return found


def _is_there(home: Path, name: str) -> bool:
    """Say whether a name is that of a file or a directory, or of something in a directory that is there."""
    parts = name.strip().rstrip("/").split("/")
    places = ("/".join(parts), "/".join(parts[:-1]))
    try:
        return any((home / place).exists() for place in places if place.strip("./"))
    except OSError:
        return False
