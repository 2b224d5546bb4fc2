"""Bytecode of packages, compiled once per package and shared by all layers as hard links.

Compiling takes longer than all the rest of an installation; a list of packages mostly changes by one. What is
kept is named by the package's own line of the lock, hashes included: nothing else can have made it.
"""

from __future__ import annotations

import csv
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from cluster_interface.model.plan import digest

if TYPE_CHECKING:
    from collections.abc import Iterator

BYTECODE_RECIPE = 1
_OBJECT = re.compile(r"\.so(\.\d+)*$")


@dataclass
class Package:
    """One installed package: what its bytecode is called in the store, and its Python files."""

    key: str
    sources: list[str]  #: below site-packages
    name: str = ""
    objects: tuple[str, ...] = ()  #: shared objects, below site-packages


@dataclass
class Bytecode:
    """The bytecode of one layer in the making."""

    place: Path  #: where packages' bytecode is kept
    installed: Path  #: the layer's site-packages
    version: str  #: such as 3.11
    requirements: str
    _fresh: list[Package] = field(default_factory=list)

    def reuse(self) -> list[Path]:
        """Link in what is there already; return the sources that are still to be compiled."""
        packages = self.packages()
        owned = [source for package in packages for source in package.sources]
        shared = {source for source in owned if owned.count(source) > 1} if len(set(owned)) < len(owned) else set()
        known = set(owned) - shared
        for package in packages:
            package.sources = [source for source in package.sources if source not in shared]
            if (self.place / package.key).is_dir():
                self._link(self.place / package.key, self.installed, package)
            else:
                self._fresh.append(package)
        fresh = {source for package in self._fresh for source in package.sources}
        every = (path for path in self.installed.rglob("*.py") if path.is_file())
        return [path for path in every if (name := str(path.relative_to(self.installed))) in fresh or name not in known]

    def collect(self, into: Path) -> list[Path]:
        """Gather what was compiled into one directory per package, on the same filesystem."""
        gathered = []
        for package in self._fresh:
            directory = into / package.key
            directory.mkdir(parents=True)
            self._link(self.installed, directory, package)
            gathered.append(directory)
        return gathered

    def keep(self, gathered: list[Path]) -> None:
        """Put it in place; whoever comes second is not needed."""
        for directory in gathered:
            with suppress(OSError):
                directory.rename(self.place / directory.name)

    def packages(self) -> list[Package]:
        """List what is installed."""
        return list(self._packages())

    def _packages(self) -> Iterator[Package]:
        locked = _entries(self.requirements)
        for record in sorted(self.installed.glob("*.dist-info/RECORD")):
            name = canonicalize_name(record.parent.name.partition("-")[0])
            if entry := locked.get(name):
                key = digest({"recipe": BYTECODE_RECIPE, "package": entry, "python": self.version})
                files = list(_files(record))
                sources = sorted(file for file in files if file.endswith(".py"))
                yield Package(key, sources, name, tuple(file for file in files if _OBJECT.search(file)))

    def _link(self, origin: Path, target: Path, package: Package) -> None:
        for source in package.sources:
            name = self._compiled(source)
            with suppress(FileNotFoundError, FileExistsError):  # what does not compile has none
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                os.link(origin / name, target / name)

    def _compiled(self, source: str) -> PurePosixPath:
        path = PurePosixPath(source)
        return path.parent / "__pycache__" / f"{path.stem}.cpython-{self.version.replace('.', '')}.pyc"


def _entries(requirements: str) -> dict[str, list[str]]:
    """Take a lock apart: the canonical name -> its line and hashes."""
    entries = {}
    for entry in re.split(r"\n(?=\S)", requirements.strip()):
        words = entry.replace("\\\n", " ").split()
        entries[str(canonicalize_name(re.split(r"[=\[; ]", entry, maxsplit=1)[0]))] = [words[0], *sorted(words[1:])]
    return entries


def _files(record: Path) -> Iterator[str]:
    """List a package's own files; what leads out of site-packages is not looked at."""
    with record.open(newline="", encoding="utf-8", errors="replace") as file:
        for row in csv.reader(file):
            path = PurePosixPath(row[0]) if row else PurePosixPath()
            if not path.is_absolute() and ".." not in path.parts:
                yield str(path)
