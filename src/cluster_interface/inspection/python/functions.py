"""Options that are the parameters of a function: of typer's commands, and of what fire is given."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.conditions import dotted
from cluster_interface.inspection.python.declared import (
    Declared,
    choices_of,
    constants,
    default_of,
    keywords,
    kind_of_type,
    or_path,
    plain,
    text_of,
)
from cluster_interface.inspection.python.signatures import Function, calls_of, choice, parameters, rest
from cluster_interface.model.proposal import Option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cluster_interface.inspection.python.source import Module

_NO_OPTIONS = ("Context", "CallbackParam")


def typer_options(module: Module) -> list[Declared]:
    """List the options of every command of a typer app; several commands become a choice."""
    if "typer" not in module.text:
        return []
    known = constants(module)
    functions = [node for node in module.nodes if isinstance(node, Function)]
    below = dict(_typers(module))
    commands = [(below.get(app, ""), name, node) for node in functions for app, name in _typer_command(node)]
    run = {dotted(call.args[0]) for call in calls_of(module, "typer.run") if call.args}
    commands += [("", "", node) for node in functions if node.name in run]
    if not commands:  # a part that other modules make commands of
        parts = [node for node in functions if any(_declares(default) for _, default in parameters(node))]
        commands = [("", "", node) for node in parts]
    several = len(commands) > 1
    found = list(_typer_choices(commands)) if several else []
    for above, name, node in commands:
        for argument, default in parameters(node):
            if option := _typer_option(argument, default, known):
                found.append(option.within(f"{above} {name}".strip() if several else ""))
    return found


def _typers(module: Module) -> Iterator[tuple[str, str]]:
    """Yield the apps that `app.add_typer(other, name="users")` puts below a command."""
    for node in module.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_typer":
            name = plain(keywords(node).get("name"), {})
            if node.args and isinstance(name, str):
                yield dotted(node.args[0]), name


def _typer_choices(commands: Iterable[tuple[str, str, Function]]) -> Iterator[Declared]:
    choices: dict[str, dict[str, None]] = {}
    line = 0
    for above, name, node in commands:
        line = line or node.lineno
        if above:
            choices.setdefault("", {})[above] = None
        if name:
            choices.setdefault(above, {})[name] = None
    for above, names in choices.items():
        yield choice(names, line).within(above)


def fire_options(module: Module) -> list[Declared]:
    """List the parameters of what `fire.Fire` is given: a function, a class, a dictionary of them."""
    if "fire" not in module.text:
        return []
    known = constants(module)
    calls = [*calls_of(module, "fire.Fire"), *calls_of(module, "Fire")]
    parts = {node.name: node for node in module.tree.body if isinstance(node, Function | ast.ClassDef)}
    found: list[Declared] = []
    for call in calls[:1]:
        wanted = call.args[0] if call.args else keywords(call).get("component")
        if isinstance(wanted, ast.Dict):
            pairs = zip(wanted.keys, wanted.values, strict=True)
            several = {str(plain(key, known)): parts.get(dotted(value)) for key, value in pairs if key is not None}
            found += _commands({name: node for name, node in several.items() if node}, call.lineno, known)
        elif wanted is None:
            found += _commands({name: node for name, node in parts.items() if name[0] != "_"}, call.lineno, known)
        elif node := parts.get(dotted(wanted).removesuffix("()")):
            found += _part(node, known)
    return found


# --- typer


def _typer_command(node: Function) -> Iterator[tuple[str, str]]:
    """Yield the app and the name of the command that a function is."""
    for decorator in node.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(call, ast.Attribute) and call.attr == "command" and dotted(call.value) != "click":
            first = decorator.args[0] if isinstance(decorator, ast.Call) and decorator.args else None
            name = plain(first, {})
            yield dotted(call.value), name if isinstance(name, str) else node.name.replace("_", "-")


def _declares(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func) in ("typer.Option", "typer.Argument")


def _typer_option(argument: ast.arg, default: ast.expr | None, known: dict[str, ast.expr]) -> Declared | None:
    kept, call = _annotation(argument.annotation)
    if isinstance(default, ast.Call) and _declares(default):
        call = default
        words = keywords(call)
        default = call.args[0] if call.args else words.get("default")
    elif call is not None and default is None:
        default = keywords(call).get("default")
    if kept is not None and dotted(kept).rpartition(".")[2] in _NO_OPTIONS:
        return None
    value = plain(default, known)
    required = default is None or value is Ellipsis
    said = dotted(call.func) if call is not None else ""
    positional = said == "typer.Argument" or (not said and required)
    many = isinstance(kept, ast.Subscript) and dotted(kept.value).lower().endswith("list")
    names = [text for item in (call.args if call else ()) if isinstance(text := plain(item, known), str)]
    dashed = [name.strip() for text in names for name in text.split("/") if re.match(r"\s*--?[A-Za-z]", name)]
    flag = not positional and kept is not None and dotted(kept) == "bool"
    name = argument.arg if positional else _long_name(argument, dashed)
    option = Option(
        name=name,
        positional=positional,
        required=required,
        flag=flag,
        default=None if flag else default_of(default, known),
        choices=_choices(kept, known),
        help=text_of(keywords(call).get("help"), known) if call is not None else "",
        kind=or_path(kind_of_type(kept, value), argument.arg),
        many=many,
        repeat=many and not positional,
    )
    return Declared(option, () if positional else (name, *dashed), argument.arg, argument.lineno)


def _long_name(argument: ast.arg, dashed: list[str]) -> str:
    custom = next((name for name in dashed if name.startswith("--")), next(iter(dashed), ""))
    return custom or f"--{argument.arg.replace('_', '-')}"


def _annotation(node: ast.expr | None) -> tuple[ast.expr | None, ast.Call | None]:
    """Return the type and the declaration of an annotation: `Annotated[int, typer.Option()]`, `Optional[Path]`."""
    call = None
    if (
        isinstance(node, ast.Subscript)
        and dotted(node.value).endswith("Annotated")
        and isinstance(node.slice, ast.Tuple)
    ):
        call = next((item for item in node.slice.elts if isinstance(item, ast.Call) and _declares(item)), None)
        node = node.slice.elts[0] if node.slice.elts else None
    if isinstance(node, ast.Subscript) and dotted(node.value).endswith("Optional"):
        node = node.slice
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        node = node.right if isinstance(node.left, ast.Constant) else node.left
    return node, call


def _choices(node: ast.expr | None, known: dict[str, ast.expr]) -> tuple[str, ...]:
    if isinstance(node, ast.Subscript) and dotted(node.value).endswith("Literal"):
        inner = node.slice if isinstance(node.slice, ast.Tuple) else ast.Tuple([node.slice], ast.Load())
        return choices_of(inner, known)
    return choices_of(node, known) if isinstance(node, ast.Name) else ()


# --- fire


def _commands(parts: dict[str, Function | ast.ClassDef], line: int, known: dict[str, ast.expr]) -> Iterator[Declared]:
    if parts:
        yield choice(parts, line)
    for name, node in parts.items():
        yield from (item.within(name) for item in _part(node, known))


def _part(node: Function | ast.ClassDef, known: dict[str, ast.expr]) -> Iterator[Declared]:
    """Yield a function's parameters; of a class those of its making, and its methods as commands."""
    if isinstance(node, Function):
        for argument, default in parameters(node):
            if argument.arg not in ("self", "cls"):
                yield _fire_option(argument, default, known)
        yield from rest(node)
        return
    methods = {item.name: item for item in node.body if isinstance(item, Function)}
    if "__init__" in methods:
        for argument, default in parameters(methods["__init__"])[1:]:
            yield _fire_option(argument, default, known, always=True)
    public: dict[str, Function | ast.ClassDef] = {name: item for name, item in methods.items() if name[0] != "_"}
    yield from _commands(public, node.lineno, known)


def _fire_option(
    argument: ast.arg, default: ast.expr | None, known: dict[str, ast.expr], *, always: bool = False
) -> Declared:
    positional = default is None and not always
    value = plain(default, known)
    name = argument.arg if positional else f"--{argument.arg}"
    option = Option(
        name=name,
        positional=positional,
        required=default is None,
        flag=value is False,
        default=None if value is False else default_of(default, known),
        kind=or_path(kind_of_type(argument.annotation, value), argument.arg),
    )
    return Declared(option, () if positional else (name,), argument.arg, argument.lineno)
