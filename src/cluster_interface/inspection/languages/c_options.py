"""The options of a program in C or C++: of getopt, getopt_long, CLI11 and cxxopts, compared one by one, and argv."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.calls import calls, unquote
from cluster_interface.inspection.languages.compared import HELP, compared
from cluster_interface.inspection.languages.places import Vector, read_places
from cluster_interface.inspection.languages.usage import Usage, long_name, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.languages.calls import Argument
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.model.proposal import Option

_GETOPT = r"\bgetopt(?:_long(?:_only)?)?\s*\("
_NUMBERS = {
    "int": re.compile(r"\b(?:atoi|atol|atoll|strtou?ll?|stoi|stol)\s*\(\s*optarg|<int>|<(?:unsigned|long|size_t)\b"),
    "float": re.compile(r"\b(?:atof|strtod|strtof|stod|stof)\s*\(\s*optarg|<(?:double|float)>"),
    "path": re.compile(r"\b(?:fopen|open)\s*\(\s*optarg"),
}
_SET = re.compile(
    r"([A-Za-z_]\w*)\s*(?:\[\d*\])?\s*=(?!=)[^;]*\boptarg\b|\bstrn?cpy\s*\(\s*([A-Za-z_]\w*)\s*,\s*optarg"
)
_ASKS = re.compile(r"usage|required|missing|must|specif|\bneed|not given|help", re.IGNORECASE)  # what such a guard says
_DEFAULT = r"(\"[^\"\n]*\"|-?\d+(?:\.\d+)?(?:[eE]-?\d+)?)\s*[fLuU]?\s*[;,}\n]"


def c_options(source: Source) -> Iterator[Option]:
    """Yield the options that are declared, then the arguments by their place."""
    usage = Usage(source.text)
    declared = [*_getopt(source, usage), *_cli11(source, usage), *_cxxopts(source, usage)]
    yield from declared
    if not declared:
        loops = r"\bargv\s*\[\s*(?:\+\+\s*)?[a-z]\w*|\*\s*(?:\+\+\s*argv|argv\s*\+\+)|:\s*args\b"
        yield from compared(source, usage, loops)
    if re.search(r"\bargv\b", source.code) and not re.search(r"<CLI/|cxxopts|program_options", source.text):
        first = Vector(r"\bargv\s*\[\s*(\d+)\s*\](?!\s*\[)", 1, r"\bargc", 1)
        behind = Vector(r"\bargv\s*\[\s*optind\s*(?:\+\s*(\d+)|\+\+)?\s*\]", 0, r"\bargc\s*-\s*optind")
        places = read_places(source, [behind] if "optind" in source.code or "getopt" in source.code else [first])
        if re.search(r"\boptind\s*(?:>=|==)\s*argc\b[^;]*\{?[^}]*\b(?:exit|return|usage)\b", source.code):
            places.least = max(1, places.least or 0)
        elif "optind" in source.code and places.least is None:
            places.optional |= set(places.found)
        yield from places.options(usage)


def _getopt(source: Source, usage: Usage) -> Iterator[Option]:
    for found, given in calls(source, _GETOPT):
        if len(given) < 3:
            continue
        letters = given[2].text
        if letters is None and (
            held := re.search(rf"\b{re.escape(given[2].code)}\b[^;=]*=\s*\"([^\"]*)\"", source.text)
        ):
            letters = held[1]
        long = {letter: (name, takes) for name, takes, letter in _long(source)} if "long" in found[0] else {}
        for letter, colon in re.findall(r"([A-Za-z0-9])(:{0,2})", letters or ""):
            name, _ = long.pop(letter, ("", False))
            names = [f"-{letter}", *([f"--{name}"] if name else [])]
            if name not in ("help", "version") and not (letter == "h" and not colon) and colon != "::":
                yield _branch(source, usage, names, letter, takes=bool(colon))
        for letter, (name, takes) in long.items():
            if name not in ("help", "version"):
                yield _branch(source, usage, [f"--{name}"], letter, takes=takes)
        return


def _long(source: Source) -> Iterator[tuple[str, bool, str]]:
    """Yield the entries of a table of `struct option`: the name, whether it takes a value, the letter or constant."""
    for number, found in enumerate(
        re.finditer(r"\{\s*(\"[^\"]*\")\s*,\s*(\w+)\s*,\s*([^,{}]*),\s*('[^']*'|\"[^\"]*\"|[^{}]*?)\s*\}", source.text)
    ):
        takes = found[2] in ("required_argument", "1")
        letter = found[4].strip().strip("'\"")
        if found[2] in ("required_argument", "no_argument", "optional_argument", "0", "1", "2"):
            yield unquote(found[1]), takes, letter if re.fullmatch(r"[A-Za-z]\w*", letter) else f"#{number}"


def _branch(source: Source, usage: Usage, names: list[str], letter: str, *, takes: bool) -> Option:
    """Make an option with what its branch of the switch does with its value."""
    written = (
        rf"\bcase\s+(?:'{letter}'|{letter})\s*:(.*?)(?:\bbreak\b|\bcase\b|\bdefault\s*:)"
        if letter[0] != "#"
        else r"(?!x)x"
    )
    body = re.search(written, source.text, re.DOTALL)
    variable = _SET.search(body[1]) if body else None
    name = (variable[1] or variable[2]) if variable else ""
    preset = (
        re.search(rf"(?<![\w.>]){name}\s*(?:\[\d*\])?\s*=\s*{_DEFAULT}", source.text[: body.start()])
        if body and name
        else None
    )
    default = unquote(preset[1]) if preset and preset[1][0] == '"' else preset[1] if preset else None
    kind = next((kind for kind, sign in _NUMBERS.items() if body and sign.search(body[1])), "text")
    first = long_name(names)
    lacks = rf"(?:!\s*{name}\b|\b{name}\s*==\s*(?:NULL|nullptr|0)\b|\b{name}\.empty\(\))"
    alone = rf"\bif\s*\(\s*(?:[^()&]{{0,120}}\|\|\s*)?{lacks}(?:\s*\|\|[^()&]{{0,120}})?\s*\)([^}}]{{0,300}})"
    guards = re.finditer(alone, source.text[body.end() :]) if takes and name and body else ()
    required = default in (None, "0") and any(_ASKS.search(one[1]) for one in guards)
    return named(
        first, names, usage, flag=not takes, default=None if required else default, kind=kind, required=required
    )


def _cli11(source: Source, usage: Usage) -> Iterator[Option]:
    """Read what CLI11 is told: https://cliutils.github.io/CLI11/book/chapters/options.html."""
    if "CLI/" not in source.text and "CLI11" not in source.text:
        return
    for found, given in calls(source, r"(?:\.|->)add_(option|flag)(?:<[^>]*>)?\s*\("):
        names = [one.strip() for one in ((given[0].text or "") if given else "").split(",") if one.strip()]
        if names and not set(names) & HELP:
            tail = source.code[given[-1].end :].partition(";")[0]
            yield _declared(
                names,
                given,
                usage,
                flag=found[1] == "flag",
                required=bool(re.search(r"->\s*required\(\s*(?:true)?\s*\)", tail)),
            )


def _cxxopts(source: Source, usage: Usage) -> Iterator[Option]:
    """Read what cxxopts and Boost's program_options are told: `("n,name", "what for", value<int>())`."""
    if not re.search(r"cxxopts|program_options", source.text):
        return
    for _, given in calls(source, r"(?<![\w>])\(\s*(?=\"[^\"]*\"\s*,)"):
        parts = [one.strip() for one in (given[0].text or "").split(",")] if given else []
        if (
            not parts
            or not all(re.fullmatch(r"[A-Za-z][\w-]*", one) for one in parts)
            or set(parts) & {"help", "version"}
        ):
            continue
        value = next((one for one in given[1:] if re.search(r"\bvalue\s*<|\bvalue\s*\(", one.code)), None)
        names = [f"-{one}" if len(one) == 1 else f"--{one}" for one in parts]
        preset = (
            re.search(r"default_value\s*\(\s*\"?([^\"()]*)", value.source.text[value.start : value.end])
            if value
            else None
        )
        kind = next((kind for kind, sign in _NUMBERS.items() if value and sign.search(value.code)), "text")
        required = bool(value and re.search(r"\brequired\s*\(", value.code))
        yield _declared(names, given, usage, flag=value is None or "<bool>" in value.code, required=required, kind=kind,
                        default=preset[1] if preset else None)  # fmt: skip


def _declared(names: list[str], given: list[Argument], usage: Usage, **more: object) -> Option:
    said = next((one.text for one in given[1:] if one.text), "")
    first = long_name(names)
    place = not first.startswith("-")
    return named(first, [] if place else names, usage, positional=place, help=said, **more)
