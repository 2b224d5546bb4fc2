"""The directive lines of a script: which are read, and how they are cut into words.

sbatch(1), measured with 22.05: lines that begin with `#SBATCH`, up to the first line that is neither blank nor a
comment; no blank is needed behind it, none may stand before it. qsub(1) of Son of Grid Engine 8.1.9: every line whose
first two characters are `#$`. qsub(1B) of PBS Professional and Torque: `#PBS`, perhaps indented, up to the first
executable line. bsub(1): `#BSUB`, taken up to the first command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cluster_interface.inspection.wording import shown
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

Dialect = Literal["slurm", "gridengine", "pbs", "lsf"]

_SLURM = re.compile(r"#SBATCH(?![A-Za-z0-9_])(.*)")
_GRIDENGINE = re.compile(r"#\$([ \t]*-[A-Za-z].*)")
_PBS = re.compile(r"[ \t]*#PBS(?![A-Za-z0-9_])(.*)")
_LSF = re.compile(r"#BSUB(?![A-Za-z0-9_])(.*)")
_COMMENT = re.compile(r"\s*(?:#.*)?")
PREFIXES: dict[Dialect, str] = {"slurm": "#SBATCH", "gridengine": "#$", "pbs": "#PBS", "lsf": "#BSUB"}
MOST = 1000  #: directives of one script that are read


@dataclass(frozen=True)
class Directive:
    """One directive line: `#SBATCH -N 1 --mem=4G`."""

    dialect: Dialect
    line: int
    words: tuple[str, ...]


def find_directives(text: str) -> list[Directive]:
    """Return every directive in file order, of whatever dialect; Rejected where a quote is never closed."""
    found = [Directive(dialect, line, _words(dialect, line, rest)) for dialect, line, rest in _lines(text)]
    return [directive for directive in found if directive.words][:MOST]


def begins_with_directives(text: str) -> bool:
    """Say whether directives stand before the first command."""
    return any(True for _ in _lines(text, to_the_end=False))


def overlooked(text: str) -> list[int]:
    """Return the lines of Slurm's, PBS's and LSF's directives behind the first command, where nobody reads them.

    In a text with here-documents, which may hold other scripts, none is looked for.
    """
    if "<<" in text:
        return []
    read = {number for _, number, _ in _lines(text)}
    likely = (number for number, line in enumerate(text.split("\n"), 1) if re.match(r"#(?:SBATCH|PBS|BSUB)\s+-", line))
    return [number for number in likely if number not in read]


def _lines(text: str, *, to_the_end: bool = True) -> Iterator[tuple[Dialect, int, str]]:
    in_head = True
    for number, line in enumerate(text.split("\n"), 1):
        in_head = in_head and _COMMENT.fullmatch(line) is not None
        if not in_head and not to_the_end:
            return
        if in_head and (found := _SLURM.fullmatch(line)):
            yield "slurm", number, found[1]
        elif in_head and (found := _PBS.fullmatch(line)):
            yield "pbs", number, found[1]
        elif in_head and (found := _LSF.fullmatch(line)):
            yield "lsf", number, found[1]
        elif found := _GRIDENGINE.fullmatch(line):
            yield "gridengine", number, found[1]


def _words(dialect: Dialect, line: int, rest: str) -> tuple[str, ...]:
    try:
        return tuple(cut(rest))
    except ValueError as error:
        prefix = PREFIXES[dialect]
        raise Rejected.field("script", f"line {line}: {prefix}{shown(rest)[1:-1]}: {error}") from None


def cut(text: str) -> list[str]:
    """Cut a directive into words as a shell does: quotes, backslashes, and `#` at a word's start ends it.

    Raises ValueError where a quote is never closed.
    """
    words: list[str] = []
    word: list[str] | None = None
    quote, at = "", 0
    while at < len(text):
        c = text[at]
        at += 1
        if quote and c == quote:
            quote = ""
        elif c == "\\" and quote != "'" and at < len(text):
            word = [*(word or ()), text[at]]
            at += 1
        elif quote:
            word = [*(word or ()), c]
        elif c in "'\"":
            quote, word = c, word or []
        elif c.isspace():
            words += ["".join(word)] if word is not None else []
            word = None
        elif c == "#" and word is None:
            break
        else:
            word = [*(word or ()), c]
    if quote:
        raise ValueError(f"the quote {quote} is never closed; close it")
    return [*words, "".join(word)] if word is not None else words
