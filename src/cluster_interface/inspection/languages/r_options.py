"""The options of an R script: of optparse, argparse, argparser, docopt and optigrab, and commandArgs() by place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.calls import calls, unquote
from cluster_interface.inspection.languages.places import MOST, Vector, read_places
from cluster_interface.inspection.languages.usage import Usage, long_name, named
from cluster_interface.inspection.python.docopt_options import usage_options
from cluster_interface.model.proposal import Option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.languages.lexis import Source, Text

LONGEST_CALL = 4000  #: characters
LONGEST_HELP = 500  #: characters
_DECLARES = re.compile(r"\b(?:make_option|add_option|add_argument)\s*\(")
_KEPT = re.compile(
    r"(?<![\w.])([A-Za-z][\w.]{0,60})\s*(?:<-|=)\s*(?:base::)?commandArgs\s*\(\s*(?:trailingOnly\s*=\s*)?T(?:RUE)?\s*\)(?!\s*\[)"
)
_GIVEN = r"(?<![\w.$])([A-Za-z][\w.]{0,60})\s*(?:<-|=)\s*"
_STOPS = re.compile(r"[^\n{]*(?:\{\s*|\n\s*)?[^\n]*\b(?:stop|quit|q|usage)\s*\(")
_CHOICES = re.compile(r"\bchoices\s*=\s*c\s*\(([^()]*)\)")
_TYPES = {"integer": "int", "double": "float", "numeric": "float", "character": "text"}
_DEFAULT = re.compile(r"\s*[\[(]?default(?: is|:| =)? %(?:default|\(default\)s)[\])]?", re.IGNORECASE)


def r_options(source: Source) -> tuple[Option, ...]:
    """List the options that a script declares, else the arguments that it takes by their place."""
    if "docopt" in source.code:
        return tuple(_documented(source))
    return tuple(dict.fromkeys([*_declared(source), *_optigrab(source)] or [*_places(source)]))


def _declared(source: Source) -> Iterator[Option]:
    for call in _DECLARES.finditer(source.code):
        end = _end(source.code, call.end())
        inside = [text for text in source.texts if call.end() <= text.start < end]
        names = [text.value for text in inside if text.value.startswith("-") and not text.key]
        places = [text.value for text in inside if not text.key and re.fullmatch(r"[A-Za-z][\w-]*", text.value)]
        keyed = {text.key: text for text in reversed(inside) if text.key}
        name = next((name for name in names if name.startswith("--")), (names or places or [""])[0])
        if name:
            option = _option(source, name, keyed, (call.end(), end))
            yield option.model_copy(update={"aliases": tuple(one for one in names if one != name)})


def _option(source: Source, name: str, keyed: dict[str, Text], place: tuple[int, int]) -> Option:
    body = source.code[slice(*place)]
    said = {key: text.value for key, text in keyed.items()}
    flag = said.get("action", "").startswith("store_") or (_plain(body, "flag") or "") in ("TRUE", "T")
    default = None if flag else said.get("default") or (_plain(body, "default") or "").removesuffix("L") or None
    positional = not name.startswith("-")
    choices = _choices(source, body, place[0])
    kind = _TYPES.get(said.get("type", ""), "text")
    return Option(
        name=name,
        positional=positional,
        required=_plain(body, "required") in ("TRUE", "T")
        or (positional and default is None and said.get("nargs") not in ("?", "*")),
        flag=flag,
        default=default,
        choices=choices,
        help=_help(source, keyed["help"]) if "help" in keyed else "",
        kind="path" if kind == "text" and not choices and re.search(r"file|path|dir(?:$|ect)", name) else kind,
        many=said.get("nargs") in ("*", "+"),
    )


def _help(source: Source, text: Text) -> str:
    """Return a help text as it is written: a % in it is no hole."""
    written = source.lexis.pattern.match(source.text, text.start)
    plain = written[0][1:-1].replace("\\n", " ") if written else text.value
    return " ".join(_DEFAULT.sub("", plain).replace("%%", "%").split())[:LONGEST_HELP]


def _choices(source: Source, body: str, start: int) -> tuple[str, ...]:
    """List the words of `choices = c("a", "b")`."""
    if not (found := _CHOICES.search(body)):
        return ()
    return tuple(text.value for text in source.texts if found.start(1) <= text.start - start < found.end(1))


def _end(code: str, start: int) -> int:
    """Return where the call ends whose bracket is open at a place."""
    depth, at, end = 1, start, min(len(code), start + LONGEST_CALL)
    while at < end and depth:
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        at += 1
    return at


def _plain(body: str, key: str) -> str | None:
    found = re.search(rf"\b{key}\s*=\s*([\w.+-]+)", body)
    return found[1] if found and found[1] not in ("NULL", "NA", "c") else None


def _places(source: Source) -> Iterator[Option]:
    """Yield what is taken from commandArgs(), under whatever name it is kept."""
    usage = Usage(source.text)
    kept = [re.escape(name) for name in _KEPT.findall(source.code)]
    vectors = [Vector(r"commandArgs\s*\(\s*(?:trailingOnly\s*=\s*)?T(?:RUE)?\s*\)\s*\[\[?\s*(\d+)\s*\]", 1, r"(?!x)x")]
    if kept:
        names = "|".join(kept)
        vectors.append(Vector(rf"(?<![\w.])(?:{names})\s*\[\[?\s*(\d+)\s*\]", 1, rf"\blength\s*\(\s*(?:{names})\s*\)"))
    places = read_places(source, vectors)
    for vector in vectors:
        places.optional |= _done_without(source.code, vector.element)
    yield from places.options(usage)


def _done_without(code: str, element: str) -> set[int]:
    """Name the places that may be empty: `if (is.na(args[1])) n <- 10`, also of the variable that one is kept in."""
    kept = {found[1]: int(found[2]) for found in re.finditer(rf"{_GIVEN}[^\n]*?{element}", code)}
    asked = [(found, int(found[2])) for found in re.finditer(rf"(!?)\s*\bis\.(?:na|null)\s*\(\s*{element}", code)]
    for name, place in kept.items():
        asked += [
            (found, place) for found in re.finditer(rf"(!?)\s*\bis\.(?:na|null)\s*\(\s*{re.escape(name)}\s*\)", code)
        ]
    first = [place for found, place in asked if found[1] or not _STOPS.match(code, found.end())]
    return set(range(min(first), MOST + 1)) if first else set()


def _documented(source: Source) -> Iterator[Option]:
    """Yield what the usage text says that docopt is given."""
    for _, given in calls(source, r"\bdocopt(?:::docopt)?\s*\("):
        first = next((one for one in given if one.key in ("", "doc")), None)
        if first is None:
            continue
        text = first.text if first.text is not None else _named_text(source, first.code)
        yield from (item.shown for item in usage_options(text or "", 1))


def _named_text(source: Source, name: str) -> str | None:
    """Return the text that a variable is given: `doc <- "…"`, or `"…" -> doc`."""
    own = re.escape(name)
    for text in source.texts:
        quoted = source.lexis.pattern.match(source.text, text.start)
        given = re.search(rf"(?<![\w.]){own}\s*(?:<-|=)\s*$", source.code[: text.start][-200:])
        if quoted and (given or re.match(rf"\s*->\s*{own}\b", source.code[quoted.end() :][:200])):
            return unquote(quoted[0])
    return None


def _optigrab(source: Source) -> Iterator[Option]:
    """Yield what optigrab is asked for: `opt_get(c("n", "top"), default = 3)`."""
    for _, given in calls(source, r"\bopt_get\s*\("):
        said = {one.key: one for one in given}
        wanted = said.get("name") or said.get("")
        names = [f"-{name}" if len(name) == 1 else f"--{name}" for name in (wanted.strings if wanted else [])]
        if names:
            number = said["n"].value if "n" in said else None
            default = said["default"].value if "default" in said else None
            insists = "required" in said and said["required"].value in ("TRUE", "T")
            help_ = said["description"].text if "description" in said else None
            more = {"flag": number == "0", "default": default, "required": insists, "help": help_ or ""}
            yield named(long_name(names), names, Usage(""), **more)
