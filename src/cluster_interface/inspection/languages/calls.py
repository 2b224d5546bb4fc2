"""What is handed to calls: arguments by place and name, lists and tables in them, whatever language wrote them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.languages.lexis import Source

LONGEST = 20_000  #: characters of one call
MOST = 500  #: arguments of one call, calls of one file
_KEY = re.compile(r"\s*(?:(:?[A-Za-z_$][\w$.-]*)|(\"[^\"]*\"))\s*(?:=>|=(?![=~>])|:(?![:=]))\s*")
_PLAIN = re.compile(r"-?\d[\d_]*(?:\.\d*)?(?:[eE][-+]?\d+)?|true|false|TRUE|FALSE|T|F|nil|null|nothing|NULL|NA")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_JOINED = re.compile(r"[\s+.,\\()*]*")  # what may stand between the pieces of one text


@dataclass(frozen=True)
class Argument:
    """One argument: where it stands, and the name that it is given."""

    source: Source
    start: int
    end: int
    key: str = ""

    @property
    def code(self) -> str:
        """What is written, the insides of strings blanked."""
        return self.source.code[self.start : self.end].strip()

    @property
    def strings(self) -> list[str]:
        """The strings in it, in their order."""
        return [text for _, _, text in _strings(self.source, self.start, self.end)]

    @property
    def text(self) -> str | None:
        """Its text, of one string or of several that are joined; None where it is more than that."""
        found, at = list(_strings(self.source, self.start, self.end)), self.start
        for start, end, _ in found:
            if not _JOINED.fullmatch(self.source.code[at:start]):
                return None
            at = end
        whole = found and _JOINED.fullmatch(self.source.code[at : self.end])
        return "".join(text for _, _, text in found) if whole else None

    @property
    def value(self) -> str | None:
        """Its text, number or truth as one would type it; None for anything else and for nothing."""
        if (text := self.text) is not None:
            return text
        code = self.code.removesuffix("L")
        return None if code in _NOTHING or not _PLAIN.fullmatch(code) else code.replace("_", "")

    @property
    def items(self) -> list[Argument]:
        """What stands in its brackets: the items of a list, the entries of a table."""
        opening = re.search(r"[\[({]", self.source.code[self.start : self.end])
        return list(arguments(self.source, self.start + opening.end())) if opening else []

    @property
    def table(self) -> dict[str, Argument]:
        """The entries of a table by name."""
        return {item.key: item for item in self.items if item.key}


_NOTHING = frozenset({"nil", "null", "nothing", "NULL", "NA"})


def calls(source: Source, pattern: str) -> Iterator[tuple[re.Match[str], list[Argument]]]:
    """Yield what a pattern finds, which ends behind the bracket of arguments or, without one, before them."""
    for number, found in enumerate(re.finditer(pattern, source.code, re.MULTILINE)):
        if number >= MOST:
            return
        yield found, list(arguments(source, found.end(), bare=not found[0].rstrip().endswith(("(", "{", "["))))


def arguments(source: Source, start: int, *, bare: bool = False) -> Iterator[Argument]:
    """Yield what commas separate, up to the bracket that closes; without brackets up to the end of the statement."""
    code, depth, at = source.code, 0, start
    for place in range(start, min(len(code), start + LONGEST)):
        sign = code[place]
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        ends = depth < 0 or (bare and not depth and _ends(code, place, at))
        if ends or (sign == "," and not depth):
            if code[at:place].strip():
                yield _argument(source, at, place)
            at = place + 1
        if ends:
            return
    if bare and code[at:].strip() and len(code) - start < LONGEST:
        yield _argument(source, at, len(code))


def _ends(code: str, place: int, at: int) -> bool:
    """Say whether a statement without brackets ends: `;`, a block, or a line that does not go on."""
    if code[place] != "\n":
        return code[place] == ";" or bool(re.match(r"\bdo\b|(?<=\s)\{", code[place : place + 3]))
    return bool(code[at:place].strip()) and not code[at:place].rstrip().endswith(("\\", "+", "."))


def _argument(source: Source, start: int, end: int) -> Argument:
    key = _KEY.match(source.code, start, end)
    if key is None:
        return Argument(source, start, end)
    name = key[1] or source.text[slice(*key.span(2))][1:-1]
    return Argument(source, key.end(), end, name.removeprefix(":"))


def _strings(source: Source, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    for found in source.lexis.pattern.finditer(source.text, start, end):
        if found.lastgroup == "string":
            yield found.start(), found.end(), unquote(found[0])


def unquote(written: str) -> str:
    """Return what a quoted text says."""
    size = 3 if written.startswith('"""') and len(written) >= 6 else 1
    inside = written[size:-size]
    return _ESCAPED.sub(lambda one: {"n": "\n", "t": "\t"}.get(one[1], one[1]), inside)
