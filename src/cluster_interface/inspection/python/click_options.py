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
    exactly,
    keywords,
    kind_of_type,
    or_path,
    plain,
    text_of,
)
from cluster_interface.inspection.python.signatures import Function, choice
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
    functions = [node for node in module.nodes if isinstance(node, Function)]
    added = dict(_added(module))
    groups: dict[str, str] = {}  # functions that are groups -> the commands that lead to them
    found: list[Declared] = []
    choices: dict[str, tuple[list[str], int]] = {}
    for node in functions:
        group, name = next(iter(_subcommand(node)), (added.get(node.name, ""), node.name.replace("_", "-")))
        path = f"{groups.get(group, '')} {name}".strip() if group else ""
        if _is_group(node):
            groups[node.name] = path
        if group:
            choices.setdefault(groups.get(group, ""), ([], node.lineno))[0].append(name)
        found += _decorated(node, known, path)
    return [*(choice(names, line).within(above) for above, (names, line) in choices.items()), *found]


def _is_group(node: Function) -> bool:
    calls = (item.func if isinstance(item, ast.Call) else item for item in node.decorator_list)
    return any(dotted(call).rpartition(".")[2] == "group" for call in calls)


def _added(module: Module) -> Iterable[tuple[str, str]]:
    """Yield the functions that `cli.add_command(function)` puts into a group."""
    for node in module.nodes:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr == "add_command" and node.args and isinstance(node.args[0], ast.Name):
            yield node.args[0].id, dotted(node.func.value)


def _decorated(node: Function, known: dict[str, ast.expr], command: str) -> Iterable[Declared]:
    for decorator in node.decorator_list:
        if not isinstance(decorator, ast.Call):
            continue
        last = dotted(decorator.func).rpartition(".")[2]
        if last in _PARTS and last not in _SKIPPED and (found := _option(decorator, known, last == "argument")):
            yield found.within(command)


def _subcommand(node: Function) -> Iterable[tuple[str, str]]:
    """Yield the group and the name of a command or group that belongs to one: `@cli.command()`, `@cli.group("db")`."""
    for decorator in node.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        is_one = isinstance(call, ast.Attribute) and call.attr in ("command", "group")
        if not isinstance(call, ast.Attribute) or not is_one or dotted(call.value) == "click":
            continue
        words = keywords(decorator) if isinstance(decorator, ast.Call) else {}
        first = decorator.args[0] if isinstance(decorator, ast.Call) and decorator.args else words.get("name")
        name = plain(first, {})
        yield dotted(call.value), name if isinstance(name, str) else node.name.replace("_", "-")


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
    kind = _kind(words.get("type"), plain(default, known), known)
    kind = kind if choices else or_path(kind, name, dest)
    option = Option(
        name=name,
        positional=positional,
        required=bool(required) if required is not None else positional and default is None and nargs != -1,
        flag=flag,
        default=None if flag else default_of(default, known),
        choices=choices,
        help=text_of(words.get("help"), known),
        kind=kind,
        many=plain(words.get("multiple"), known) is True or nargs == -1 or exactly(nargs) > 0,
        count=exactly(nargs),
        repeat=plain(words.get("multiple"), known) is True and (nargs is None or exactly(nargs) > 0),
    )
    return Declared(option, tuple(dashed), dest, node.lineno)


def _choices(node: ast.expr | None, known: dict[str, ast.expr]) -> tuple[str, ...]:
    if isinstance(node, ast.Call) and dotted(node.func).endswith("Choice") and node.args:
        return choices_of(node.args[0], known)
    return choices_of(node, known) if isinstance(node, ast.List | ast.Tuple) else ()


def _kind(node: ast.expr | None, default: object, known: dict[str, ast.expr]) -> str:
    inner = node.func if isinstance(node, ast.Call) else node
    if isinstance(node, ast.Call) and plain(keywords(node).get("file_okay"), known) is False:
        return "directory"
    last = dotted(inner).rpartition(".")[2] if inner is not None else ""
    return _KINDS.get(last) or kind_of_type(node, default)
