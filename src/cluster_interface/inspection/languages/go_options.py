"""The options of a Go program: of the package flag, and the places of flag.Arg and os.Args."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.inspection.languages.calls import calls
from cluster_interface.inspection.languages.places import Vector, read_places
from cluster_interface.inspection.languages.usage import Usage, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.languages.lexis import Source
    from cluster_interface.model.proposal import Option

#: https://pkg.go.dev/flag
_FLAG = r"\bflag\.(String|Int|Int64|Uint|Uint64|Float64|Bool|Duration)(Var)?\s*\("
_KINDS = {"Int": "int", "Int64": "int", "Uint": "int", "Uint64": "int", "Float64": "float"}


def go_options(source: Source) -> Iterator[Option]:
    """Yield the flags that are defined, then the arguments by their place."""
    usage = Usage(source.text)
    for found, given in calls(source, _FLAG):
        texts = given[bool(found[2]) :]  # behind the variable that is set
        if len(texts) >= 3 and (name := texts[0].text):
            yield named(f"-{name}", [f"-{name}"], usage, flag=found[1] == "Bool", default=texts[1].value or None,
                        help=texts[2].text or "", kind=_KINDS.get(found[1], "text"))  # fmt: skip
    vectors = [Vector(r"\bflag\.Arg\s*\(\s*(\d+)\s*\)", 0, r"\bflag\.NArg\(\)")]
    if "flag." not in source.code:
        vectors = [Vector(r"\bos\.Args\s*\[\s*(\d+)\s*\]", 1, r"\blen\s*\(\s*os\.Args\s*\)", 1)]
    yield from read_places(source, vectors).options(usage)
