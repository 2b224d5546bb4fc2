"""The options of a Julia program: of ArgParse and DocOpt, and the places of ARGS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.compared import compared
from cluster_interface.inspection.languages.places import Vector, read_places, unpacked
from cluster_interface.inspection.languages.usage import Usage, long_name, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.model.proposal import Option

_TABLE = re.compile(r"@add_arg_table!?(?:\(|\s)\s*\w+[^\n]*\n(.*?)^[ \t]*end\b", re.MULTILINE | re.DOTALL)
_SETTING = re.compile(r"\b(help|arg_type|default|action|required|nargs|range_tester|metavar|dest_name)\s*=\s*")
_KINDS = {"Int": "int", "Int64": "int", "Int32": "int", "Float64": "float", "Float32": "float"}
_HEAD = re.compile(r"^[ \t]*(?:\"[^\"]*\"[ \t]*,?[ \t]*)+", re.MULTILINE)
_UNPACKED = re.compile(r"^[ \t]*\(?([a-z_]\w*(?:[ \t]*,[ \t]*[a-z_]\w*)+)\)?[ \t]*=[ \t]*ARGS\b(?!\s*\[)", re.MULTILINE)
_GET = re.compile(r"\bget\s*\(\s*ARGS\s*,\s*(\d+)\s*,\s*(?:\"([^\"]*)\"|([\w.-]+))")
_ALL = re.compile(r"\bfor\s+(\w+)\s+in\s+ARGS\b|\b(?:map|foreach)\b[^\n]*\bARGS\b")


def julia_options(source: Source) -> Iterator[Option]:
    """Yield the options that are declared, then the arguments by their place."""
    usage = Usage(source.text)
    for table in _TABLE.finditer(source.code):
        heads = list(_HEAD.finditer(source.code, *table.span(1)))
        for head, following in zip(heads, [*[one.start() for one in heads[1:]], table.end(1)], strict=False):
            yield from _entry(source, usage, head, following)
    if "ArgParse" not in source.code:
        yield from compared(
            source, usage, r"\bfor\s+\w+\s+in\s+(?:ARGS|1:length\(ARGS\))|\bARGS\s*\[\s*[a-z]|popfirst!\(ARGS\)"
        )
        yield from _places(source, usage)


def _entry(source: Source, usage: Usage, head: re.Match[str], end: int) -> Iterator[Option]:
    names = re.findall(r'"([^"]*)"', source.text[head.start() : head.end()])
    settings = list(_SETTING.finditer(source.code, head.end(), end))
    said: dict[str, str] = {}
    for one, following in zip(settings, [*[item.start() for item in settings[1:]], end], strict=False):
        written = source.text[one.end() : following].strip().rstrip(",").strip()
        said[one[1]] = (
            " ".join(re.findall(r'"((?:\\.|[^"\\])*)"', written)) if written.startswith('"') else written.split("\n")[0]
        )
    name = long_name(names)
    action = said.get("action", "")
    if not name or action in (":command", ":show_help"):
        return
    place = not name.startswith("-")
    default = said.get("default")
    plain = default if default is not None and re.fullmatch(r"[^()\[\]]*", default) and default != "nothing" else None
    many = said.get("nargs", "").strip("'") in ("*", "+") or said.get("action") == ":append_arg"
    yield named(
        name, [] if place else names, usage,
        positional=place,
        flag=action in (":store_true", ":store_false", ":count_invocations"),
        default=plain,
        required=said.get("required") == "true" or (place and said.get("nargs", "").strip("'") not in ("?", "*")
                                                   and default is None and said.get("required") != "false"),
        help=said.get("help", ""),
        kind=_KINDS.get(said.get("arg_type", ""), "text"),
        many=many, repeat=action == ":append_arg",
    )  # fmt: skip


def _places(source: Source, usage: Usage) -> Iterator[Option]:
    places = read_places(
        source,
        [Vector(r"\bARGS\s*\[\s*(\d+)\s*\]", 1, r"\blength\s*\(\s*ARGS\s*\)", empty=r"\bisempty\s*\(\s*ARGS\s*\)")],
    )
    for found in _GET.finditer(source.text):
        start = source.code.rfind("\n", 0, found.start()) + 1
        name = re.search(r"([a-z_]\w*)\s*=(?!=)", source.code[start : found.start()])
        places.take(int(found[1]), name[1] if name else "", found[2] or found[3])
        places.optional.add(int(found[1]))
    if names := _UNPACKED.search(source.code):
        unpacked(places, names[1])
    every = _ALL.search(source.code)
    if every and not places.found:
        places.many = "files"
    yield from places.options(usage)
