"""Follows a shell script and those it calls: what is started, read, written, loaded and activated."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.batch.uses import INDEX, known_variables, read_modules, warn_of_starter
from cluster_interface.inspection.commands import need_command
from cluster_interface.inspection.draft import shown
from cluster_interface.inspection.paths import add_absolute
from cluster_interface.inspection.project import LARGEST, simplify
from cluster_interface.inspection.python.environment import propose_environment
from cluster_interface.inspection.python.indexes import of_words, propose_indexes
from cluster_interface.inspection.python.kind import read_program
from cluster_interface.inspection.python.modules import gather
from cluster_interface.inspection.python.source import normalize
from cluster_interface.inspection.python.starting import is_python
from cluster_interface.inspection.shebang import read_shebang
from cluster_interface.inspection.shell.activation import activate
from cluster_interface.inspection.shell.calls import STARTERS, Call, calls_in
from cluster_interface.inspection.shell.known import ESSENTIAL, INTERPRETERS, RUN_BY, SHELL
from cluster_interface.inspection.shell.words import HOLE, Command, read_script
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.python.modules import Program

LONGEST_NAME = 1024  #: characters of a word that may name a file
MOST_PER_FILE = 100  #: indices of an array that are tried, for each file that is there
MOST_SCRIPTS = 50  #: called from one another, that are followed
MOST_NESTED = 10  #: texts inside texts: bash -c "bash -c '…'"
_NO_WRITING = ("/dev/", "&")
_OF_SYSTEM = ("/bin/", "/usr/", "/sbin/")
_NO_PROCESSES = frozenset({"cd", "echo", "export", "printf", "source", "."})
_PYTHON_TOOLS = {"pytest": "pytest", "jupyter": "jupyter", "papermill": "papermill", "torchrun": "torch"}


class Reader:
    """Follows one script and those it calls. `finish` adds what the Python programs among them need."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._known = known_variables(draft)
        self._indices = draft.array
        self._seen: set[str] = set()
        self._functions: set[str] = set()  # of this script and of those that it has read in
        self._aliases: dict[str, tuple[str, ...]] = {}
        self._programs: list[Program] = []

    def read(self, script: str, arguments: Sequence[str]) -> None:
        """Follow a script of the project."""
        if script in self._seen or len(self._seen) > MOST_SCRIPTS:
            return
        self._seen.add(script)
        text = normalize(self._draft.project.text(script) or "")
        if len(text) > LARGEST:
            self._draft.warn(f"{shown(script)} has more than {LARGEST:,} characters and was not read")
            return
        self.read_text(text, script, arguments)

    def read_text(
        self, text: str, script: str, arguments: Sequence[str] = (), known: Mapping[str, str] | None = None, at: int = 0
    ) -> None:
        """Follow the lines of a text that stands somewhere in a script, from line `at` on."""
        parsed = read_script(text, arguments, {**self._known, **(known or {})})
        self._functions |= parsed.functions
        for command in parsed.commands:
            line = f"line {command.line + at}"
            self._command(command, line if script == self._draft.script else f"{line} of {script}", 0)

    def finish(self) -> None:
        """Add what the Python programs need that were met."""
        if self._programs or self._draft.uses_python:
            propose_environment(self._draft, self._programs)

    def _command(self, command: Command, where: str, depth: int) -> None:
        for redirection in command.redirections:
            if "<" in redirection.operator:
                self._reads(redirection.target, where)
            else:
                self._writes(redirection.target, where)
        for call in calls_in(command.words):
            self._called(call, where, command.heredoc, depth)

    def _called(self, call: Call, where: str, heredoc: str, depth: int) -> None:
        self._wrapped(call, where)
        words = call.words
        if call.is_text:
            self._text(words[0], where, depth)
            return
        if not words:
            return
        if words[0] in ("tee", "touch") or (words[0] == "mkdir"):
            for word in words[1:]:
                if not word.startswith("-"):
                    self._writes(f"{word}/**" if words[0] == "mkdir" else word, where)
            return
        if words[0] == "for":
            words = ("", *words[1:])
        for word in words:
            self._reads(word, where)
        self._call(tuple(word.replace(INDEX, HOLE) for word in words), where, heredoc, depth)

    def _wrapped(self, call: Call, where: str) -> None:
        """Look at what starts a program."""
        for wrapper in dict.fromkeys(call.wrappers):
            if posixpath.basename(wrapper) not in STARTERS:
                need_command(self._draft, wrapper, where)
            elif call.words and call.words[0] not in _NO_PROCESSES:
                warn_of_starter(self._draft, posixpath.basename(wrapper), where)

    def _text(self, text: str, where: str, depth: int) -> None:
        if HOLE in text.split(" ", 1)[0] or depth > MOST_NESTED or len(text) > LARGEST:
            return
        for command in read_script(text.replace(HOLE, "*").replace(INDEX, "*"), (), self._known).commands:
            self._command(command, where, depth + 1)

    def _call(self, words: tuple[str, ...], where: str, heredoc: str, depth: int) -> None:
        if words[0] in self._aliases:
            words = (*self._aliases[words[0]], *words[1:])
        name = posixpath.basename(words[0])
        if words[0] in self._functions or self._is_set_up(name, words, where):
            return
        if is_python(name):
            self._python(words[1:], where)
        elif name in INTERPRETERS or name in (".", "source"):
            self._script(words, where, heredoc, depth)
        elif name in ("pip", "pip3") and words[1:2] == ("install",):
            self._pip(words[2:], where)
        elif other := self._file(words[0]) if "/" in words[0] else None:
            self._started(other, words[1:], where)
        elif name in _PYTHON_TOOLS:
            self._draft.add_package(_PYTHON_TOOLS[name], f"{where} calls {name}", Sureness.KNOWN)
        elif HOLE not in words[0] and "*" not in words[0]:
            self._program_of_system(name, words, where)

    def _is_set_up(self, name: str, words: tuple[str, ...], where: str) -> bool:
        """Take what only prepares: an alias, a module, an environment that is activated."""
        if name == "alias":
            self._alias(words[1:])
        elif name in ("module", "ml"):
            read_modules(self._draft, words, where)
        else:
            return name in ("conda", "mamba", "micromamba") and activate(self._draft, words, where)
        return True

    def _program_of_system(self, name: str, words: tuple[str, ...], where: str) -> None:
        """Take a program from the distribution; a file that it is given to run is followed."""
        if words[0].startswith("/") and not words[0].startswith(_OF_SYSTEM):
            add_absolute(self._draft, words[0], where, program=True)
            return
        if "/" in words[0] and not words[0].startswith("/"):
            if name not in SHELL | ESSENTIAL | self._draft.built:
                self._draft.warn_once(
                    f"program {words[0]}",
                    f"{where} starts {shown(words[0])}, which is not among the files: bring it with --input, or build "
                    "it in the script",
                )
            return
        if name not in self._draft.built:
            need_command(self._draft, name, where)
        if name in RUN_BY:
            self._run_by(name, words, where)

    def _run_by(self, name: str, words: tuple[str, ...], where: str) -> None:
        """Follow `Rscript x.R`, `make`, `gcc x.c`: what those files need is needed here."""
        self._draft.built |= {posixpath.basename(words[at + 1]) for at, one in enumerate(words[:-1]) if one == "-o"}
        named = [self._file(word) for word in words[1:] if not word.startswith("-")]
        files = [file for file in named if file]
        customary = RUN_BY[name]
        if not files and customary:
            files = [file for file in customary if file in self._draft.project][:1]
        for file in files if name in ("gcc", "g++", "cc", "c++", "gfortran") else files[:1]:
            arguments = words[words.index(file) + 1 :] if file in words else ()
            self._draft.add_inputs([file], f"{where} gives it to {name}", Sureness.KNOWN)
            self._draft.follow(self._draft, file, [word for word in arguments if HOLE not in word])

    def _alias(self, words: tuple[str, ...]) -> None:
        for word in words:
            name, equals, text = word.partition("=")
            if equals and HOLE not in text and len(self._aliases) < MOST_SCRIPTS:
                self._aliases[name] = tuple(text.split()) or ("true",)

    def _script(self, words: tuple[str, ...], where: str, heredoc: str, depth: int) -> None:
        called = next((at for at, word in enumerate(words) if at and not word.startswith("-")), 0)
        if called and activate(self._draft, words, where):
            return
        if called and (other := self._file(words[called])):
            self.read(other, words[called + 1 :])
        elif not called and heredoc and words[0] not in (".", "source"):
            self._text(heredoc, where, depth)

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
        self._programs.append(program)
        read_program(self._draft, program, [word for word in arguments if HOLE not in word])

    def _pip(self, words: tuple[str, ...], where: str) -> None:
        self._draft.uses_python = True
        propose_indexes(self._draft, of_words(words, f"pip install, {where}"))
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
        elif not self._draft.follow(self._draft, script, [*arguments]) and self._draft.project.text(script) is None:
            self._draft.warn(f"{where} starts {shown(script)}, a program of its own: it must run on the image's system")

    def _file(self, word: str) -> str | None:
        name = posixpath.normpath(word) if word and HOLE not in word else ""
        return name if name in self._draft.project else None

    def _reads(self, word: str, where: str) -> None:
        for text in dict.fromkeys([word, word.partition("=")[2]]):
            if not text.strip(HOLE + INDEX + "*./") or len(text) > LONGEST_NAME:
                continue
            if text.startswith(("/", "~/")):
                add_absolute(self._draft, text.replace(INDEX, "*").replace(HOLE, "*"), where)
            elif INDEX in text and len(self._indices) <= len(self._draft.project.files) * MOST_PER_FILE:
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
