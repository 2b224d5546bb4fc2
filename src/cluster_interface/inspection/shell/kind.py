"""sh and bash scripts: what they call, read and write, and what the Python scripts they call need."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.batch.uses import use_of_batch_system
from cluster_interface.inspection.python.files import read_arguments
from cluster_interface.inspection.python.source import normalize
from cluster_interface.inspection.shebang import Shebang, read_shebang
from cluster_interface.inspection.shell.known import INTERPRETERS
from cluster_interface.inspection.shell.reader import Reader
from cluster_interface.inspection.shell.words import read_commands
from cluster_interface.model.proposal import Option, Sureness

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project

SUFFIXES = (".sh", ".bash", ".sbatch", ".slurm", ".sge", ".pbs", ".job", ".qsub")
_GETOPTS = re.compile(r"^[^#\n]*\bgetopts\s+[\"']?:?((?:[A-Za-z0-9]:?)+)[\"']?\s", re.MULTILINE)


class ShellScript:
    """A file that sh or bash runs."""

    says = "shell (.sh, or #!/bin/sh or #!/bin/bash in the first line)"

    def detects(self, name: str, shebang: Shebang | None) -> bool:
        """Say whether the first line names sh or bash, or, where it names nothing, the ending does."""
        if shebang is not None:
            return shebang.interpreter in INTERPRETERS
        return name.lower().endswith(SUFFIXES)

    def uses(self, project: Project, name: str) -> frozenset[str]:
        """Name the files of the project that the script's words name."""
        text = project.text(name) or ""
        words = {word.removeprefix("./") for command in read_commands(normalize(text)) for word in command.words}
        return frozenset(word for word in words if word in project)

    def read(self, draft: Draft) -> None:
        """Fill the draft; raise Rejected if a Python script it calls cannot be read."""
        text = draft.project.text(draft.script) or ""
        shebang = read_shebang(text)
        shell = shebang.interpreter if shebang else _asked_for(draft)
        options = shebang.options if shebang else ()
        name = f"./{draft.script}" if draft.script.startswith("-") else draft.script
        draft.command = shlex.join([shell, *options, name, *draft.arguments])
        draft.guess("command", draft.command, "its first line" if shebang else "its ending", Sureness.KNOWN)
        use_of_batch_system(draft, text)
        draft.options = tuple(getopts(text))
        if draft.options:
            named = ", ".join(option.name for option in draft.options)
            draft.guess("options", named, "its getopts", Sureness.LIKELY)
        self.follow(draft, draft.script, draft.arguments)
        read_arguments(draft, draft.arguments, draft.written(draft.arguments))

    def follow(self, draft: Draft, name: str, arguments: Sequence[str]) -> None:
        """Add what a script that another one starts needs."""
        reader = Reader(draft)
        reader.read(name, arguments)
        reader.finish()


def _asked_for(draft: Draft) -> str:
    """Return the shell that the directives ask for, if it is one; bash otherwise, which runs scripts of sh as well."""
    said = draft.batch.value("shell") if draft.batch else None
    return said if said in INTERPRETERS else "bash"


def getopts(text: str) -> Iterator[Option]:
    """Yield the options that `getopts` is told of: a letter, and a colon where it takes a value."""
    if found := _GETOPTS.search(text):
        for letter, colon in re.findall(r"([A-Za-z0-9])(:?)", found[1]):
            yield Option(name=f"-{letter}", flag=not colon)
