"""The options of a Java program: of picocli and Commons CLI, compared one by one, and the places of main's array."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.calls import calls
from cluster_interface.inspection.languages.compared import compared
from cluster_interface.inspection.languages.places import Vector, read_places
from cluster_interface.inspection.languages.usage import Usage, long_name, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.model.proposal import Option

_MAIN = re.compile(r"\bmain\s*\(\s*(?:final\s+)?String\s*(?:\[\s*\]|\.\.\.)?\s*(\w+)\s*(?:\[\s*\])?\s*\)")
_FIELD = re.compile(r"\)\s*(?:(?:private|public|protected|final|static)\s+)*([\w.<>\[\]]+)\s+(\w+)\s*(?:=\s*([^;]*))?;")
_KINDS = {"int": "int", "Integer": "int", "long": "int", "Long": "int", "double": "float", "Double": "float",
          "float": "float", "File": "path", "Path": "path"}  # fmt: skip
_LITERAL = re.compile(r"\"([^\"]*)\"|(-?\d+(?:\.\d+)?)[LfFdD]?")
_TAKES = r"\.(?:hasArg|hasArgs|numberOfArgs|argName)\s*\("


def java_options(source: Source) -> Iterator[Option]:
    """Yield the options that are declared, else the arguments by their place."""
    usage = Usage(source.text)
    declared = [*_picocli(source, usage), *_commons(source, usage)]
    yield from declared
    main = _MAIN.search(source.code)
    if main and not declared:
        name = re.escape(main[1])
        yield from compared(source, usage, rf"\b{name}\s*\[\s*[a-z]|:\s*{name}\s*\)")
        yield from read_places(source, [Vector(rf"\b{name}\s*\[\s*(\d+)\s*\]", 0, rf"\b{name}\.length")]).options(usage)


def _picocli(source: Source, usage: Usage) -> Iterator[Option]:
    """Read annotated fields: https://picocli.info/#_options_and_parameters."""
    for found, given in calls(source, r"@(?:CommandLine\.)?(Option|Parameters)\s*\("):
        said = {argument.key: argument for argument in given}
        field = _FIELD.match(source.code, given[-1].end) if given else None
        names = said["names"].strings if "names" in said else []
        if field is None or set(names) & {"-h", "--help"} or (found[1] == "Option" and not names):
            continue
        preset = _LITERAL.fullmatch(source.text[field.start(3) : field.end(3)].strip()) if field[3] else None
        default = (said["defaultValue"].value if "defaultValue" in said else None) or (
            preset and (preset[1] or preset[2])
        )
        place = found[1] == "Parameters"
        many = field[1].startswith("List") or field[1].endswith("[]")
        optional = "arity" in said and (said["arity"].value or "").startswith("0")
        insists = "required" in said and said["required"].value == "true"
        yield named(
            field[2] if place else long_name(names), [] if place else names, usage,
            positional=place,
            flag=not place and field[1] in ("boolean", "Boolean"),
            required=(place and default is None and not optional) or insists,
            default=default or None,
            help=" ".join(said["description"].strings) if "description" in said else "",
            kind=_KINDS.get(field[1].rpartition(".")[2], "text"),
            many=many, repeat=many and not place,
        )  # fmt: skip


def _commons(source: Source, usage: Usage) -> Iterator[Option]:
    """Read what Options of Commons CLI are given: https://commons.apache.org/proper/commons-cli/usage.html."""
    if "commons.cli" not in source.code:
        return
    for found, given in calls(source, r"\.add(Required)?Option\s*\(|\bOption\.builder\s*\(|\bnew\s+Option\s*\("):
        texts = [argument.text for argument in given]
        tail = source.code[given[-1].end :].partition(";")[0][:600] if given else ""
        names = [f"-{texts[0]}"] if texts and texts[0] else []
        long = re.search(r"\.longOpt\s*\(\s*\"([^\"]*)\"", source.text[given[-1].end :][: len(tail)]) if given else None
        said = re.search(r"\.desc\s*\(\s*\"([^\"]*)\"", source.text[given[-1].end :][: len(tail)]) if given else None
        switch = next((argument.value == "true" for argument in given if argument.value in ("true", "false")), None)
        three = len(given) > 3 and texts[1]
        names += [f"--{texts[1]}"] if three else [f"--{long[1]}"] if long else []
        if names and not set(names) & {"-h", "--help"}:
            yield named(
                names[-1], names, usage,
                flag=not (switch or re.search(_TAKES, tail)),
                required=bool(found[1]) or ".required()" in tail.replace(" ", "") or ".setRequired(true)" in tail,
                help=said[1] if said else (texts[-1] or "") if switch is not None and len(texts) > 2 else "",
            )  # fmt: skip
