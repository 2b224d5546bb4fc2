"""`{name}` in a command: where a task's parameter goes, literally, whatever the quotes around it.

A placeholder becomes a reference to the variable CLIF_PARAM_name, quoted as its place wants it, so that no value is
ever read by the shell: not its quotes, not its `$(…)`, not its line breaks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

PREFIX = "CLIF_PARAM_"

# What matters outside quotes, in double quotes and in single ones (POSIX.1-2024 XCU 2.2).
_TOKENS = re.compile(
    r"""(?P<escape>\\.) | (?P<double>") | (?P<single>') | (?P<braces>\{\{|\}\}) | (?P<shell>\$\{)
    | \{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}""",
    re.VERBOSE | re.DOTALL,
)


def place(command: str, parameters: Collection[str]) -> str:
    """Put references to the parameters in the places of their placeholders.

    `{{` and `}}` are braces. Raises Rejected for a placeholder without a parameter; what stands in single quotes and
    is no parameter is left as it is (`awk '{print}'`).
    """
    return "".join(_pieces(command, parameters))


def used(command: str, parameters: Collection[str]) -> set[str]:
    """Name those parameters that have a placeholder in the command."""
    return {found["name"] for found in _TOKENS.finditer(command) if found["name"] in parameters}


def _pieces(command: str, parameters: Collection[str]) -> Iterator[str]:
    quote, at = "", 0
    while found := _TOKENS.search(command, at):
        yield command[at : found.start()]
        text, at = found[0], found.end()
        if found["escape"] and quote == "'":
            text, at = "\\", found.start() + 1  # a backslash is nothing special in there
        elif (found["double"] and quote != "'") or (found["single"] and quote != '"'):
            quote = "" if quote else text
        elif found["braces"]:
            text = text[0]
        elif name := found["name"]:
            text = _reference(name, quote) if name in parameters else _other(text, name, quote, parameters)
        yield text
    yield command[at:]


def _reference(name: str, quote: str) -> str:
    variable = f"${{{PREFIX}{name}}}"
    return {"": f'"{variable}"', '"': variable, "'": f"'\"{variable}\"'"}[quote]


def _other(text: str, name: str, quote: str, parameters: Collection[str]) -> str:
    if quote == "'":
        return text
    known = ", ".join(parameters)
    words = f"{{{name}}} has no parameter; the sweep has {known}. Where braces are meant, write {{{{{name}}}}}"
    raise Rejected.field("command", words)
