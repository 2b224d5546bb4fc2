"""setup.cfg and setup.py: install_requires and python_requires. setup.py is parsed, never run.

Their fields: https://setuptools.pypa.io/en/latest/userguide/declarative_config.html
"""

from __future__ import annotations

import ast
import configparser
import re
import textwrap
from typing import TYPE_CHECKING

from cluster_interface.inspection.python.conditions import dotted
from cluster_interface.inspection.python.source import parse_text
from cluster_interface.inspection.python.stated import Need, Stated

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_STEPS = 20  #: names and calls that are looked through for one list
REQUIRES = "install_requires"
EXTRAS_SECTION = "options.extras_require"


def read_setup_cfg(file: str, text: str) -> Stated:
    """Read the [options] of a setup.cfg."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        return Stated(file, troubles=(f"{file} cannot be read: {str(error).splitlines()[0]}",))
    where = f"{file}, {REQUIRES}"
    stated = _lines(parser.get("options", REQUIRES, fallback=""))
    troubles = tuple(f"{where}: {line}: say it in requirements.txt" for line in stated if line.startswith("file:"))
    needs = tuple(Need(line, where) for line in stated if not line.startswith("file:"))
    version = parser.get("options", "python_requires", fallback="").strip() or None
    extras = {}
    if parser.has_section(EXTRAS_SECTION):
        for name, lines in parser.items(EXTRAS_SECTION):
            extras[name] = tuple(Need(line, f"{file}, extras_require {name}") for line in _lines(lines))
    return Stated(file, needs, version, troubles=troubles, extras=extras)


def read_setup_py(file: str, text: str) -> Stated:
    """Read the arguments of setup() as far as they are written out, through names and joined lists."""
    tree = parse_text(text)
    if tree is None:
        return Stated(file, troubles=(f"{file} is not Python that can be parsed and was not read",))
    call = next((node for node in ast.walk(tree) if _is_setup(node)), None)
    if not isinstance(call, ast.Call):
        return Stated(file)
    known = _assigned(tree)
    words = {word.arg: word.value for word in call.keywords if word.arg}
    for word in call.keywords:  # setup(**settings)
        if word.arg is None and isinstance(found := _looked_up(word.value, known), ast.Dict):
            pairs = zip(found.keys, found.values, strict=True)
            words.update({str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)})
    where = f"{file}, {REQUIRES}, line {call.lineno}"
    troubles: list[str] = []
    needs = [Need(item, where) for item in _texts(words.get(REQUIRES), known, troubles, 0)]
    version = next(iter(_texts(words.get("python_requires"), known, [], 0)), None)
    said = [f"{where}: {trouble}: what it needs is taken from elsewhere" for trouble in dict.fromkeys(troubles)]
    return Stated(file, tuple(needs), version, troubles=tuple(said), extras=_extras(file, words, known))


def _extras(file: str, words: dict[str, ast.expr], known: dict[str, ast.expr]) -> dict[str, tuple[Need, ...]]:
    """Read extras_require as far as it is written out."""
    found = _looked_up(words["extras_require"], known) if "extras_require" in words else None
    pairs = zip(found.keys, found.values, strict=True) if isinstance(found, ast.Dict) else ()
    named = [(key.value, value) for key, value in pairs if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    return {
        name: tuple(Need(text, f"{file}, extras_require {name}") for text in _texts(value, known, [], 0))
        for name, value in named
    }


def setup_entry_points(cfg: str, py: str) -> dict[str, str]:
    """Return the console scripts that a setup.cfg or setup.py declares: name → `package.module:function`."""
    lines = _scripts_of(cfg, "options.entry_points")
    tree = parse_text(py)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "console_scripts":
                    lines += _texts(value, {}, [], 0)
        elif isinstance(node, ast.keyword) and node.arg == "entry_points" and isinstance(node.value, ast.Constant):
            text = textwrap.dedent(str(node.value.value))
            lines += [line for line in _section(text, "console_scripts") if "=" in line]
    pairs = (re.fullmatch(r"\s*([\w.-]+)\s*=\s*([\w.]+:[\w.]+)\s*", line) for line in lines)
    return {pair[1]: pair[2] for pair in pairs if pair}


def _scripts_of(cfg: str, section: str) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(cfg)
    except configparser.Error:
        return []
    return _lines(parser.get(section, "console_scripts", fallback=""))


def _section(text: str, name: str) -> list[str]:
    """Return the lines of one section of a text such as entry_points may be."""
    found = re.search(rf"^\[{name}\]\s*\n((?:(?!\[).*\n?)*)", text, re.MULTILINE)
    return _lines(found[1]) if found else []


def _lines(text: str) -> list[str]:
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def _is_setup(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "setup"


def _assigned(tree: ast.Module) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name):
            found.setdefault(target.id, node.value)
    return found


def _looked_up(node: ast.expr, known: dict[str, ast.expr]) -> ast.expr:
    for _ in range(MOST_STEPS):
        if not isinstance(node, ast.Name) or node.id not in known:
            break
        node = known[node.id]
    return node


def _texts(node: ast.expr | None, known: dict[str, ast.expr], troubles: list[str], depth: int) -> Iterator[str]:
    """Yield the texts of a list that is written out; note what is made by calls."""
    if node is None or depth > MOST_STEPS:
        return
    node = _looked_up(node, known)
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield from _lines(node.value)
    elif isinstance(node, ast.List | ast.Tuple | ast.Set):
        for item in node.elts:
            yield from _texts(item.value if isinstance(item, ast.Starred) else item, known, troubles, depth + 1)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _texts(node.left, known, troubles, depth + 1)
        yield from _texts(node.right, known, troubles, depth + 1)
    else:
        troubles.append("is not written out but computed")
