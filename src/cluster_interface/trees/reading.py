"""Reads a file tree from what people have: a tree's own JSON or YAML, a job spec, the original form, a BagIt bag."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from cluster_interface.model.errors import Problem, Rejected
from cluster_interface.model.filenames import MOST_ENTRIES
from cluster_interface.model.filetree import FileEntry
from cluster_interface.trees import nested
from cluster_interface.trees.bagit import DECLARATION, FETCH, MANIFEST, from_bag
from cluster_interface.trees.original import from_original, is_original

if TYPE_CHECKING:
    from pathlib import Path

Document = dict[str, Any]

LARGEST = 32 * 2**20  #: bytes of a document
MOST_EVENTS = 20 * MOST_ENTRIES  #: names, values and brackets of YAML: counting them is quick, loading them is not
SUFFIXES = (".json", ".yaml", ".yml")


def read_tree(path: Path) -> Document:
    """Read the entries of a tree, unvalidated: name -> what is said of it. Rejected names the file and what is wrong.

    `path` is a document, a bag's directory, or its manifest or fetch list. Sources without a scheme are paths
    relative to where the document lies.
    """
    if path.is_dir():
        if not (path / DECLARATION).is_file():
            words = f"is a directory without {DECLARATION}, so no BagIt bag; describe it: clif files describe"
            raise Rejected.field(str(path), words)
        return _read_bag(path)
    if path.name in (FETCH, MANIFEST):
        return _read_bag(path.parent)
    text = _text(path)
    try:
        return from_text(text, yaml=path.suffix.lower() != ".json" or text.lstrip()[:1] not in ("{", "["))
    except Rejected as error:
        places = {"document": str(path)}
        problems = [Problem(places.get(one.field, f"{path}: {one.field}"), one.message) for one in error.problems]
        raise Rejected(problems=problems) from None


def from_text(text: str, *, yaml: bool = True) -> Document:
    """Read the entries of a tree from the text of a document; JSON is tried first, YAML where that is allowed."""
    try:
        document = nested.loads(text)
    except ValueError as error:
        if not yaml:
            raise Rejected.field("document", f"is not JSON: {error}") from None
        document = _yaml(text)
    return from_document(document)


def from_document(document: Any) -> Document:
    """Return the entries of a tree in any of its forms."""
    if is_original(document):
        return from_original(document)
    if not isinstance(document, dict):
        raise Rejected.field("document", "is not a file tree: a mapping with `files`, or of names to entries")
    inner = document.get("files")
    if isinstance(inner, dict) and not (inner and set(inner) <= set(FileEntry.model_fields)):
        unknown = set(document) - {"files", "apiVersion"}
        if unknown and not {"command", "script"} & set(document):
            raise Rejected.field(str(min(unknown, key=str))[:80], "unknown field beside `files`")
        document = inner
    return {str(name): {} if entry is None else entry for name, entry in document.items()}


def _read_bag(directory: Path) -> Document:
    manifest, fetch = directory / MANIFEST, directory / FETCH
    files = from_bag(_text(manifest) if manifest.is_file() else "", _text(fetch) if fetch.is_file() else "")
    if not files:
        raise Rejected.field(str(directory), f"this bag has neither {MANIFEST} nor {FETCH}, or nothing is in them")
    for name, entry in files.items():
        if (directory / name).is_file():
            entry["source"] = name
    return files


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise Rejected.field(str(path), f"is larger than {LARGEST // 2**20} MiB, which no file tree is")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Rejected.field(str(path), f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise Rejected.field(str(path), "is not UTF-8 text") from None


def _yaml(text: str) -> Any:
    import yaml  # noqa: PLC0415 - only for those who write YAML

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if sum(1 for _ in islice(yaml.parse(text, Loader=loader), MOST_EVENTS)) == MOST_EVENTS:
            raise Rejected.field("document", f"has more than {MOST_ENTRIES:,} entries")
        return yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise Rejected.field("document", f"is neither JSON nor YAML: {' '.join(str(error).split())[:400]}") from None
    except RecursionError:
        raise Rejected.field("document", "is nested too deep for YAML; write it as JSON") from None
