"""What a program's usage says, in a text or a comment: `usage: prog <table> [n]`, `-n, --top N   how many`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.declared import looks_like_path
from cluster_interface.model.proposal import Option

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_HELP = 500  #: characters
MOST_LINES = 5000  #: of a file, in which usage is looked for
_LINE = re.compile(r"\b(?:usage|syntax)\s*:\s*(?:\\n\s*|\n[ \t]*)?(.*)", re.IGNORECASE)
_ENDS = re.compile(r"\\n|[\"'`](?=[\s,;)\\]|$)|\||\s{2,}(?![\[<A-Z])")
_PLACE = re.compile(r"(\[)?\s*<([\w ./|-]+)>\s*(\.\.\.)?|(\[)?\s*\b([A-Za-z][\w.-]*)\b\s*(\.\.\.)?")
_NOT_PLACES = frozenset({"options", "option", "flags", "options...", "h", "help"})
_PROGRAM = re.compile(
    r"^(?:\s*(?:python3?|perl|ruby|node|julia|octave|Rscript|bash|sh|java|sbatch|qsub|\./\S+|\$0|\$\(.*?\)|\$\{.*?\}|"
    r"%s|#\{.*?\}|\$\w+|[\w./-]+\.\w{1,4})(?=\s|$))+|^\s*\S+"
)
_SPECIES = r"(?:[ \t,|=]+(?:--?[\w-]+|[<\[]?[A-Z][\w.|-]*[\]>]?|<[^>\n]+>|(?:int|float|str|string|file|num)\b))*"


@dataclass(frozen=True)
class Place:
    """An argument by its place, as usage has it."""

    name: str
    required: bool
    many: bool


@dataclass(frozen=True)
class Usage:
    """The text of a program, asked for what its usage says."""

    text: str

    @property
    def places(self) -> tuple[Place, ...]:
        """The arguments by their place of the first usage that names any."""
        for found in _LINE.finditer(self.text):
            if places := _places(found[1]):
                return places
        return ()

    def help(self, names: Sequence[str]) -> str:
        """Return what is said behind an option's names."""
        either = "|".join(re.escape(name) for name in names if name.startswith("-"))
        if not either:
            return ""
        gap = r"(?:[ \t]{2,}|\t|[ \t]*:[ \t]+|[ \t]-[ \t])"
        line = rf"(?m)^[^\n]{{0,60}}?(?<![\w-])(?:{either})(?![\w-]){_SPECIES}[\])>]?{gap}([^\n]*)$"
        found = re.search(line, self.text)
        return clean(found[1]) if found else ""


def _places(line: str) -> tuple[Place, ...]:
    rest = _PROGRAM.sub("", _ENDS.split(line, maxsplit=1)[0], count=1)
    if re.search(r"(?<![\w<])-", rest):  # options among them: which word is the value of one is not known
        rest = re.sub(r"\[[^\]]*-[^\]]*\]|(?<![\w<])--?[\w-]+(?:[ =](?:<[^>]*>|[A-Z]+\b))?", " ", rest)
    found = []
    for match in _PLACE.finditer(rest):
        name = (match[2] or match[5]).strip()

        if name.lower() not in _NOT_PLACES:
            many = bool(match[3] or match[6])
            found.append(Place(re.sub(r"\W+", "_", name).strip("_") or name, not (match[1] or match[4]), many))
    return tuple(found)


def clean(said: str) -> str:
    """Take a mark of a comment and the end of a line of code off a help text."""
    plain = said.strip().lstrip("#:= ")
    end = re.search(r"(?:\\n)*([\"'`])\s*(?:[,;)+].*)?\\?$", plain)
    if end and plain.count(end[1]) % 2:
        plain = plain[: end.start()]
    plain = re.sub(r"(?:\\n)+\\?$", "", plain)
    if plain.startswith("-") or plain.endswith((";", "{")):  # an example, or code
        return ""
    return " ".join(plain.replace("\\t", " ").split())[:LONGEST_HELP]


def kind_of(name: str, default: str | None) -> str:
    """Name the kind of value that a default or a name speaks of."""
    if default and re.fullmatch(r"-?\d+", default):
        return "int"
    if default and re.fullmatch(r"-?\d*\.\d+(?:[eE]-?\d+)?|-?\d+[eE]-?\d+", default):
        return "float"
    return "path" if looks_like_path(re.sub(r"([a-z])([A-Z])", r"\1_\2", name)) else "text"


def long_name(names: Sequence[str]) -> str:
    """Return the name that says most: the first long one, else the first."""
    return next((name for name in names if name.startswith("--")), names[0] if names else "")


def named(name: str, names: Sequence[str], usage: Usage, **more: object) -> Option:
    """Make an option of what is known of it: its help is that of the usage where it has none of its own."""
    said = {"name": name, "aliases": tuple(one for one in names if one != name), **more}
    option = Option.model_validate(said)
    help_ = " ".join(option.help.split())[:LONGEST_HELP] or usage.help([name, *option.aliases])
    kind = option.kind if option.kind != "text" or option.flag or option.choices else kind_of(name, option.default)
    default = None if option.flag or option.required else option.default or None
    return option.model_copy(update={"help": help_, "kind": kind, "default": default})
