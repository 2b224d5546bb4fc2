"""One declared option, and how its parts are read from the arguments of a call."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.conditions import dotted
from cluster_interface.inspection.wording import writable

if TYPE_CHECKING:
    from cluster_interface.inspection.python.source import Module
    from cluster_interface.model.proposal import Option

MOST_CHOICES = 200
LONGEST = 500  #: characters of a help text or default
_PATH_WORDS = re.compile(r"(?:^|[_-])(?:in|out)?(?:file|path|dir|directory|folder|filename)s?(?:$|[_-])", re.IGNORECASE)
_DIRECTORY_NAME = re.compile(r"(?:^|[_-])[a-z]*(?:dir|directory|directories|folder)s?(?:$|[_-])", re.IGNORECASE)
_FILE_NAME = re.compile(r"(?:^|[_-])[a-z]*files?(?:name)?s?(?:$|[_-])", re.IGNORECASE)
_HELP_WORDS = re.compile(r"\b(?:(director(?:y|ies)|folders?)|files?)\b(\s+or\b)?", re.IGNORECASE)
_KINDS = {"int": "int", "float": "float", "str": "text", "Path": "path", "FileType": "path", "File": "path"}


@dataclass(frozen=True)
class Declared:
    """An option with what the program calls it."""

    option: Option
    names: tuple[str, ...]
    dest: str
    line: int
    command: bool = False  #: it chooses a subcommand

    @property
    def shown(self) -> Option:
        """The option with its other names; what switches it off is none of them."""
        others = tuple(name for name in self.names if name != self.option.name and name[:5] != "--no-")
        return self.option.model_copy(update={"aliases": others if not self.option.positional else ()})

    def within(self, command: str) -> Declared:
        """Say that it belongs to a subcommand, so that it is not required where another one is chosen."""
        if not command:
            return self
        return replace(self, option=self.option.model_copy(update={"command": command, "required": False}))


def plainly(option: Option) -> Declared:
    """Take an option of a language that keeps nothing else of it."""
    return Declared(option, (option.name, *option.aliases), option.name, 1)


def keywords(node: ast.Call) -> dict[str, ast.expr]:
    """Return the keyword arguments of a call by name."""
    return {word.arg: word.value for word in node.keywords if word.arg}


def constants(module: Module) -> dict[str, ast.expr]:
    """Return what the module's top level gives names to, for choices and defaults that are named.

    An enumeration is the list of its values, and its members are their values.
    """
    found: dict[str, ast.expr] = {}
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and any(dotted(base).endswith(("Enum", "Flag")) for base in node.bases):
            members = [
                item for item in node.body if isinstance(item, ast.Assign) and isinstance(item.value, ast.Constant)
            ]
            found[node.name] = ast.List([item.value for item in members], ast.Load())
            found |= {f"{node.name}.{dotted(item.targets[0])}": item.value for item in members}
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found[node.target.id] = node.value
    return found


def plain(node: ast.expr | None, known: dict[str, ast.expr]) -> object:
    """Return a constant's value (a minus sign and one name looked through); None for anything else."""
    if isinstance(node, ast.Name | ast.Attribute):
        node = known.get(dotted(node).removesuffix(".value"), node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        return -value if isinstance(value, int | float) else None
    value = node.value if isinstance(node, ast.Constant) else None
    return writable(value) if isinstance(value, str) else value


def text_of(node: ast.expr | None, known: dict[str, ast.expr]) -> str:
    """Return a text, pieces joined with + and implicit ones too; empty if it is not plain."""
    parts: list[str] = []
    pending = [node]
    while pending:
        item = pending.pop()
        if isinstance(item, ast.BinOp) and isinstance(item.op, ast.Add):
            pending += [item.right, item.left]
        elif isinstance(value := plain(item, known), str):
            parts.append(value)
    return " ".join("".join(parts).split())[:LONGEST]


def exactly(nargs: object) -> int:
    """Return how many values an option takes where that is more than one and always the same; else 0."""
    return nargs if isinstance(nargs, int) and nargs > 1 else 0


def default_of(node: ast.expr | None, known: dict[str, ast.expr]) -> str | None:
    """Write a plain default as the text one would type; None where there is none."""
    if isinstance(node, ast.Call) and node.args and dotted(node.func).endswith("Path"):
        node = node.args[0]
    value = plain(node, known)
    return None if value is None or value is Ellipsis else str(value)[:LONGEST]


def choices_of(node: ast.expr | None, known: dict[str, ast.expr]) -> tuple[str, ...]:
    """List plain choices: a list, tuple or set of constants, the keys of a dictionary, a range of numbers."""
    if isinstance(node, ast.Name):
        node = known.get(node.id)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys":
        return choices_of(node.func.value, known)
    if isinstance(node, ast.ListComp | ast.GeneratorExp) and dotted(node.elt).endswith(".value"):
        return choices_of(node.generators[0].iter, known)
    if isinstance(node, ast.Call) and dotted(node.func) in ("list", "sorted", "tuple", "set") and len(node.args) == 1:
        return choices_of(node.args[0], known)
    if isinstance(node, ast.Call) and dotted(node.func) == "range":
        bounds = [plain(item, known) for item in node.args]
        numbers = [value for value in bounds if isinstance(value, int) and abs(value) < 10**6]
        whole = len(numbers) == len(bounds) and 0 < len(bounds) <= 3 and (len(numbers) < 3 or numbers[2])
        return tuple(map(str, range(*numbers)))[:MOST_CHOICES] if whole else ()
    items = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
    found = [plain(item, known) for item in items if item is not None]
    return tuple(str(value) for value in found if value is not None)[:MOST_CHOICES]


def kind_of_type(node: ast.expr | None, default: object = None) -> str:
    """Name the kind of value that a `type=` asks for: text, int, float or path."""
    if isinstance(node, ast.Call):
        node = node.func
    if node is not None:
        return _KINDS.get(dotted(node).rpartition(".")[2], "text")
    if isinstance(default, bool):
        return "text"
    return "int" if isinstance(default, int) else "float" if isinstance(default, float) else "text"


def told(option: Option) -> Option:
    """Say of a path that it is a directory, where its names do, or what its help speaks of first."""
    if option.kind != "path":
        return option
    names = [re.sub(r"([a-z])([A-Z])", r"\1_\2", name) for name in (option.name, *option.aliases)]
    words = _HELP_WORDS.search(option.help)
    helps = words is not None and bool(words[1]) and not words[2] and not any(map(_FILE_NAME.search, names))
    return option.model_copy(update={"kind": "directory"}) if helps or speaks_of_directory(*names) else option


def speaks_of_directory(*words: str) -> bool:
    """Say whether a name or placeholder speaks of a directory, and of no file."""
    return any(map(_DIRECTORY_NAME.search, words)) and not any(map(_FILE_NAME.search, words))


def or_path(kind: str, *words: str) -> str:
    """Say that a text is a path where its name or placeholder speaks of one."""
    return "path" if kind == "text" and looks_like_path(*words) else kind


def looks_like_path(*words: str) -> bool:
    """Say whether a name or placeholder speaks of a file or directory."""
    return any(_PATH_WORDS.search(word) for word in words)
