"""The options of a Perl program: of Getopt::Long and Getopt::Std, what is shifted and unpacked, and @ARGV."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.calls import calls, unquote
from cluster_interface.inspection.languages.places import (
    Places,
    Vector,
    default_behind,
    plain_name,
    read_places,
    unpacked,
)
from cluster_interface.inspection.languages.usage import Usage, long_name, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.languages.calls import Argument
    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.model.proposal import Option

#: https://perldoc.perl.org/Getopt::Long#Summary-of-Option-Specifications
_SPECIFICATION = re.compile(r"([A-Za-z][\w-]*)((?:\|[\w?-]+)*)(?:([!+])|([=:])([sifo]|[-+]?\d+|\+)([@%]?)(?:\{.*\})?)?")
_LONG = r"\bGetOptions(?:FromArray)?\s*\("
_STD = r"\bgetopts?\s*\("
_KINDS = {"i": "int", "o": "int", "f": "float"}
LONGEST = 400  #: characters of a statement that are looked at
MOST = 2000  #: conditions of one file
_HELP = frozenset({"help", "h", "man", "version", "usage", "?"})
_ENDS = r"(?:die|exit|usage|pod2usage|croak|help|print_usage)\b"
_CONDITION = re.compile(r"\b(if|unless)\b")
_BEHIND = re.compile(r"(?:[^;{}]|\{\s*['\"]?\w+['\"]?\s*\})*")  # braces around a word alone: an entry of a table
_ALONE = re.compile(r"\((?:[^()]*(?:\|\||\bor\b|&&|\band\b)[^()]*)\)(?=\s*(?:\)|&&|\|\|))")  # a group in a condition
_SUB = re.compile(r"\bsub\s+\w+\s*(?:\([^)]*\)\s*)?\{|\bsub\s*\{")
_UNPACKED = re.compile(r"\(([^()]{1,500})\)\s*=\s*@ARGV\b")
_SHIFTED = re.compile(
    r"(?:\$(\w+)\s*(?:=|//=|\|\|=)[^;={}]{0,40}?)?\bshift\b(?:\s*\(?\s*@ARGV\s*\)?|\s*\(\s*\)|(?!\s*[@(\w-]))"
)
_ALL = re.compile(r"\b(?:for|foreach)\b[^(;]*\(\s*@ARGV\s*\)|<>|<<>>|@(\w+)\s*=\s*@ARGV\b|\b(?:map|grep)\b[^;]*@ARGV")


def perl_options(source: Source) -> Iterator[Option]:
    """Yield the options that are declared, then the arguments by their place."""
    usage = Usage(source.text)
    for _, given in calls(source, _LONG):
        yield from _long(source, given, usage)
    for _, given in calls(source, _STD):
        yield from _std(source, given, usage)
    yield from _places(source).options(usage)


def _long(source: Source, given: list[Argument], usage: Usage) -> Iterator[Option]:
    for number, argument in enumerate(given):
        text = argument.key or argument.text or ""
        found = _SPECIFICATION.fullmatch(text)
        if found is None or (argument.code.startswith(("\\", "$", "@", "%", "sub")) and not argument.key):
            continue
        names = [found[1], *filter(None, found[2].split("|"))]
        if set(names) & _HELP and not found[4]:
            continue
        target = argument.code if argument.key else given[number + 1].code if number + 1 < len(given) else ""
        variable = re.search(r"[$@%](\w+)\s*$", target)
        said = [f"--{name}" if len(name) > 1 else f"-{name}" for name in names]
        name = long_name(said)
        variable_ = variable[1] if variable else ""
        many = found[6] == "@" or target.lstrip("\\").removeprefix("my ").startswith("@")
        yield named(
            name, said, usage,
            flag=not found[4],
            kind=_KINDS.get(found[5] or "", "text"),
            default=_default(source, variable_, found[1]),
            required=bool(found[4]) and _insists(source, variable_, found[1]),
            many=many, repeat=many,
            help=_item(source, names),
        )  # fmt: skip


def _std(source: Source, given: list[Argument], usage: Usage) -> Iterator[Option]:
    for letter, colon in re.findall(r"([A-Za-z0-9])(:?)", (given[0].text or "") if given else ""):
        if letter == "h" and not colon:
            continue
        default = re.search(
            rf"\{{\s*['\"]?{letter}['\"]?\s*\}}\s*(?://|\|\|)=?\s*(?:\"([^\"]*)\"|'([^']*)'|([\d.]+))", source.text
        )
        value = next(filter(None, default.groups()), None) if default else None
        yield named(f"-{letter}", [f"-{letter}"], usage, flag=not colon, default=value,
                    required=bool(colon) and _insists(source, "", letter))  # fmt: skip


def _default(source: Source, variable: str, key: str) -> str | None:
    """Find what a variable is at first, or an entry of the table of options."""
    value = r"(\"[^\"\n$@]*\"|'[^'\n]*'|-?\d+(?:\.\d+)?(?:[eE]-?\d+)?)\s*[;,)\n]"
    table = rf"(?:(?<![\w$-])['\"]?{re.escape(key)}['\"]?\s*=>|\{{\s*['\"]?{re.escape(key)}['\"]?\s*\}}\s*(?://|\|\|)?=)\s*{value}"
    own = rf"\$({re.escape(variable)})\s*(?://|\|\|)?=\s*{value}" if variable else ""
    found = re.search(own, source.text) if own else re.search(table, source.text)
    if found is None:
        return None
    written = found.groups()[-1]
    return unquote(written) if written[0] in "\"'" else written


def _insists(source: Source, variable: str, key: str) -> bool:
    """Say whether the program ends where a value was not given."""
    entry = rf"\$\w*(?:->)?\{{\s*['\"]?{re.escape(key)}['\"]?\s*\}}"
    name = rf"(?:{entry}|[$@]{re.escape(variable)}\b(?!\s*[\[{{]))" if variable else entry
    given = re.compile(rf"(?<![!\w])\s*(?:defined\s*\(?\s*)?{name}(?!\s*(?:[=<>!]|eq\b|ne\b|=~))")
    lacking = re.compile(rf"(?:!|\bnot\b)\s*\(?\s*(?:defined\s*\(?\s*)?{name}")
    return any((given if said else lacking).search(condition) for said, condition in _conditions(source.text)) or bool(
        re.search(rf"(?m)^[ \t]*(?:defined\s*\(?\s*)?{name}\s*\)?\s*(?:\|\||or)\s*{_ENDS}", source.text)
    )


@lru_cache(maxsize=4)
def _conditions(text: str) -> tuple[tuple[bool, str], ...]:
    """List the conditions that end the program: with True those that must hold, with False those that must not.

    Of `unless ($a || $b)` and `if (!$a && !$b)` one will do, so they say nothing of either.
    """
    found = []
    for one in list(_CONDITION.finditer(text))[:MOST]:
        before = re.split(r"[;{}]", text[max(0, one.start() - LONGEST) : one.start()])[-1]
        behind = _BEHIND.match(text, one.end(), one.end() + LONGEST)
        condition = behind[0] if behind else ""
        block = text[one.end() + len(condition) :][:LONGEST]
        done = block[1:].partition("}")[0] if block.startswith("{") else ""
        if re.search(rf"\b{_ENDS}", f"{before} {done}"):
            found.append((one[1], condition))
    plain = [(word == "unless", _ALONE.sub("", condition)) for word, condition in found if "?" not in condition]
    return tuple((said, one) for said, one in plain if not re.search(r"\|\||\bor\b" if said else r"&&|\band\b", one))


def _item(source: Source, names: list[str]) -> str:
    """Return what the documentation in the file says of an option: `=item B<--name>`."""
    either = "|".join(re.escape(name) for name in names)
    found = re.search(
        rf"^=item[^\n]*?-(?:{either})\b[^\n]*\n\s*\n([^=\n][^\n]*(?:\n[^=\n][^\n]*)*)", source.text, re.MULTILINE
    )
    return re.sub(r"[A-Z]<([^>]*)>", r"\1", found[1]) if found else ""


def _places(source: Source) -> Places:
    vectors = [
        Vector(r"\$ARGV\s*\[\s*(\d+)\s*\]", 0, r"(?:scalar\s*\(?\s*@ARGV\s*\)?|@ARGV|\$#ARGV\s*\+\s*1)"),
        Vector(r"(?!x)x()", 0, r"\$#ARGV(?!\s*\+)", -1),
    ]
    places = read_places(source, vectors)
    outside = _outside(source.code)
    if found := _UNPACKED.search(outside):
        unpacked(places, found[1])
        places.optional |= {place for place in places.found if place > len(found[1].split(","))}
    elif not places.found:
        for place, one in enumerate(_SHIFTED.finditer(outside), 1):
            default = default_behind(source, one.end())
            if default is not None or re.match(r"\s*(?://|\|\||\?)(?!\s*(?:die|usage|exit))", outside[one.end() :]):
                places.optional.add(place)
            places.take(place, plain_name(one[1] or ""), default)
    every = _ALL.search(outside)
    if every and not places.found:
        places.many = every[1] or "files"
    return places


def _outside(code: str) -> str:
    """Blank the bodies of subroutines: what they shift is their own."""
    parts, at = [], 0
    for found in _SUB.finditer(code):
        if found.start() < at:
            continue
        depth, end = 1, found.end()
        while end < len(code) and depth:
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
        parts += [code[at : found.start()], re.sub(r"[^\n]", " ", code[found.start() : end])]
        at = end
    return "".join([*parts, code[at:]])
