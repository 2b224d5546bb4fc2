"""Options that a program finds by comparing its arguments one after the other: `if (!strcmp(argv[i], "-n"))`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.calls import unquote
from cluster_interface.inspection.languages.places import plain_name
from cluster_interface.inspection.languages.usage import Usage, long_name, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.model.proposal import Option

LONGEST = 600  #: characters of a branch
HELP = frozenset({"-h", "--help", "-help", "-?", "--version", "-V"})  #: no options of a job
_NAME = re.compile(r"--?[A-Za-z][\w-]*=?")
_COMPARES = re.compile(
    r"(?:strn?(?:case)?cmp\s*\(\s*[^,;{}]{1,40},\s*|[=!]==?\s*|\b(?:strcmp|isequal)\s*\([^,;]{1,40},\s*|\beq\s+|"
    r"\.equals(?:IgnoreCase)?\s*\(\s*|(?:starts_?[wW]ith|startswith)\s*\(\s*(?:\w+\s*,\s*)?|\bcase\s+\{?\s*|\bwhen\s+)$"
)
_TURNED = re.compile(r"\s*\)?\s*(?:\.equals\s*\(|===?)")
_LIST = re.compile(r"\s*,\s*")
_SAME = re.compile(r"[^{};]{0,120}(?:\|\||\bor\b|\bcase\b)[^{};]{0,120}|\s*,\s*")
_BRANCH_ENDS = re.compile(r"\belse\b|\belse?if\b|\belsif\b|\bcase\b|\bwhen\b|\bdefault\s*:|\botherwise\b")
_NEXT = re.compile(
    r"[\[{(]\s*(?:\+\+\s*\w+|\w+\s*\+\+|\w+\s*\+\s*1)\s*[\]})]|\.shift\b|\bpopfirst!|\.next\s*\(|\boptarg\b"
)
_BEHIND = re.compile(r"\bsplit|\bsubstr|\bslice|strchr|\+\s*\d+")
_SET = re.compile(r"([A-Za-z_][\w.$]*(?:->\w+)?)\s*(?<![=!<>])=(?![=~>])")


@dataclass
class _Branch:
    names: list[str]
    start: int
    end: int


def compared(source: Source, usage: Usage, goes_through: str) -> Iterator[Option]:
    """Yield the options of a program that goes through its arguments, as a pattern says that it does."""
    if not re.search(goes_through, source.code):
        return
    branches = list(_branches(source))
    for branch, following in zip(branches, [*[one.start for one in branches[1:]], len(source.code)], strict=False):
        body = source.code[branch.end : min(following, branch.end + LONGEST)]
        body = _BRANCH_ENDS.split(body, maxsplit=1)[0]
        names = list(dict.fromkeys(name.removesuffix("=") for name in branch.names))
        if set(names) & HELP:
            continue
        joined = all(name.endswith("=") for name in branch.names)
        takes = joined or bool(_NEXT.search(body))
        variable = _SET.search(body) if takes else None
        name = long_name(names)
        default = _before(source, variable[1], branches[0].start) if variable else None
        yield named(name, names, usage, flag=not takes, default=default, joined=joined)


def _branches(source: Source) -> Iterator[_Branch]:
    current: _Branch | None = None
    for found in source.lexis.pattern.finditer(source.text):
        written = unquote(found[0]) if found.lastgroup == "string" else ""
        if not _NAME.fullmatch(written):
            continue
        before = source.code[max(0, found.start() - 80) : found.start()]
        goes_on = current is not None and _SAME.fullmatch(source.code[current.end : found.start()])
        if not (
            _COMPARES.search(before) or _TURNED.match(source.code, found.end()) or (goes_on and _LIST.search(before))
        ):
            continue
        if current is not None and goes_on:
            current.names.append(written)
            current.end = found.end()
            continue
        if current is not None:
            yield current
        current = _Branch([written], found.start(), found.end())
    if current is not None:
        yield current


def _before(source: Source, variable: str, end: int) -> str | None:
    """Find what a variable is before the arguments are read, if that is plain."""
    last = re.escape(re.split(r"\.|->", variable)[-1])
    literal = r"(\"[^\"\n]*\"|'[^'\n]*'|-?\d+(?:\.\d+)?(?:[eE]-?\d+)?)"
    found = re.search(rf"(?<![\w.]){last}(?:\[\d*\])?\s*(?::\s*\w+\s*)?(?:=|:)\s*{literal}", source.text[:end])
    if found is None or not plain_name(last):
        return None
    return unquote(found[1]) if found[1][0] in "\"'" else found[1]
