"""What texts in a program come to, as far as that is plain without running it.

A part that is not plain is a hole, so that `f"plot_{x}.png"` becomes `plot_*.png`.
"""

from __future__ import annotations

import ast
import posixpath
import re
from typing import TYPE_CHECKING, Any

from cluster_interface.inspection.python.conditions import dotted
from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cluster_interface.inspection.python.source import Module

HOLE = "\0"  #: stands where a part of a text is unknown
JOB = "/job"  #: where the project's files are, whichever directory a program is started in
DEEPEST = 30
LONGEST = 1024

_SAME = frozenset({"resolve", "absolute", "expanduser", "as_posix", "strip", "rstrip", "__str__"})
_SAME_CALLS = words(
    "str os.fspath os.path.abspath os.path.realpath os.path.expanduser os.path.normpath abspath realpath expanduser "
    "os.path.expandvars"
)
_PATHS = frozenset({"Path", "pathlib.Path", "PurePath", "pathlib.PurePath", "PosixPath", "pl.Path"})
_JOINS = frozenset({"os.path.join", "path.join", "join", "osp.join", "op.join", "posixpath.join"})
_HERE = frozenset({"os.getcwd", "Path.cwd", "pathlib.Path.cwd", "getcwd"})
_DIRNAMES = frozenset({"os.path.dirname", "path.dirname", "dirname", "osp.dirname", "op.dirname"})
_PERCENT = re.compile(r"%(?:\(\w+\))?[-+ #0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?[a-zA-Z]")
_BRACES = re.compile(r"\{[^{}]*\}")


class Values:
    """The plain texts of one module.

    `options` are the destinations of its command line's options with the texts they have in this run;
    `elsewhere` are the constants of the project's other modules.
    """

    def __init__(
        self, module: Module, options: Mapping[str, str | None], elsewhere: Mapping[str, str] | None = None
    ) -> None:
        self.module = module
        self.options = dict(options)
        self.elsewhere = dict(elsewhere or {})
        self.names, self.attributes = _assignments(module)
        self._known: dict[int, str | None] = {}

    def text(self, node: ast.AST | None, depth: int = 0) -> str | None:
        """Return what a node comes to, with HOLE where a part is unknown; None if nothing is known."""
        if node is None or depth > DEEPEST:
            return None
        if id(node) not in self._known:
            self._known[id(node)] = None  # a name that rests on itself is not known
            read = _READERS.get(type(node))
            found = read(self, node, depth + 1) if read else None
            self._known[id(node)] = found if found is None or len(found) <= LONGEST else None
        return self._known[id(node)]

    def part(self, node: ast.AST | None, depth: int = 0) -> str:
        """Return what a node comes to, a hole if that is unknown."""
        found = self.text(node, depth)
        return HOLE if found is None else found


def _assignments(module: Module) -> tuple[dict[str, ast.expr], dict[str, ast.expr]]:
    """Find the names and attributes that are given one value, once; parameters count with their default."""
    names: dict[str, list[ast.expr | None]] = {}
    attributes: dict[str, list[ast.expr | None]] = {}
    for node in module.nodes:
        for statement in node.body if isinstance(node, ast.ClassDef) else ():
            for target, value in _targets(statement):
                if isinstance(target, ast.Name):
                    attributes.setdefault(target.id, []).append(value)
        for target, value in _targets(node):
            if isinstance(target, str):
                names.setdefault(target, []).append(value)
            elif isinstance(target, ast.Name):
                names.setdefault(target.id, []).append(value)
            elif isinstance(target, ast.Attribute):
                attributes.setdefault(target.attr, []).append(value)
    return _single(names), _single(attributes)


def _single(found: dict[str, list[ast.expr | None]]) -> dict[str, ast.expr]:
    return {name: values[0] for name, values in found.items() if len(values) == 1 and values[0] is not None}


def _targets(node: ast.AST) -> list[tuple[ast.AST | str, ast.expr | None]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            return [pair for target in targets for pair in _unpack(target, value)]
        case ast.AnnAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value):
            return [(target, value)] if value is not None else []
        case (
            ast.AugAssign(target=target)
            | ast.For(target=target)
            | ast.AsyncFor(target=target)
            | ast.comprehension(target=target)
            | ast.withitem(optional_vars=ast.AST() as target)
        ):
            return _unpack(target, None)
        case ast.arguments():
            return _parameters(node)
    return []


def _unpack(target: ast.AST, value: ast.expr | None) -> list[tuple[ast.AST | str, ast.expr | None]]:
    if not isinstance(target, ast.Tuple | ast.List):
        return [(target, value)]
    values: Sequence[ast.expr | None] = [None] * len(target.elts)
    if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
        values = value.elts
    return list(zip(target.elts, values, strict=True))


def _parameters(node: ast.arguments) -> list[tuple[ast.AST | str, ast.expr | None]]:
    positional = [*node.posonlyargs, *node.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(node.defaults)) + list(node.defaults)
    pairs = [*zip(positional, defaults, strict=True), *zip(node.kwonlyargs, node.kw_defaults, strict=True)]
    return [(argument.arg, default) for argument, default in pairs]


# --- one function per kind of node


def _constant(_: Values, node: ast.Constant, _depth: int) -> str | None:
    return node.value if isinstance(node.value, str) else None


def _name(values: Values, node: ast.Name, depth: int) -> str | None:
    if node.id == "__file__":
        return f"{JOB}/{values.module.name}"
    if node.id in values.names:
        return values.text(values.names[node.id], depth)
    if node.id in values.options:
        return values.options[node.id]
    return values.elsewhere.get(node.id)


def _attribute(values: Values, node: ast.Attribute, depth: int) -> str | None:
    if node.attr == "parent":
        base = values.text(node.value, depth)
        return None if base is None else posixpath.dirname(base)
    if node.attr in values.options and isinstance(node.value, ast.Name | ast.Call):
        return values.options[node.attr]
    if node.attr in values.attributes:
        return values.text(values.attributes[node.attr], depth)
    if node.attr in values.elsewhere and isinstance(node.value, ast.Name):
        return values.elsewhere[node.attr]
    return None


def _joined(values: Values, node: ast.JoinedStr, depth: int) -> str | None:
    return "".join(values.part(item, depth) for item in node.values)


def _formatted(values: Values, node: ast.FormattedValue, depth: int) -> str | None:
    return None if node.format_spec is not None else values.text(node.value, depth)


def _operation(values: Values, node: ast.BinOp, depth: int) -> str | None:
    left = values.text(node.left, depth)
    if isinstance(node.op, ast.Mod) and left is not None:
        return _PERCENT.sub(HOLE, left).replace("%%", "%")
    right = values.text(node.right, depth)
    if left is None and right is None:
        return None
    if isinstance(node.op, ast.Add):
        return (HOLE if left is None else left) + (HOLE if right is None else right)
    if isinstance(node.op, ast.Div):
        return posixpath.join(HOLE if left is None else left, HOLE if right is None else right)
    return None


def _call(values: Values, node: ast.Call, depth: int) -> str | None:
    name = dotted(node.func)
    if name in _HERE:
        return ""
    if name in _JOINS or name in _PATHS:
        return _join(values, node, depth)
    if name in _SAME_CALLS and len(node.args) == 1:
        return values.text(node.args[0], depth)
    if name in _DIRNAMES and len(node.args) == 1:
        base = values.text(node.args[0], depth)
        return None if base is None else posixpath.dirname(base)
    if isinstance(node.func, ast.Attribute):
        return _method(values, node, node.func, depth)
    return None


def _join(values: Values, node: ast.Call, depth: int) -> str | None:
    if not node.args or any(isinstance(item, ast.Starred) for item in node.args):
        return "" if not node.args else None
    parts = [values.part(item, depth) for item in node.args]
    return None if all(part == HOLE for part in parts) else posixpath.join(*parts)


def _method(values: Values, node: ast.Call, func: ast.Attribute, depth: int) -> str | None:
    base = values.text(func.value, depth)
    if base is None or func.attr in _SAME:
        return base
    parts = [values.part(item, depth) for item in node.args]
    match func.attr, parts:
        case "format", _:
            return _BRACES.sub(HOLE, base)
        case "joinpath", _:
            return posixpath.join(base, *parts)
        case "with_name", [name]:
            return posixpath.join(posixpath.dirname(base), name)
        case "with_suffix", [suffix]:
            return posixpath.splitext(base)[0] + suffix
    return None


def _choice(values: Values, node: ast.IfExp, depth: int) -> str | None:
    found = values.text(node.body, depth)
    return values.text(node.orelse, depth) if found is None else found


def _either(values: Values, node: ast.BoolOp, depth: int) -> str | None:
    return next((found for item in node.values if (found := values.text(item, depth)) is not None), None)


def _subscript(values: Values, node: ast.Subscript, depth: int) -> str | None:
    key = node.slice.value if isinstance(node.slice, ast.Constant) else None
    if dotted(node.value) in ("sys.argv", "argv"):
        return values.options.get(f"sys.argv[{key!r}]")
    holder = values.names.get(node.value.id) if isinstance(node.value, ast.Name) else None
    if isinstance(holder, ast.Dict) and key is not None:
        for item, value in zip(holder.keys, holder.values, strict=True):
            if isinstance(item, ast.Constant) and item.value == key:
                return values.text(value, depth)
    return None


_READERS: dict[type[ast.AST], Callable[[Values, Any, int], str | None]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.JoinedStr: _joined,
    ast.FormattedValue: _formatted,
    ast.BinOp: _operation,
    ast.Call: _call,
    ast.IfExp: _choice,
    ast.BoolOp: _either,
    ast.Subscript: _subscript,
}
