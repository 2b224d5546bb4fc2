"""Arguments that a program takes by their place: `argv[1]`, `ARGV.fetch(0)`, `args{1}`, `my ($in, $out) = @ARGV`.

Which must be given is what the program itself checks (`argc < 3` and its end), else what it has a default for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.calls import unquote
from cluster_interface.inspection.languages.usage import Usage, kind_of
from cluster_interface.model.proposal import Option

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cluster_interface.inspection.languages.lexis import Source

MOST = 20  #: places
NEAR = 200  #: characters around an argument that are looked at
SHORTEST = 4  #: letters of a name that says more than what is made of an argument: `fp = open(argv[1])`
_NAMED = re.compile(
    r"([A-Za-z_][\w.$]*(?:->\w+)?)(?:\s*,\s*(?:err|_|ok)\b)?\s*(?::\s*[\w<>\[\]]+\s*)?(?:<-|:?(?<![=!<>~|?])=)(?![=~>])"
)
_NUMBER = {
    "int": re.compile(
        r"\b(?:atoi|atol|atoll|strtou?ll?|stoi|stol|stoull?|parseInt|parseLong|Integer|as\.integer|BigInt|Atoi|ParseInt)\b|"
        r"parse\s*\(\s*U?Int\d*\b|\.to_i\b"
    ),
    "float": re.compile(
        r"\b(?:atof|strtod|strtof|stod|stof|parseFloat|parseDouble|ParseFloat|Float|as\.(?:numeric|double)|Number)\b|"
        r"parse\s*\(\s*Float\d*\b|\.to_f\b|\bstr2(?:num|double)\b"
    ),
    "path": re.compile(
        r"\b(?:fopen|open|File|FileReader|Paths\.get|Path\.of|ifstream|ofstream|readFileSync|readFile|createReadStream|"
        r"readlines|read_csv|read\.\w+|readLines|readRDS|fread|dlmread|csvread|load|eachline|readdlm|foreach|CSV\.\w+)"
        r"!?\s*[({]?\s*[^,;]*$"
    ),
}
_MADE = re.compile(r"\w(?<!string)(?<!String)(?<!strdup)(?<!trim)(?<!name)\s*\([^()]*$")
_OPENED = re.compile(r"open|read|load", re.IGNORECASE)
_LITERAL = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|-?\d+(?:\.\d+)?(?:[eE]-?\d+)?\b")
_OR_ELSE = re.compile(
    r"[\s\])}]*(?:\.\w+(?:\(\))?\s*|,\s*10\s*\)\s*)?(?:\|\||\?\?|//|\bor\b|:|\belse\b)[\s({]*(?=[\"'\d-])"
)
_DIES = r"(?:die|usage|abort|pod2usage|exit|croak|raise|throw|error|stop|fail)\b"
_OR_END = re.compile(r"[\s\])}]*(?:\|\||//|\bor\b)\s*(?:die|usage|abort|pod2usage|exit|croak|raise|throw|error|stop)\b")
_LOOKED_FOR = re.compile(rf"[\s\])}}]*\?(?!\?)|[\s\])}}]*(?:\|\||\?\?|//|\bor\b)(?!\s*{_DIES})")
ENDING = re.compile(
    r"\b(?:exit|die|usage\w*|abort|stop|error|return|raise|throw|quit|pod2usage|croak|print_?usage\w*|show_?usage|help)\b"
    r"|\bUsage|Usage\b",
    re.IGNORECASE,
)
_HELP = re.compile(r"[\"']--?[\w-]*[\"']")


@dataclass(frozen=True)
class Vector:
    """How a program names the words of its command line, as regular expressions."""

    element: str  #: group 1 is a number: `\\bargv\\[(\\d+)\\]`
    first: int  #: the number of the first argument
    count: str  #: how many there are
    counted: int = 0  #: what else is counted
    empty: str = ""  #: there are none


@dataclass
class Places:
    """What is known of the arguments by their place."""

    found: dict[int, Option] = field(default_factory=dict)
    lines: dict[int, int] = field(default_factory=dict)
    optional: set[int] = field(default_factory=set)
    least: int | None = None  #: the program ends with fewer
    many: str = ""  #: the name of those that follow

    def take(self, place: int, name: str = "", default: str | None = None, kind: str = "") -> None:
        """Note a place; what was known of it stays, a name wins over none."""
        if not 1 <= place <= MOST:
            return
        before = self.found.get(place)
        if before and before.name:
            name, default, kind = before.name, before.default or default, before.kind if before.kind != "text" else kind
        self.found[place] = Option(name=name, positional=True, default=default or None, kind=kind or "text")

    def options(self, usage: Usage) -> Iterator[Option]:
        """Yield the arguments in their order, named by the program's variables or by its usage."""
        last = max([*self.found, 0 if self.many else min(self.least or 0, MOST)], default=0)
        said = usage.places
        fits = len(said) in (last, last + bool(self.many))
        needed = max(
            (n for n in range(1, last + 1) if self._needs(n, said[n - 1].required if fits else True)), default=0
        )
        names: set[str] = set()
        for place in range(1, last + 1):
            option = self.found.get(place) or Option(name="", positional=True)
            plain = "file" if option.kind == "path" else f"arg{place}"
            name = option.name or (said[place - 1].name if fits else "") or plain
            name = name if name not in names else f"{name}{place}"
            names.add(name)
            kind = option.kind if option.kind != "text" else kind_of(name, option.default)
            yield option.model_copy(update={"name": name, "required": place <= needed, "kind": kind})
        if self.many and self.many not in names:
            required = (self.least or 0) > last
            yield Option(name=self.many, positional=True, many=True, required=required, kind=kind_of(self.many, None))

    def _needs(self, place: int, said: bool) -> bool:  # noqa: FBT001 - what usage says
        if self.least is not None:
            return place <= self.least
        option = self.found.get(place)
        return place not in self.optional and said and (option is None or option.default is None)


def read_places(source: Source, vectors: Sequence[Vector]) -> Places:
    """Find the arguments that are taken by their number, and how many a program insists on."""
    places = Places()
    for vector in vectors:
        for found in re.finditer(vector.element, source.code):
            _take(places, source, found, int(found[1] or 0) - vector.first + 1)
        _guards(places, source.code, vector)
    return places


def _take(places: Places, source: Source, found: re.Match[str], place: int) -> None:
    start = max(source.code.rfind(sign, 0, found.start()) for sign in ";\n{") + 1
    line_end = source.code.find("\n", found.end())
    end = line_end if line_end >= 0 else len(source.code)
    before = source.code[max(start, found.start() - NEAR) : found.start()]
    after = source.code[found.end() : min(end, found.end() + NEAR)]
    if _is_compared(source, found, before, after):
        return
    named = [*_NAMED.finditer(before)]
    behind = before[named[-1].end() :] if named else before
    kind = next(
        (kind for kind, sign in _NUMBER.items() if sign.search(behind) or (kind != "path" and sign.match(after))), ""
    )
    default = default_behind(source, found.end())
    if default is not None or _LOOKED_FOR.match(after):
        places.optional.add(place)
    name = plain_name(named[-1][1]) if named else ""
    if len(name) < SHORTEST and kind not in ("int", "float") and _MADE.search(behind):
        name, kind = "", "path" if kind == "path" or _OPENED.search(behind) else kind
    places.take(place, name, default, kind)


def _is_compared(source: Source, found: re.Match[str], before: str, after: str) -> bool:
    """Say whether it is only looked at: `argv[1] == "--help"`."""
    near = source.text[found.start() - min(len(before), 40) : found.end() + min(len(after), 40)]
    compares = re.match(r"\s*(?:\)\s*)?(?:===?|\beq\b|\.equals|=~|,\s*[\"'])", after) or re.search(
        r"(?:==|\beq)\s*$", before
    )
    return bool(compares and (_HELP.search(near) or "=~" in after[:6]))


def plain_name(name: str) -> str:
    """Return what a variable is called: `self.input` is input, `INPUT` too."""
    last = re.split(r"\.|->", name)[-1].strip("$_")
    return last.lower() if last.isupper() else last


def default_behind(source: Source, at: int) -> str | None:
    """Return what stands in for an argument that is not given: `|| "x"`, `: 10`."""
    glue = _OR_ELSE.match(source.code, at)
    found = _LITERAL.match(source.text, glue.end()) if glue else None
    if found is None:
        return None
    return unquote(found[0]) if found[0][0] in "\"'" else found[0]


def ends_behind(source: Source, at: int) -> bool:
    """Say whether the program ends where an argument is not given: `or die`."""
    return bool(_OR_END.match(source.code, at))


def _guards(places: Places, code: str, vector: Vector) -> None:
    """Read comparisons with how many there are: those that end the program say the least, others what is optional."""
    if vector.empty:
        _note_none(places, code, vector.empty)
    comparison = rf"{vector.count}\s*\)?\s*(<=?|>=?|[!=]==?|~=)\s*(\d+)"
    for found in re.finditer(comparison, code):
        _guard(places, code, found, int(found[2]) - vector.counted)
    for found in re.finditer(rf"(?<![\w.])(\d+)\s*(<=?|>=?|[!=]==?)\s*(?:{vector.count})", code):
        turned = found[2].translate(str.maketrans("<>", "><"))
        note_count(places, turned, int(found[1]) - vector.counted, ends=_ends(code, found.end()))
    for found in re.finditer(
        rf"\b(if|unless)\s*\(?\s*(!?)\s*(?:{vector.count})\s*(?:\)|\n|;|\bthen\b)|(?:{vector.count})\s+or\s+die\b", code
    ):
        negative = found[1] is None or (found[1] == "unless") != bool(found[2])
        ends = found[1] is None or _ends(code, found.end()) or _ended(code, found.start())
        if negative:
            note_count(places, "<", 1, ends=ends)


def _note_none(places: Places, code: str, empty: str) -> None:
    """Read what happens where there are no arguments at all."""
    for found in re.finditer(empty, code):
        if not re.search(r"\bunless\s*\(?\s*$", code[max(0, found.start() - 20) : found.start()]):
            note_count(places, "<", 1, ends=_ends(code, found.end()) or _ended(code, found.start()))


def _guard(places: Places, code: str, found: re.Match[str], number: int) -> None:
    sign = found[1]
    line = code[code.rfind("\n", 0, found.start()) + 1 : found.start()]
    reverse = re.search(r"\b(?:unless|assert)\b[^;{]*$|@assert\b", line) or re.match(
        r"[\s)\]]*(?:\|\||\bor\b)\s*(?:\{\s*)?(?:\w+\s*;\s*)?(?:die|exit|usage|error|throw|stop|abort|raise|print)",
        code[found.end() : found.end() + 80],
    )
    if reverse:
        ends = bool(re.match(r"[\s)\]]*(?:\|\||\bor\b)", code[found.end() :])) or "assert" in line
        ends = ends or _ends(code, found.end()) or _ended(code, found.start())
        sign = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "===": "!=", "!=": "==", "!==": "=="}.get(
            sign, sign
        )
    else:
        ends = _ends(code, found.end()) or _ended(code, found.start())
    note_count(places, sign, number, ends=ends)


def note_count(places: Places, sign: str, number: int, *, ends: bool) -> None:
    """Note a comparison with how many arguments there are, and whether the program ends where it holds."""
    least = {"<": number, "<=": number + 1, "!=": number, "!==": number, "~=": number}.get(sign)
    if sign.startswith("==") and number == 0:
        least = 1
    if ends and least is not None and 0 <= least <= MOST:
        places.least = least if places.least is None else min(places.least, least)
    elif not ends and sign in (">", ">=", "==", "==="):
        places.optional |= set(range(number + (sign == ">"), MOST + 1)) - {0}
    elif not ends and sign in ("<", "<="):
        places.optional |= set(range(max(1, number + (sign == "<=")), MOST + 1))


def _ends(code: str, at: int) -> bool:
    """Say whether what follows a condition ends the program, or sets something instead."""
    line_end = code.find("\n", at)
    same = code[at : line_end if line_end >= 0 else len(code)]
    body = re.split(r"\belse\b|\}|\bend(?:if)?\b|\n\s*\n", code[at : at + 600], maxsplit=1)[0]
    if re.match(r"[\s)]*(?:\?|&&(?!\s*(?:die|exit|usage)))", same):
        return False
    return bool(ENDING.search(body))


def _ended(code: str, at: int) -> bool:
    """Say whether a condition stands behind what it ends: `die "usage" if @ARGV < 2`."""
    line = code[code.rfind("\n", 0, at) + 1 : at]
    return bool(re.search(r"\b(?:die|exit|abort|raise|usage|pod2usage)\b[^{]*\b(?:if|unless)\b[^{]*$", line))


def unpacked(places: Places, names: str, first: int = 1) -> None:
    """Note names that all arguments are given to at once: `$in, $out, @rest`."""
    for place, written in enumerate(names.split(","), first):
        name = re.sub(r"^(?:my|our|local|let|const|var)\b|[\s$()\[\]]", "", written.strip())
        plain, _, default = name.partition("=")
        if plain.startswith(("@", "*", "...")):
            places.many = plain_name(plain.strip("@*.")) or "args"
        elif re.fullmatch(r"[A-Za-z_]\w*", plain):
            places.take(place, plain_name(plain), default.strip("\"'") or None)
            if default:
                places.optional.add(place)
