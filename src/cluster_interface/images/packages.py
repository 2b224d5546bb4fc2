"""Installed packages: each is installed and compiled once, and is in all layers that have it as hard links.

A list of packages mostly changes by one, so a layer is made of what is there already and that one. What is kept is
named by the package's own line of the lock, hashes included, by the Python and the platform that it is for, and by
whether it is compiled: nothing else can have made it. Layers do not differ by what was there: where packages have the
same file, the last by name wins.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from cluster_interface.images import failures, needs
from cluster_interface.images.needs import Libraries
from cluster_interface.model.base import Model
from cluster_interface.model.plan import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor
    from pathlib import Path

    from cluster_interface.images.lock import Target
    from cluster_interface.images.shelf import Shelf

    Install = Callable[[str, Path], None]  #: a lock, and the empty directory that it is installed into

PACKAGE_RECIPE = 2
_AT_ONCE, _PART = 8, 250  #: threads that link, and files that one takes at a time: a shared filesystem answers slowly
_OF_UV = (".lock",)  #: what uv puts at the top of an environment
_OBJECT = re.compile(r"\.so(\.\d+)*$")
_COMPILED = re.compile(r"(.*)__pycache__/(.+)\.cpython-\d+\.pyc")


class Package(Model):
    """One package, as package.json beside its `tree` keeps it."""

    name: str
    files: tuple[str, ...] = ()  #: below the environment, such as lib/python3.11/site-packages/six.py
    size: int = 0  #: bytes
    libraries: Libraries = Libraries()


@dataclass
class Packages:
    """The packages of one layer in the making."""

    shelf: Shelf
    target: Target
    home: Path  #: on the store's filesystem, for what is new
    compiled: bool  #: whether what installs them compiles them too
    keys: dict[str, str] = field(default_factory=dict)  #: name -> key, of those that were laid
    _made: dict[str, Path] = field(default_factory=dict)
    _owners: dict[str, str] = field(default_factory=dict)  #: a file of the environment -> the package that it is of

    def lay(self, requirements: str, env: Path, install: Install) -> list[Package]:
        """Put all packages of a lock into an environment; what is there already, while the others are installed."""
        entries = _entries(requirements)
        keys = self.keys = {name: self._key(entry) for name, entry in entries.items()}
        fresh = {name: entry for name, entry in entries.items() if not _wanted(self.shelf.package(keys[name]))}
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            known, linked = self._link(
                [self.shelf.package(keys[name]) for name in sorted(keys.keys() - fresh)], env, threads
            )
            if fresh:
                for name, (place, files) in self._install(fresh, install).items():
                    self._made[keys[name]] = self._gather(keys[name], name, place, files)
            _end(linked)
            new, linked = self._link(self._made.values(), env, threads)
            _end(linked)
        return [*known, *new]

    def new(self) -> list[Path]:
        """List the files that were not on this filesystem before."""
        found = [place / "tree" / file for place in self._made.values() for file in read(place).files]
        return [*(file for file in found if not file.is_symlink()), *(p / "package.json" for p in self._made.values())]

    def keep(self) -> None:
        """Put what is new in its place, once it is on disk; whoever comes second is not needed."""
        for key, made in self._made.items():
            with suppress(OSError):
                made.rename(self.shelf.package(key))

    def _key(self, entry: str) -> str:
        words = entry.replace("\\\n", " ").split()
        made = {"recipe": PACKAGE_RECIPE, "package": [words[0], *sorted(words[1:])], "compiled": self.compiled}
        return digest({**made, "python": self.target.python, "platform": self.target.platform})

    def _install(self, entries: dict[str, str], install: Install) -> dict[str, tuple[Path, list[str]]]:
        """Install them: where each one's files are, and what these are called.

        All at once, which is quicker, unless it cannot be told from there which package has brought what.
        """
        place = self._room("_all")
        install("\n".join(entries.values()), place)
        if len(entries) == 1:
            return {name: (place, list(_walk(place))) for name in entries}
        if (owned := _owned(place)) is not None and owned.keys() == entries.keys():
            return {name: (place, owned[name]) for name in entries}
        found = {}
        for name, entry in entries.items():
            alone = self._room(name)
            install(entry, alone)
            found[name] = (alone, list(_walk(alone)))
        return found

    def _room(self, name: str) -> Path:
        place = self.home / "installed" / name
        place.mkdir(parents=True)
        return place

    def _gather(self, key: str, name: str, origin: Path, files: list[str]) -> Path:
        """Give a package a directory of its own, for `keep`."""
        place = self.home / "packages" / key
        place.mkdir(parents=True)
        objects = (origin / file for file in files if _OBJECT.search(file))
        size = sum((origin / file).lstat().st_size for file in files)
        package = Package(name=name, files=tuple(sorted(files)), size=size, libraries=needs.read(objects))
        _put(files, origin, place / "tree", os.rename)
        (place / "package.json").write_text(package.model_dump_json())
        return place

    def _link(self, places: Iterable[Path], env: Path, threads: Executor) -> tuple[list[Package], Iterator[None]]:
        """Begin to link packages into the environment; of those that have the same file, the last by name has it."""
        found = [(place / "tree", read(place)) for place in places]
        for _, package in found:
            for file in package.files:
                self._owners[file] = max(self._owners.get(file, ""), package.name)
        files = [(tree, [file for file in one.files if self._owners[file] == one.name]) for tree, one in found]
        parts = [(tree, all_[at : at + _PART]) for tree, all_ in files for at in range(0, len(all_), _PART)]
        return [one for _, one in found], threads.map(lambda part: _put(part[1], part[0], env, _same), parts)


def _end(linked: Iterator[None]) -> None:
    """Wait for what was begun; it may have failed."""
    for _ in linked:
        pass


def read(place: Path) -> Package:
    """Read what is known of an installed package."""
    return Package.model_validate_json((place / "package.json").read_bytes())


def _wanted(package: Path) -> bool:
    """Say whether it is there, and mark it as used now, so that it is not pruned."""
    try:
        os.utime(package)
    except FileNotFoundError:
        return False
    return True


def unused(package: Path) -> bool:
    """Say whether no layer has it: a file of it that uv wrote anew, and not as a link to its cache, is nowhere else."""
    try:
        made = read(package)
        anew = (file for file in made.files if file.endswith(".dist-info/INSTALLER"))
        file = next(anew, made.files[0] if made.files else None)
        return file is None or (package / "tree" / file).lstat().st_nlink == 1
    except (OSError, ValueError):
        return False


def _entries(requirements: str) -> dict[str, str]:
    """Take a lock apart: the canonical name -> its line and hashes."""
    entries = re.split(r"\n(?=\S)", requirements.strip())
    return {str(canonicalize_name(re.split(r"[=\[; ]", entry, maxsplit=1)[0])): entry for entry in entries}


def _walk(place: Path) -> Iterator[str]:
    """List an environment's files, but for uv's own."""
    for directory, _, names in os.walk(place):
        below = os.path.relpath(directory, place)
        if below == ".":
            yield from (name for name in names if name not in _OF_UV)
        else:
            yield from (f"{below}/{name}" for name in names)


def _owned(place: Path) -> dict[str, list[str]] | None:
    """Say which package has which files, by what they record; None if one is nobody's or of several."""
    owners: dict[str, str] = {}
    files = set(_walk(place))
    for record in sorted(place.glob("lib/python*/site-packages/*.dist-info/RECORD")):
        name = str(canonicalize_name(record.parent.name.partition("-")[0]))
        for file in _recorded(record, place) & files:
            if owners.setdefault(file, name) != name:
                return None
    found: dict[str, list[str]] = {}
    for file in files:
        compiled = _COMPILED.fullmatch(file)
        owner = owners.get(file) or (owners.get(f"{compiled[1]}{compiled[2]}.py") if compiled else None)
        if owner is None:
            return None
        found.setdefault(owner, []).append(file)
    return found


def _recorded(record: Path, place: Path) -> set[str]:
    """List what RECORD names (https://packaging.python.org/specifications/recording-installed-packages/)."""
    import csv  # noqa: PLC0415 - only where something new is installed

    top = record.parent.parent.relative_to(place).as_posix()
    with record.open(newline="", encoding="utf-8", errors="replace") as file:
        return {posixpath.normpath(f"{top}/{row[0]}") for row in csv.reader(file) if row}


def _same(file: str, name: str) -> None:
    os.link(file, name, follow_symlinks=False)


def _put(files: Iterable[str], origin: Path, target: Path, put: Callable[[str, str], None]) -> None:
    """Make files of `origin` files of `target`; what is there already gives way, but for directories.

    What made the target's directories may be hostile: Permanent for one that is a link, which may lead anywhere.
    """
    source, place = str(origin), str(target)
    made: set[str] = set()
    for file in files:
        _directory(place, file.rpartition("/")[0], made)
        try:
            put(f"{source}/{file}", f"{place}/{file}")
        except FileExistsError:
            try:
                os.unlink(f"{place}/{file}")  # noqa: PTH108 - text is quicker, and there are thousands
            except IsADirectoryError:
                raise failures.image_failed(f"two packages exclude one another: {file} is a directory too") from None
            put(f"{source}/{file}", f"{place}/{file}")


def _directory(place: str, name: str, made: set[str]) -> None:
    """Make a directory and those above it that are not among the `made`."""
    if name in made:
        return
    if name:
        _directory(place, name.rpartition("/")[0], made)
    path = f"{place}/{name}"
    try:
        os.mkdir(path)  # noqa: PTH102 - as above
        os.chmod(path, 0o755)  # noqa: PTH101, S103 - past the umask: jobs run as somebody else
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise failures.image_failed(f"packages have files in {name}, which is a file or a link there") from None
    made.add(name)
