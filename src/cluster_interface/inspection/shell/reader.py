"""Follows a shell script and those it calls: what is started, read, written, loaded and activated."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cluster_interface.inspection.batch.uses import INDEX, known_variables, read_modules, warn_of_starter
from cluster_interface.inspection.commands import need_command
from cluster_interface.inspection.endless import look_at_call
from cluster_interface.inspection.languages.simple import RUNNERS
from cluster_interface.inspection.paths import add_absolute
from cluster_interface.inspection.project import LARGEST
from cluster_interface.inspection.python.environment import propose_environment
from cluster_interface.inspection.python.installs import installed_by_pip
from cluster_interface.inspection.python.kind import read_program, read_text
from cluster_interface.inspection.python.modules import gather
from cluster_interface.inspection.python.source import normalize
from cluster_interface.inspection.python.starting import is_python
from cluster_interface.inspection.shebang import read_shebang
from cluster_interface.inspection.shell.activation import activate
from cluster_interface.inspection.shell.calls import STARTERS, Call, calls_in, runs_texts, texts_in
from cluster_interface.inspection.shell.cshell import in_words_of_sh
from cluster_interface.inspection.shell.files import Files
from cluster_interface.inspection.shell.known import (
    COMPILERS,
    ESSENTIAL,
    INTERPRETERS,
    OF_OTHERS,
    RUN_BY,
    SHELL,
    SHELLS,
)
from cluster_interface.inspection.shell.words import HOLE, Command, read_script
from cluster_interface.inspection.wording import shown
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.python.modules import Program
    from cluster_interface.inspection.python.stated import Need

MOST_SCRIPTS = 50  #: called from one another, that are followed
MOST_NESTED = 10  #: texts inside texts: bash -c "bash -c '…'"
_OF_SYSTEM = ("/bin/", "/usr/", "/sbin/")
_PLACING = frozenset({"mv", "cp", "ln", "install"})  #: what they leave is there, wherever it comes from
_REMOVING = frozenset({"rm", "unlink", "rmdir", "shred"})
_BUILDERS = frozenset({"cmake", "ninja", "meson", "scons", "cargo", "qmake", "bazel"})  #: make what only they know
_NO_PROCESSES = frozenset({"cd", "echo", "export", "printf", "source", "."})
_OF_PROGRAMS = (".R", ".r", ".py", ".m", ".jl", ".pl", ".rb")  #: what an interpreter may read from a file: R <x.R
_STARTED = (*_OF_PROGRAMS, ".sh", ".bash")
_BRINGING = frozenset({"tar", "unzip", "gunzip", "git", "wget", "curl", "rsync", "scp", "cp", "mv", "ln"})
_PYTHON_TOOLS = {
    "pytest": "pytest",
    "jupyter": "jupyter",
    "papermill": "papermill",
    "torchrun": "torch",
    "snakemake": "snakemake",
}


def _result_of(words: Sequence[str]) -> Sequence[str]:
    """Name what a compiler or a copy leaves, as its words say: `gcc -o prog prog.c`, `mv a b`."""
    name = posixpath.basename(words[0])
    if name in COMPILERS:
        return [words[at + 1] for at, word in enumerate(words[:-1]) if word == "-o"]
    return words[-1:] if name in _PLACING and len(words) > 2 else ()


class Reader:
    """Follows one script and those it calls. `finish` adds what the Python programs among them need."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._known = known_variables(draft)
        self._seen: set[str] = set()
        self._files = Files(draft)
        self._functions: set[str] = set()  # of this script and of those that it has read in
        self._aliases: dict[str, tuple[str, ...]] = {}
        self._programs: list[Program] = []
        self._installed: list[Need] = []
        self._brings = False  # files come into being of which the words tell nothing

    def read(self, script: str, arguments: Sequence[str]) -> None:
        """Follow a script of the project."""
        if script in self._seen or len(self._seen) > MOST_SCRIPTS:
            return
        self._seen.add(script)
        if {package for _, package in SHELLS.values()} & set(self._draft.system):
            self._functions |= OF_OTHERS
        text = normalize(self._draft.project.text(script) or "")
        if "tcsh" in self._draft.system:
            text = in_words_of_sh(text)
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

    def read_python(self, text: str, called: str) -> None:
        """Read a text of Python that stands somewhere in a script."""
        if program := read_text(self._draft, called, text):
            self._programs.append(program)

    def finish(self) -> None:
        """Add what the Python programs need that were met."""
        if self._programs or self._draft.uses_python:
            propose_environment(self._draft, self._programs, self._installed)

    def _command(self, command: Command, where: str, depth: int) -> None:
        for redirection in command.redirections:
            if "<" in redirection.operator:
                self._files.read(redirection.target, where)
            else:
                self._files.write(redirection.target, where)
                if ">>" not in redirection.operator:
                    self._files.makes(redirection.target)
        given = [
            one.target for one in command.redirections if one.operator == "<" and one.target.endswith(_OF_PROGRAMS)
        ]
        for call in calls_in((*command.words, *given)):
            self._called(call, where, command.heredoc, depth)
            if not command.beside:
                look_at_call(self._draft, call, where)

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
                    self._files.write(f"{word}/**" if words[0] == "mkdir" else word, where)
            return
        if words[0] == "for":
            words = ("", *words[1:])
        made = "/" in words[0] and posixpath.basename(words[0]) in self._draft.built  # by what comes before
        for word in _result_of(words):
            self._files.makes(word)
        for word in words[made:] if words[0] not in _REMOVING else ():
            if not (words[0] in (".", "source") and word.endswith("/bin/activate")):  # it is mounted
                self._files.read(word, where)
        self._inline(words, heredoc, where)
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
        elif other := self._files.one(words[0]) if "/" in words[0] and name not in self._draft.built else None:
            self._started(other, words[1:], where)
        elif name in _PYTHON_TOOLS:
            self._draft.add_package(_PYTHON_TOOLS[name], f"{where} calls {name}", Sureness.KNOWN)
            if name in RUN_BY:
                self._run_by(name, words, where)
        elif HOLE not in words[0] and "*" not in words[0]:
            self._program_of_system(name, words, where)

    def _inline(self, words: tuple[str, ...], heredoc: str, where: str) -> None:
        """Take what a program is given to run on its command line, or below it."""
        name = posixpath.basename(words[0])
        called = f"what {where} gives to {name}"
        for given in [*texts_in(words), *([heredoc] if heredoc and runs_texts(name) else [])]:
            text = given.replace(HOLE, "_").replace(INDEX, "1")
            if not is_python(name):
                self._draft.follow_text(self._draft, name, called, text)
            else:
                self.read_python(text, called)

    def _is_set_up(self, name: str, words: tuple[str, ...], where: str) -> bool:
        """Take what only prepares: the directory that is gone to, an alias, a module, an environment."""
        if name == "cd":
            self._files.go(words[1:])
        elif name == "alias":
            self._alias(words[1:])
        elif name in ("module", "ml"):
            read_modules(self._draft, words, where)
        elif name in ("modulecmd", "lmod"):  # what `module` calls: modulecmd bash load X
            read_modules(self._draft, ("module", *words[2:]), where)
        else:
            return name in ("conda", "mamba", "micromamba") and activate(self._draft, words, where)
        return True

    def _program_of_system(self, name: str, words: tuple[str, ...], where: str) -> None:
        """Take a program from the distribution; a file that it is given to run is followed."""
        if words[0].startswith("/") and not words[0].startswith(_OF_SYSTEM):
            self._draft.opaque = True
            add_absolute(self._draft, words[0], where, program=True)
            return
        if "/" in words[0] and not words[0].startswith("/"):
            if name not in SHELL | ESSENTIAL | self._draft.built:
                word = posixpath.join(self._files.place, words[0]) if self._files.place else words[0]
                self._draft.unbuilt.setdefault(word, where)
            return
        if name not in self._draft.built:
            need_command(self._draft, name, where)
        self._draft.builds |= name in _BUILDERS
        self._brings |= name in _BRINGING
        if name in _PLACING:
            self._draft.built |= {posixpath.basename(word) for word in words[1:]}
        if name in RUN_BY or name in RUNNERS:
            self._run_by(name, words, where)

    def _run_by(self, name: str, words: tuple[str, ...], where: str) -> None:
        """Follow `Rscript x.R`, `make`, `gcc x.c`: what those files need is needed here."""
        self._draft.built |= {posixpath.basename(words[at + 1]) for at, one in enumerate(words[:-1]) if one == "-o"}
        given = [word for word in words[1:] if not word.startswith("-") and word not in _result_of(words)]
        named = [file for word in given for file in self._files.each(word)]
        files = [*dict.fromkeys(named)]
        customary = RUN_BY.get(name, ())
        if not files and customary:
            files = [file for file in map(self._files.one, customary) if file][:1]
        first = next((word for word in words[1:] if not word.startswith("-")), "")
        if name not in COMPILERS and not self._files.each(first):
            self._absent(first, where)
        for file in files if name in COMPILERS else files[:1]:
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
        if called and (other := self._files.one(words[called])):
            self.read(other, words[called + 1 :])
        elif not called and heredoc and words[0] not in (".", "source"):
            self._text(heredoc, where, depth)
        elif called and words[0] not in (".", "source"):
            self._absent(words[called], where)

    def _python(self, words: tuple[str, ...], where: str) -> None:
        self._draft.uses_python = True
        at = next((place for place, word in enumerate(words) if not word.startswith("-") or word in ("-m", "-c")), None)
        if at is None:
            return
        if words[at] == "-m" and words[at + 1 : at + 3] == ("pip", "install"):
            self._pip(words[at + 3 :], where)
        elif other := self._files.one(words[at]):
            self._program(other, words[at + 1 :])
        else:
            self._absent(words[at], where)

    def _absent(self, word: str, where: str) -> None:
        """Say that a script is not there that is to be started, unless it may come into being or lie elsewhere."""
        is_script = word.endswith(_STARTED) and not word.startswith(("/", "~", "-")) and HOLE not in word
        if (
            is_script
            and not self._brings
            and not self._files.lost
            and posixpath.basename(word) not in self._draft.built
        ):
            self._draft.warn_once(
                f"program {word}", f"{where} starts {shown(word)}, which is not among the files: bring it with --input"
            )

    def _program(self, script: str, arguments: Sequence[str]) -> None:
        if script in self._seen or len(self._seen) > MOST_SCRIPTS:
            return
        self._seen.add(script)
        program = gather(self._draft.project, script)
        self._programs.append(program)
        before, self._draft.start = self._draft.start, self._files.place
        read_program(self._draft, program, [word for word in arguments if HOLE not in word])
        self._draft.start = before

    def _pip(self, words: tuple[str, ...], where: str) -> None:
        self._draft.uses_python = True
        self._installed += installed_by_pip(self._draft, [word for word in words if HOLE not in word], where)
        self._draft.warn(f"{where} calls pip install: packages are there before the job starts; take the line out")

    def _started(self, script: str, arguments: Sequence[str], where: str) -> None:
        shebang = read_shebang(self._draft.project.text(script) or "")
        if shebang is not None and is_python(shebang.interpreter):
            self._program(script, arguments)
        elif shebang is not None and shebang.interpreter in INTERPRETERS:
            self.read(script, arguments)
        elif not self._draft.follow(self._draft, script, [*arguments]) and self._draft.project.text(script) is None:
            self._draft.warn(f"{where} starts {shown(script)}, a program of its own: it must run on the image's system")
