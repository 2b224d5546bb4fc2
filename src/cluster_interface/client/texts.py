"""What lies in a directory here, as the texts that inspection reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cluster_interface.client.local_files import without_outputs
from cluster_interface.model.errors import Rejected
from cluster_interface.model.executable import describe

if TYPE_CHECKING:
    from pathlib import Path

    from cluster_interface.model.executable import Executable

MOST_NOTEBOOKS = 20  #: large ones of a directory that are read without their outputs
LARGEST_TEXT = 2**20  #: bytes of a file that is sent to be read


def listing_here(directory: Path, most: int | None = None) -> dict[str, str | None]:
    """Return the files below a directory with their texts, large notebooks without outputs; Rejected if it is shut.

    At most so many as inspection wants, unless `most` is said: then Rejected if there are more.
    """
    from cluster_interface.trees.listing import MAX_FILES, listing  # noqa: PLC0415 - not every command reads a directory

    try:
        found = listing(directory, MAX_FILES if most is None else most + 1)
        if most is not None and len(found) > most:
            words = f"{directory} holds more than {most:,} files; run the script in it, and name data with --input"
            raise Rejected.field("script", words)
        large = [name for name, text in found.items() if text is None and name.endswith(".ipynb")]
        return {**found, **{name: text_of(directory / name) for name in large[:MOST_NOTEBOOKS]}}
    except OSError as error:
        raise Rejected.field("script", f"{directory} cannot be read: {error.strerror}") from None


def listing_of(script: Path, base: Path) -> dict[str, str | None]:
    """List what a script may need: where there is too much for one listing, what lies beside it above all."""
    texts, home = listing_here(base), script.parent.relative_to(base)
    name = script.relative_to(base).as_posix()
    if texts.get(name) is None and home.parts:
        texts |= {(home / other).as_posix(): text for other, text in listing_here(script.parent).items()}
    if texts.get(name) is None:
        texts[name] = text_of(script)
    return texts


def program_of(path: Path) -> Executable | None:
    """Read what an executable file says of itself; None where it is none."""
    try:
        with path.open("rb") as file:
            return describe(lambda offset, length: os.pread(file.fileno(), length, offset))
    except OSError:
        return None


def text_of(path: Path) -> str | None:
    """Return the text of a file, or what stands for an executable; None where it is too large or none."""
    try:
        if found := program_of(path):
            return found.text
        if path.suffix == ".ipynb" and path.stat().st_size > LARGEST_TEXT:
            return without_outputs(path)
        data = path.read_bytes() if path.stat().st_size <= LARGEST_TEXT else b"\0"
        return None if b"\0" in data else data.decode()
    except (OSError, UnicodeDecodeError):
        return None
