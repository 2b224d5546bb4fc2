"""Options that argh and plac make of a function's parameters: https://argh.readthedocs.io, https://plac.readthedocs.io."""

from __future__ import annotations

import ast
from collections.abc import Callable
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
    from cluster_interface.inspection.python.source import Module

_ARGH = ("dispatch_command", "dispatch_commands", "add_commands", "set_default_command")


def argh_options(module: Module) -> list[Declared]:
    """List the parameters of the functions that argh dispatches: those with a default are options."""
    if "argh" not in module.text:
        return []
    given = [
        call for call in module.nodes if isinstance(call, ast.Call) and dotted(call.func).rpartition(".")[2] in _ARGH
    ]
    wanted = [node for call in given for argument in call.args for node in getattr(argument, "elts", [argument])]
    return _of_functions(module, [dotted(node) for node in wanted], _argh_option)


def plac_options(module: Module) -> list[Declared]:
    """List the parameters of what plac calls: they stand in their places unless an annotation says otherwise."""
    if "plac" not in module.text:
        return []
    names = [dotted(call.args[0]) for name in ("plac.call", "call") for call in calls_of(module, name) if call.args]
    return _of_functions(module, names[:1], _plac_option)


def _of_functions(module: Module, names: list[str], read: Read) -> list[Declared]:
    known = constants(module)
    functions = {node.name: node for node in module.nodes if isinstance(node, Function)}
    chosen = {name: functions[name] for name in dict.fromkeys(names) if name in functions}
    several = len(chosen) > 1
    found = [choice([name.replace("_", "-") for name in chosen], 1)] if several else []
    for name, node in chosen.items():
        declared = _declarations(node, known)
        for argument, default in parameters(node):
            said = declared.get(argument.arg, (None, None))
            found.append(read(argument, default, said, known).within(name.replace("_", "-") if several else ""))
        found += [one.within(name.replace("_", "-") if several else "") for one in rest(node)]
    return found


Known = dict[str, ast.expr]
Said = tuple[ast.Call | None, ast.expr | None]  #: the decorator that tells of a parameter, and its annotation


Read = Callable[[ast.arg, ast.expr | None, Said, Known], Declared]


def _declarations(node: Function, known: Known) -> dict[str, Said]:
    found: dict[str, Said] = {argument.arg: (None, argument.annotation) for argument, _ in parameters(node)}
    for call in node.decorator_list:
        if not isinstance(call, ast.Call):
            continue
        if dotted(call.func).rpartition(".")[2] == "annotations":
            found |= {name: (None, value) for name, value in keywords(call).items()}
        elif dotted(call.func).rpartition(".")[2] in ("arg", "opt", "flg", "pos"):
            texts = [value for item in call.args if isinstance(value := plain(item, known), str)]
            name = next((text for text in texts if text.startswith("--")), texts[0] if texts else "")
            found[name.lstrip("-").replace("-", "_")] = (call, None)
    return found


def _argh_option(argument: ast.arg, default: ast.expr | None, said: Said, known: Known) -> Declared:
    call, annotation = said
    words = keywords(call) if call else {}
    value = plain(default, known)
    name = argument.arg if default is None else f"--{argument.arg.replace('_', '-')}"
    names = [text for item in (call.args if call else ()) if isinstance(text := plain(item, known), str)]
    kind = kind_of_type(words.get("type", annotation), value)
    flag = isinstance(value, bool)
    help_ = text_of(words.get("help"), known)
    return _declared(argument, name, names, default, known, flag=flag, kind=kind, help=help_,
                     choices=choices_of(words.get("choices"), known))  # fmt: skip


def _plac_option(argument: ast.arg, default: ast.expr | None, said: Said, known: Known) -> Declared:
    """Read (help, kind, abbreviation, type, choices, metavar), which any parameter may be annotated with."""
    call, annotation = said
    parts: list[ast.expr | None] = [
        *getattr(annotation, "elts", [annotation] if isinstance(annotation, ast.Constant) else [])
    ]
    how = str(plain(parts[1], known)) if len(parts) > 1 else "positional"
    if call is not None:  # opt(arg, help, type, abbrev, choices), flg(arg, help, abbrev), pos(arg, help, type, choices)
        verb, words = dotted(call.func).rpartition(".")[2], keywords(call)
        how = {"opt": "option", "flg": "flag"}.get(verb, "positional")
        args = dict(enumerate(call.args))
        kind_ = args.get(2, words.get("type")) if verb != "flg" else None
        parts = [args.get(1, words.get("help")), None, words.get("abbrev"), kind_, words.get("choices")]
    parts += [None] * (5 - len(parts))
    short = plain(parts[2], known)
    place = how == "positional"
    name = argument.arg if place else f"--{argument.arg.replace('_', '-')}"
    names = [name, f"-{short}"] if isinstance(short, str) and not place else [name]
    kind = kind_of_type(parts[3], plain(default, known))
    return _declared(argument, name, names, default, known, flag=how == "flag", kind=kind,
                     choices=choices_of(parts[4], known), help=text_of(parts[0], known))  # fmt: skip


def _declared(
    argument: ast.arg, name: str, names: list[str], default: ast.expr | None, known: Known, **more: object
) -> Declared:
    place = not name.startswith("-")
    if not more["choices"]:
        more["kind"] = or_path(str(more["kind"]), argument.arg)
    preset = None if more["flag"] else default_of(default, known)
    said = {"name": name, "positional": place, "required": default is None and place, "default": preset, **more}
    dashed = () if place else tuple(dict.fromkeys((name, *(one for one in names if one.startswith("-")))))
    return Declared(Option.model_validate(said), dashed, argument.arg, argument.lineno)
