"""sh and bash scripts: what they call, read and write, and what the Python scripts they call need."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.batch.uses import (
    INDEX,
    STARTERS,
    known_variables,
    read_modules,
    use_of_batch_system,
    warn_of_starter,
)
from cluster_interface.inspection.draft import shown
from cluster_interface.inspection.project import LARGEST, simplify
from cluster_interface.inspection.python.environment import propose_environment
from cluster_interface.inspection.python.files import read_arguments
from cluster_interface.inspection.python.kind import read_program
from cluster_interface.inspection.python.modules import gather
from cluster_interface.inspection.python.source import normalize
from cluster_interface.inspection.python.starting import is_python
from cluster_interface.inspection.shebang import Shebang, read_shebang
from cluster_interface.inspection.shell.known import ESSENTIAL, FETCHERS, INTERPRETERS, RUNNERS, SHELL, SITE
from cluster_interface.inspection.shell.words import HOLE, Command, read_commands
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project
    from cluster_interface.inspection.python.modules import Program

SUFFIXES = (".sh", ".bash", ".sbatch", ".slurm", ".sge", ".pbs", ".job", ".qsub")
LONGEST_NAME = 1024  #: characters of a word that may name a file
MOST_PER_FILE = 100  #: indices of an array that are tried, for each file that is there
MOST_SCRIPTS = 50  #: called from one another, that are followed
_FUNCTION = re.compile(r"^\s*(?:function\s+)?([\w.-]+)\s*\(\s*\)|^\s*function\s+([\w.-]+)", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_][\w.+-]*")
_NO_WRITING = ("/dev/", "&")


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
        reader = _Reader(draft)
        reader.read(draft.script, draft.arguments)
        read_arguments(draft, draft.arguments, draft.written(draft.arguments))
        if reader.programs or draft.uses_python:
            propose_environment(draft, reader.programs)


def _asked_for(draft: Draft) -> str:
    """Return the shell that the directives ask for, if it is one; bash otherwise, which runs scripts of sh as well."""
    said = draft.batch.value("shell") if draft.batch else None
    return said if said in INTERPRETERS else "bash"


class _Reader:
    """Follows one script and those it calls."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._known = known_variables(draft)
        self._indices = draft.array
        self._seen: set[str] = set()
        self._functions: set[str] = set()  # of this script and of those that it has read in
        self.programs: list[Program] = []

    def read(self, script: str, arguments: Sequence[str]) -> None:
        if script in self._seen or len(self._seen) > MOST_SCRIPTS:
            return
        self._seen.add(script)
        text = normalize(self._draft.project.text(script) or "")
        if len(text) > LARGEST:
            self._draft.warn(f"{shown(script)} has more than {LARGEST:,} characters and was not read")
            return
        self._functions |= {one or other for one, other in _FUNCTION.findall(text)}
        for command in read_commands(text, arguments, self._known):
            self._command(script, command)

    def _command(self, script: str, command: Command) -> None:
        where = f"line {command.line}" + ("" if script == self._draft.script else f" of {script}")
        for redirection in command.redirections:
            if "<" in redirection.operator:
                self._reads(redirection.target, where)
            else:
                self._writes(redirection.target, where)
        words, starter = _without_prefix(command.words)
        if starter and words:
            warn_of_starter(self._draft, starter, where)
        if not words:
            return
        if words[0] in ("tee", "touch") or (words[0] == "mkdir"):
            for word in words[1:]:
                if not word.startswith("-"):
                    self._writes(f"{word}/**" if words[0] == "mkdir" else word, where)
            return
        for word in words:
            self._reads(word, where)
        self._call(tuple(word.replace(INDEX, HOLE) for word in words), where)

    def _call(self, words: tuple[str, ...], where: str) -> None:
        name = posixpath.basename(words[0])
        if is_python(name):
            self._python(words[1:], where)
        elif name in INTERPRETERS or name in (".", "source"):
            called = next((at for at, word in enumerate(words) if at and not word.startswith("-")), 0)
            if called and (other := self._file(words[called])):
                self.read(other, words[called + 1 :])
        elif name in ("pip", "pip3") and words[1:2] == ("install",):
            self._pip(words[2:], where)
        elif other := self._file(words[0]) if "/" in words[0] else None:
            self._started(other, words[1:], where)
        elif name in ("module", "ml"):
            read_modules(self._draft, words, where)
        elif name in SITE:
            self._draft.warn(f"{where} calls {name}: {SITE[name]}")
        elif _NAME.fullmatch(words[0]) and name not in SHELL | ESSENTIAL | self._functions:
            self._missing(name, where)

    def _missing(self, name: str, where: str) -> None:
        if name in FETCHERS:
            self._draft.needs_network(f"{where} calls {name}")
        self._draft.warn(
            f"{where} calls {name}, which the image does not have by itself: say --system PACKAGE, "
            "or --with PACKAGE if a Python package brings it"
        )

    def _python(self, words: tuple[str, ...], where: str) -> None:
        self._draft.uses_python = True
        at = next((place for place, word in enumerate(words) if not word.startswith("-") or word in ("-m", "-c")), None)
        if at is None:
            return
        if words[at] == "-m" and words[at + 1 : at + 3] == ("pip", "install"):
            self._pip(words[at + 3 :], where)
        elif other := self._file(words[at]):
            self._program(other, words[at + 1 :])

    def _program(self, script: str, arguments: Sequence[str]) -> None:
        if script in self._seen or len(self._seen) > MOST_SCRIPTS:
            return
        self._seen.add(script)
        program = gather(self._draft.project, script)
        self.programs.append(program)
        read_program(self._draft, program, [word for word in arguments if HOLE not in word])

    def _pip(self, words: tuple[str, ...], where: str) -> None:
        self._draft.uses_python = True
        packages = [
            word for word in words if re.fullmatch(r"[A-Za-z][\w.-]*(\[[\w,-]+\])?([=<>!~]=?[\w.*,<>=!~]+)?", word)
        ]
        for package in packages:
            self._draft.add_package(package, f"pip install, {where}", Sureness.STATED)
        self._draft.warn(f"{where} calls pip install: packages are there before the job starts; take the line out")

    def _started(self, script: str, arguments: Sequence[str], where: str) -> None:
        shebang = read_shebang(self._draft.project.text(script) or "")
        if shebang is not None and is_python(shebang.interpreter):
            self._program(script, arguments)
        elif shebang is not None and shebang.interpreter in INTERPRETERS:
            self.read(script, arguments)
        elif self._draft.project.text(script) is None:
            self._draft.warn(f"{where} starts {shown(script)}, a program of its own: it must run on the image's system")

    def _file(self, word: str) -> str | None:
        name = posixpath.normpath(word) if word and HOLE not in word else ""
        return name if name in self._draft.project else None

    def _reads(self, word: str, where: str) -> None:
        for text in dict.fromkeys([word, word.partition("=")[2]]):
            if text.strip(HOLE + INDEX + "*./") and len(text) <= LONGEST_NAME and not text.startswith("/"):
                if INDEX in text and len(self._indices) <= len(self._draft.project.files) * MOST_PER_FILE:
                    for index in self._indices:
                        self._reads_file(text.replace(INDEX, str(index)), f"{where}, for an index of the array")
                else:
                    self._reads_file(text.replace(INDEX, HOLE), where)

    def _reads_file(self, text: str, where: str) -> None:
        name = simplify(posixpath.normpath(text.replace(HOLE, "*")))
        project = self._draft.project
        if name in project:
            self._draft.add_inputs([name], where)
        elif "*" in name and name.split("*", 1)[0].rpartition("/")[0] in {"", *project.directories}:
            known = name.replace("*", "").strip("./")
            self._draft.add_inputs(project.matching(name) if known else [], where)
        elif name in project.directories:
            self._draft.add_inputs(project.below(name), where)

    def _writes(self, target: str, where: str) -> None:
        target = target.replace(INDEX, HOLE)
        if not target.strip(HOLE + "*/") or target.startswith(_NO_WRITING) or target.isdigit() or target == "-":
            return
        if target.startswith("/"):
            if not target.startswith("/tmp/"):  # noqa: S108 - only named
                named = shown(target.replace(HOLE, "*"))
                self._draft.warn(f"{where} writes {named}, which is not there in the job: use a relative path")
            return
        name = simplify(posixpath.normpath(target.replace(HOLE, "*")))
        if name.startswith(".."):
            self._draft.warn(f"{where} writes {shown(name)}, outside the job's directory, which is not possible")
        else:
            self._draft.add_output(name, where)


def _without_prefix(words: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Drop what stands before a command: keywords, runners and their options. Return what starts processes, too."""
    starter = ""
    while words and words[0] in {"if", "then", "else", "elif", "do", "while", "until", "!", "{", "time", *RUNNERS}:
        runner = words[0] in RUNNERS
        starter = words[0] if words[0] in STARTERS else starter
        words = words[1:]
        while runner and words and (words[0].startswith("-") or words[0].isdigit() or "=" in words[0]):
            words = words[1:]
    return words, starter
