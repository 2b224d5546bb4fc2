"""Job specs in files, YAML or JSON; what they name on the person's own machine is found here."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from cluster_interface.client.local_files import check_file, is_source, parse_inputs, whole
from cluster_interface.client.packed import MARK
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cluster_interface.client.local_files import Inputs

Document = dict[str, Any]

SUFFIXES = (".yaml", ".yml", ".json")
_IN_PLACE = ("mount", "link")  #: modes of what is not sent, because the server has the same filesystem
LARGEST = 4 * 2**20  #: bytes
MOST_VALUES = 2_000_000  #: of one spec: a few for each of the most entries that a tree may have


def is_spec(path: Path) -> bool:
    """Say whether a file is a job spec by its name and the word `apiVersion` in it."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    with path.open("rb") as file:
        return b"apiVersion" in file.read(LARGEST)


def read_spec(path: Path) -> Document:
    """Read a spec as it is written, unvalidated; Rejected names the file and the line that cannot be read."""
    text = path.read_bytes()
    try:
        document = json.loads(text) if path.suffix.lower() == ".json" else _yaml(text)
    except ValueError as error:
        raise Rejected.field(str(path), f"cannot be read: {error}") from None
    except RecursionError:
        raise Rejected.field(str(path), "cannot be read: it is nested too deep") from None
    if not isinstance(document, dict):
        raise Rejected.field(str(path), "is not a job spec: a mapping with apiVersion is expected")
    return document


def read_environment(path: Path) -> tuple[Document, dict[str, str]]:
    """Read an environment, or a spec's, and the texts of the files it names, which lie beside it."""
    document = read_spec(path)
    environment = (
        document.get("environment", document) if "apiVersion" in document or "environment" in document else document
    )
    if not isinstance(environment, dict):
        raise Rejected.field(f"{path}: environment", "is not a mapping")
    files = {}
    for field in ("python.requirements", "python.lock", "dockerfile"):
        name = _value(environment, field)
        if isinstance(name, str):
            check_file(path.parent / name, f"environment.{field}")
            files[name] = (path.parent / name).read_text(errors="replace")
    return environment, files


def _yaml(text: bytes) -> Any:
    import yaml  # noqa: PLC0415 - only for those who write specs

    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    if sum(1 for _ in islice(_values(document), MOST_VALUES)) == MOST_VALUES:
        raise ValueError(f"with what its aliases (*name) stand for it has more than {MOST_VALUES:,} values")
    return document


def _values(document: Any) -> Iterator[Any]:
    """Yield all that is in a document; what an alias stands for as often as it is named, which may be without end."""
    left = [iter((document,))]
    while left:
        for value in left[-1]:
            yield value
            if isinstance(value, (dict, list)):
                left.append(iter(value.values() if isinstance(value, dict) else value))
                break
        else:
            left.pop()


def local_sources(document: Document, base: Path) -> Inputs:
    """Find the files that a spec names and that lie here, relative to `base`; Rejected names what is missing.

    Those are entries without a source or with a path as their source, and the script and the files that describe the
    environment where `files` does not have them.
    """
    files = document.get("files") or {}
    if not isinstance(files, dict):
        return {}  # the server says what is wrong with it
    found: Inputs = {}
    for name, entry in files.items():
        found.update(_of_entry(str(name), entry if isinstance(entry, dict) else {}, base))
    for field in ("script", "environment.python.requirements", "environment.python.lock", "environment.dockerfile"):
        name = _value(document, field)
        if isinstance(name, str) and name not in files:
            found[name] = check_file(base / name, field)
    return found


def inline_texts(document: Document) -> dict[str, str | None]:
    """Return the files whose text stands in the spec itself."""
    files = document.get("files")
    entries = files.items() if isinstance(files, dict) else ()
    return {str(name): text for name, entry in entries if isinstance(entry, dict) and (text := entry.get("content"))}


def _value(document: Document, field: str) -> Any:
    value: Any = document
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _of_entry(name: str, entry: Document, base: Path) -> Inputs:
    source = entry.get("source")
    if isinstance(source, str):
        if entry.get("mode") in _IN_PLACE and not is_source(source) and MARK not in source:
            return {name: f"file:{whole(base / source)}"}
        return {} if is_source(source) else parse_inputs({name: source}, base)
    if source is not None or name.endswith("/") or any(entry.get(field) is not None for field in ("content", "target")):
        return {}  # inline text, a directory to be made, or something that the server has words for
    return {name: check_file(base / name, f"files.{name}")}
