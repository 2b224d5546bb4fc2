"""The branches of a `case` that goes through the arguments of a shell script: `-n|--top) TOP="$2"; shift 2 ;;`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.compared import HELP
from cluster_interface.inspection.languages.usage import Usage, long_name, named
from cluster_interface.inspection.shell.getopts import default_before, ends_without

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cluster_interface.model.proposal import Option

#: patterns, what is done, the comment behind it, whether values are their own words
Branch = tuple[str, str, str, bool]
_ITEM = re.compile(
    r"(?ms)(?:\bin\b|;;&?|;&)[ \t]*(?:#[^\n]*)?\s*(?:#[^\n]*\n\s*)*\(?(?P<patterns>[^()\n#;]+)\)(?P<body>.*?)"
    r"(?=(?P<end>;;&?|;&)[ \t]*(?:\#[ \t]*(?P<comment>[^\n]*))?|\besac\b)"
)
_NAME = re.compile(r"--?[A-Za-z][\w-]*")
_VALUE = re.compile(r"(\w+)(\+?)=\(?[^\n;]*?\$\{?(?:2|1#|1##|\w+#)|\bshift\b[^\n]*[;\n]\s*(\w+)(\+?)=\(?\s*\"?\$\{?1\b")
_TAKES = re.compile(r"\$\{?2\b|\$OPTARG|\bshift\s+2\b")
_COMMENT = re.compile(r"(?:^|\s)#[ \t]*(.+)")


def branches(case: str, _text: str, *, one_by_one: bool, options: bool = True) -> Iterator[Branch]:
    """Yield the branches of a case; with `options` those alone that are for options."""
    for found in _ITEM.finditer(case):
        patterns, body = found["patterns"].strip(), found["body"]
        if not options or patterns.lstrip("\"'").startswith("-"):
            yield patterns, body, found["comment"] or "", not one_by_one


def read_branches(found: Iterable[Branch], text: str, usage: Usage) -> Iterator[Option]:
    """Yield the options; one that has a branch with a = and one without takes its value either way."""
    options: dict[str, Option] = {}
    for patterns, body, comment, separate in found:
        written = [pattern.strip().strip("\"'") for pattern in patterns.split("|")]
        plain = [name for name in written if _NAME.fullmatch(name)]
        with_value = [
            name.removesuffix("*").rstrip("=") for name in written if re.fullmatch(r"--?[A-Za-z][\w-]*=\*?", name)
        ]
        names = list(dict.fromkeys([*plain, *with_value]))
        if not names or set(names) & HELP:
            continue
        variable = _VALUE.search(body)
        own = (variable[1] or variable[3]) if variable else ""
        takes = bool(with_value) or (separate and bool(_TAKES.search(body) or (variable and variable[3])))
        said = comment or (about[1] if (about := _COMMENT.search(body)) else "")
        default = default_before(text.partition(patterns)[0], own) if own else None
        first = long_name(names)
        many = bool(variable and (variable[2] or variable[4]))
        option = named(
            first, names, usage,
            flag=not takes,
            joined=bool(with_value) and not (separate and plain and _TAKES.search(body)),
            default=default,
            required=takes and default is None and bool(own) and ends_without(text, own),
            many=takes and many, repeat=takes and many,
        )  # fmt: skip
        option = option if option.help else option.model_copy(update={"help": " ".join(said.split())})
        if takes and option.kind == "text" and own:
            option = option.model_copy(update={"kind": named(own, [], Usage(""), default=default).kind})
        options[first] = _both(options[first], option) if first in options else option
    yield from options.values()


def _both(one: Option, other: Option) -> Option:
    aliases = tuple(dict.fromkeys((*one.aliases, *other.aliases)))
    kept = other if one.flag else one
    return kept.model_copy(
        update={"aliases": aliases, "joined": (one.flag or one.joined) and (other.flag or other.joined)}
    )
