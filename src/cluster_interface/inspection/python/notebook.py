"""A Jupyter notebook taken apart: its Python as one source, its magics and shell lines, its parameters.

The format: https://nbformat.readthedocs.io/en/latest/format_description.html (version 4, and 3 as far as it has cells);
magics: https://ipython.readthedocs.io/en/stable/interactive/magics.html.
"""

from __future__ import annotations

import ast
import bisect
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cluster_interface.inspection.python.source import normalize, parse_text
from cluster_interface.inspection.wording import shown
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_CELLS = 5000
PYTHONS = ("python", "ipython")
_SHELL_CELLS = frozenset({"bash", "sh", "!", "script", "sx", "system"})
_CODE_CELLS = frozenset({"time", "timeit", "capture", "prun", "memit", "mprun", "lprun", "px", "heat", "python3"})
_CODE_LINES = frozenset({"time", "timeit", "prun", "memit"})
_BUILT_IN = frozenset({"autoreload", "storemagic", "sympyprinting", "google.colab.data_table", "tensorboard"})
_LINE = re.compile(
    r"(?P<indent>\s*)(?:(?P<name>[\w., ]+?)\s*=\s*)?(?P<mark>%(?=[A-Za-z])|!!?(?!=))(?P<rest>.*)", re.DOTALL
)
_QUESTION = re.compile(r"\s*\?{0,2}[\w.%*]+\?{0,2}\s*")
_OPTIONS = re.compile(r"(?:-\w+(?:\s+\d+)?\s+)*")


@dataclass(frozen=True)
class Command:
    """A line for the shell, or one of IPython's own for pip and conda."""

    line: int
    text: str


@dataclass
class Notebook:
    """What a notebook says."""

    language: str = "python"
    kernel: str = ""
    lines: list[str] = field(default_factory=list)  #: its Python; what is no Python is left out
    starts: list[int] = field(default_factory=list)  #: the line of the source at which each cell begins …
    cells: list[int] = field(default_factory=list)  #: … and its number, from 1, as people count them
    commands: list[Command] = field(default_factory=list)
    parameters: str | None = None  #: the source of the cell that has the tag `parameters`
    written: dict[str, str] = field(default_factory=dict)  #: files that %%writefile makes
    troubles: list[str] = field(default_factory=list)

    @property
    def source(self) -> str:
        """All cells' Python."""
        return "\n".join(self.lines)

    def where(self, line: int) -> str:
        """Say which cell a line of the source is in, and its line there."""
        place = bisect.bisect_right(self.starts, line) - 1
        return f"cell {self.cells[place]}, line {line - self.starts[place] + 1}" if place >= 0 else f"line {line}"


def read_notebook(name: str, text: str) -> Notebook:
    """Take a notebook apart; Rejected if it is none."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Rejected.field("script", f"{shown(name)} is not a notebook: it is not JSON ({error})") from None
    if not isinstance(document, dict) or not isinstance(cells := _cells(document), list):
        raise Rejected.field("script", f"{shown(name)} is not a notebook: it has no cells")
    notebook = Notebook(*_language(document))
    for number, cell in enumerate(cells[:MOST_CELLS], 1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            _add(notebook, number, cell)
    return notebook


def _cells(document: dict[str, Any]) -> Any:
    sheets = document.get("worksheets")
    if "cells" not in document and isinstance(sheets, list) and sheets and isinstance(sheets[0], dict):
        return sheets[0].get("cells")
    return document.get("cells")


def _language(document: dict[str, Any]) -> tuple[str, str]:
    metadata = _table(document.get("metadata"))
    kernel, language = _table(metadata.get("kernelspec")), _table(metadata.get("language_info"))
    said = language.get("name") or kernel.get("language") or "python"
    return str(said).lower(), str(kernel.get("name") or "")


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _add(notebook: Notebook, number: int, cell: dict[str, Any]) -> None:
    raw = cell.get("source", cell.get("input", ""))
    text = "".join(map(str, raw)) if isinstance(raw, list) else str(raw)
    text = "".join(" " if "\ud800" <= c <= "\udfff" or c == "\0" else c for c in text)
    start = len(notebook.lines) + 1
    notebook.starts.append(start)
    notebook.cells.append(number)
    lines = normalize(text).split("\n")
    plain = notebook.language not in PYTHONS or parse_text(text) is not None
    found = lines if plain else list(_python_of(notebook, start, lines))
    if notebook.language in PYTHONS and parse_text("\n".join(found)) is None:
        notebook.troubles.append(f"cell {number} is not Python that can be parsed{_python_2(text)}")
        found = [""] * len(found)
    notebook.lines += found
    tags = _table(cell.get("metadata")).get("tags")
    if isinstance(tags, list) and "parameters" in tags and notebook.parameters is None:
        notebook.parameters = "\n".join(found)


def _python_2(text: str) -> str:
    return " (it looks like Python 2)" if re.search(r"^\s*print\s+[^(=\s]", text, re.MULTILINE) else ""


def _python_of(notebook: Notebook, start: int, lines: list[str]) -> Iterator[str]:
    """Yield a cell's lines as Python: magics become what they do to the program, the rest of them is noted."""
    first = next((place for place, line in enumerate(lines) if line.strip()), 0)
    if lines[first].startswith("%%"):
        name, _, rest = lines[first].removeprefix("%%").partition(" ")
        if not _is_code(notebook, start + first, name.strip(), rest, lines[first + 1 :]):
            yield from [""] * len(lines)
            return
        lines = ["" if place <= first else line for place, line in enumerate(lines)]
    pending = 0
    for place, line in enumerate(lines):
        if pending:
            pending -= 1
            yield ""
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            yield "" if "?" in line and _QUESTION.fullmatch(line) else line
            continue
        rest = found["rest"]
        while rest.endswith("\\") and place + pending + 1 < len(lines):
            pending += 1
            rest = f"{rest[:-1]} {lines[place + pending].strip()}"
        yield f"{found['indent']}{_instead(notebook, start + place, found, rest)}"


def _is_code(notebook: Notebook, line: int, name: str, rest: str, body: list[str]) -> bool:
    """Say whether the body of a cell with a magic is Python; note what else it is."""
    if name in _CODE_CELLS:
        return True
    if name in _SHELL_CELLS:
        if name != "script" or re.match(r"\s*(?:ba)?sh\b", rest):
            notebook.commands += [Command(line + place, text) for place, text in enumerate(body, 1) if text.strip()]
    elif name in ("writefile", "file"):
        notebook.written |= dict.fromkeys(rest.split()[-1:], "\n".join(body))
    elif name not in ("html", "HTML", "javascript", "js", "latex", "markdown", "svg", "SVG"):
        notebook.troubles.append(f"{notebook.where(line)} is for %%{name}; what it needs is not known")
    return False


def _instead(notebook: Notebook, line: int, found: re.Match[str], rest: str) -> str:
    """Return the Python that stands for a magic, and note the commands."""
    name, _, words = rest.strip().partition(" ")
    python = "pass"
    if found["mark"] != "%":
        notebook.commands.append(Command(line, rest.strip()))
    elif name in ("sx", "system"):
        notebook.commands.append(Command(line, words))
    elif name in ("pip", "conda", "mamba", "uv"):
        notebook.commands.append(Command(line, f"{name} {words}"))
    else:
        python = _does(name, words.strip())
    if not found["name"]:
        return python
    return f"{found['name']} = {python if name in _CODE_LINES and python != 'pass' else 'None'}"


def _does(name: str, words: str) -> str:
    """Return what one of IPython's magics does to the program, as far as it needs something for that."""
    if name in _CODE_LINES:
        code = _OPTIONS.sub("", words, count=1).strip()
        return code if code and parse_text(code) is not None else "pass"
    if name == "run" and (script := re.match(r"(?:-\w\s+)*([A-Za-z_][\w/]*)(?:\.py)?(?:\s|$)", words)):
        return f"import {script[1].strip('/').replace('/', '.')}"
    if name == "load_ext" and re.fullmatch(r"[A-Za-z_][\w.]*", words) and words not in _BUILT_IN:
        return f"import {words}"
    if name == "matplotlib":
        return "import ipympl, matplotlib" if words in ("widget", "ipympl") else "import matplotlib"
    return "import numpy, matplotlib" if name == "pylab" else "pass"


def parameter_values(source: str) -> list[tuple[str, ast.expr, str, int]]:
    """List the parameters that a cell sets: name, value, the comment behind it, line."""
    tree, lines = parse_text(source), source.split("\n")
    found = []
    for node in tree.body if tree else ():
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name) and value is not None:
            tail = (
                lines[(node.end_lineno or node.lineno) - 1]
                .encode()[node.end_col_offset or 0 :]
                .decode(errors="replace")
            )
            comment = tail.partition("#")[2].strip()
            found.append((target.id, value, comment, node.lineno))
    return found
