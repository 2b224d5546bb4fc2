"""Options declared with argparse's add_argument or optparse's add_option."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.argparse_commands import Holders
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
    speaks_of_directory,
    text_of,
)
from cluster_interface.model.proposal import Option

if TYPE_CHECKING:
    from cluster_interface.inspection.python.source import Module

MOST = 5_000  #: options, those of each subcommand counted
_FLAGS = frozenset({"store_true", "store_false", "store_const", "append_const", "count", "BooleanOptionalAction"})
_NO_OPTIONS = frozenset({"help", "version"})
_MANY = frozenset({"append", "extend"})
_OPTPARSE_KINDS = {"int": "int", "long": "int", "float": "float", "string": "text"}


def argparse_options(module: Module) -> list[Declared]:
    """List the options that a module declares; those of subcommands come after the choice of one."""
    if "add_argument" not in module.text and "add_option" not in module.text:
        return []
    known = constants(module)
    holders = Holders(module)
    found: list[Declared] = []
    for node in module.nodes:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        one = None
        if node.func.attr in ("add_argument", "add_option"):
            one = _option(node, known)
        elif node.func.attr == "add_subparsers":
            one = _command(node, known, holders.choices(node))
        if one is not None:
            found += [one.within(command) for command in holders.commands(node)]
        if len(found) >= MOST:
            break
    return found[:MOST]


def _command(node: ast.Call, known: dict[str, ast.expr], names: tuple[str, ...]) -> Declared:
    words = keywords(node)
    dest = default_of(words.get("dest"), known) or "command"
    required = plain(words.get("required"), known) is True
    option = Option(
        name=dest, positional=True, required=required, choices=names, help=text_of(words.get("help"), known)
    )
    return Declared(option, (), dest, node.lineno, command=True)


def _option(node: ast.Call, known: dict[str, ast.expr]) -> Declared | None:
    names = tuple(value for item in node.args if isinstance(value := plain(item, known), str) and value.strip("-"))
    words = keywords(node)
    action = _action(words.get("action"))
    if not names or action in _NO_OPTIONS:
        return None
    positional = not names[0].startswith("-")
    name = names[0] if positional else next((one for one in names if one.startswith("--")), names[0])
    dest = default_of(words.get("dest"), known) or name.lstrip("-").replace("-", "_")
    nargs = plain(words.get("nargs"), known)
    option = Option(
        name=name,
        positional=positional,
        required=_required(words, known, nargs, positional=positional),
        flag=action in _FLAGS,
        default=None if action in _FLAGS else default_of(words.get("default"), known),
        choices=choices_of(words.get("choices"), known),
        help=text_of(words.get("help"), known),
        kind=_kind(words, known, name, dest),
        many=action in _MANY or nargs in ("*", "+") or exactly(nargs) > 0,
        count=exactly(nargs),
        repeat=action in _MANY and (nargs is None or exactly(nargs) > 0),
    )
    return Declared(option, names, dest, node.lineno)


def _action(node: ast.expr | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    return str(node.value) if isinstance(node, ast.Constant) else "store"


def _required(words: dict[str, ast.expr], known: dict[str, ast.expr], nargs: object, *, positional: bool) -> bool:
    if positional:
        return nargs not in ("?", "*") and "default" not in words
    return plain(words.get("required"), known) is True


def _kind(words: dict[str, ast.expr], known: dict[str, ast.expr], name: str, dest: str) -> str:
    wanted = words.get("type")
    if isinstance(wanted, ast.Constant):
        return _OPTPARSE_KINDS.get(str(wanted.value), "text")
    kind = kind_of_type(wanted)
    said = (name, dest, text_of(words.get("metavar"), known))
    if kind in ("text", "path") and "choices" not in words and speaks_of_directory(*said):
        return "directory"
    return kind if "choices" in words else or_path(kind, *said)
