"""A source that is a program of a CMake project: built as that says, where it says more than a compiler guesses."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages import building
from cluster_interface.inspection.languages.make import BUILD, CMAKE, CMAKE_BUILD, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project

FILE = "CMakeLists.txt"
_HIGHEST = 4  #: directories above a source in which it is looked for
_PROGRAM = re.compile(r"\badd_executable\s*\(\s*([\w.+-]+)\s+([^()]*)\)", re.IGNORECASE)
_STANDARD = re.compile(r"\bCMAKE_(?:C|CXX)_STANDARD\b|-std=|\badd_(?:compile_)?definitions\b", re.IGNORECASE)
#: what wants the network, or puts programs where nobody looks
_ELSEWHERE = re.compile(r"FetchContent|ExternalProject|CPMAddPackage|RUNTIME_OUTPUT_DIRECTORY", re.IGNORECASE)
_OF_TESTS = re.compile(r"\bif\s*\([^()]*TEST[^()]*\).*?\bendif\s*\(", re.IGNORECASE | re.DOTALL)  #: which are left out
_WANTED = re.compile(r"\bfind_package\s*\(\s*(\w+)[^)]*\bREQUIRED\b", re.IGNORECASE)


def built_by(draft: Draft) -> str:
    """Return the line that builds the draft's source by its CMake project and runs it; empty where it does not do so.

    A program of one source that is linked with nothing is compiled without it.
    """
    project = draft.project
    found = next(_targets(draft), None)
    if found is None:
        return ""
    file, target, text = found
    top = next(
        (one for one in _up(project, file) if re.search(r"\bproject\s*\(", text_of(project, one), re.IGNORECASE)), None
    )
    if top is None:
        return ""
    texts = _OF_TESTS.sub("", text_of(project, top) + text)
    says_more = _STANDARD.search(texts) or _is_linked(text, target)
    if (
        not says_more
        or _ELSEWHERE.search(texts)
        or not all(building.has_cmake(draft, one) for one in _WANTED.findall(texts))
    ):
        return ""
    CMAKE.without_tests(draft, top)
    needs = building.find_needs(draft, [draft.script])
    home = posixpath.dirname(top) or "."
    place = f"{BUILD}/bin"
    build = (
        f"cmake -S {shlex.quote(home)} -B {BUILD} -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF "
        f"-DCMAKE_RUNTIME_OUTPUT_DIRECTORY={place} && {CMAKE_BUILD} --target {target}"
    )
    return f"{build} && {building.start(draft, posixpath.join(place, target), needs)}"


def _targets(draft: Draft) -> Iterator[tuple[str, str, str]]:
    """Yield the build files that make a program of a source, the nearest first: file, target, text without comments."""
    project, home, script = draft.project, posixpath.dirname(draft.script), draft.of_job(draft.script)
    for _ in range(_HIGHEST):
        file = posixpath.normpath(posixpath.join(home, FILE))
        text = re.sub(r"#[^\n]*", "", text_of(project, file)) if file in project else ""
        for found in _PROGRAM.finditer(text):
            if any(draft.of_job(posixpath.normpath(posixpath.join(home, one))) == script for one in found[2].split()):
                yield file, found[1], text
        home = posixpath.normpath(posixpath.join(home, ".."))


def _up(project: Project, file: str) -> list[str]:
    """List a build file and those in the directories above it that are there, the nearest first."""
    home, found = posixpath.dirname(file), [file]
    for _ in range(_HIGHEST):
        home = posixpath.normpath(posixpath.join(home, ".."))
        other = posixpath.join(home, FILE)
        found += [other] if other in project else []
    return found


def _is_linked(text: str, target: str) -> bool:
    sources = next(found[2] for found in _PROGRAM.finditer(text) if found[1] == target).split()
    linked = re.search(rf"\btarget_link_libraries\s*\(\s*{re.escape(target)}\s", text, re.IGNORECASE)
    return len(sources) > 1 or bool(linked)
