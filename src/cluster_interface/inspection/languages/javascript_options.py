"""The options of a JavaScript program: commander, yargs, minimist, util.parseArgs, and the places of process.argv."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.calls import calls
from cluster_interface.inspection.languages.compared import compared
from cluster_interface.inspection.languages.places import Places, Vector, read_places, unpacked
from cluster_interface.inspection.languages.usage import Usage, named
from cluster_interface.model.proposal import Option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.languages.calls import Argument
    from cluster_interface.inspection.languages.lexis import Source

_FLAGS = re.compile(r"(?:(-\w)[ ,|]+)?(--?[A-Za-z][\w-]*)(?:[ =]([<\[])([\w:-]+)(\.\.\.)?[>\]])?")
_PLACE = re.compile(r"([<\[])([\w:-]+)(\.\.\.)?[>\]]|([A-Za-z][\w-]*)")
_KINDS = {"number": "float", "string": "text"}
_SLICED = re.compile(
    r"(?:(?:const|let|var)\s+)?(?:\[([^\]\[]*)\]|(?<![\w$])([A-Za-z_$]\w{0,60}))\s*=\s*(?:process\.)?argv\.slice\(\s*2\s*\)(?!\s*\.)"
)
_WHOLE = re.compile(r"(?:const|let|var)\s+\[([^\]\[]*)\]\s*=\s*(?:process\.)?argv\b(?!\s*[.\[])")
_VERBS = (
    r"(?P<verb>\.(?:command|requiredOption|option|options|argument|arguments|positional|demandOption|default|describe|"
    r"alias|boolean|number|string|choices|usage)|\bnew\s+(?:\w+\.)?Option)\s*\("
)
_MINIMIST = r"(?:(?<![\w$])([A-Za-z_$][\w$]{0,60})\s*=\s*)?\b(?:minimist|require\s*\([^()]*\))\s*\("
_BEFORE = re.compile(r"([A-Za-z_$][\w$]*)\s*$")
_ASSIGNED = re.compile(r"([A-Za-z_$][\w$]*)\s*=\s*[\w$.\s]*$")


def javascript_options(source: Source) -> Iterator[Option]:
    """Yield the options of the library that is loaded, else the arguments by their place."""
    usage = Usage(source.text)
    loaded = {
        text.value for text in source.texts if re.search(r"\b(?:require\s*\(|import\s*\(?|from)\s*$", text.before)
    }
    if loaded & {"commander", "yargs", "yargs/yargs"}:
        yield from _Chain(source, usage).options()
    elif "minimist" in loaded:
        yield from _minimist(source, usage)
    elif re.search(r"\bparseArgs\s*\(", source.code):
        yield from _parse_args(source, usage)
    else:
        yield from compared(source, usage, r"argv\b[^;\n]*\.(?:forEach|slice|shift|entries)|\bof\s+\w*arg|\[\s*i\b")
        yield from _places(source, usage)


class _Chain:
    """Reads the calls of commander and yargs in their order; what stands in or behind a command belongs to it."""

    def __init__(self, source: Source, usage: Usage) -> None:
        self._source, self._usage = source, usage
        self._found: dict[tuple[str, str], Option] = {}
        self._commands: dict[str, str] = {}  # name -> what it is for
        self._holders: dict[str, str] = {}  # variable -> command
        self._current, self._end = "", 0
        self._inside = False

    def options(self) -> Iterator[Option]:
        """Yield what is declared, the choice between commands first."""
        for call, given in calls(self._source, _VERBS):
            verb = call["verb"].lstrip(".").split()[0]
            if given:
                self._place(call.start())
                self._read(verb, given, call.start())
        if self._commands:
            yield Option(name="command", positional=True, required=True, choices=tuple(self._commands))
        yield from (one for one in self._found.values() if not self._commands or one.command or not one.positional)

    def _place(self, at: int) -> None:
        """Find out which command a call belongs to."""
        holder = _BEFORE.search(self._source.code, max(0, at - 60), at)
        if self._inside and at >= self._end:
            self._current, self._inside = "", False
        if holder and not self._inside:
            self._current = self._holders.get(holder[1], "")

    def _read(self, verb: str, given: list[Argument], at: int) -> None:
        first = given[0].text
        if verb == "command" and first:
            self._command(first, given, at)
        elif verb in ("option", "requiredOption", "new") and first and first.startswith("-"):
            self._commander(first, given, required=verb == "requiredOption")
        elif verb in ("argument", "arguments") and first:
            for place in _PLACE.finditer(first):
                self._argument(place, given)
        elif verb in ("option", "positional") and first:
            self._add(
                _of_table(first, given[1].table if len(given) > 1 else {}, self._usage, place=verb == "positional")
            )
        elif verb in ("options", "option"):
            for item in given[0].items:
                self._add(_of_table(item.key, item.table, self._usage))
        elif first and (known := self._found.get((self._current, f"--{first}"))):
            self._say(known, verb, given)

    def _command(self, said: str, given: list[Argument], at: int) -> None:
        name, *places = said.split(maxsplit=1)
        if name in ("$0", "*") or not re.fullmatch(r"[A-Za-z][\w:-]*", name):
            name = ""
        else:
            self._commands[name] = (given[1].text or "") if len(given) > 1 else ""
        self._current, self._end = name, given[-1].end
        self._inside = len(given) > 2
        if holder := _ASSIGNED.search(self._source.code, max(0, at - 80), at):
            self._holders[holder[1]] = name
        for place in _PLACE.finditer(places[0] if places else ""):
            if place[2]:
                self._argument(place, [])

    def _commander(self, first: str, given: list[Argument], *, required: bool) -> None:
        found = _FLAGS.match(first)
        if found is None or found[2].startswith("--no-"):
            return
        tail = self._source.code[given[-1].end : given[-1].end + 200]
        choices = re.match(r"\)\s*\.choices\s*\(", tail)
        at = given[-1].end + choices.end() if choices else 0
        more = [one.value for one in given[2:] if one.value is not None]
        preset = re.search(r"^\)(?:\s*\.\w+\([^()]*\))*\s*\.default\s*\(", tail)
        if preset:
            at_ = given[-1].end + preset.end()
            more = re.findall(r"^[\"']?([^\"'),]*)", self._source.text[at_ : at_ + 100])
        close = self._source.text.find(")", at)
        self._add(named(
            found[2], list(filter(None, (found[2], found[1]))), self._usage,
            flag=not found[3],
            required=required or ".makeOptionMandatory" in tail.split(";")[0],
            help=(given[1].text or "") if len(given) > 1 else "",
            default=more[-1] if more else None,
            choices=tuple(re.findall(r"[\"']([^\"']*)[\"']", self._source.text[at:close])) if choices else (),
            many=bool(found[5]),
        ))  # fmt: skip

    def _argument(self, place: re.Match[str], given: list[Argument]) -> None:
        preset = given[2].value if len(given) > 2 else None
        help_ = (given[1].text or "") if len(given) > 1 else ""
        name = place[2] or place[4]
        self._add(named(name, [name], self._usage, positional=True, required=place[1] != "[" and preset is None,
                        many=bool(place[3]), help=help_, default=preset))  # fmt: skip

    def _say(self, known: Option, verb: str, given: list[Argument]) -> None:
        """Take what yargs is told of an option by a call of its own."""
        second = given[1] if len(given) > 1 else None
        says: dict[str, dict[str, object]] = {
            "demandOption": {"required": True},
            "boolean": {"flag": True},
            "number": {"kind": "float"},
            "default": {"default": second.value if second else None},
            "describe": {"help": (second.text or "") if second else ""},
            "choices": {"choices": tuple(second.strings) if second else ()},
        }
        self._found[known.command, known.name] = known.model_copy(update=says.get(verb, {}))

    def _add(self, option: Option) -> None:
        if self._current:
            option = option.model_copy(update={"command": self._current, "required": False})
        before = self._found.get((self._current, option.name))
        if before and option.positional:  # yargs: named in the command, described by a call
            option = option.model_copy(update={"required": before.required, "many": before.many})
        self._found[self._current, option.name] = option


def _of_table(name: str, said: dict[str, Argument], usage: Usage, *, place: bool = False) -> Option:
    """Make an option of its entry in a table, as yargs and util.parseArgs have it."""

    def text(*keys: str) -> str:
        return next((value for key in keys if key in said and (value := said[key].value)), "")

    kind, default = text("type"), text("default") or None
    many = kind == "array" or text("array", "multiple") == "true"
    flag = kind in ("boolean", "count") or text("boolean") == "true" or (default in ("true", "false") and not kind)
    others = said["alias"].strings if "alias" in said else [text("short")]
    names = [f"-{one}" if len(one) == 1 else f"--{one}" for one in (name, *filter(None, others))]
    return named(
        name if place else names[0], [] if place else names, usage,
        positional=place,
        flag=flag and not place,
        default=default,
        required=text("demandOption", "required", "demand", "require") == "true",
        choices=tuple(said["choices"].strings) if "choices" in said else (),
        help=text("describe", "description", "desc"),
        kind=_KINDS.get(kind, "text"),
        many=many, repeat=many,
    )  # fmt: skip


def _parse_args(source: Source, usage: Usage) -> Iterator[Option]:
    """Read what util.parseArgs is told: https://nodejs.org/api/util.html#utilparseargsconfig."""
    for _, given in calls(source, r"\bparseArgs\s*\("):
        table = given[0].table.get("options") if given else None
        items = (
            table.items if table and table.code.startswith("{") else _held(source, table.code if table else "options")
        )
        for item in items:
            if item.key not in ("help", "version", ""):
                yield _of_table(item.key, item.table, usage)
    for found in re.finditer(r"\[([^\]\[]*)\]\s*=\s*(?:\w+\.)?positionals\b", source.code):
        places = Places()
        unpacked(places, source.text[slice(*found.span(1))])
        yield from places.options(usage)


def _held(source: Source, name: str) -> list[Argument]:
    """Return the entries of the table that a variable holds."""
    pattern = rf"\b{re.escape(name)}\s*=\s*\{{" if re.fullmatch(r"[\w$]+", name) else r"(?!x)x"
    return next((given for _, given in calls(source, pattern)), [])


def _minimist(source: Source, usage: Usage) -> Iterator[Option]:
    """Read what minimist is told, and the entries of its result that are used."""
    for found, given in calls(source, _MINIMIST):
        said = given[1].table if len(given) > 1 else {}
        sets = {kind: set(said[kind].strings) if kind in said else set() for kind in ("string", "boolean")}
        defaults = {key: item.value for key, item in (said["default"].table if "default" in said else {}).items()}
        alias = {key: item.strings for key, item in (said["alias"].table if "alias" in said else {}).items()}
        name = re.escape(found[1] or "") or r"(?!x)x"
        used = re.findall(rf"(?<![\w.]){name}\.([A-Za-z][\w$]*)", source.code)
        named_ = [*sorted(sets["string"] | sets["boolean"]), *defaults, *alias, *used]
        groups = [frozenset((key, *others)) for key, others in alias.items()]
        for group in dict.fromkeys(next((one for one in groups if key in one), frozenset({key})) for key in named_):
            if not group & {"_", "help", "h", "version"}:
                names = [f"-{one}" if len(one) == 1 else f"--{one}" for one in sorted(group, key=len, reverse=True)]
                default = next((defaults[one] for one in group if one in defaults), None)
                yield named(names[0], names, usage, flag=bool(group & sets["boolean"]), default=default)
        element, count = rf"(?<![\w.]){name}\._\s*\[\s*(\d+)\s*\]", rf"(?<![\w.]){name}\._\.length"
        yield from read_places(source, [Vector(element, 0, count)]).options(usage)
        return


def _places(source: Source, usage: Usage) -> Iterator[Option]:
    vectors = [Vector(r"\bprocess\.argv\s*\[\s*(\d+)\s*\]", 2, r"\bprocess\.argv\.length", 2)]
    sliced = next((found for found in _SLICED.finditer(source.code)), None)
    if sliced and sliced[2]:
        name = re.escape(sliced[2])
        vectors.append(Vector(rf"\b{name}\s*\[\s*(\d+)\s*\]", 0, rf"\b{name}\.length"))
    places = read_places(source, vectors)
    if taken := sliced if sliced and sliced[1] else _taken_apart(source, sliced[2] if sliced else None):
        unpacked(places, source.text[slice(*taken.span(1))])
    elif whole := _WHOLE.search(source.code):
        unpacked(places, ",".join(source.text[slice(*whole.span(1))].split(",")[2:]))
    yield from places.options(usage)


def _taken_apart(source: Source, name: str | None) -> re.Match[str] | None:
    """Find where the words that a variable holds are given to others: `const [a, b] = args`."""
    pattern = rf"(?:const|let|var)\s+\[([^\]\[]*)\]\s*=\s*{re.escape(name or '')}\b(?!\s*[.\[])"
    return re.search(pattern, source.code) if name else None
