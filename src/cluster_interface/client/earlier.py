"""What earlier jobs left here: outputs that were fetched, so that a program's own outputs are not its next inputs.

For each directory a small document is kept in the person's cache: what was fetched into it, as it was then, and which
program's it was. A file that was changed since is the person's own. The document may be lost: then what is here is an
input as any other.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_interface.inspection.wordlist import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cluster_interface.client.specs import Document

MOST_DIRECTORIES = 1000  #: that one fetch notes something of
MADE = "/"  #: ends the name of a directory that was made for outputs: all that is in it counts as left
#: languages that say which files they open; a line of shell or of a Makefile does not tell what a command reads
OPENING = words(".py .ipynb .r .rmd .qmd .jl .m .pl .rb .lua .js")


def note(paths: Iterable[Path], program: str) -> None:
    """Note that files, or directories made for them, were fetched from a job of `program`, as it is called there."""
    grouped: dict[Path, dict[str, list[Any]]] = {}
    for path in paths:
        with suppress(OSError):
            seen = path.lstat()
            name = f"{path.name}{MADE}" if path.is_dir() else path.name
            mine = [0, 0] if path.is_dir() else [seen.st_size, seen.st_mtime_ns]
            grouped.setdefault(_whole(path.parent), {})[name] = [*mine, program]
    for directory, files in [*grouped.items()][:MOST_DIRECTORIES]:
        known = {name: one for name, one in _read(directory).items() if os.path.lexists(directory / name)}
        place = _place(directory)
        with suppress(OSError):
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = place.with_suffix(f".{os.getpid()}")
            fresh.write_text(
                json.dumps({"directory": os.fsencode(directory).decode(errors="replace"), "files": known | files})
            )
            fresh.replace(place)


def program_here(path: Path) -> str | None:
    """Return the program whose job left a file here; None if none did, or it was changed since."""
    found = _read(_whole(path.parent)).get(path.name)
    return found[2] if found and _is_as_noted(path, found) else None


def left_behind(base: Path, texts: Mapping[str, str | None], proposal: Document, arguments: Sequence[str]) -> set[str]:
    """Name the files below `base` that earlier jobs of the proposed program left there and that it need not have.

    What it opens by name, or is told of by its arguments, it keeps.
    """
    program = proposal.get("script")
    left = {name for name, of in _left_in(base, texts).items() if of == program}
    if not left:
        return left
    inputs = set(proposal.get("inputs", ()))
    read = [texts.get(name) or "" for name in (*inputs, program) if posixpath.splitext(name)[1].lower() in OPENING]
    said = "\0".join((*read, *arguments))
    return {name for name in left if name not in inputs or name not in said} - {program}


def _left_in(base: Path, names: Iterable[str]) -> dict[str, str]:
    noted: dict[str, dict[str, Any]] = {}

    def of(directory: str) -> dict[str, Any]:
        if directory not in noted:
            noted[directory] = _read(_whole(base / directory))
        return noted[directory]

    found = {}
    for name in names:
        above, _, last = name.rpartition("/")
        one = of(above).get(last)
        if one and _is_as_noted(base / name, one):
            found[name] = one[2]
        while above and name not in found:
            higher, _, part = above.rpartition("/")
            if one := of(higher).get(f"{part}{MADE}"):
                found[name] = one[2]
            above = higher
    return found


def _is_as_noted(path: Path, noted: Sequence[Any]) -> bool:
    try:
        seen = path.lstat()
    except OSError:
        return False
    return [seen.st_size, seen.st_mtime_ns] == list(noted[:2])


def _read(directory: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, KeyError, TypeError):
        files: dict[str, Any] = json.loads(_place(directory).read_bytes())["files"]
        return {name: one for name, one in files.items() if len(one) == 3}
    return {}


def _place(directory: Path) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:32]
    return Path(base) / f"cluster-interface/fetched/{name}.json"


def _whole(directory: Path) -> Path:
    return Path(os.path.abspath(directory))  # noqa: PTH100 - links keep their names
