"""Positional arguments read straight from sys.argv, or by unpacking it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, TypeGuard

from cluster_interface.inspection.python.conditions import dotted
from cluster_interface.inspection.python.declared import Declared, or_path
from cluster_interface.model.proposal import Option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.python.source import Module

MOST = 50  #: beyond that it is a table, not a command line
_KINDS = {"int": "int", "float": "float", "Path": "path", "open": "path"}


def argv_options(module: Module) -> list[Declared]:
    """List the arguments by their place, named after the variable that takes them where there is one."""
    if "argv" not in module.text:
        return []
    found: dict[int, Declared] = {}
    rest: Declared | None = None
    optional = {place for node in module.nodes for place in _looked_for(node)}
    kinds: dict[int, str] = {}
    for node in module.nodes:
        if isinstance(node, ast.Call) and len(node.args) >= 1 and (place := _place(node.args[0])) is not None:
            kinds.setdefault(place, _KINDS.get(dotted(node.func).rpartition(".")[2], "text"))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for place, name in _assigned(node):
                found[place] = _declare(name, node.lineno)
        elif _is_slice(node) and rest is None:
            rest = Declared(Option(name="args", positional=True, many=True), (), "args", getattr(node, "lineno", 1))
    for node in module.nodes:
        if (place := _place(node)) is not None and place not in found:
            found[place] = _declare(f"arg{place}", getattr(node, "lineno", 1))
    listed = [_final(found[place], place, optional, kinds) for place in sorted(found)]
    return listed if listed or rest is None else [rest]


def _place(node: ast.AST) -> int | None:
    """Return n for `sys.argv[n]`, n from 1."""
    if isinstance(node, ast.Subscript) and dotted(node.value) in ("sys.argv", "argv"):
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if isinstance(key, int) and 0 < key <= MOST:
            return key
    return None


def _places(node: ast.AST) -> Iterable[int]:
    return (place for inner in ast.walk(node) if (place := _place(inner)) is not None)


def _looked_for(node: ast.AST) -> Iterable[int]:
    """Yield the arguments that the program can do without, as this node says."""
    guarded = [node.body] if isinstance(node, ast.IfExp) else node.body if _is_guard(node) else ()
    return (place for item in guarded for place in _places(item))


def _is_guard(node: ast.AST) -> TypeGuard[ast.If | ast.Try]:
    """Say whether arguments are looked for: `if len(sys.argv) > 1:`, or what fails with an IndexError otherwise."""
    if isinstance(node, ast.If):
        return any(
            isinstance(inner, ast.expr) and dotted(inner) in ("sys.argv", "argv") for inner in ast.walk(node.test)
        )
    caught = (handler.type for handler in node.handlers) if isinstance(node, ast.Try) else ()
    return any("IndexError" in ast.dump(item) for item in caught if item is not None)


def _is_slice(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Subscript)
        and dotted(node.value) in ("sys.argv", "argv")
        and isinstance(node.slice, ast.Slice)
        and isinstance(node.slice.lower, ast.Constant)
    )


def _assigned(node: ast.Assign | ast.AnnAssign) -> Iterable[tuple[int, str]]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    target, value = targets[0], node.value
    if isinstance(target, ast.Name) and value is not None:
        place = next(iter(_places(value)), None)
        if place is not None and len(list(ast.walk(value))) < 40:
            yield place, target.id
    elif isinstance(target, ast.Tuple) and value is not None:
        names = [item.id if isinstance(item, ast.Name) else "" for item in target.elts]
        if isinstance(value, ast.Tuple) and len(value.elts) == len(names):
            pairs = [(next(iter(_places(item)), None), name) for item, name in zip(value.elts, names, strict=True)]
            yield from ((place, name) for place, name in pairs if place is not None and name)
        elif dotted(value) == "sys.argv":
            yield from ((place, name) for place, name in enumerate(names) if place and name)
        elif _is_slice(value):
            yield from ((place, name) for place, name in enumerate(names, 1) if name)


def _declare(name: str, line: int) -> Declared:
    return Declared(Option(name=name, positional=True, required=True), (), name, line)


def _final(item: Declared, place: int, optional: set[int], kinds: dict[int, str]) -> Declared:
    kind = or_path(kinds.get(place, "text"), item.option.name)
    option = item.option.model_copy(update={"required": place not in optional, "kind": kind})
    return Declared(option, (), item.dest, item.line)
