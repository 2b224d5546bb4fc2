"""Options of directives: taken apart as the batch system's own command line does it, and given to the rule of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cluster_interface.inspection.batch.directives import PREFIXES
from cluster_interface.inspection.wording import shown
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.batch.directives import Directive
    from cluster_interface.inspection.batch.request import Request

ATTACHED = -1  #: a value may stand behind `=`, never in a word of its own


@dataclass(frozen=True)
class Option:
    """One option of one directive, as it is written there."""

    name: str
    value: str
    line: int
    written: str  #: "#SBATCH --mem=4G"

    @property
    def where(self) -> str:
        """What a guess rests on."""
        return f"{self.written}, line {self.line}"

    def saying(self, value: str) -> Option:
        """Return the option as if it had this part of its value alone."""
        return replace(self, value=value)

    def refuse(self, field: str, why: str) -> Rejected:
        """Make the refusal of what this option says."""
        if re.search(r"<[^<>]*>|<\S*$", self.written):
            why = "this stands for something of your own; write that in its place"
        return Rejected.field(field, f"line {self.line}: {self.written}: {why}")


Apply = Callable[["Request", Option], None]


@dataclass(frozen=True)
class Rule:
    """What an option does to the request, and how many words it takes."""

    apply: Apply
    takes: int = 1


Table = Mapping[str, Rule]


def getopt(directive: Directive, table: Table, letters: Mapping[str, str]) -> Iterator[Option]:
    """Yield the options of a directive as getopt_long(3) reads them: `-N1`, `-N 1`, `--nodes=1`, `--nod 1`.

    Rejected where an option lacks its value. A word that is no option is one of the name "".
    """
    words = list(reversed(directive.words))
    while words:
        word = words.pop()
        if word.startswith("--") and len(word) > 2:
            name, given, value = word[2:].partition("=")
            yield _with_value(
                directive, words, Option(_long(name, table), value, directive.line, word), table, given=bool(given)
            )
        elif word.startswith("-") and len(word) > 1:
            name, value = letters.get(word[1], word[1]), word[2:]
            if value and name in table and table[name].takes != 1:  # flags that are written together
                words.append(f"-{value}")
                word, value = word[:2], ""
            yield _with_value(directive, words, Option(name, value, directive.line, word), table, given=bool(value))
        else:
            yield Option("", word, directive.line, _written(directive, word))


def _with_value(directive: Directive, words: list[str], option: Option, table: Table, *, given: bool) -> Option:
    """Complete an option: with the next word as its value, if it takes one and none is attached to it."""
    if given or option.name not in table or table[option.name].takes != 1:
        return replace(option, written=_written(directive, option.written))
    if not words:
        raise _lacks(directive, option.written)
    value = words.pop()
    return replace(option, value=value, written=_written(directive, option.written, value))


def single_dash(directive: Directive, table: Table) -> Iterator[Option]:
    """Yield the options of a directive as Grid Engine reads them: `-pe smp 4`, every value a word of its own."""
    words = list(reversed(directive.words))
    while words:
        word = words.pop()
        if not word.startswith("-") or len(word) < 2:
            yield Option("", word, directive.line, _written(directive, word))
            continue
        name = word[1:]
        takes = table[name].takes if name in table else ATTACHED
        if takes == ATTACHED:  # unknown, or with a value that may be missing
            takes = int(bool(words) and not words[-1].startswith("-"))
        values = [words.pop() for _ in range(min(takes, len(words)))]
        if len(values) < takes:
            raise _lacks(directive, word)
        yield Option(name, " ".join(values), directive.line, _written(directive, word, *values))


def _long(name: str, table: Table) -> str:
    if name in table:
        return name
    known = [other for other in table if other.startswith(name)]
    return known[0] if len(known) == 1 else name


def _lacks(directive: Directive, word: str) -> Rejected:
    return Rejected.field(
        "script", f"line {directive.line}: {_written(directive, word)} has no value; write one, or take the line out"
    )


def _written(directive: Directive, *words: str) -> str:
    return shown(" ".join([PREFIXES[directive.dialect], *words]), 160)[1:-1]
