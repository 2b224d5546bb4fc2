"""The options of a draft, and ready command lines: what has to be given, with what it might be."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.declared import plainly, told
from cluster_interface.inspection.wording import writable
from cluster_interface.model.proposal import Missing, Sureness
from cluster_interface.model.subcommands import below, levels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project
    from cluster_interface.inspection.python.declared import Declared
    from cluster_interface.model.proposal import Option

MOST = 8  #: command lines that are suggested
MOST_OPTIONS = 500
LONGEST = 200  #: characters of the words that lead to a subcommand
_NO_DATA = re.compile(
    r"(?:.*/)?(?:\..*|LICEN[CS]E.*|COPYING.*|README.*|CHANGE.*|requirements.*|[Mm]akefile|Dockerfile)|"
    r".*\.(?:py|sh|md|rst|toml|cfg|ini|lock|ya?ml|ipynb|pyc|so|[Rr]|Rmd|sbatch|pl|pm|rb|[cm]?js|m|jl|java|go|rs|lua|"
    r"c|cc|cpp|cxx|h|hpp|f|f90|F90)"
)
_WRITTEN = re.compile(r"out(?:put|dir|file|_|$)", re.IGNORECASE)  # no file that is there


def offer(draft: Draft, options: Iterable[Option], where: str) -> None:
    """Add the options that a script was found to have, the first of each name, and what is suggested of them."""
    first = {(option.command, option.name): option for option in [*options][::-1]}
    found = [told(option) for option in first.values()][::-1][:MOST_OPTIONS]
    draft.options = tuple(found)
    if found:
        draft.guess("options", ", ".join(option.name for option in found), where, Sureness.LIKELY)
        commands = set(levels(*(option.command for option in found))) - {""}
        suggest(draft, [replace(plainly(option), command=_leads(option, commands)) for option in found])


def _leads(option: Option, commands: Collection[str]) -> bool:
    """Say whether an argument chooses between subcommands."""
    return option.positional and any(below(option.command, choice) in commands for choice in option.choices)


def suggest(draft: Draft, declared: Sequence[Declared]) -> None:
    """Add command lines to the draft, whose own is known; say what it lacks where the job would end with its usage."""
    if not declared:
        return
    start = draft.command.removesuffix(shlex.join(draft.arguments)).rstrip()
    lines = [shlex.join(_line(draft.project, declared, command)) for command in _commands(declared)[:MOST]]
    draft.suggestions = tuple(f"{start} {line}".rstrip() for line in lines)
    if names := _missing(declared, draft.arguments):
        draft.missing = Missing(names=tuple(names), example=writable(lines[0]))


def _commands(declared: Sequence[Declared], above: str = "") -> list[str]:
    """List the subcommands that lead to no further ones; of a program without any the empty one."""
    chooser = next((item.option for item in declared if item.command and item.option.command == above), None)
    if chooser is None or len(above) > LONGEST:
        return [above]
    found = [one for choice in chooser.choices for one in _commands(declared, f"{above} {choice}".strip())]
    return found or [above]


def _line(project: Project, declared: Sequence[Declared], command: str) -> list[str]:
    """Write the arguments of one command line: of each word of the subcommand what is required, then the places."""
    words: list[str] = []
    level = ""
    for following in [*command.split(" "), ""] if command else [""]:
        mine = [item for item in declared if item.option.command == level]
        named = [item.option for item in mine if item.option.required and not item.option.positional]
        words += [word for option in named for word in _named(project, option)]
        places = [item for item in mine if item.option.positional and (item.option.required or level or item.command)]
        for item in places:
            word = following if item.command else _value(project, item.option)
            words += [word] if word else []
        level = f"{level} {following}".strip()
    return words


def _named(project: Project, option: Option) -> list[str]:
    if option.flag:
        return [option.name]
    value = _value(project, option)
    return [f"{option.name}={value}"] if option.joined else [option.name, value]


def _value(project: Project, option: Option) -> str:
    if option.default is not None:
        return option.default
    if option.choices:
        return option.choices[0]
    if option.kind == "path" and not _WRITTEN.search(option.name) and (data := _only_data(project)):
        return data
    return option.name.lstrip("-").upper().replace("-", "_")


def _only_data(project: Project) -> str | None:
    """Return the one file of the project that could be data; None if there are several or none."""
    data = [name for name in project.files if not _NO_DATA.fullmatch(name)]
    return data[0] if len(data) == 1 and posixpath.basename(data[0]) else None


def _missing(declared: Sequence[Declared], arguments: Sequence[str]) -> list[str]:
    """Name what has to be given and was not, as far as counting the arguments tells."""
    words = set(arguments) | {argument.partition("=")[0] for argument in arguments}
    positional = [item for item in declared if item.option.positional and item.option.required]
    named = [item for item in declared if item.option.required and not item.option.positional]
    absent = [item.option.name for item in named if not words & set(item.names)]
    given = sum(not argument.startswith("-") for argument in arguments)
    return [item.option.name for item in positional[given:]] + absent
