"""Making room: images that nobody uses are removed, oldest use first; all of them can be made again.

Never removed: what a job that has not ended needs, bases with images on them, imported bases (they cannot be made
again), and whatever is being made or used at the moment. Nobody is waited for, and after a while the rest is left to
the next time: who asks is told what is left, and why.
"""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cluster_interface.images import lock as locks
from cluster_interface.images import packages
from cluster_interface.images.faces import archives, squashfs
from cluster_interface.images.faces.docker import tag
from cluster_interface.images.shelf import remove
from cluster_interface.model.errors import Transient
from cluster_interface.model.plan import Lock
from cluster_interface.ports import Pruned

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from cluster_interface.images.faces.engine import Engine
    from cluster_interface.images.shelf import Shelf
    from cluster_interface.ports import ImageInfo
    from cluster_interface.settings import Images

PATIENCE = 60.0  #: seconds after which nothing more is begun
_AT_USE = "being made or used right now"
_IN_CONTAINER = "in a container of the Docker engine"
_ENGINE_AWAY = "in the Docker engine, which does not answer now"
_NO_TIME = "left for want of time: ask again"


def choose(
    images: Collection[ImageInfo], used: Collection[str], *, older_than: float, larger_than: int, keep: int
) -> list[ImageInfo]:
    """Choose what goes: not used for `older_than` seconds and of at least `larger_than` bytes; `keep` newest stay.

    Images come before the bases that only they stood on.
    """
    before = time.time() - older_than
    kept = {info.key for info in sorted(images, key=lambda info: info.used, reverse=True)[:keep]}

    def goes(info: ImageInfo) -> bool:
        may = info.key not in used and info.key not in kept and not info.imported
        return may and info.used <= before and info.size >= larger_than

    layers = [info for info in images if info.kind == "image" and goes(info)]
    gone = {info.key for info in layers}
    needed = {info.base for info in images if info.kind == "image" and info.key not in gone}
    bases = [info for info in images if info.kind == "base" and goes(info) and info.key not in needed]
    return [*_oldest_first(layers), *_oldest_first(bases)]


def _oldest_first(images: list[ImageInfo]) -> list[ImageInfo]:
    return sorted(images, key=lambda info: info.used)


@dataclass
class Pruning:
    """One time of making room, until it is done or `end` (of the monotonic clock) is there."""

    shelf: Shelf
    engine: Engine
    settings: Images
    end: float
    _left: dict[str, list[str]] = field(default_factory=dict)  #: why -> what
    _engine_away: bool = False

    def prune(
        self, chosen: Collection[ImageInfo], used: Collection[str], *, older_than: float, larger_than: int
    ) -> Pruned:
        """Remove what was chosen, then the packages and wheels that nothing left needs."""
        gone: list[ImageInfo] = []
        standing: set[str | None] = set()  #: bases of images that did not go after all
        for info in chosen:
            if info.key in standing:
                continue
            if self._may_go_on(f"image {info.key[:24]}") and self._image_went(info):
                gone.append(info)
            else:
                standing.add(info.base)
        at_least = max(older_than, self.settings.timeout)  # a build that runs may be about to take what it saw
        count = self._packages(at_least)
        wheels = self._wheels(used, at_least, larger_than)
        self._forget()
        left = tuple(f"{_counted(what)} {why}" for why, what in self._left.items())
        return Pruned(images=tuple(gone), packages=count, wheels=wheels, left=left, unfinished=_NO_TIME in self._left)

    def _may_go_on(self, what: str) -> bool:
        if time.monotonic() < self.end:
            return True
        self._leave(what, _NO_TIME)
        return False

    def _leave(self, what: str, why: str) -> None:
        self._left.setdefault(why, []).append(what)

    def _image_went(self, info: ImageInfo) -> bool:
        """Remove an image or base with all its faces; False if it has to stay for now."""
        shelf = self.shelf
        place = shelf.base(info.key) if info.kind == "base" else shelf.layer(info.key)
        try:
            with shelf.remove_if_free(info.key):
                if why := self._kept_by_engine(info.key):
                    self._leave(f"image {info.key[:24]}", why)
                    return False
                for file in (squashfs.place(shelf, info.key), archives.place(shelf, info.key)):
                    file.unlink(missing_ok=True)
                for kind in ("archives", "registry"):
                    shelf.note(kind, info.key).unlink(missing_ok=True)
                _remove(shelf, place, info.key)
        except BlockingIOError:
            self._leave(f"image {info.key[:24]}", _AT_USE)
            return False
        return True

    def _kept_by_engine(self, key: str) -> str | None:
        """Take it out of the Docker engine; say why that cannot be. One that does not answer is asked but once."""
        note = self.shelf.note("docker", key)
        if not note.exists():
            return None
        if self._engine_away:
            return _ENGINE_AWAY
        try:
            if not self.engine.remove(tag(key)):
                return _IN_CONTAINER
        except Transient:
            self._engine_away = True
            return _ENGINE_AWAY
        note.unlink()
        return None

    def _packages(self, older_than: float) -> int:
        """Remove installed packages that no image has any more; they are to go from uv's cache, too."""
        gone = 0
        for place in _unused_since(self.shelf.all("packages"), time.time() - older_than):
            if not self._may_go_on("package"):
                break
            with suppress(FileNotFoundError):
                if packages.unused(place):
                    self.shelf.write(self.shelf.note("unwanted", packages.read(place).name), {})
                    _remove(self.shelf, place, place.name)
                    self.shelf.note("registry", place.name).unlink(missing_ok=True)
                    gone += 1
        return gone

    def _wheels(self, used: Collection[str], older_than: float, larger_than: int) -> int:
        """Remove wheels that were made of sources and that neither an image nor a lock which a job has names.

        A lock that names one which went is forgotten: who asks for it again has the source built again.
        """
        old = list(_unused_since(self.shelf.all("built"), time.time() - older_than))
        if not old:
            return 0
        kept = [(file, lock) for file in self.shelf.all("locks") if (lock := _lock(self.shelf.read(file)))]
        layers = (self.shelf.read(layer / "layer.json") or {} for layer in self.shelf.all("layers"))
        needed = _hashes(
            [
                *(lock for about in layers if (lock := _lock(about.get("lock")))),
                *(lock for _, lock in kept if lock.image in used),
            ]
        )
        gone: set[str] = set()
        for place in old:
            if not self._may_go_on("wheel made of a source"):
                break
            with suppress(BlockingIOError, FileNotFoundError), self.shelf.hold_if_free(place.name):
                made = {hashlib.sha256(file.read_bytes()).hexdigest() for file in place.glob("*.whl")}
                large = sum(file.stat().st_size for file in place.iterdir()) >= larger_than
                if large and not made & needed:
                    for file, lock in kept:
                        if made & _hashes([lock]):
                            file.unlink(missing_ok=True)
                    _remove(self.shelf, place, place.name)
                    gone.add(place.name)
        return len(gone)

    def _forget(self) -> None:
        """Empty uv's cache of packages that went, now or earlier, where no build uses it."""
        names = [file.stem for file in self.shelf.all("unwanted")]
        if not names:
            return
        try:
            with self.shelf.hold_if_free("wheels"), self.shelf.temporary("wheels") as home:
                environ = locks.uv_environment(self.settings, self.shelf.wheels, home)
                done = locks.forget(names, environ=environ, log=self.shelf.fresh_log("wheels"), timeout=PATIENCE)
        except BlockingIOError:
            done = False
        if not done:
            self._left["in the installer's cache, which a build uses now: the next time"] = ["package"] * len(names)
            return
        for name in names:
            self.shelf.note("unwanted", name).unlink(missing_ok=True)


def _counted(what: list[str]) -> str:
    """Name a few, or count what is of one kind: `image 3f2a…, image 77c0…`, `3 packages`."""
    kinds = {one.partition(" ")[0] for one in what}
    if len(what) == 1 or (len(what) <= 3 and len(set(what)) == len(what)):
        return ", ".join(what)
    return f"{len(what)} {kinds.pop() + 's' if len(kinds) == 1 else 'things'}"


def _unused_since(places: Collection[Path], before: float) -> Iterator[Path]:
    for place in places:
        with suppress(FileNotFoundError):
            if place.stat().st_mtime <= before:
                yield place


def _lock(kept: object) -> Lock | None:
    """Read a lock that was kept; None if another version of this program wrote it."""
    try:
        return Lock.model_validate(kept)
    except ValueError:
        return None


def _hashes(found: Collection[Lock]) -> set[str]:
    """Name the files of the index that locks, and those under them, name by their hashes."""
    under = [lock.under for lock in found if lock.under]
    here = {one for lock in found for one in re.findall(r"sha256:([0-9a-f]{64})", lock.requirements)}
    return here | (_hashes(under) if under else set())


def _remove(shelf: Shelf, place: Path, key: str) -> None:
    """Take it out of its place at once, then remove it: a reader never sees half of it."""
    with shelf.temporary(key) as home:
        with suppress(FileNotFoundError):
            place.rename(home / "gone")
        remove(home / "gone")
