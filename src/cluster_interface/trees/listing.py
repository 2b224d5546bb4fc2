"""What lies in a person's directory, for inspection: every name, and the text of what is text."""

from __future__ import annotations

import codecs
import os
import re
import stat
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec

from cluster_interface.model.executable import describe
from cluster_interface.trees.beneath import open_file, read_small
from cluster_interface.trees.walking import Kind, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cluster_interface.trees.archives import Archive

MAX_FILES = 2000
MAX_TEXT = 512 * 1024  #: bytes of one file's text
MAX_TEXTS = 8 * 1024 * 1024  #: bytes of all texts together: they go to the server in one request

IGNORED = frozenset({".git", ".hg", ".svn", "node_modules", ".venv", "__pycache__", ".ipynb_checkpoints"})
_CONTROLS = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]")  #: what no text has

IGNORE_FILES = (".gitignore", ".clusterignore")


def listing(directory: Path, max_files: int = MAX_FILES, max_text: int = MAX_TEXT) -> dict[str, str | None]:
    """Return the files below `directory`: relative path -> text, or None where it is not text or too large.

    For an executable the text is what stands for it (`model.executable`).

    Leaves out what `.gitignore` and `.clusterignore` (in any directory, the syntax of gitignore(5)) and IGNORED
    name. A link to a file is listed without its text, one to a directory not at all. Stops after `max_files`.
    Raises OSError if the directory itself cannot be read.
    """
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _listing(root, max_files, max_text)
    finally:
        os.close(root)


def _listing(root: int, max_files: int, max_text: int) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    sizes: dict[str, int] = {}
    for entry in walk(root, Ignored(root)):
        if len(found) >= max_files:
            break
        if not _is_text_name(entry.path) or not (
            entry.kind is Kind.FILE or _links_to_file(root, entry.path, entry.kind)
        ):
            continue
        found[entry.path] = None
        if entry.kind is Kind.FILE:
            sizes[entry.path] = entry.size
    return found | _texts(sizes, max_text, lambda path: _text(root, path), lambda path: _program(root, path))


def _texts(
    sizes: Mapping[str, int],
    max_text: int,
    text_of: Callable[[str], str | None],
    program_of: Callable[[str], str | None],
) -> dict[str, str | None]:
    found, room = {}, MAX_TEXTS
    for path in sorted(sizes, key=sizes.__getitem__):  # programs are small: notebooks with their outputs come last
        text = text_of(path) if sizes[path] <= min(max_text, room) else None
        found[path] = program_of(path) if text is None else text
        room -= len(text.encode()) if text else 0
    return found


def listing_in(archive: Archive, max_files: int = MAX_FILES, max_text: int = MAX_TEXT) -> dict[str, str | None]:
    """Return the files and links of an archive with their texts, as `listing` does; only IGNORED is left out.

    Raises what reading a damaged archive does (`archives.BROKEN`).
    """

    def text_of(path: str) -> str | None:
        with archive.read(path) as file:
            return _decoded(path, file.read(MAX_TEXT + 1))

    def program_of(path: str) -> str | None:
        def read(offset: int, length: int) -> bytes:
            with archive.read(path) as file:
                file.seek(offset)
                return file.read(length)

        found = describe(read)
        return found.text if found else None

    names = [name for name in archive.names() if name[-1] != "/" and IGNORED.isdisjoint(name.split("/"))][:max_files]
    sizes = {name: archive.sizes[name] for name in names if name in archive.sizes}
    return dict.fromkeys(names) | _texts(sizes, max_text, text_of, program_of)


class Ignored:
    """Whether a path is ignored; the ignore files of a directory are read when it is first met."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._specs: dict[str, GitIgnoreSpec | None] = {}

    def __call__(self, path: str, kind: Kind) -> bool:
        """Say whether an entry is ignored that lies in nothing that is."""
        *above, name = path.split("/")
        if name in IGNORED:
            return True
        verdict = False
        for depth in range(len(above) + 1):
            spec = self._spec("/".join(above[:depth]))
            if spec is not None:
                below = "/".join([*above[depth:], name]) + ("/" if kind is Kind.DIRECTORY else "")
                said = spec.check_file(below).include
                verdict = verdict if said is None else said
        return verdict

    def _spec(self, path: str) -> GitIgnoreSpec | None:
        if path not in self._specs:
            lines: list[str] = []
            for name in IGNORE_FILES:
                text = _text(self._root, f"{path}/{name}" if path else name)
                lines += text.splitlines() if text else []
            self._specs[path] = GitIgnoreSpec.from_lines(lines) if lines else None
        return self._specs[path]


def _is_text_name(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _links_to_file(root: int, path: str, kind: Kind) -> bool:
    """Follow a link on the person's own machine, where it is theirs to follow."""
    if kind is not Kind.LINK:
        return False
    try:
        seen = os.stat(path, dir_fd=root)
    except OSError:
        return False
    return stat.S_ISREG(seen.st_mode)


def _text(root: int, path: str) -> str | None:
    try:
        data = read_small(root, path, MAX_TEXT + 1)
    except (OSError, ValueError):
        return None
    return _decoded(path, data)


def _decoded(path: str, data: bytes) -> str | None:
    if path.endswith(".txt") and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _utf16(data)
    if len(data) > MAX_TEXT or b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None if _CONTROLS.search(data) else data.decode("latin-1")  # as people wrote before UTF-8


def _utf16(data: bytes) -> str | None:
    """Read what PowerShell writes with `>`: lists of packages. Its mark stays, by which it is known as not UTF-8."""
    try:
        text = data.decode("utf-16")
    except UnicodeDecodeError:
        return None
    return None if _CONTROLS.search(text.encode("utf-8", "replace")) or "\0" in text else f"\ufeff{text}"


def _program(root: int, path: str) -> str | None:
    """Return the text that stands for an executable file; None for any other."""
    try:
        fd = open_file(root, path)
    except (OSError, ValueError):
        return None
    try:
        found = describe(lambda offset, length: os.pread(fd, length, offset))
    finally:
        os.close(fd)
    return found.text if found else None
