"""The options of a Ruby program: of OptionParser and GetoptLong, and the places of ARGV."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.calls import calls, unquote
from cluster_interface.inspection.languages.compared import compared
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

_ON = r"\.on\s*\(|\.on(?=\s+[\"':])"
_KINDS = {"Integer": "int", "Numeric": "float", "Float": "float", "DecimalInteger": "int", "Pathname": "path"}
_NAME = re.compile(r"(--?)(\[no-\])?([A-Za-z][\w-]*)(?:[ =]?(\[?)[ =]?([A-Z<a-z][^\]]*)\]?)?")
_VARIABLE = re.compile(r"([\w@]+(?:\[:?[\"']?[\w ]*[\"']?\]|\.\w+)?)\s*=(?!=)")
_UNPACKED = re.compile(
    r"^[ \t]*([a-z_]\w*(?:[ \t]*,[ \t]*\*?[a-z_]\w*)+)[ \t]*=[ \t]*\*?ARGV\b(?!\s*[.\[])", re.MULTILINE
)
_SHIFTED = re.compile(r"(?:\b([a-z_]\w{0,60})\s*=[^=\n]{0,40}?)?\bARGV\.shift\b")
_ALL = re.compile(
    r"\bARGV\.(?:each|map|flat_map|select|reject)\b|\bARGF\b|"
    r"\b([a-z_]\w{0,60})\s*=\s*ARGV\b\s*(?:\.dup\b)?\s*$",
    re.MULTILINE,
)


def ruby_options(source: Source) -> Iterator[Option]:
    """Yield the options that are declared, then the arguments by their place."""
    usage = Usage(source.text)
    if "OptionParser" in source.code:
        for found, given in calls(source, _ON):
            if option := _on(source, given, usage, found.end()):
                yield option
    if "GetoptLong" in source.code:
        yield from _getopt_long(source, usage)
    elif "OptionParser" not in source.code:
        yield from compared(source, usage, r"\bARGV\.(?:each|shift)|\bcase\s+ARGV|\bARGV\s*\[\s*[a-z]")
    yield from _places(source).options(usage)


def _on(source: Source, given: list[Argument], usage: Usage, at: int) -> Option | None:
    parts = [(argument, argument.text) for argument in given if not argument.key]
    found = [match for _, text in parts if text and (match := _NAME.fullmatch(text))]
    names = [f"{match[1]}{match[3]}" for match in found]
    if not names or set(names) & {"-h", "--help", "-V", "--version"}:
        return None
    takes = next((match for match in found if match[5] or match[4]), None)
    helps = [
        text for argument, text in parts if text and not text.startswith("-") and argument.code.startswith(('"', "'"))
    ]
    classes = [argument.code for argument, text in parts if text is None and argument.code[:1].isupper()]
    lists = [argument for argument, text in parts if argument.code.startswith(("[", "%w"))]
    choices = tuple(lists[0].strings or re.findall(r"[\w.-]+", re.sub(r"^%w|:", " ", lists[0].code))) if lists else ()
    flag = not takes and not choices and not any(one in _KINDS or one in ("String", "Array") for one in classes)
    variable = _VARIABLE.search(source.text, at, at + 600)
    name = long_name(names)
    said = re.sub(r"\s*[\[(]?default:? .*$", "", " ".join(helps), flags=re.IGNORECASE)
    return named(
        name, names, usage,
        flag=flag,
        choices=() if flag else choices,
        help=said,
        kind=next((_KINDS[one] for one in classes if one in _KINDS), "text"),
        default=_default(source, variable[1]) if variable else None,
        required=not flag and variable is not None and _insists(source, variable[1], name),
    )  # fmt: skip


def _default(source: Source, variable: str) -> str | None:
    """Find what a variable, or an entry of a table, is at first."""
    value = r"(\"[^\"\n#]*\"|'[^'\n]*'|-?\d[\d_]*(?:\.\d+)?(?:[eE]-?\d+)?|:\w+)\s*(?=[,}\n)]|$)"
    if entry := re.search(r"\[:?[\"']?(\w+)[\"']?\]|\.(\w+)", variable):
        key = re.escape(entry[1] or entry[2])
        pattern = (
            rf"(?<![\w:]){key}:\s*{value}|:{key}\s*=>\s*{value}|[\[.]:?['\"]?{key}['\"]?\]?\s*(?:\|\|)?=\s*{value}"
        )
    else:
        pattern = rf"(?<![\w.]){re.escape(variable)}\s*=\s*{value}"
    found = re.search(pattern, source.text, re.MULTILINE)
    written = next(filter(None, found.groups()), None) if found else None
    if written is None:
        return None
    return unquote(written) if written[0] in "\"'" else written.removeprefix(":")


def _insists(source: Source, variable: str, name: str) -> bool:
    """Say whether the program ends where a value was not given."""
    one = re.escape(variable)
    ends = r"(?:raise|abort|exit|usage|fail|puts)\b"
    behind = rf"^[^\n#]*\b{ends}[^\n]*\b(?:unless\s+{one}|if\s+(?:!\s*{one}|{one}\.nil\?))"
    before = rf"\b(?:unless\s+{one}|if\s+(?:[^\n]*\|\|\s*)?(?:!\s*{one}|{one}\.nil\?))[^\n]*\n[^\n]*\b{ends}"
    missing = rf"MissingArgument[^\n]*{re.escape(name.lstrip('-'))}|{one}\s*(?:\|\||\bor\b)\s*{ends}"
    return bool(re.search(f"{behind}|{before}|{missing}", source.text, re.MULTILINE))


def _getopt_long(source: Source, usage: Usage) -> Iterator[Option]:
    for found in re.finditer(r"GetoptLong::(NO|REQUIRED|OPTIONAL)_ARGUMENT", source.code):
        start = source.code.rfind("[", 0, found.start())
        names = re.findall(r"[\"'](--?[\w-]+)[\"']", source.text[start : found.start()])
        if names and not set(names) & {"-h", "--help"}:
            yield named(names[0], names, usage, flag=found[1] == "NO")


def _places(source: Source) -> Places:
    vectors = [
        Vector(r"\bARGV\s*\[\s*(\d+)\s*\]", 0, r"\bARGV\.(?:length|size|count)", empty=r"\bARGV\.empty\?"),
        Vector(r"\bARGV\.fetch\s*\(\s*(\d+)\b(?=[^()]*\))", 0, r"\bARGV\.(?:length|size|count)"),
    ]
    places = read_places(source, vectors)
    for found in re.finditer(r"\bARGV\.fetch\s*\(\s*(\d+)\s*,\s*", source.code):
        value = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|[\w.]+").match(source.text, found.end())
        place = int(found[1]) + 1
        places.optional.add(place)
        if value and (option := places.found.get(place)):
            default = unquote(value[0]) if value[0][0] in "\"'" else value[0]
            places.found[place] = option.model_copy(update={"default": default})
    if names := _UNPACKED.search(source.code):
        unpacked(places, names[1])
    elif not places.found and "OptionParser" not in source.code:
        _shifted(places, source)
    every = _ALL.search(source.code)
    if every and not places.found:
        places.many = every[1] or "files"
    return places


def _shifted(places: Places, source: Source) -> None:
    for place, found in enumerate(_SHIFTED.finditer(source.code), 1):
        if re.search(r"\b(?:while|case|when|until)\b[^\n]*$", source.code[max(0, found.start() - 60) : found.end()]):
            return  # a loop of its own
        default = default_behind(source, found.end())
        if default is not None or re.match(r"\s*\|\|\s*(?!abort|raise|usage|exit|fail)", source.code[found.end() :]):
            places.optional.add(place)
        places.take(place, plain_name(found[1] or ""), default)
