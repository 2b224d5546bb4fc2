"""The archive face: what the engine of another machine loads, the base whole and of each image only what is new.

Both are archives as of `docker save`, in files that every node sees; see faces/docker.py for the form, and for
what happens where an engine has lost the base.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.images.archive import listing
from cluster_interface.images.faces.docker import Part, pack, tag
from cluster_interface.images.layer import PLACE
from cluster_interface.ports import Face, ImageRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cluster_interface.images.shelf import Shelf
    from cluster_interface.model.plan import Lock


def find(shelf: Shelf, lock: Lock) -> ImageRef | None:
    """Say where the archives are; None while one is missing."""
    wanted = [place(shelf, lock.base)]
    if lock.layered:
        wanted.append(place(shelf, lock.image))
    if not all(path.is_file() for path in wanted):
        return None
    return ImageRef(key=lock.image, face=Face.ARCHIVE, tag=tag(lock.image), archives=tuple(wanted))


def make_base(shelf: Shelf, lock: Lock, machine: str) -> None:
    """Make the base's archive if it is missing. Call it with `archive-<base>` held."""
    if place(shelf, lock.base).is_file():
        return
    bare = lock.model_copy(update={"image": lock.base, "requirements": ""})
    part = Part(lambda: listing(shelf.base(lock.base) / "rootfs"))
    _write(shelf, lock.base, pack(bare, [part], thin=False, machine=machine))
    shelf.write(shelf.note("archives", lock.base), {"diff_id": part.diff_id})


def make(shelf: Shelf, lock: Lock, machine: str, variables: Mapping[str, str]) -> None:
    """Make the archive of what an image has beyond its base. Call it with `archive-<image>` held."""
    known = shelf.read(shelf.note("archives", lock.base))
    base_root, env = shelf.base(lock.base) / "rootfs", shelf.layer(lock.image) / "env"
    base = Part(lambda: listing(base_root), known["diff_id"] if known else None)
    if base.diff_id is None:  # killed between the archive and its note: the digest alone is wanted
        for _ in base.stream(base.listed()):
            pass
    layer = Part(lambda: listing(env, PLACE.strip("/")))
    _write(shelf, lock.image, pack(lock, [base, layer], thin=True, machine=machine, variables=variables))


def place(shelf: Shelf, key: str) -> Path:
    """Say where the archive of a base or an image is, once it is there."""
    return shelf.root / "archives" / f"{key}.tar"


def _write(shelf: Shelf, key: str, data: Iterable[bytes]) -> None:
    with shelf.temporary(f"archive-{key}") as home:
        made = home / "archive"
        with made.open("wb") as file:
            for chunk in data:
                file.write(chunk)
        made.chmod(0o644)  # past the umask: nodes read it as another account
        shelf.publish(made, place(shelf, key))
