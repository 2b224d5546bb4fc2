"""Options declared with click's decorators."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.conditions import dotted
from cluster_interface.inspection.python.declared import (
    Declared,
    choices_of,
    constants,
    default_of,
    keywords,
    kind_of_type,
    looks_like_path,
    plain,
    text_of,
)
from cluster_interface.model.proposal import Option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.inspection.python.source import Module

_KINDS = {"INT": "int", "IntRange": "int", "FLOAT": "float", "FloatRange": "float", "Path": "path", "File": "path"}
_SKIPPED = frozenset({"help_option", "version_option", "password_option", "confirmation_option"})
_PARTS = frozenset({"option", "argument"})


def click_options(module: Module) -> list[Declared]:
    """List the options of every command that a module declares; several commands become a choice."""
    if "click" not in module.text:
        return []
    known = constants(module)
    found: list[Declared] = []
    commands: list[tuple[str, int]] = []
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            subcommand = next(iter(_subcommand(node)), None)
            commands += [subcommand] if subcommand else []
            found += _decorated(node, known, subcommand[0] if subcommand else "")
    if commands:
        choices = tuple(dict.fromkeys(name for name, _ in commands))
        option = Option(name="command", positional=True, required=True, choices=choices)
        found.insert(0, Declared(option, (), "command", commands[0][1], command=True))
    return found


def _decorated(
    node: ast.FunctionDef | ast.AsyncFunctionDef, known: dict[str, ast.expr], command: str
) -> Iterable[Declared]:
    for decorator in node.decorator_list:
        if not isinstance(decorator, ast.Call):
            continue
        last = dotted(decorator.func).rpartition(".")[2]
        if last in _PARTS and last not in _SKIPPED and (found := _option(decorator, known, last == "argument")):
            yield found.within(command)


def _subcommand(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterable[tuple[str, int]]:
    """Yield the name of a command that belongs to a group: `@cli.command()`."""
    for decorator in node.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if not (isinstance(call, ast.Attribute) and call.attr == "command") or dotted(call.value) == "click":
            continue
        first = decorator.args[0] if isinstance(decorator, ast.Call) and decorator.args else None
        name = plain(first, {})
        yield (name if isinstance(name, str) else node.name.replace("_", "-"), node.lineno)


def _option(node: ast.Call, known: dict[str, ast.expr], positional: bool) -> Declared | None:  # noqa: FBT001 - private
    names = tuple(value for item in node.args if isinstance(value := plain(item, known), str) and value.strip("-"))
    if not names:
        return None
    words = keywords(node)
    dashed = [part for name in names if name.startswith("-") for part in name.split("/")]
    bare = [name for name in names if not name.startswith("-")]
    name = next((one for one in dashed if one.startswith("--")), (dashed or bare)[0]).strip()
    dest = (bare[0] if bare else name.lstrip("-")).replace("-", "_").lower()
    nargs, default = plain(words.get("nargs"), known), words.get("default")
    flag = plain(words.get("is_flag"), known) is True or "flag_value" in words or "count" in words
    flag = flag or any("/" in one for one in names if one.startswith("-"))
    required = plain(words.get("required"), known)
    choices = _choices(words.get("type"), known)
    kind = _kind(words.get("type"), plain(default, known))
    if kind == "text" and not choices and looks_like_path(name, dest):
        kind = "path"
    option = Option(
        name=name,
        positional=positional,
        required=bool(required) if required is not None else positional and default is None and nargs != -1,
        flag=flag,
        default=None if flag else default_of(default, known),
        choices=choices,
        help=text_of(words.get("help"), known),
        kind=kind,
        many=plain(words.get("multiple"), known) is True or nargs == -1 or (isinstance(nargs, int) and nargs > 1),
        repeat=plain(words.get("multiple"), known) is True and nargs is None,
    )
    return Declared(option, tuple(dashed), dest, node.lineno)


def _choices(node: ast.expr | None, known: dict[str, ast.expr]) -> tuple[str, ...]:
    if isinstance(node, ast.Call) and dotted(node.func).endswith("Choice") and node.args:
        return choices_of(node.args[0], known)
    return choices_of(node, known) if isinstance(node, ast.List | ast.Tuple) else ()


def _kind(node: ast.expr | None, default: object) -> str:
    inner = node.func if isinstance(node, ast.Call) else node
    last = dotted(inner).rpartition(".")[2] if inner is not None else ""
    return _KINDS.get(last) or kind_of_type(node, default)
