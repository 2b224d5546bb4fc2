"""Inline script metadata (PEP 723), read exactly as the PEP's reference implementation does."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster_interface.inspection.python.indexes import of_tables
from cluster_interface.inspection.python.pyproject import table_at
from cluster_interface.inspection.python.source import normalize
from cluster_interface.inspection.wording import shown
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from cluster_interface.inspection.python.stated import Need

BLOCK = re.compile(  # from https://peps.python.org/pep-0723/#reference-implementation
    r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$"
)
MOST_BLOCKS = 64  #: openings that are looked at: each may be searched to the end of the file


@dataclass(frozen=True)
class Metadata:
    """What a `# /// script` block states."""

    dependencies: tuple[str, ...]
    requires_python: str | None
    line: int
    indexes: tuple[Need, ...] = ()


def read_metadata(name: str, text: str) -> Metadata | None:
    """Read a script's metadata block; None if it has none, Rejected if it has two or cannot be read."""
    text = normalize(text)
    if "# /// script\n" not in text:
        return None
    if text.count("\n# /// ") > MOST_BLOCKS:
        raise _bad(name, "has too many `# /// …` blocks")
    blocks = [found for found in BLOCK.finditer(text) if found["type"] == "script"]
    if not blocks:
        return None
    if len(blocks) > 1:
        raise _bad(name, "has more than one `# /// script` block; PEP 723 allows one")
    lines = blocks[0]["content"].splitlines(keepends=True)
    content = "".join(line[2:] if line.startswith("# ") else line[1:] for line in lines)
    try:
        table = tomllib.loads(content)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _bad(name, f"has a `# /// script` block that is not TOML: {error}") from None
    return _checked(name, table, text.count("\n", 0, blocks[0].start()) + 1)


def _checked(name: str, table: dict[str, Any], line: int) -> Metadata:
    dependencies, version = table.get("dependencies", []), table.get("requires-python")
    if not isinstance(dependencies, list) or not all(isinstance(item, str) for item in dependencies):
        raise _bad(name, "has a `# /// script` block whose dependencies are not a list of texts")
    if version is not None and not isinstance(version, str):
        raise _bad(name, "has a `# /// script` block whose requires-python is not a text")
    uv = table_at(table, "tool", "uv")
    indexes = of_tables(f"[tool.uv] of {name}", *(uv.get(key) for key in ("index", "index-url", "extra-index-url")))
    return Metadata(tuple(dependencies), version, line, indexes)


def _bad(name: str, what: str) -> Rejected:
    return Rejected.field("script", f"{shown(name)} {what}")
