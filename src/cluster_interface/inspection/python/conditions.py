"""Conditions whose answer is known before the program runs: versions, platforms, TYPE_CHECKING."""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = (3, 11)  #: stands for any Python 3 that scripts meet in an image
DEEPEST = 20

_OPERATORS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FACTS: dict[str, object] = {
    "sys.platform": "linux",
    "os.name": "posix",
    "six.PY2": False,
    "six.PY3": True,
    "PY2": False,
    "PY3": True,
    "sys.version_info.major": 3,
    "sys.version_info[0]": 3,
    "platform.system()": "Linux",
}


def decide(test: ast.expr, depth: int = 0) -> bool | None:
    """Say whether a condition always holds on Linux under Python 3; None where that is not known."""
    if depth > DEEPEST:
        return None
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = decide(test.operand, depth + 1)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        return _decide_all(test, [decide(value, depth + 1) for value in test.values])
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _compare(test)
    if isinstance(test, ast.Call) and dotted(test.func) == "sys.platform.startswith":
        return _starts_linux(test)
    value = test.value if isinstance(test, ast.Constant) else _fact(dotted(test))
    return value if isinstance(value, bool) else None


def _fact(name: str) -> object:
    return False if name.rpartition(".")[2] == "TYPE_CHECKING" else _FACTS.get(name)


def dotted(node: ast.expr) -> str:
    """Write `a.b.c`, `a.b[0]` and `a.b()` as text; empty for anything else."""
    tail = ""
    for _ in range(DEEPEST):
        if isinstance(node, ast.Name):
            return node.id + tail
        if isinstance(node, ast.Attribute):
            tail = f".{node.attr}{tail}"
            node = node.value
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            tail = f"[{node.slice.value!r}]{tail}"
            node = node.value
        elif isinstance(node, ast.Call) and not node.args and not node.keywords:
            tail = f"(){tail}"
            node = node.func
        else:
            break
    return ""


def _decide_all(test: ast.BoolOp, answers: list[bool | None]) -> bool | None:
    decisive = isinstance(test.op, ast.Or)
    if decisive in answers:
        return decisive
    return None if None in answers else not decisive


def _compare(test: ast.Compare) -> bool | None:
    compare = _OPERATORS.get(type(test.ops[0]))
    left, right = _value(test.left), _value(test.comparators[0])
    if compare is None or left is None or right is None:
        return None
    try:
        return bool(compare(left, right))
    except TypeError:
        return None


def _value(node: ast.expr) -> object:
    if isinstance(node, ast.Constant):
        return node.value
    name = dotted(node)
    if name == "sys.version_info" or name.startswith("sys.version_info[:"):
        return VERSION
    if isinstance(node, ast.Tuple) and all(isinstance(item, ast.Constant) for item in node.elts):
        return tuple(item.value for item in node.elts if isinstance(item, ast.Constant))
    return _FACTS.get(name)


def _starts_linux(test: ast.Call) -> bool | None:
    first = test.args[0] if len(test.args) == 1 else None
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        return "linux".startswith(first.value)
    return None
