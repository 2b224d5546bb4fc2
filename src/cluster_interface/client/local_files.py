"""Files on the person's own machine: which are meant, and under which name the job sees them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.client.packed import Packed, find_packed
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LARGEST_NOTEBOOK = 64 * 2**20  #: bytes of one that is read for what it needs
MOST_FILES = 10_000  #: in one directory given as an input

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")

Local = Path | Packed  #: a file here, or what is in an archive here
Inputs = dict[str, Local | str]  #: name in the job -> what is here, or a source (text) that the server reads


def parse_inputs(given: Iterable[str] | Mapping[str, str | Path], base: Path) -> Inputs:
    """Read inputs written as `PATH` or `NAME=SOURCE` (or a mapping of the latter); Rejected names what is not there.

    A SOURCE is a path here, or `https://…`, `file:/…` as the server sees it. A directory stands for all its files;
    `data.zip!/table.csv` is what is in an archive here, `data.zip!/raw/` a directory of it.
    """
    pairs = list(given.items()) if hasattr(given, "items") else [_split(text) for text in given]
    found: Inputs = {}
    for name, source in pairs:
        if isinstance(source, str) and is_source(source):
            found[_plain(name)] = source
        elif packed := find_packed(str(name if source is None else source), base, f"files.{name}"):
            found[packed.name(base) if source is None else _for(packed, name)] = packed
        else:
            path = base / (name if source is None else source)
            found.update(_expand(_name_of(path, base) if source is None else _plain(name), path))
    return found


def _for(packed: Packed, name: str) -> str:
    """Return the name of what is in an archive: that of a directory ends in `/`, that of a file does not."""
    if packed.directory:
        return f"{_plain(name).rstrip('/')}/"
    return f"{_plain(name)}{packed.member.rpartition('/')[2]}" if name.endswith("/") else _plain(name)


def is_source(text: str) -> bool:
    """Say whether a text is a source, such as `https://…`, rather than a path here; the server knows which it takes."""
    return bool(_SCHEME.match(text))


def whole(path: Path) -> Path:
    """Return an absolute path without `..`; links keep the names they were given by."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links


def without_outputs(notebook: Path) -> str | None:
    """Return a notebook as text without what its cells showed, which makes it large; None where it is none."""
    import json  # noqa: PLC0415 - only for a large notebook

    if notebook.stat().st_size > LARGEST_NOTEBOOK:
        return None
    try:
        document = json.loads(notebook.read_bytes())
        cells = [{**cell, "outputs": [], "attachments": {}} for cell in document["cells"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return json.dumps({**document, "cells": cells})


def _split(text: str) -> tuple[str, str | None]:
    if os.path.lexists(text):  # a file may have a = in its name
        return text, None
    name, sign, source = text.partition("=")
    return (name, source) if sign and source else (text, None)


def _plain(name: str) -> str:
    return os.path.normpath(name) + ("/" if name.endswith("/") else "")


def _name_of(path: Path, base: Path) -> str:
    """Name a file as the job sees it: relative to where the job starts, or by its last part if it lies elsewhere."""
    full = whole(path)
    return full.relative_to(base).as_posix() if full.is_relative_to(base) else full.name


def _expand(name: str, path: Path) -> Inputs:
    if path.is_dir():
        return _below(name.rstrip("/"), path)
    name = f"{name}{path.name}" if name.endswith("/") else name  # into that directory
    return {name: check_file(path, f"files.{name}")}


def _below(name: str, directory: Path) -> Inputs:
    start = "" if name == "." else f"{name}/"
    found: Inputs = {}
    for above, directories, files in os.walk(directory):
        directories.sort()
        paths = [Path(above, file) for file in sorted(files)]
        found.update(
            {f"{start}{path.relative_to(directory).as_posix()}": whole(path) for path in paths if path.is_file()}
        )
        if len(found) > MOST_FILES:
            words = f"{directory} holds more than {MOST_FILES} files; give it as one archive, or as {name}=file:/…"
            raise Rejected.field(f"files.{name}", words)
    if not found:
        raise Rejected.field(f"files.{name}", f"there are no files in {directory}")
    return found


def check_file(path: Path, field: str) -> Path:
    """Return the absolute path of a file that can be read; Rejected, naming it, if it is missing or no file."""
    if path.is_dir():
        raise Rejected.field(field, f"{path} is a directory, not a file")
    if not path.exists():
        raise Rejected.field(field, f"there is no file {path}")
    if not path.is_file():
        raise Rejected.field(field, f"{path} is not a regular file")
    if not os.access(path, os.R_OK):
        raise Rejected.field(field, f"{path} cannot be read: permission denied")
    return whole(path)
