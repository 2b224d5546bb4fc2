"""The squashfs face: base and layer in one file, which is quick to open on filesystems where many small ones are not.

Made from the same tar as the docker face's layers, so it is the same byte for byte each time, it needs no privilege,
and /tmp is open to all in it although it is not so in the store. Format: mksquashfs(1) 4.5 or later, `-tar`.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from cluster_interface.images import failures
from cluster_interface.images.archive import both, stream
from cluster_interface.images.commands import environment, run
from cluster_interface.images.keys import EPOCH
from cluster_interface.images.layer import PLACE
from cluster_interface.ports import Face, ImageRef

if TYPE_CHECKING:
    from pathlib import Path

    from cluster_interface.images.shelf import Shelf
    from cluster_interface.model.plan import Lock
    from cluster_interface.settings import Images

_LEVEL = 6  #: of zstd: half the time of the default 15, and a twentieth larger


def find(shelf: Shelf, lock: Lock) -> ImageRef | None:
    """Say where the file is; None if it is not made yet. What is in its place is whole."""
    file = place(shelf, lock.image)
    return ImageRef(key=lock.image, face=Face.SQUASHFS, file=file) if file.is_file() else None


def make(shelf: Shelf, lock: Lock, settings: Images, log: Path) -> None:
    """Make the file from base and layer; Permanent in words. Call it with the key held."""
    if not shutil.which("mksquashfs"):
        raise failures.image_failed("no squashfs file can be made on this machine: install squashfs-tools 4.5 or later")
    layer = shelf.layer(lock.image) / "env" if lock.layered else None
    found = both(shelf.base(lock.base) / "rootfs", layer, PLACE.strip("/"))
    with shelf.temporary(f"squashfs-{lock.image}") as home:
        target = home / "image"
        environ = environment(settings, home)
        _, ended = run(_argv(target), environ=environ, log=log, timeout=settings.timeout, data=stream(found))
        if ended.code != 0 or not target.is_file():
            raise failures.image_failed(f"mksquashfs did not make the image: {ended.words.strip()[-300:]}")
        target.chmod(0o644)
        shelf.publish(target, place(shelf, lock.image))


def place(shelf: Shelf, key: str) -> Path:
    """Say where the file of an image is, once it is there."""
    return shelf.root / "squashfs" / f"{key}.squashfs"


def _argv(target: Path) -> list[str]:
    times = ["-mkfs-time", str(EPOCH), "-all-time", str(EPOCH)]
    workers = ["-processors", str(min(8, os.cpu_count() or 1))]
    form = ["-comp", "zstd", "-Xcompression-level", str(_LEVEL), "-noappend", "-no-xattrs", "-no-progress", "-quiet"]
    return ["mksquashfs", "-", str(target), "-tar", "-all-root", *times, *form, *workers]
