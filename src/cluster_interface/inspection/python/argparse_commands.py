"""Whose options are whose with argparse: which parser, and so which subcommand, each `add_argument` speaks to.

Followed are names that are given again, groups, `parents=`, parsers that a loop goes through and those that a function
of the module is given. A subcommand of a subcommand is called by both words: `remote add`.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.conditions import dotted
from cluster_interface.inspection.python.declared import keywords, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.python.source import Module

Commands = tuple[str, ...]  #: subcommands; the empty one is the program itself
TOP: Commands = ("",)
MOST = 100  #: parsers that share an option, and calls in one chain
MOST_NAMED = 10_000  #: subcommands that are told apart in one module
LONGEST = 200  #: characters of the words that lead to a subcommand
_DECLARES = ("add_argument", "add_option")
_SAME = frozenset({"add_argument_group", "add_mutually_exclusive_group", "add_subparsers"})


class Holders:
    """Which subcommands each call that declares something is for."""

    def __init__(self, module: Module) -> None:
        self._names: dict[str, Commands] = {}
        self._named = 0  # subcommands that were written out
        self._adopted: dict[str, dict[str, None]] = defaultdict(dict)  # parsers that are others' parents
        self._given: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)  # (function, parameter) -> commands
        self._of_function = dict(_in_functions(module))
        self._functions = {node.name: node for node in module.nodes if isinstance(node, ast.FunctionDef)}
        self._for: dict[int, tuple[str, Commands]] = {}
        self._below: dict[Commands, dict[str, None]] = defaultdict(dict)  # commands -> those that may follow
        for node in module.nodes:
            self._see(node)

    def commands(self, call: ast.Call) -> Commands:
        """Return the subcommands that an `add_argument` or `add_subparsers` is for."""
        name, found = self._for.get(id(call), ("", TOP))
        where = self._of_function.get(id(call))
        if where is not None and where in self._given:
            return tuple(self._given[where])[:MOST]
        return tuple(self._adopted[name])[:MOST] if name in self._adopted else found

    def choices(self, call: ast.Call) -> tuple[str, ...]:
        """Return the names that parsers are added by to what `add_subparsers` makes."""
        return tuple(self._below[self._for.get(id(call), ("", TOP))[1]])

    def _see(self, node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            self._called(node)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            for target in node.targets:
                self._names[dotted(target)] = self._of(node.value)
        elif isinstance(node, ast.With):
            self._names.update(
                {dotted(i.optional_vars): self._of(i.context_expr) for i in node.items if i.optional_vars}
            )
        elif isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple | ast.List):
            several = [command for item in node.iter.elts[:MOST] for command in self._of(item)]
            self._names[dotted(node.target)] = tuple(dict.fromkeys(several))[:MOST]

    def _called(self, call: ast.Call) -> None:
        if isinstance(call.func, ast.Attribute):
            if call.func.attr in (*_DECLARES, "add_subparsers"):
                self._for[id(call)] = dotted(call.func.value), self._of(call.func.value)
            elif call.func.attr == "add_parser":
                self._added(call, self._of(call.func.value))
        elif isinstance(call.func, ast.Name) and (function := self._functions.get(call.func.id)):
            for parameter, value in zip(function.args.args, call.args, strict=False):
                if dotted(value) in self._names:
                    self._given[function.name, parameter.arg].update(dict.fromkeys(self._of(value)))

    def _added(self, call: ast.Call, above: Commands) -> None:
        name = plain(call.args[0], {}) if call.args else None
        if isinstance(name, str):
            self._below[above][name] = None
        parents = keywords(call).get("parents")
        for parent in parents.elts if isinstance(parents, ast.List | ast.Tuple) else ():
            self._adopted[dotted(parent)].update(dict.fromkeys(self._of(call)))

    def _of(self, node: ast.expr) -> Commands:
        """Return what a parser, or what is made of one, belongs to: at most MOST subcommands."""
        words: list[str] = []
        found = TOP
        for _ in range(MOST):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                found = self._names.get(dotted(node), TOP)
                break
            if node.func.attr == "add_parser":
                name = plain(node.args[0], {}) if node.args else None
                words += [name] if isinstance(name, str) else []
            elif node.func.attr not in _SAME:
                break
            node = node.func.value
        return self._below_each(found, " ".join(reversed(words))) if words else found

    def _below_each(self, above: Commands, words: str) -> Commands:
        """Write out subcommands of subcommands, until there are too many of them."""
        self._named += len(above)
        if self._named > MOST_NAMED:
            return TOP
        return tuple(dict.fromkeys(f"{one} {words}".strip()[:LONGEST] for one in above))


def _in_functions(module: Module) -> Iterator[tuple[int, tuple[str, str]]]:
    """Yield the calls on a parameter of the function that they stand in: call -> (function, parameter)."""
    for function in module.nodes:
        if isinstance(function, ast.FunctionDef):
            names = {parameter.arg for parameter in function.args.args}
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    name = dotted(node.func.value)
                    if name in names and node.func.attr in (*_DECLARES, "add_subparsers"):
                        yield id(node), (function.name, name)
