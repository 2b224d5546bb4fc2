"""Scripts of shells: what they call, read and write, and what the Python scripts they call need."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.batch.uses import use_of_batch_system
from cluster_interface.inspection.project import LARGEST
from cluster_interface.inspection.python.files import read_arguments
from cluster_interface.inspection.python.source import normalize
from cluster_interface.inspection.rooted import named_in, where_it_starts
from cluster_interface.inspection.shebang import Shebang, read_shebang
from cluster_interface.inspection.shell.arguments import shell_arguments
from cluster_interface.inspection.shell.getopts import getopts
from cluster_interface.inspection.shell.known import INTERPRETERS, SHELLS
from cluster_interface.inspection.shell.reader import Reader
from cluster_interface.inspection.shell.words import read_commands
from cluster_interface.inspection.suggestions import offer
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project

SUFFIXES = (".sh", ".bash", ".sbatch", ".slurm", ".sge", ".pbs", ".job", ".qsub", ".csh", ".tcsh", ".ksh", ".zsh")
_STARTS_ITSELF = re.compile(  #: by its name, which is looked for on the PATH where it has no slash
    r"(?:^|[;&|({]|\b(?:exec|nohup|setsid|time|then|do|else|sudo|srun)\b)[ \t]*[\"']?\$(?:0|\{0\})(?!\w)", re.MULTILINE
)
#: what is bash's alone, in a script that asks for sh: that is bash where it was written
_OF_BASH = re.compile(
    r"(?m)^(?![ \t]*#)(?:[^'\n]*?(?:^|[;&|({]|\b(?:then|do|else|if|for|while)\b)[ \t]*"
    r"((?:source|declare|shopt|pushd|popd|function|let|mapfile|readarray)[ \t]|\[\[[ \t]|\(\(|\w+\+?=\()"
    r"|[^'#\n]*?(<<<|<\(|&>|\{\d+\.\.\d+\}|\$\{\w+(?::\d|//?[^}]|\[)))"
)
_SUBMITTED_FROM = re.compile(r"\b(?:SLURM_SUBMIT_DIR|PBS_O_WORKDIR|SGE_O_WORKDIR)\b")


class ShellScript:
    """A file that a shell runs."""

    says = "shell (.sh, or #!/bin/sh, bash, tcsh, zsh or ksh in the first line)"

    def detects(self, name: str, shebang: Shebang | None) -> bool:
        """Say whether the first line names a shell, or, where it names nothing, the ending does."""
        if shebang is not None:
            return shebang.interpreter in INTERPRETERS
        return name.lower().endswith(SUFFIXES)

    def uses(self, project: Project, name: str) -> frozenset[str]:
        """Name the files of the project that the script's words name."""
        text = project.text(name) or ""
        words = {word.removeprefix("./") for command in read_commands(normalize(text)) for word in command.words}
        return frozenset(word for word in words if word in project)

    def starts(self, project: Project, name: str, arguments: Sequence[str]) -> tuple[str, str]:
        """Return the directory that a script is started in, and what is found from there."""
        return where_it_starts(project, name, arguments, named_in(project, name))

    def read(self, draft: Draft) -> None:
        """Fill the draft; raise Rejected if a Python script it calls cannot be read."""
        text = draft.project.text(draft.script) or ""
        shebang = read_shebang(text)
        shell = shebang.interpreter if shebang else _asked_for(draft)
        options = shebang.options if shebang else ()
        by_path = draft.script.startswith("-") or ("/" not in draft.script and _STARTS_ITSELF.search(text))
        name = f"./{draft.script}" if by_path else draft.script
        program, package = SHELLS[shell]
        bash = _OF_BASH.search(text) if program == "sh" else None
        program = "bash" if bash else program
        if package:
            draft.add_system(package, f"{shell} runs it")
        draft.command = shlex.join([program, *options, name, *draft.arguments])
        why = "its first line" if shebang else "its ending"
        if bash:
            line = text.count("\n", 0, bash.start(bash.lastindex or 0)) + 1
            why = f"line {line} is bash's, which is what sh is on many clusters"
        draft.guess("command", draft.command, why, Sureness.KNOWN)
        use_of_batch_system(draft, text)
        if draft.home and (used := _SUBMITTED_FROM.search(text)):
            draft.first[f'export {used[0]}="$PWD"'] = f"it is started in {draft.home}"
        offer(draft, [*getopts(text), *shell_arguments(normalize(text)[:LARGEST])], "its lines")
        self.follow(draft, draft.script, draft.arguments)
        read_arguments(draft, draft.arguments, draft.written(draft.arguments))

    def follow(self, draft: Draft, name: str, arguments: Sequence[str]) -> None:
        """Add what a script that another one starts needs."""
        reader = Reader(draft)
        reader.read(name, arguments)
        reader.finish()


def _asked_for(draft: Draft) -> str:
    """Return the shell that the directives ask for, or the ending; bash otherwise, which runs scripts of sh as well."""
    said = str(draft.batch.value("shell") or "") if draft.batch else ""
    if said in INTERPRETERS:
        return said
    ending = draft.script.lower().rpartition(".")[2]
    return ending if ending in INTERPRETERS and ending != "sh" else "bash"
