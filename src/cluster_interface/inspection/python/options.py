"""The options of a script's command line, read from its syntax tree, and what they come to in this run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.argparse_options import argparse_options
from cluster_interface.inspection.python.argv_options import argv_options
from cluster_interface.inspection.python.click_options import click_options
from cluster_interface.inspection.python.declared import told
from cluster_interface.inspection.python.dispatched import argh_options, plac_options
from cluster_interface.inspection.python.docopt_options import absl_options, docopt_options
from cluster_interface.inspection.python.functions import fire_options, typer_options
from cluster_interface.model.subcommands import chosen, levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.python.declared import Declared
    from cluster_interface.inspection.python.source import Module

_READERS = (
    ("argparse", argparse_options),
    ("typer", typer_options),
    ("click", click_options),
    ("fire", fire_options),
    ("argh", argh_options),
    ("plac", plac_options),
    ("docopt", docopt_options),
    ("absl", absl_options),
    ("sys.argv", argv_options),
)


def find_options(modules: Sequence[Module]) -> tuple[list[Declared], str]:
    """Return the options, the script's own module first, and a word on where they were found."""
    for name, reader in _READERS:
        for module in modules:
            found = _once(reader(module))
            if found:
                return found, f"{name}, line {min(item.line for item in found)} of {module.name}"
    return [], ""


def bind(declared: Sequence[Declared], arguments: Sequence[str]) -> dict[str, str | None]:
    """Say what each option's destination comes to with these arguments: given, its default, or unknown."""
    declared = _of_command(declared, arguments)
    values = {item.dest: item.option.default for item in declared}
    by_name = {name: item for item in declared for name in item.names}
    positional = [item for item in declared if item.option.positional and not item.command]
    rest: list[str] = []
    pending = list(arguments)
    while pending:
        word = pending.pop(0)
        name, equals, value = word.partition("=")
        found = by_name.get(name) if word.startswith("-") else None
        if found is None:
            rest.append(word)
        elif equals:
            values[found.dest] = value
        elif not found.option.flag and pending:
            values[found.dest] = pending.pop(0)
    values.update({item.dest: word for item, word in zip(positional, rest, strict=False)})
    values.update({f"sys.argv[{place}]": word for place, word in enumerate(arguments, 1)})
    return values


def _of_command(declared: Sequence[Declared], arguments: Sequence[str]) -> list[Declared]:
    """Leave out what belongs to another subcommand than the one that the arguments choose, if they choose one."""
    command = chosen(arguments, [item.shown.model_dump() for item in declared])
    return [item for item in declared if not command or item.option.command in levels(command)]


def _once(found: Sequence[Declared]) -> list[Declared]:
    first = list({(item.option.command, item.option.name): item for item in reversed(found)}.values())[::-1]
    return [replace(item, option=told(item.option)) for item in first]
