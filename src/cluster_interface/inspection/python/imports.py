"""Which modules a file imports, read from its syntax tree."""

from __future__ import annotations

import ast
import sys
import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.conditions import decide, dotted
from cluster_interface.inspection.python.source import parse_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_EXITS = frozenset({"sys.exit", "exit", "quit", "os._exit", "SystemExit"})
_FOR_GPUS = frozenset(
    {"cudf", "cugraph", "cuml", "cupy", "cupyx", "pycuda"}
)  #: where they stand in for another package
_RUNS_TEXTS = frozenset({"exec", "timeit.timeit", "timeit.repeat", "timeit.Timer"})
_DYNAMIC = frozenset({"importlib.import_module", "import_module", "__import__", "pytest.importorskip"})


@dataclass(frozen=True)
class Import:
    """One imported module: `from ..a import b` is name `a`, level 2, members (`b`,)."""

    name: str
    line: int
    level: int = 0
    members: tuple[str, ...] = ()
    optional: bool = False  #: the script says what to do without it

    @property
    def top(self) -> str:
        """The first part of the name."""
        return self.name.partition(".")[0]

    def names(self) -> Iterable[str]:
        """Yield what to look up, the longest first: `from google.cloud import storage` is google.cloud.storage."""
        for member in self.members:
            yield f"{self.name}.{member}"
        parts = self.name.split(".")
        for length in range(len(parts), 0, -1):
            yield ".".join(parts[:length])


def find_imports(tree: ast.Module, needs_package: Callable[[str], bool]) -> list[Import]:
    """List the imports that can happen on Linux under Python 3, in the order of the source.

    `needs_package` says of a top-level name that it is neither standard library nor a file of the project.
    """
    found: list[Import] = []
    dynamic = _DYNAMIC | _renamed(tree)
    pending: list[tuple[ast.AST, bool]] = [(tree, False)]
    while pending:
        node, optional = pending.pop()
        found.extend(replace(item, optional=optional) for item in _imports_of(node, dynamic))
        pending.extend(reversed(list(_inside(node, needs_package, optional=optional))))
    called = {dotted(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    if called & _RUNS_TEXTS:
        found.extend(item for text, line in _texts(tree) for item in _imports_in(text, line))
    if any(_varies(node, dynamic) for node in ast.walk(tree)):
        found.extend(_named(tree, needs_package))
    return sorted(found, key=lambda item: item.line)


def _varies(node: ast.AST, dynamic: Collection[str]) -> bool:
    """Say whether a module is imported whose name is said elsewhere."""
    return (
        isinstance(node, ast.Call)
        and bool(node.args)
        and dotted(node.func) in dynamic
        and not isinstance(node.args[0], ast.Constant)
    )


def _named(tree: ast.Module, needs_package: Callable[[str], bool]) -> Iterable[Import]:
    """Yield what may be imported by a name that stands anywhere in the program: of the project's own modules alone."""
    for text, line in _texts(tree):
        if _is_module(text):
            item = Import(text, line, optional=True)
            if item.top not in sys.stdlib_module_names and not needs_package(item.top):
                yield item


def _texts(tree: ast.Module) -> Iterable[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, node.lineno


def _imports_in(text: str, line: int) -> Iterable[Import]:
    """Yield what a text imports that is run as a program."""
    if "import" not in text:
        return
    tree = parse_text(textwrap.dedent(text).strip())
    for node in ast.walk(tree) if tree else ():
        yield from (replace(item, line=line) for item in _imports_of(node))


def _renamed(tree: ast.Module) -> set[str]:
    """Name what `import_module` is called here: by `from importlib import import_module as load` and its like."""
    return {
        f"{alias.asname}.import_module" if isinstance(node, ast.Import) else alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module == "importlib")
        for alias in node.names
        if alias.asname and alias.name in ("importlib", "import_module")
    }


def _imports_of(node: ast.AST, dynamic: Collection[str] = _DYNAMIC) -> Iterable[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, node.lineno)
    elif isinstance(node, ast.ImportFrom):
        yield Import(node.module or "", node.lineno, node.level, tuple(alias.name for alias in node.names))
    elif isinstance(node, ast.Call) and node.args and dotted(node.func) in dynamic:
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and _is_module(first.value):
            yield Import(first.value, node.lineno)


def _is_module(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _inside(node: ast.AST, needs_package: Callable[[str], bool], *, optional: bool) -> Iterable[tuple[ast.AST, bool]]:
    if isinstance(node, ast.If):
        answer = decide(node.test)
        yield node.test, optional
        yield from ((item, optional) for item in node.body if answer is not False)
        yield from ((item, optional) for item in node.orelse if answer is not True)
    elif isinstance(node, ast.Try | ast.TryStar) and any(map(_catches, node.handlers)):
        for_gpus = any(item.top in _FOR_GPUS for item in _shallow(node.body))
        spared = for_gpus or not _needed(node, needs_package)
        yield from ((item, optional or spared) for item in node.body)
        needless = _only_there(node, needs_package)
        yield from (
            (item, optional or not for_gpus) for handler in node.handlers for item in handler.body if not needless
        )
        yield from ((item, optional) for item in (*node.orelse, *node.finalbody))
    else:
        yield from ((item, optional) for item in ast.iter_child_nodes(node))


def _catches(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(dotted(item).rpartition(".")[2] in _IMPORT_ERRORS for item in types)


def _needed(node: ast.Try | ast.TryStar, needs_package: Callable[[str], bool]) -> bool:
    """Say whether the body's imports are needed: without them the script ends, or wants another package.

    A long body is no import guard but a whole program that happens to catch everything.
    """
    if not all(_small(item) for item in node.body):
        return True
    handled = [item for handler in node.handlers if _catches(handler) for item in handler.body]
    return any(map(_ends, handled)) or any(needs_package(item.top) for item in _shallow(handled))


def _only_there(node: ast.Try | ast.TryStar, needs_package: Callable[[str], bool]) -> bool:
    """Say whether the body imports, and only what is always there: then the handlers' imports never happen."""
    found = list(_shallow(node.body))
    return bool(found) and not any(needs_package(item.top) for item in found)


def _small(item: ast.stmt) -> bool:
    return isinstance(item, ast.Import | ast.ImportFrom | ast.Assign | ast.Expr | ast.If | ast.Try | ast.Pass)


def _ends(item: ast.stmt) -> bool:
    if isinstance(item, ast.Raise):
        return True
    return isinstance(item, ast.Expr) and isinstance(item.value, ast.Call) and dotted(item.value.func) in _EXITS


def _shallow(statements: Sequence[ast.stmt]) -> Iterable[Import]:
    for item in statements:
        if not isinstance(item, ast.ImportFrom) or not item.level:
            yield from _imports_of(item)
