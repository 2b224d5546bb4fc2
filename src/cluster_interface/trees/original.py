"""The first form of a file tree in this project: directories in directories.

    {"name": "run", "type": "dir",
     "subdirs": [{"name": "data", "type": "dir", "subdirs": [], "subfiles": [
         {"name": "book.txt", "type": "wget", "source": "https://…"}]}],
     "subfiles": []}

An object or a list of them, nested to any depth.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from cluster_interface.model.errors import Rejected
from cluster_interface.model.filenames import MOST_ENTRIES, check_name

Document = dict[str, Any]

_AT_TOP = (None, "", ".", "/")  #: names of an outermost directory that is the tree's own
_WEB = ("wget", "curl")
_TYPES = (*_WEB, "cp", "globus")
_KNOWN = {"name", "type", "subdirs", "subfiles", "source"}


def is_original(document: Any) -> bool:
    """Say whether a document is in this form."""
    if isinstance(document, list):
        return all(isinstance(item, dict) and "name" in item for item in document)
    return isinstance(document, dict) and any(
        isinstance(document.get(name), kind) for name, kind in (("subdirs", list), ("subfiles", list), ("type", str))
    )


def from_original(document: Any) -> Document:
    """Return the entries of a tree by name; Rejected names what is wrong with it.

    `wget` and `curl` have an address as their source, `cp` a path, `globus` ENDPOINT/path. A directory without
    anything in it becomes an entry, others are there by their files.
    """
    files: Document = {}
    top = document if isinstance(document, list) else [document]
    waiting: list[tuple[Any, str, bool]] = [(item, "", False) for item in reversed(top)]
    above: set[int] = set()  # whom we are inside of: YAML can say that a directory holds itself
    count = 0
    while waiting:
        node, prefix, left = waiting.pop()
        if left:
            above.discard(id(node))
            continue
        count += 1
        where = prefix or "the tree"
        if not isinstance(node, dict):
            raise Rejected.field(where, f"{str(node)[:40]!r} is not a directory or a file with a name")
        if unknown := sorted(set(map(str, node)) - _KNOWN):
            close = get_close_matches(unknown[0], _KNOWN, n=1)
            words = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(_KNOWN))}"
            raise Rejected.field(where, f"unknown field {unknown[0][:40]!r}; {words}")
        if id(node) in above:
            raise Rejected.field(where, "this directory holds itself")
        if _is_file(node):
            _add(files, _name(node, prefix), _entry(node, prefix))
            continue
        name = "" if not prefix and node.get("name") in _AT_TOP else _name(node, prefix) + "/"
        inside = [*_items(node, "subdirs", name), *_items(node, "subfiles", name)]
        if name and not inside:
            files.setdefault(name, {})
        above.add(id(node))
        waiting.append((node, prefix, True))
        waiting += [(item, name, False) for item in reversed(inside)]
        if count > MOST_ENTRIES:
            raise Rejected.field(where, f"the tree has more than {MOST_ENTRIES:,} entries")
    return files


def _is_file(node: Document) -> bool:
    kind = node.get("type", "dir")
    if kind == "dir":
        return False
    if kind not in _TYPES:
        words = f"the type {str(kind)[:40]!r} is not known; there are: dir, {', '.join(_TYPES)}"
        raise Rejected.field(str(node.get("name"))[:200], words)
    return True


def _name(node: Document, prefix: str) -> str:
    name = node.get("name")
    if not isinstance(name, str) or "/" in name:
        raise Rejected.field(prefix or "the tree", f"{str(name)[:200]!r} is not the name of one file or directory")
    try:
        return check_name(prefix + name)
    except ValueError as error:
        raise Rejected.field(prefix or "the tree", str(error)) from None


def _items(node: Document, field: str, where: str) -> list[Any]:
    items = node.get(field) or []
    if not isinstance(items, list):
        raise Rejected.field(f"{where}{field}", "is not a list")
    return items


def _entry(node: Document, prefix: str) -> Document:
    where = f"{prefix}{node['name']}"
    kind, source = node["type"], node.get("source")
    if not isinstance(source, str) or not source:
        raise Rejected.field(where, f"has no source; say from where {kind} takes it")
    if kind in _WEB:
        if "://" not in source:
            raise Rejected.field(where, f"{source[:200]!r} is not an address that {kind} could take; write https://…")
        return {"source": source}
    if kind == "globus":
        return {"source": source if source.startswith("globus:") else f"globus:{source.removeprefix('//')}"}
    return {"source": f"file:{source}" if source.startswith("/") else source}


def _add(files: Document, name: str, entry: Document) -> None:
    if name in files:
        raise Rejected.field(name, "is there twice")
    files[name] = entry
