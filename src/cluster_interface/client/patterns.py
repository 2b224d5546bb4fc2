"""A pattern's values as a person has them here: paths stand for files, texts of the shell for lists."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_interface.client.local_files import check_file, is_source
from cluster_interface.client.packed import find_packed
from cluster_interface.client.transport import segment
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cluster_interface.client.specs import Document
    from cluster_interface.client.transport import Transport

_HERE = "file:"  #: + path: how a file of this machine stands in the spec while it is expanded


def expand(transport: Transport, name: str, values: Mapping[str, Any], *, example: bool) -> Document:
    """Have a pattern expanded; the files that lie here stand in the spec as paths, as in a spec that is read here."""
    path = f"/patterns/{segment(name)}"
    fields: Document = transport.request("GET", path).json()["fields"]
    mine: set[str] = set()
    sent = {
        field: _files(field, value, mine) if fields.get(field, {}).get("kind") in ("file", "files") else value
        for field, value in values.items()
    }
    request = {"values": sent, "example": example}
    spec: Document = transport.request("POST", path, document=request).json()["spec"]
    for entry in spec.get("files", {}).values():
        if entry.get("source") in mine:
            entry["source"] = entry["source"].removeprefix(_HERE)
    return spec


def read_values(words: Iterable[str]) -> dict[str, Any]:
    """Read `name=value` words; a name that comes again makes a list. Rejected for any other word."""
    found: dict[str, Any] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise Rejected.field("values", f"{word!r}: write name=value; `clif patterns show NAME` lists the names")
        before = found.get(name)
        found[name] = value if before is None else [*(before if isinstance(before, list) else [before]), value]
    return found


def _files(field: str, value: Any, mine: set[str]) -> Any:
    several = value if isinstance(value, list | tuple) else [value]
    found = [one for given in several for one in _expanded(field, given, mine)]
    return found if isinstance(value, list | tuple) or len(found) != 1 else found[0]


def _expanded(field: str, value: Any, mine: set[str]) -> list[Any]:
    """Write a file, or the files of a directory, as the server wants them."""
    if not isinstance(value, str | Path) or (isinstance(value, str) and is_source(value)):
        return [value]
    if packed := find_packed(str(value), Path.cwd(), f"values.{field}"):
        if packed.directory:
            raise Rejected.field(f"values.{field}", f"{value} is a directory of an archive; name a file in it")
        mine.add(packed.source)
        return [{"name": packed.member.rpartition("/")[2], "source": packed.source, "size": packed.size}]
    path = Path(value)
    paths = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    if not paths:
        raise Rejected.field(f"values.{field}", f"there are no files in {path}")
    files = [check_file(one, f"values.{field}") for one in paths]
    mine.update(f"{_HERE}{file}" for file in files)
    return [{"name": file.name, "source": f"{_HERE}{file}", "size": file.stat().st_size} for file in files]
