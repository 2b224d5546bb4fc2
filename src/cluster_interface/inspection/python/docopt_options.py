"""Options read from the usage text that docopt is given: http://docopt.org; and those that absl's flags define."""

from __future__ import annotations

import ast
import re
from itertools import takewhile
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.conditions import dotted
from cluster_interface.inspection.python.declared import (
    Declared,
    choices_of,
    constants,
    default_of,
    keywords,
    looks_like_path,
    plain,
    text_of,
)
from cluster_interface.model.proposal import Option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.inspection.python.source import Module

_USAGE = re.compile(r"usage:(.*?)(?:\n[ \t]*\n|\Z)", re.IGNORECASE | re.DOTALL)
_OPTION_LINE = re.compile(r"^[ \t]*(-\S.*?)(?:[ \t]{2,}(.*(?:\n(?![ \t]*-)[ \t]+\S.*)*))?$", re.MULTILINE)
_DEFAULT = re.compile(r"\[default: (.*?)\]", re.IGNORECASE)
_WORD = re.compile(r"--?[\w-]+(?:=[\w.-]+|[= ]?(?:<[^>]+>|[A-Z][A-Z0-9_-]+\b))?|<[^>]+>|[A-Za-z][\w-]*|\.\.\.|[][()|]")
_OPTIONAL_WORD = re.compile(r"\[[^\[\]<]*\]|(?<![\w<])--?[\w-]+(?:=(?:<[^>]*>|[\w.-]+)| <[^>]*>)?")  # options
_NO_OPTIONS = ("--help", "--version", "-h")
MOST_WAYS = 200
_COMMAND = re.compile(r"[a-z][\w-]*")
_KINDS = {"integer": "int", "float": "float"}
LONGEST = 20_000  #: characters of a usage text that are read


def docopt_options(module: Module) -> list[Declared]:
    """List what the usage text names: commands, arguments, options with their defaults."""
    if "docopt" not in module.text:
        return []
    known = constants(module)
    for node in module.nodes:
        if isinstance(node, ast.Call) and dotted(node.func) in ("docopt", "docopt.docopt"):
            first = node.args[0] if node.args else keywords(node).get("doc") or keywords(node).get("docstring")
            text = (
                ast.get_docstring(module.tree)
                if first is None or dotted(first) == "__doc__"
                else plain_text(first, known)
            )
            return list(usage_options(text or "", node.lineno))
    return []


def plain_text(node: ast.expr, known: dict[str, ast.expr]) -> str:
    """Return a text with its lines kept; empty if it is not plain."""
    value = plain(node, known)
    return value if isinstance(value, str) else ""


def usage_options(text: str, line: int) -> Iterator[Declared]:
    """Yield what a usage text in docopt's language names."""
    text = text[:LONGEST]
    usage = found[1] if (found := _USAGE.search(text)) else ""
    options = {item.option.name: item for item in _described(text.replace(usage, "", 1), line)}
    names = {name: item for item in options.values() for name in item.names}
    commands, positional = _used(usage, names, options, line)
    if tree := _subcommands(usage):
        yield from _tree(tree, positional, line)
        yield from options.values()
        return
    if commands:
        option = Option(name="command", positional=True, choices=tuple(commands))
        yield Declared(option, (), "command", line)
    yield from positional.values()
    yield from options.values()


Places = dict[str, bool]  #: arguments, and whether they are many
_REST: Places = {"args": True}  #: what cannot be told apart


def _subcommands(usage: str) -> dict[str, tuple[Places, bool]]:
    """Return of the program (""), and of each subcommand, the arguments before the next one, and whether there is one.

    Empty where the program takes a command in one pattern and an argument instead in another.
    """
    patterns = [words for pattern in usage.strip().splitlines() for words in _alternatives(pattern)]
    found: dict[str, tuple[Places, bool]] = {}
    _grow(found, "", [words for words in patterns if words])
    return found if found.get("", ({}, False))[1] else {}


def _alternatives(pattern: str) -> Iterator[list[str]]:
    """Yield the commands and arguments of a pattern in their order; of `(set|remove)` each in its turn."""
    ways: list[list[str]] = [[]]
    rest = _OPTIONAL_WORD.sub("", [*pattern.split(None, 1), "", ""][1])
    for group in re.findall(r"\([^()]*\)|[^()]+", rest):
        branches = group.strip("()").split("|") if group.startswith("(") else [group]
        taken = [_tokens(branch) for branch in branches]
        ways = [[*way, *words] for way in ways for words in taken][:MOST_WAYS]
    yield from ways


def _tokens(text: str) -> list[str]:
    """List the commands and arguments of a text; `<name>...` stays so."""
    words = _WORD.findall(text)
    pairs = zip(words, [*words[1:], ""], strict=False)
    named = [
        (word, after) for word, after in pairs if _COMMAND.fullmatch(word) or word.startswith("<") or word.isupper()
    ]
    return [f"{word}..." if after == "..." else word for word, after in named if word != "options"]


def _grow(found: dict[str, tuple[Places, bool]], path: str, patterns: list[list[str]]) -> None:
    """Add a command, of which these patterns are what follows, and those below it."""
    starts = [list(takewhile(lambda word: not _COMMAND.fullmatch(word), words)) for words in patterns]
    behind = [words[len(start) :] for words, start in zip(patterns, starts, strict=True)]
    longest = max(starts, key=len, default=[])
    same = all(longest[: len(start)] == start for start in starts)
    if not same or (any(behind) and not all(behind)) or (any(behind) and any(start != longest for start in starts)):
        found[path] = (_REST, False)
        return
    found[path] = (
        {word.strip("<>.").removesuffix(">"): word.endswith("...") for word in longest},
        any(map(bool, behind)),
    )
    for command in dict.fromkeys(words[0] for words in behind if words):
        _grow(found, f"{path} {command}".strip(), [words[1:] for words in behind if words[0] == command])


def _tree(tree: dict[str, tuple[Places, bool]], positional: dict[str, Declared], line: int) -> Iterator[Declared]:
    for path, (places, goes_on) in sorted(tree.items(), key=lambda one: not one[1][1]):
        for name, many in places.items():
            kind = positional[name].option.kind if name in positional else "text"
            option = Option(name=name, positional=True, many=many, required=goes_on, kind=kind)
            yield Declared(option, (), name, line).within(path)
        if goes_on:
            depth = len(path.split())
            below = [one.split()[depth] for one in tree if one.split()[:depth] == path.split() and one != path]
            option = Option(name="command", positional=True, required=True, choices=tuple(dict.fromkeys(below)))
            yield Declared(option, (), "command", line, command=True).within(path)


def _used(
    usage: str, names: dict[str, Declared], options: dict[str, Declared], line: int
) -> tuple[dict[str, None], dict[str, Declared]]:
    """Go through the patterns of a usage: what stands in brackets may be left out, `...` means many."""
    commands: dict[str, None] = {}
    positional: dict[str, Declared] = {}
    patterns = [pattern.split(None, 1) for pattern in usage.strip().splitlines() if pattern.strip()]
    for pattern in patterns:
        depth, last = 0, None
        for word in _WORD.findall(pattern[1] if len(pattern) > 1 else ""):
            if word in "[]":
                depth += 1 if word == "[" else -1
            elif word == "..." and last is not None:
                positional[last] = _many(positional[last])
            elif word.startswith("-"):
                name, _, value = re.sub(r"[ =]", "=", word, count=1).partition("=")
                if name not in names and name.startswith("--") and name not in _NO_OPTIONS:
                    option = Option(name=name, flag=not value, required=not depth and bool(value))
                    options[name] = names[name] = Declared(option, (name,), name.lstrip("-"), line)
            elif word.startswith("<") or (word.isupper() and len(word) > 1):
                last = word.strip("<>")
                option = Option(name=last, positional=True, required=not depth and len(patterns) == 1,
                                kind="path" if looks_like_path(last) else "text")  # fmt: skip
                positional.setdefault(last, Declared(option, (), last, line))
            elif word[0].isalpha() and word != "options" and last is None:
                commands[word] = None
    return commands, positional


def _many(item: Declared) -> Declared:
    return Declared(item.option.model_copy(update={"many": True}), item.names, item.dest, item.line)


def _described(text: str, line: int) -> Iterator[Declared]:
    for found in _OPTION_LINE.finditer(text):
        parts = re.split(r"[ ,=]+", found[1].strip())
        names = tuple(part for part in parts if part.startswith("-"))
        help_text = " ".join((found[2] or "").split())
        name = next((one for one in names if one.startswith("--")), names[0])
        default = _DEFAULT.search(help_text)
        flag = len(names) == len(parts)
        if name in _NO_OPTIONS:
            continue
        option = Option(
            name=name,
            flag=flag,
            default=default[1] if default else None,
            help=re.sub(r" +(?=[.,;]$)", "", _DEFAULT.sub("", help_text).strip())[:500],
            kind="path" if not flag and looks_like_path(name, *parts) else "text",
        )
        yield Declared(option, names, name.lstrip("-").replace("-", "_"), line)


def absl_options(module: Module) -> list[Declared]:
    """List the flags that absl's `flags.DEFINE_…` define."""
    if "DEFINE_" not in module.text:
        return []
    known = constants(module)
    found: list[Declared] = []
    for node in module.nodes:
        last = dotted(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and last.startswith("DEFINE_") and node.args:
            kind, words = last.removeprefix("DEFINE_"), keywords(node)
            name, rest = plain(node.args[0], known), node.args[1:]
            default = rest[0] if rest else words.get("default")
            if not isinstance(name, str) or not name.isidentifier():
                continue
            flag = kind in ("bool", "boolean")
            place = 2 if kind.endswith("enum") else 1
            option = Option(
                name=f"--{name}",
                flag=flag,
                default=None if flag else default_of(default, known),
                choices=choices_of(rest[1] if len(rest) > 1 else words.get("enum_values"), known)
                if kind.endswith("enum")
                else (),
                help=text_of(rest[place] if len(rest) > place else words.get("help"), known),
                kind=_KINDS.get(kind, "path" if looks_like_path(name) and kind == "string" else "text"),
            )
            found.append(Declared(option, (f"--{name}",), name, node.lineno))
    return found
