"""How a program is started: as a file, as a module of its package, or by the function that its project names."""

from __future__ import annotations

import ast
import posixpath
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.beside import homes
from cluster_interface.inspection.python.pyproject import entry_points
from cluster_interface.inspection.python.setup_files import setup_entry_points
from cluster_interface.inspection.shebang import read_shebang
from cluster_interface.inspection.wording import shown
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.draft import Draft
    from cluster_interface.inspection.project import Project
    from cluster_interface.inspection.python.modules import Program
    from cluster_interface.inspection.python.source import Module

MAIN = re.compile(r"^if\s+__name__\s*==\s*['\"]__main__['\"]|^if\s+['\"]__main__['\"]\s*==\s*__name__", re.MULTILINE)
_ROOTS = ("", "src", "lib", "python")  #: directories of a project that packages lie in


def is_python(interpreter: str) -> bool:
    """Say whether an interpreter's name is Python's: python, python3, python3.11."""
    return interpreter.rstrip("0123456789.") in ("python", "pypy", "pythonw")


def start(draft: Draft, program: Program) -> list[str]:
    """Return the words that start the script: its own options to Python are kept, a package's part needs -m.

    What a module of a package needs besides is added to the draft: the package itself, and the way to it.
    """
    shebang = read_shebang(program.main.text)
    options = shebang.options if shebang and is_python(shebang.interpreter) else ()
    if shebang and is_python(shebang.interpreter) and shebang.interpreter.startswith("python2"):
        draft.warn(f"{shown(draft.script)} asks for {shebang.interpreter}, which no longer runs; Python 3 is used")
    root, module = _place(draft.project, draft.script)
    if (entry := entry_of(draft.project, draft.script)) and not MAIN.search(program.main.text):
        name, function = entry
        _bring_package(draft, root)
        draft.guess("command", f"{module}:{function}", f"the command {name} of the project's metadata")
        first = function.partition(".")[0]
        return ["python", *options, "-c", f"import sys; from {module} import {first}; sys.exit({function}())"]
    if module.endswith(".__main__") and f"{posixpath.dirname(draft.script)}/__init__.py" in draft.project:
        return _as_module(draft, root, module.removesuffix(".__main__"), options, "the package has a __main__.py")
    if program.relative is not None and "." in module:
        return _as_module(draft, root, module, options, f"a relative import, line {program.relative.line}")
    if program.relative is not None:
        draft.warn(
            f"line {program.relative.line} imports relative to a package, which works only inside one: "
            f"hand over the directory above and name {posixpath.join('PACKAGE', draft.script)}"
        )
    name = posixpath.relpath(draft.script, draft.start or ".")
    if (line := _profiled(program.main)) is not None:
        draft.add_package("line_profiler", f"@profile, line {line}, which nothing defines", Sureness.LIKELY)
        options = (*options, "-m", "kernprof", "-l", "-v")
    return ["python", *options, f"./{name}" if name.startswith("-") else name]


def _profiled(module: Module) -> int | None:
    """Return the line of the first `@profile` that the file does not define: kernprof is to run it, which does."""
    lines: list[int] = []
    for node in module.nodes:
        match node:
            case ast.FunctionDef("profile") | ast.ClassDef("profile") | ast.Name("profile", ast.Store()):
                return None
            case ast.alias("*" | "profile") | ast.alias(asname="profile"):
                return None
            case ast.FunctionDef(decorator_list=decorators):
                lines += [one.lineno for one in decorators if isinstance(one, ast.Name) and one.id == "profile"]
    return lines[0] if lines else None


def entry_files(project: Project) -> frozenset[str]:
    """Name the files that hold the commands which the metadata at the top declares."""
    modules = (value.partition(":")[0] for value in _declared(project, "").values())
    return frozenset(file for module in modules for file in _files(project, "", module))


def entry_of(project: Project, script: str) -> tuple[str, str] | None:
    """Return the command that the project declares for this file, and the function it calls."""
    for home in homes(script):
        for name, value in _declared(project, home).items():
            module, _, function = value.partition(":")
            if function and script in _files(project, home, module):
                return name, function
    return None


def _declared(project: Project, home: str) -> dict[str, str]:
    def text(name: str) -> str:
        return project.text(posixpath.join(home, name)) or ""

    return {**setup_entry_points(text("setup.cfg"), text("setup.py")), **entry_points(text("pyproject.toml"))}


def _files(project: Project, home: str, module: str) -> Iterable[str]:
    path = module.strip().replace(".", "/")
    for root in _ROOTS:
        for name in (f"{path}.py", f"{path}/__init__.py"):
            if (file := posixpath.join(home, root, name)) in project:
                yield file


def _place(project: Project, script: str) -> tuple[str, str]:
    """Return the directory that has to be on the path for a script to be a module, and what it is called then."""
    root = posixpath.dirname(script)
    if f"{root}/__init__.py" in project:
        while root and f"{root}/__init__.py" in project:
            root = posixpath.dirname(root)
    else:
        root = next((one for one in _ROOTS if one and script.startswith(f"{one}/")), "")
    path = script[len(root) + 1 :] if root else script
    return root, re.sub(r"/__init__\.py$|\.py$", "", path).replace("/", ".")


def _as_module(draft: Draft, root: str, module: str, options: Iterable[str], why: str) -> list[str]:
    _bring_package(draft, root)
    draft.guess("command", f"python -m {module}", why)
    return ["python", *options, "-m", module]


def _bring_package(draft: Draft, root: str) -> None:
    """Add the package that the script is a part of, and the directory above it to the path."""
    path = draft.script[len(root) + 1 :] if root else draft.script
    if "/" in path:
        package = posixpath.join(root, path.partition("/")[0])
        draft.add_inputs(draft.project.below(package), f"the package of {draft.script}")
    if root or draft.start:
        draft.add_python_path(root, f"the package of {draft.script} lies there")
