"""Notebooks: read like a script, run by papermill; the executed notebook is an output."""

from __future__ import annotations

import ast
import itertools
import posixpath
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from cluster_interface.inspection.project import Project
from cluster_interface.inspection.python.declared import Declared, default_of, plain, told
from cluster_interface.inspection.python.environment import propose_environment
from cluster_interface.inspection.python.files import read_arguments
from cluster_interface.inspection.python.installs import is_install, read_installs
from cluster_interface.inspection.python.kind import read_program
from cluster_interface.inspection.python.modules import gather, imported_files
from cluster_interface.inspection.python.notebook import PYTHONS, Notebook, parameter_values, read_notebook
from cluster_interface.inspection.python.source import Module, parse_text
from cluster_interface.inspection.shell.reader import Reader
from cluster_interface.inspection.wording import shown
from cluster_interface.model.errors import Rejected
from cluster_interface.model.proposal import Option, Sureness

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.python.notebook import Command
    from cluster_interface.inspection.shebang import Shebang

SUFFIX = ".ipynb"
EXECUTED = ".executed.ipynb"
_PAPERMILL = ("papermill", "runs notebooks")
_IPYKERNEL = ("ipykernel", "is the kernel that runs a notebook's Python")


class Kernel(NamedTuple):
    """What runs the notebooks of another language."""

    name: str  #: as Jupyter knows it
    interpreter: str  #: by which the language is known
    system: str = ""  #: the package of the distribution that is the kernel
    python: str = ""  #: or that of the package index


KERNELS = {
    "r": Kernel("ir", "Rscript", system="r-cran-irkernel"),
    "octave": Kernel("octave", "octave", python="octave-kernel"),
}


class NotebookKind:
    """A Jupyter notebook."""

    says = "notebooks of Python, R and Octave (.ipynb)"

    def detects(self, name: str, shebang: Shebang | None) -> bool:  # noqa: ARG002 - a notebook has no first line
        """Say whether the file's ending is a notebook's."""
        return name.lower().endswith(SUFFIX)

    def uses(self, project: Project, name: str) -> frozenset[str]:
        """Name the modules of the project that the notebook imports."""
        try:
            return imported_files(project, name, _module(name, read_notebook(name, project.text(name) or "")))
        except Rejected:
            return frozenset()

    def read(self, draft: Draft) -> None:
        """Fill the draft; raise Rejected if it is no notebook, or not one of Python."""
        text = draft.project.text(draft.script)
        draft.start = posixpath.dirname(draft.script)
        if text is None:
            notebook = Notebook()
            draft.warn(f"{shown(draft.script)} is too large to be read: what it needs is not known; say --with")
        else:
            notebook = read_notebook(draft.script, text)
        _refuse_others(draft, notebook)
        if notebook.language in KERNELS:
            _read_other(draft, notebook, KERNELS[notebook.language])
            return
        draft.say_lines(lambda words: _in_cells(draft, notebook, words))
        written = {
            posixpath.normpath(posixpath.join(draft.start, name)): text for name, text in notebook.written.items()
        }
        seen = Project({**written, **draft.project.files})
        program = gather(seen, draft.script, _module(draft.script, notebook))
        declared = list(_parameters(notebook))
        draft.options = tuple(item.option for item in declared)
        if declared:
            names = ", ".join(item.option.name for item in declared)
            draft.guess("options", names, "the cell that has the tag `parameters`", Sureness.LIKELY)
        words = _papermill(draft, notebook, declared)
        for package, why in (_PAPERMILL, _IPYKERNEL):
            draft.add_package(package, why, Sureness.KNOWN)
        read_program(draft, program, ())
        read_arguments(draft, draft.arguments, set())
        installed = read_installs(draft, notebook.commands)
        shell = Reader(draft)
        for line, text in _shell_texts(notebook.commands):
            shell.read_text(text, draft.script, at=line - 1)
        propose_environment(draft, [program], installed)
        for trouble in notebook.troubles:
            draft.warn(trouble)
        draft.command = shlex.join(words)
        draft.guess("command", draft.command, "a notebook of Python", Sureness.KNOWN)


def _in_cells(draft: Draft, notebook: Notebook, words: str) -> str:
    """Call the notebook's own lines as people find them; those of other files stay: `setup.cfg, line 2`."""

    def cell(found: re.Match[str]) -> str:
        file = (found[1] or "").removesuffix(", ")
        if any(name.endswith(file) for name in draft.project.files if file):
            return found[0]
        return f"{found[1] or ''}{notebook.where(int(found[2]))}"

    return re.sub(rf"(\S+, )?\bline (\d+)\b(?: of {re.escape(draft.script)})?(?! of )", cell, words)


def _module(name: str, notebook: Notebook) -> Module:
    source = notebook.source
    return Module(name, source, parse_text(source) or ast.Module(body=[], type_ignores=[]))


def _refuse_others(draft: Draft, notebook: Notebook) -> None:
    if notebook.language in (*PYTHONS, *KERNELS):
        return
    kernel = f" (kernel {shown(notebook.kernel)})" if notebook.kernel else ""
    raise Rejected.field(
        "script",
        f"{shown(draft.script)} is a notebook of {notebook.language[:40]}{kernel}; only those of Python, R and "
        f"Octave can be run. `jupyter nbconvert --to script {shlex.quote(draft.script)}` makes a script of it",
    )


def _read_other(draft: Draft, notebook: Notebook, kernel: Kernel) -> None:
    """Read a notebook of another language: its cells are one program of that, which its kernel runs."""
    draft.say_lines(lambda words: _in_cells(draft, notebook, words))
    draft.add_package(*_PAPERMILL, Sureness.KNOWN)
    why = f"is the kernel that runs a notebook of {notebook.language.capitalize()}"
    if kernel.system:
        draft.add_system(kernel.system, why)
    if kernel.python:
        draft.add_package(kernel.python, why, Sureness.KNOWN)
    draft.follow_text(draft, kernel.interpreter, draft.script, notebook.source)
    read_arguments(draft, draft.arguments, set())
    propose_environment(draft, [], [])
    draft.command = shlex.join(_papermill(draft, notebook, [], kernel.name))
    draft.guess("command", draft.command, f"a notebook of {notebook.language.capitalize()}", Sureness.KNOWN)


def _parameters(notebook: Notebook) -> Iterator[Declared]:
    """Make an option of each plain value that the cell with the tag `parameters` sets."""
    for name, value, comment, line in parameter_values(notebook.parameters or ""):
        known = plain(value, {})
        if isinstance(known, bool | int | float | str) or (isinstance(value, ast.Constant) and known is None):
            option = Option(
                name=f"--{name}",
                default=default_of(value, {}),
                choices=("True", "False") if isinstance(known, bool) else (),
                help=comment[:500],
                kind=_kind(name, known),
                written=f"{'-r' if isinstance(known, str) else '-p'} {name}",
            )
            yield Declared(told(option), (option.name,), name, line)


def _kind(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "text"
    if isinstance(value, int | float):
        return "int" if isinstance(value, int) else "float"
    return "path" if re.search(r"(?:^|_)(?:file|path|dir|folder)(?:$|_)", name) else "text"


def _shell_texts(commands: Sequence[Command]) -> Iterator[tuple[int, str]]:
    """Yield what is for the shell, lines that follow each other as one text, without those that install."""
    for _, group in itertools.groupby(enumerate(commands), lambda pair: pair[1].line - pair[0]):
        found = [command for _, command in group]
        yield found[0].line, "\n".join("" if is_install(command.text) else command.text for command in found)


def _papermill(draft: Draft, notebook: Notebook, declared: Sequence[Declared], kernel: str = "python3") -> list[str]:
    """Write the command line: papermill's documentation is at https://papermill.readthedocs.io/."""
    executed = draft.script[: -len(SUFFIX)] + EXECUTED
    draft.add_output(executed, "the executed notebook")
    words = ["papermill", f"./{draft.script}" if draft.script.startswith("-") else draft.script]
    words += [f"./{executed}" if executed.startswith("-") else executed]
    words += ["--kernel", kernel, "--log-output", "--no-progress-bar"]
    if draft.start:
        words += ["--cwd", draft.start]
    return [*words, *_given(draft, notebook, declared)]


def _given(draft: Draft, notebook: Notebook, declared: Sequence[Declared]) -> Iterator[str]:
    """Turn `--alpha 0.5`, `--alpha=0.5` and papermill's own `-p alpha 0.5` into what papermill takes."""
    known = {item.dest: item.option for item in declared}
    pending = list(draft.arguments)
    while pending:
        word = pending.pop(0)
        if word in ("-p", "-r", "--parameters", "--parameters_raw") and len(pending) >= 2:
            yield from (word, pending.pop(0), pending.pop(0))
            continue
        name, equals, value = word.partition("=")
        name = name.removeprefix("--").replace("-", "_")
        if not word.startswith("--") or not name.isidentifier() or (not equals and not pending):
            raise Rejected.field("arguments", f"{shown(word)} is no parameter; write --NAME VALUE{_named(known)}")
        if notebook.parameters is None:
            draft.warn_once("parameters", "no cell has the tag `parameters`: those that are given are set at the start")
        elif name not in known and name not in notebook.parameters:
            raise Rejected.field("arguments", f"the notebook has no parameter {shown(name)}{_named(known)}")
        value = value if equals else pending.pop(0)
        yield from ((known[name].written if name in known else f"-p {name}").split(" "))
        yield value


def _named(known: dict[str, Option]) -> str:
    return f"; there are: {', '.join(f'--{name}' for name in known)}" if known else ""
