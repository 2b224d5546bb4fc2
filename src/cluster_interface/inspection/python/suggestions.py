"""Ready command lines for a script's options: what has to be given, with what it might be."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project
    from cluster_interface.inspection.python.declared import Declared
    from cluster_interface.model.proposal import Option

MOST = 8  #: command lines that are suggested
LONGEST = 200  #: characters of the words that lead to a subcommand
_NO_DATA = re.compile(
    r"(?:.*/)?(?:\..*|LICEN[CS]E.*|COPYING.*|README.*|CHANGE.*|requirements.*|[Mm]akefile|Dockerfile)|"
    r".*\.(?:py|sh|md|rst|toml|cfg|ini|lock|ya?ml|ipynb|pyc|so|R|sbatch)"
)


def suggest(draft: Draft, start: Sequence[str], declared: Sequence[Declared]) -> None:
    """Add command lines to the draft; say what is missing where the job would end with its usage only."""
    if not declared:
        return
    lines = [_line(draft.project, start, declared, command) for command in _commands(declared)[:MOST]]
    draft.suggestions = tuple(shlex.join(words) for words in lines)
    missing = _missing(declared, draft.arguments)
    if missing:
        words = shlex.join(lines[0][len(start) :])
        draft.warn(f"{draft.script} needs {', '.join(missing)}: for example -- {words}")


def _commands(declared: Sequence[Declared], above: str = "") -> list[str]:
    """List the subcommands that lead to no further ones; of a program without any the empty one."""
    chooser = next((item.option for item in declared if item.command and item.option.command == above), None)
    if chooser is None or len(above) > LONGEST:
        return [above]
    found = [one for choice in chooser.choices for one in _commands(declared, f"{above} {choice}".strip())]
    return found or [above]


def _line(project: Project, start: Sequence[str], declared: Sequence[Declared], command: str) -> list[str]:
    """Write one command line: of each word of the subcommand what is required, then the arguments by their place."""
    words, level = [*start], ""
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
    return [option.name] if option.flag else [option.name, _value(project, option)]


def _value(project: Project, option: Option) -> str:
    if option.default is not None:
        return option.default
    if option.choices:
        return option.choices[0]
    if option.kind == "path" and (data := _only_data(project)):
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
