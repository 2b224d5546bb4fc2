"""Which further sources a program is linked with: those beside it that define what it calls and does not define."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.building import FORTRAN_ENDINGS, language_of
from cluster_interface.inspection.languages.lexis import FORTRAN, C, Source
from cluster_interface.inspection.project import LARGEST
from cluster_interface.inspection.python.source import normalize

if TYPE_CHECKING:
    from cluster_interface.inspection.project import Project

MOST_BESIDE = 300  #: sources of one directory that are looked at
_MAIN = re.compile(r"\bmain\s*\(|^[ \t]*(?i:program)[ \t]+\w+", re.MULTILINE)
_PARAMETERS = r"\((?:[^;{}()]|\([^;{}()]{0,200}\)){0,2000}\)"  #: of which some may be functions
_DEFINED = re.compile(
    rf"^(?!static\b)[A-Za-z_][\w \t*&]{{0,120}}?[ \t*&\n]([A-Za-z_]\w*)\s{{0,40}}{_PARAMETERS}\s{{0,200}}\{{",
    re.MULTILINE,
)
_DECLARED = re.compile(
    rf"^[ \t]*[A-Za-z_][\w \t*&]{{0,120}}?[ \t*&]([A-Za-z_]\w*)[ \t]{{0,40}}{_PARAMETERS}\s{{0,200}};", re.MULTILINE
)
_CALLED = re.compile(r"(?<![\w.>:])([A-Za-z_]\w*)\s{0,40}\(")
_FORTRAN_DEFINED = re.compile(
    r"^[ \t]*(?!end\b)(?:[\w*=]+(?:[ \t]*\([\w=*, ]{0,40}\))?[ \t]+){0,4}?(?:subroutine|function)[ \t]+([a-z]\w*)",
    re.MULTILINE,
)
_FORTRAN_CALLED = re.compile(r"\bcall[ \t]+([a-z]\w*)")
_FORTRAN_EXTERNAL = re.compile(r"\bexternal\b([^\n]{0,500})")


@dataclass(frozen=True)
class _Read:
    """What is asked of a source."""

    has_main: bool
    defines: frozenset[str]
    called: frozenset[str]
    declared: frozenset[str]


def has_main(source: Source) -> bool:
    """Say whether a source has a main program."""
    return bool(_MAIN.search(source.code))


def linked_with(project: Project, name: str, together: list[str]) -> list[str]:
    """List the sources of a program's directory that define what the files `together` call and none of them defines."""
    read = [_read(project.text(one) or "", _is_fortran(name)) for one in together]
    called = {word for one in read for word in one.called}
    declared = called if _is_fortran(name) else {word for one in read for word in one.declared}
    wanted = (called & declared) - {word for one in read for word in one.defines}
    found: list[str] = []
    for other in _beside(project, name, together) if wanted else ():
        seen = _read(project.text(other) or "", _is_fortran(name))
        if wanted & seen.defines and not seen.has_main:
            found.append(other)
            wanted -= seen.defines
    return found


def _beside(project: Project, name: str, together: list[str]) -> list[str]:
    """List the other sources of a directory in the same language, those called like the program first."""
    home, stem = posixpath.dirname(name), posixpath.splitext(posixpath.basename(name))[0]
    kind = _is_fortran(name)
    others = [
        one
        for one in project.files
        if posixpath.dirname(one) == home and language_of(one) and _is_fortran(one) == kind and one not in together
    ]
    return sorted(others, key=lambda one: not stem.startswith(posixpath.splitext(posixpath.basename(one))[0]))[
        :MOST_BESIDE
    ]


@lru_cache(maxsize=512)  # in a directory of many programs each is asked about each
def _read(text: str, fortran: bool) -> _Read:  # noqa: FBT001
    source = Source(normalize(text) if len(text) <= LARGEST else "", FORTRAN if fortran else C)
    if not fortran:
        found = [frozenset(pattern.findall(source.code)) for pattern in (_DEFINED, _CALLED, _DECLARED)]
        return _Read(has_main(source), *found)
    code = source.code.lower()
    called = {*_FORTRAN_CALLED.findall(code), *re.findall(r"[a-z]\w*", " ".join(_FORTRAN_EXTERNAL.findall(code)))}
    return _Read(has_main(source), frozenset(_FORTRAN_DEFINED.findall(code)), frozenset(called), frozenset())


def _is_fortran(name: str) -> bool:
    return name.lower().endswith(FORTRAN_ENDINGS)
