"""Python scripts: read from the syntax tree, followed through the project's own modules."""

from __future__ import annotations

import ast
import shlex
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.environment import propose_environment
from cluster_interface.inspection.python.figures import add_figures
from cluster_interface.inspection.python.files import read_arguments, read_files
from cluster_interface.inspection.python.modules import Program, gather, imported_files
from cluster_interface.inspection.python.network import look_for_network
from cluster_interface.inspection.python.options import bind, find_options
from cluster_interface.inspection.python.places import started_in, where_to_start
from cluster_interface.inspection.python.servers import look_for_servers
from cluster_interface.inspection.python.source import Module, parse_text
from cluster_interface.inspection.python.starting import is_python, start
from cluster_interface.inspection.python.values import HOLE, Values
from cluster_interface.inspection.suggestions import suggest
from cluster_interface.model.errors import Rejected
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project
    from cluster_interface.inspection.python.declared import Declared
    from cluster_interface.inspection.shebang import Shebang


class PythonScript:
    """A file that Python runs."""

    says = "Python (.py)"

    def detects(self, name: str, shebang: Shebang | None) -> bool:
        """Say whether the file's ending or first line says Python."""
        return name.lower().endswith((".py", ".pyw")) or (shebang is not None and is_python(shebang.interpreter))

    def uses(self, project: Project, name: str) -> frozenset[str]:
        """Name the modules of the project that this one imports."""
        try:
            return imported_files(project, name)
        except Rejected:
            return frozenset()

    def read(self, draft: Draft) -> None:
        """Fill the draft; raise Rejected if the script or its inline metadata cannot be read."""
        program = gather(draft.project, draft.script)
        draft.start = where_to_start(draft, program)
        declared = read_program(draft, program, draft.arguments)
        draft.options = tuple(item.shown for item in declared)
        propose_environment(draft, [program])
        add_figures(draft, program)
        words = start(draft, program)
        draft.command = started_in(draft.start, shlex.join([*words, *draft.arguments]))
        suggest(draft, declared)
        draft.guess("command", draft.command, "a Python script", Sureness.KNOWN)


def read_program(draft: Draft, program: Program, arguments: Sequence[str]) -> list[Declared]:
    """Add a program's files, modules and search path to the draft; return the options it declares."""
    modules = [program.main, *(module for name, module in program.modules.items() if name != program.script)]
    declared, where = find_options(modules)
    if declared and program.script == draft.script:
        draft.guess("options", ", ".join(item.option.name for item in declared), where, Sureness.LIKELY)
    options = bind(declared, arguments)
    elsewhere = _shared_constants(program)
    for module in modules:
        read_files(draft, module, Values(module, options, elsewhere))
    read_arguments(draft, arguments, draft.written(arguments))
    _bring_modules(draft, program)
    look_for_network(draft, program)
    look_for_servers(draft, program)
    for trouble in program.troubles:
        draft.warn(f"{trouble}; what it needs is not known")
    return declared


def read_text(draft: Draft, name: str, text: str) -> Program | None:
    """Add what a text needs that Python is given to run; None where it cannot be read."""
    draft.uses_python = True
    tree = parse_text(text)
    if tree is None:
        return None
    program = gather(draft.project, name, Module(name, text, tree))
    read_program(draft, program, ())
    return program


def _shared_constants(program: Program) -> dict[str, str]:
    """Collect the plain texts that one module names for the others; a name with two meanings is left out."""
    found: dict[str, set[str]] = {}
    for module in program.modules.values():
        values = Values(module, {})
        for statement in module.tree.body:
            if isinstance(statement, ast.Assign) and isinstance(target := statement.targets[0], ast.Name):
                text = values.text(statement.value)
                found.setdefault(target.id, set()).add(HOLE if text is None else text)
    return {name: next(iter(texts)) for name, texts in found.items() if len(texts) == 1 and texts != {HOLE}}


def _bring_modules(draft: Draft, program: Program) -> None:
    for file, why in program.files.items():
        draft.add_inputs([file], why, Sureness.KNOWN)
    for package, why in program.packages.items():
        draft.add_inputs(draft.project.below(package), f"the package of {why}", Sureness.KNOWN)
    for root, why in program.roots.items():
        draft.add_python_path(root, f"{why}, which is not beside the script")
