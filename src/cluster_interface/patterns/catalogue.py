"""Which patterns there are: those that are shipped, and the site's own beside or over them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml

from cluster_interface.model.errors import NotFound, Rejected
from cluster_interface.model.job_pattern import Pattern
from cluster_interface.patterns.expanding import expand

if TYPE_CHECKING:
    from collections.abc import Iterator

SHIPPED = Path(__file__).parent
LARGEST = 2**20  #: bytes of one file

Origin = Literal["shipped", "site"]


class Catalogue:
    """The patterns by name. Files are looked at anew when they change: to add one, nothing is started again."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._known: dict[Path, tuple[tuple[int, int], Pattern | Rejected]] = {}

    def patterns(self) -> list[Pattern]:
        """List what can be read, in the order in which the files want to stand."""
        found = {pattern.name: pattern for _, pattern in self._read() if isinstance(pattern, Pattern)}
        return sorted(found.values(), key=lambda pattern: (pattern.order, pattern.title))

    def find(self, name: str) -> Pattern:
        """Return a pattern; NotFound names those that there are."""
        for pattern in self.patterns():
            if pattern.name == name:
                return pattern
        known = ", ".join(pattern.name for pattern in self.patterns())
        raise NotFound(f"there is no pattern {name[:64]!r}; there are: {known}")

    def origin(self, pattern: Pattern) -> Origin:
        """Say whether a pattern is the site's own."""
        return "site" if self._directory and (self._directory / f"{pattern.name}.yaml").is_file() else "shipped"

    def troubles(self) -> list[tuple[str, str]]:
        """List the site's files that cannot be used, each with what is wrong; the others are not held up by them."""
        if self._directory is not None and not self._directory.is_dir():
            return [(str(self._directory), "there is no such directory; make it, or unset patterns.directory")]
        return [(path.name, str(found)) for path, found in self._read() if isinstance(found, Rejected)]

    def _read(self) -> Iterator[tuple[Path, Pattern | Rejected]]:
        """Read the shipped files, then the site's, which win where the names are the same."""
        for directory in filter(None, (SHIPPED, self._directory)):
            for path in sorted(directory.glob("*.yaml")):
                yield path, self._pattern(path)

    def _pattern(self, path: Path) -> Pattern | Rejected:
        try:
            status = path.stat()
            key = (status.st_mtime_ns, status.st_size)
            if path not in self._known or self._known[path][0] != key:
                self._known[path] = (key, _checked(path))
            return self._known[path][1]
        except OSError as error:
            return Rejected.field(path.name, f"cannot be read: {error.strerror}")


def read_pattern(path: Path) -> Pattern:
    """Read a pattern's file and check it, its example included; Rejected names the field and what is wrong."""
    if path.stat().st_size > LARGEST:
        raise Rejected.field(path.name, f"is longer than {LARGEST} bytes")
    try:
        document = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Rejected.field(path.name, f"is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise Rejected.field(path.name, "is not a pattern: a mapping with title, fields and spec is expected")
    pattern = Pattern.parse({**document, "name": path.stem})
    if pattern.example.values or not any(field.wanted for field in pattern.fields.values()):
        expand(pattern, {}, example=True)
    return pattern


def _checked(path: Path) -> Pattern | Rejected:
    try:
        return read_pattern(path)
    except Rejected as error:
        return error
