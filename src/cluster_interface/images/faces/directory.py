"""The directory face: the base's root filesystem, with the layer mounted over it by the runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.images.layer import PLACE
from cluster_interface.ports import Face, ImageRef

if TYPE_CHECKING:
    from pathlib import Path

    from cluster_interface.images.shelf import Shelf
    from cluster_interface.model.plan import Lock


def find(shelf: Shelf, lock: Lock) -> ImageRef | None:
    """Say where base and layer are; None while one is missing. What is in its place is whole."""
    root = shelf.base(lock.base) / "rootfs"
    layer = shelf.layer(lock.image) / "env" if lock.layered else _inside(root)
    if not root.is_dir() or (layer is not None and not layer.is_dir()):
        return None
    return ImageRef(key=lock.image, face=Face.DIRECTORY, rootfs=root, layer=layer)


def _inside(root: Path) -> Path | None:
    """Return what a base has itself at the layer's place: runtimes mount that place, and show nothing else there."""
    place = root / PLACE.strip("/")
    return place if place.is_dir() and any(place.iterdir()) else None
