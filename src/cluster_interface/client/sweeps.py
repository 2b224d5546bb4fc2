"""What a person says of many tasks: lists, ranges, a table, or files, as the spec's `sweep` and the files it needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_interface.client.local_files import check_file, whole
from cluster_interface.model.errors import Rejected
from cluster_interface.model.lists import assignment, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cluster_interface.client.local_files import Inputs
    from cluster_interface.client.specs import Document

TABLES = (".csv", ".tsv", ".xlsx")
ORIGINS = ("parameters", "table", "files", "method")

_FIELD = "sweep"


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """The spec's part about many tasks, and the files here that it speaks of."""

    document: Document = field(default_factory=dict)
    files: Inputs = field(default_factory=dict)


def tasks_of(
    sweep: str | Path | Iterable[str] | Mapping[str, Any] | None, each: str | None, base: Path, **more: Any
) -> Tasks:
    """Read a sweep: `name=1,2,3` texts, a table's path, a mapping of name to values; or `each`, a pattern of files.

    `more` are the other fields of the spec's sweep; those that are None are left out. Paths are relative to `base`.
    Raises Rejected for what is none of these, or a table that is not there.
    """
    document: Document = {name: value for name, value in more.items() if value is not None}
    texts, values = _parted(sweep)
    tables = [text for text in texts if _is_table(text)]
    for text in texts:
        if text not in tables:
            name, listed = _assignment(text)
            values[name] = [*values.get(name, []), *listed]
    if len(tables) > 1:
        raise Rejected.field(_FIELD, f"give one table, not {len(tables)}")
    files: Inputs = {}
    if tables:
        path = check_file(base / tables[0], "sweep.table")
        document["table"] = _name(path, base)
        files[document["table"]] = path
    pattern = each or _pattern_in(values)
    if pattern:
        document["files"] = pattern
        files.update(_matching(pattern, base))
    if values:
        document["parameters"] = values
    return Tasks(document=document, files=files)


def merged(given: Document, wished: Document) -> Document:
    """Put what was said on top of what a spec says; another origin of the parameters takes the place of its own."""
    anew = any(name in wished for name in ("parameters", "table", "files"))
    return {name: value for name, value in given.items() if not (anew and name in ORIGINS)} | wished


def _parted(sweep: Any) -> tuple[list[str], dict[str, list[Any]]]:
    if sweep is None:
        return [], {}
    if isinstance(sweep, str | Path):
        return [str(sweep)], {}
    if hasattr(sweep, "items"):
        return [], {str(name): _listed(values) for name, values in sweep.items()}
    return [str(text) for text in sweep], {}


def _listed(values: Any) -> list[Any]:
    """A text is a list as in a shell; anything else is taken value by value, numbers of other libraries included."""
    if isinstance(values, str):
        return list(spread(values))
    return [value.item() if hasattr(value, "item") else value for value in values]


def _is_table(text: str) -> bool:
    return text.lower().endswith(TABLES) and not (assignment(text) and not Path(text).exists())


def _assignment(text: str) -> tuple[str, Sequence[str]]:
    found = assignment(text)
    if not found:
        words = f"{text!r} is no sweep; write name=1,2,3 or name=1..10, or the path of a .csv, .tsv or .xlsx file"
        raise Rejected.field(_FIELD, words)
    name, values = found
    if name == "file" and any(sign in values for sign in "*?["):
        return name, [values]
    return name, spread(values)


def _pattern_in(values: dict[str, list[Any]]) -> str | None:
    """Take `file=data/*.fastq` out of the lists: it is a pattern."""
    given = values.get("file", [])
    if len(given) != 1 or not any(sign in str(given[0]) for sign in "*?["):
        return None
    values.pop("file")
    return str(given[0])


def _matching(pattern: str, base: Path) -> Inputs:
    from cluster_interface.model.patterns import matches  # noqa: PLC0415 - only for sweeps over files

    if pattern.startswith("/") or ".." in Path(pattern).parts:
        raise Rejected.field("sweep.files", f"{pattern!r}: write a pattern relative to this directory")
    found = (path for path in sorted(base.glob(pattern)) if path.is_file())
    named = {path.relative_to(base).as_posix(): whole(path) for path in found}
    return {name: path for name, path in named.items() if matches(pattern, name)}


def _name(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name
