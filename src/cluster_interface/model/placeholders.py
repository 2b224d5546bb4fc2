"""`{name}` in a command: where a task's parameter goes, literally, whatever the quotes around it.

A placeholder becomes a reference to the variable CLIF_PARAM_name, quoted as its place wants it, so that no value is
ever read by the shell: not its quotes, not its `$(…)`, not its line breaks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster_interface.model.errors import Rejected
from cluster_interface.model.subcommands import free_options

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

PREFIX = "CLIF_PARAM_"

_NAME = "[A-Za-z_][A-Za-z0-9_]*"

# What changes how a shell reads what follows (POSIX.1-2024 XCU 2.2, 2.3, 2.6), and the placeholders.
_TOKENS = re.compile(
    rf"""(?P<escape>\\.) | (?P<double>") | (?P<single>') | (?P<tick>`) | (?P<variable>\$\{{)
    | (?P<arithmetic>\$\(\() | (?P<opened>\$?\() | (?P<closed>\)) | (?P<comment>(?<![^\s;&|()])\#[^\n]*)
    | \{{\{{(?P<braces>{_NAME})\}}\}} | \{{(?P<name>{_NAME})\}}""",
    re.VERBOSE | re.DOTALL,
)


def place(command: str, parameters: Collection[str]) -> str:
    """Put references to the parameters in the places of their placeholders.

    `{{name}}` is `{name}`. Raises Rejected for a placeholder without a parameter, and where none can stand; what
    stands in single quotes and is no parameter is left as it is (`awk '{print}'`).
    """
    return "".join(_Reading(parameters).pieces(command))


def used(command: str, parameters: Collection[str]) -> set[str]:
    """Name those parameters that have a placeholder in the command."""
    return {found["name"] for found in _TOKENS.finditer(command) if found["name"] in parameters}


def offer(command: str, parameters: Collection[str], options: Collection[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """Give each parameter that has no place in a command to the option of its name, where the command has not that yet.

    `options` are those of a program as a proposal has them; none for a command that somebody wrote. Returns the
    command, and a word about each parameter that only the environment carries.
    """
    placed = used(command, parameters)
    unplaced = [name for name in parameters if name not in placed]
    taken = set(command.split())
    found = {} if not command or "--" in taken else free_options(command, options)
    free = {name: option for name, option in found.items() if option not in taken}
    written = {name: option if option.endswith("=") else f"{option} " for name, option in free.items()}
    added = "".join(f" {written[name]}{{{name}}}" for name in unplaced if name in free)
    carried = [name for name in unplaced if name not in free]
    return command + added, [f"parameter {name}: the program finds it as ${PREFIX}{name}" for name in carried]


@dataclass
class _Frame:
    """A stretch of the command with quotes of its own: all of it, or the inside of `$(…)`."""

    kind: str = ""  #: what ends it: nothing, a parenthesis, two (arithmetic), or a backtick
    quote: str = ""  #: the quote that is open in it


class _Reading:
    def __init__(self, parameters: Collection[str]) -> None:
        self._parameters = parameters
        self._frames = [_Frame()]

    def pieces(self, command: str) -> Iterator[str]:
        at = 0
        while found := _TOKENS.search(command, at):
            yield command[at : found.start()]
            text, at = found[0], found.end()
            quote = self._frames[-1].quote
            if quote == "'" and found.lastgroup in ("escape", "comment"):
                text, at = text[0], found.start() + 1  # these are nothing special in there
            elif quote == '"' and found.lastgroup == "comment":
                text, at = text[0], found.start() + 1
            elif found["name"] or found["braces"]:
                text = self._placed(text, found["name"], found["braces"])
            elif found["double"] or found["single"]:
                self._quote(text)
            elif quote != "'":
                self._nest(text)
            yield text
        yield command[at:]

    def _quote(self, mark: str) -> None:
        frame = self._frames[-1]
        if frame.quote in ("", mark):
            frame.quote = "" if frame.quote else mark

    def _nest(self, text: str) -> None:
        """Follow the shell into `$(…)`, `(…)`, `$((…))` and backticks, and out again."""
        frame = self._frames[-1]
        if text == "`":
            self._frames.pop() if frame.kind == "`" else self._frames.append(_Frame("`"))
        elif text == "$((":
            self._frames += [_Frame("))"), _Frame("))")]
        elif text == "$(" or (text == "(" and not frame.quote):
            self._frames.append(_Frame("))" if text == "(" and frame.kind == "))" else ")"))
        elif text == ")" and not frame.quote and frame.kind.startswith(")"):
            self._frames.pop()

    def _placed(self, text: str, name: str | None, braces: str | None) -> str:
        quote = self._frames[-1].quote
        known = (name or braces) in self._parameters
        if not known and quote == "'":
            return text
        if braces:
            return f"{{{braces}}}"
        if not known:
            others = ", ".join(self._parameters)
            words = f"{text} has no parameter; the sweep has {others}. Where braces are meant, write {{{text}}}"
            raise Rejected.field("command", words)
        if any(frame.kind in ("`", "))") for frame in self._frames):
            words = f"{text} cannot stand in backticks or in $((…)); use the variable ${PREFIX}{name} there"
            raise Rejected.field("command", words)
        variable = f"${{{PREFIX}{name}}}"
        return {"": f'"{variable}"', '"': variable, "'": f"'\"{variable}\"'"}[quote]
