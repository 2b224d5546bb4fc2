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
_NO_DATA = re.compile(
    r"(?:.*/)?(?:\..*|LICEN[CS]E.*|COPYING.*|README.*|CHANGE.*|requirements.*|[Mm]akefile|Dockerfile)|"
    r".*\.(?:py|sh|md|rst|toml|cfg|ini|lock|ya?ml|ipynb|pyc|so|R|sbatch)"
)


def suggest(draft: Draft, start: Sequence[str], declared: Sequence[Declared]) -> None:
    """Add command lines to the draft; say what is missing where the job would end with its usage only."""
    if not declared:
        return
    options = [item.option for item in declared]
    choices = next((item.option.choices for item in declared if item.command), ())
    lines = [_line(draft.project, start, options, command) for command in choices[:MOST] or [""]]
    draft.suggestions = tuple(shlex.join(words) for words in lines)
    missing = _missing(declared, draft.arguments)
    if missing:
        words = shlex.join(lines[0][len(start) :])
        draft.warn(f"{draft.script} needs {', '.join(missing)}: for example -- {words}")


def _line(project: Project, start: Sequence[str], options: Sequence[Option], command: str) -> list[str]:
    """Write one command line: the subcommand, what is required, then the arguments by their place."""
    mine = [option for option in options if option.command in ("", command)]
    named = [word for option in mine if option.required and not option.positional for word in _named(project, option)]
    places = [
        command if option.choices and command in option.choices else _value(project, option)
        for option in mine
        if option.positional and (option.required or option.command)
    ]
    return (
        [*start, *named, *places]
        if not command or command not in places
        else [*start, *places[:1], *named, *places[1:]]
    )


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
