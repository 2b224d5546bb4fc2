"""Which subcommand a command line chooses, and the options that it can still be given."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


def chosen(words: Iterable[str], options: Collection[Mapping[str, Any]]) -> str:
    """Return the subcommand that the words choose (`remote add`), empty for none; `options` as a proposal has them.

    The value of an option that takes one is no choice: `--mode fit plot` chooses `plot`.
    """
    known = set(levels(*(option.get("command") or "" for option in options)))
    found, rest = "", iter(words)
    for word in rest if len(known) > 1 else ():
        around = levels(found)
        mine = [option for option in options if (option.get("command") or "") in around]
        if any(_takes(option, word) for option in mine):
            next(rest, None)
        elif any(_chooses(option, word, found, known) for option in mine):
            found = below(found, word)
    return found


def free_options(command: str, options: Collection[Mapping[str, Any]]) -> dict[str, str]:
    """Return the options with a value that a command can still be given at its end: bare name -> what is before it.

    With a subcommand these are its own alone: after it argparse and click refuse those of others and the program's.
    """
    words = _split(command)
    given = {word.partition("=")[0] for word in words}
    own = chosen(words, options)
    return {
        option["name"].lstrip("-").replace("-", "_"): option.get("written") or _written(option)
        for option in options
        if not (option["positional"] or option["flag"])
        and (option.get("command") or "") == own
        and not {option["name"], *(option.get("aliases") or ())} & given
    }


def levels(*commands: str) -> list[str]:
    """List the program itself, the subcommands, and those on the way to them."""
    parts = [command.split(" ") for command in commands]
    return ["", *(" ".join(words[:end]) for words in parts for end in range(1, len(words) + 1))]


def below(command: str, word: str) -> str:
    """Name a subcommand of a subcommand."""
    return f"{command} {word}".strip()


def _written(option: Mapping[str, Any]) -> str:
    return f"{option['name']}=" if option.get("joined") else str(option["name"])


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quote that is not closed
        return command.split()


def _takes(option: Mapping[str, Any], word: str) -> bool:
    names = (option["name"], *(option.get("aliases") or ()))
    return not option["positional"] and not option["flag"] and word in names


def _chooses(option: Mapping[str, Any], word: str, found: str, known: Collection[str]) -> bool:
    """Say whether a word is among the choices of what chooses between subcommands."""
    choices = option.get("choices") or ()
    mine = option["positional"] and (option.get("command") or "") == found and word in choices
    return mine and any(below(found, choice) in known for choice in choices)
