"""Making room: images that nobody uses are removed, oldest use first; all of them can be made again.

Never removed: what a job that has not ended needs, bases with images on them, imported bases (they cannot be made
again), and whatever is being made at the moment.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from cluster_interface.images import packages
from cluster_interface.images.faces import archives, squashfs
from cluster_interface.images.faces.docker import tag
from cluster_interface.images.shelf import remove

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from cluster_interface.images.faces.engine import Engine
    from cluster_interface.images.shelf import Shelf
    from cluster_interface.ports import ImageInfo


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
    return [*layers, *bases]


def take_away(shelf: Shelf, engine: Engine, info: ImageInfo) -> bool:
    """Remove an image or base with all its faces; False if it is being made or used right now."""
    place = shelf.base(info.key) if info.kind == "base" else shelf.layer(info.key)
    with suppress(BlockingIOError), shelf.hold_if_free(info.key):
        if shelf.note("docker", info.key).exists():
            if not engine.remove(tag(info.key)):
                return False
            shelf.note("docker", info.key).unlink()
        for file in (squashfs.place(shelf, info.key), archives.place(shelf, info.key)):
            file.unlink(missing_ok=True)
        for kind in ("archives", "registry"):
            shelf.note(kind, info.key).unlink(missing_ok=True)
        _remove(shelf, place, info.key)
        return True
    return False


def take_away_packages(shelf: Shelf, *, older_than: float, timeout: float) -> None:
    """Remove installed packages that no image has any more and that were not used for `older_than` seconds.

    None that were used within `timeout`, the seconds that a build may take: one may be about to link them.
    """
    before = time.time() - max(older_than, timeout)
    for place in shelf.packages():
        with suppress(FileNotFoundError):
            if place.stat().st_mtime <= before and packages.unused(place):
                _remove(shelf, place, place.name)


def _remove(shelf: Shelf, place: Path, key: str) -> None:
    """Take it out of its place at once, then remove it: a reader never sees half of it."""
    with shelf.temporary(key) as home:
        with suppress(FileNotFoundError):
            place.rename(home / "gone")
        remove(home / "gone")
