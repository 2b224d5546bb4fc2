"""Functions whose parameters are options, and the argument that chooses among several of them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.conditions import dotted
from cluster_interface.inspection.python.declared import Declared
from cluster_interface.model.proposal import Option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cluster_interface.inspection.python.source import Module

Function = ast.FunctionDef | ast.AsyncFunctionDef


def calls_of(module: Module, name: str) -> Iterator[ast.Call]:
    """Yield the calls of a function by its name."""
    return (node for node in module.nodes if isinstance(node, ast.Call) and dotted(node.func) == name)


def parameters(node: Function) -> list[tuple[ast.arg, ast.expr | None]]:
    """List the parameters of a function with their defaults."""
    positional = [*node.args.posonlyargs, *node.args.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(node.args.defaults)) + list(node.args.defaults)
    return [*zip(positional, defaults, strict=True), *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]


def rest(node: Function) -> Iterator[Declared]:
    """Yield what takes all further arguments, if the function has such a parameter."""
    if node.args.vararg:
        option = Option(name=node.args.vararg.arg, positional=True, many=True)
        yield Declared(option, (), option.name, node.lineno)


def choice(names: Iterable[str], line: int) -> Declared:
    """Make the argument that chooses between commands."""
    option = Option(name="command", positional=True, required=True, choices=tuple(dict.fromkeys(names)))
    return Declared(option, (), "command", line, command=True)
