"""Text to syntax tree, with every way in which that fails put into words."""

from __future__ import annotations

import ast
import re
import sys
import threading
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from cluster_interface.inspection.project import LARGEST
from cluster_interface.inspection.python.newer import NEEDS, in_older_words
from cluster_interface.inspection.wording import shown
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from cluster_interface.inspection.project import Project

_WARNINGS = threading.Lock()  # the filters of `warnings` belong to the whole process
_PYTHON_2 = re.compile(
    r"Missing parentheses in call to '(?:print|exec)'|leading zeros in decimal|multiple exception types must be|"
    r"parameters cannot be parenthesized"
)
_PYTHON_2_LINE = re.compile(
    r"\s*(?:print\s+[^=(\s]|print\s*>>|exec\s+[\"'\w]|raise\s+\w+\s*,|except\s+[\w.]+\s*,\s*\w+\s*:)|<>|`|\bur['\"]"
)
_RUNNING = f"Python {sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, eq=False)
class Module:
    """One Python file of the project, parsed."""

    name: str
    text: str
    tree: ast.Module
    trouble: str = ""  #: why it was not read
    needs: str = ""  #: the Python that its syntax asks for, where not every one will do

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node, each before those inside it, in the order of the source."""
        found: list[ast.AST] = []
        pending: list[ast.AST] = [self.tree]
        while pending:
            node = pending.pop()
            found.append(node)
            pending.extend(reversed(list(ast.iter_child_nodes(node))))
        return found

    def line(self, node: ast.AST) -> str:
        """Say where a node stands: `line 4`, with the file's name where it is not obvious."""
        return f"line {getattr(node, 'lineno', 1)}"


def parse(project: Project, name: str) -> Module:
    """Parse a file of the project; raise Rejected naming file, line and what Python says of it.

    A file that is too long is taken as empty, with `trouble` saying so: it can still be run.
    """
    text = normalize(project.text(name) or "")
    if len(text) > LARGEST:
        trouble = f"{shown(name)} has more than {LARGEST:,} characters and was not read"
        return Module(name, "", ast.Module(body=[], type_ignores=[]), trouble)
    try:
        tree = _parse(text)
    except SyntaxError as error:
        if (newer := _newer(text)) is not None:
            return Module(name, text, newer, needs=NEEDS)
        raise Rejected.field("script", _syntax(name, text, error)) from None
    except (RecursionError, MemoryError):
        raise Rejected.field("script", f"{shown(name)} is nested too deeply to be read") from None
    except ValueError as error:  # NUL bytes, lone surrogates
        raise Rejected.field("script", f"{shown(name)} is not Python source text: {error}") from None
    return Module(name, text, tree)


def as_started(module: Module) -> Module:
    """Return a module as it runs when it is the program: with what stands under `if __name__ == "__main__":` alone."""
    return _as(module, main=True)


def as_imported(module: Module) -> Module:
    """Return a module as it runs when another one imports it: without what it does as a program of its own."""
    return _as(module, main=False)


def _as(module: Module, *, main: bool) -> Module:
    body: list[ast.stmt] = []
    for item in module.tree.body:
        body += (item.body if main else item.orelse) if _asks_for_main(item) else [item]  # type: ignore[attr-defined]
    return module if body == module.tree.body else replace(module, tree=ast.Module(body=body, type_ignores=[]))


def _asks_for_main(item: ast.stmt) -> bool:
    match item:
        case ast.If(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right])):
            return {_word(left), _word(right)} == {"__name__", "__main__"}
    return False


def _word(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else str(getattr(node, "value", ""))


def parse_text(text: str) -> ast.Module | None:
    """Parse source beside the script, or of a notebook, where `await` may stand anywhere; None where that fails."""
    try:
        return _parse(normalize(text), ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError:
        return _newer(normalize(text))
    except (ValueError, RecursionError, MemoryError):
        return None


def _newer(text: str) -> ast.Module | None:
    """Parse what only newer Pythons than this one parse; None if it is not that."""
    rewritten = in_older_words(text)
    try:
        return None if rewritten == text else _parse(rewritten, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def normalize(text: str) -> str:
    """Give every line the same ending, as Python's own reader does."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _parse(text: str, flags: int = 0) -> ast.Module:
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "invalid escape sequence" is the script's own business
        tree = compile(text, "<unknown>", "exec", ast.PyCF_ONLY_AST | flags, dont_inherit=True)
    assert isinstance(tree, ast.Module)  # noqa: S101 - of "exec"
    return tree


def _syntax(name: str, text: str, error: SyntaxError) -> str:
    lines = text.split("\n")
    number = error.lineno or 1
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    if _PYTHON_2.search(error.msg or "") or isinstance(error, TabError) or _PYTHON_2_LINE.match(line):
        return (
            f"{shown(name)}, line {number}: {error.msg}. This is Python 2, which no longer runs; "
            f"`2to3 -w {name}` or a newer version of the script makes it Python 3"
            if not isinstance(error, TabError)
            else f"{shown(name)}, line {number}: {error.msg} (Python 2 allowed that); use spaces only"
        )
    if line.startswith(("<<<<<<< ", ">>>>>>> ")):
        return f"{shown(name)}, line {number}: Git has left both sides of a conflict there; keep one of them"
    return f"{shown(name)}, line {number}: {error.msg} ({_RUNNING} says so): {shown(line.strip())}"
