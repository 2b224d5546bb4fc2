"""The archive face: what the engine of another machine loads, the base once and of each image only what is new.

A base that grew from another one is what it has beyond that, in an archive of its own. All are archives as of `docker
save`, in files that every node sees, each standing on those before it; see faces/docker.py for the form, and
runtimes/docker_load.sh for what happens where an engine has lost one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster_interface.images.archive import Listing, listing
from cluster_interface.images.faces.docker import pack, tag
from cluster_interface.images.faces.parts import Part, bases_of
from cluster_interface.images.layer import PLACE
from cluster_interface.ports import Face, ImageRef

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cluster_interface.images.shelf import Shelf
    from cluster_interface.model.plan import Lock


def find(shelf: Shelf, lock: Lock) -> ImageRef | None:
    """Say where the archives are; None while one is missing, or stands on what was made anew."""
    base = _note(shelf, lock.base)
    keys = base.get("keys", [])
    if lock.layered:
        if _note(shelf, lock.image).get("on") != base.get("diff_ids"):
            return None
        keys = [*keys, lock.image]
    wanted = tuple(place(shelf, key) for key in keys)
    if not wanted or not all(path.is_file() for path in wanted):
        return None
    return ImageRef(key=lock.image, face=Face.ARCHIVE, tag=tag(lock.image), archives=wanted)


def make_base(shelf: Shelf, lock: Lock, machine: str) -> str | None:
    """Make the base's archive if it is missing. Call it with `archive-<base>` held.

    Return the key of the base that it stands on, whose archive must be there too; None if on none.
    """
    known = _note(shelf, lock.base)
    parts = bases_of(shelf, lock, known.get("keys", []))
    keys = [part.key for part in parts]
    if keys != known.get("keys") or not place(shelf, lock.base).is_file():
        for part in parts[:-1]:  # the digest alone is wanted
            for _ in part.stream(part.listed()):
                pass
        _write(shelf, bare(lock, lock.base), parts, {"keys": keys}, machine=machine)
    return keys[0] if len(keys) > 1 else None


def make(shelf: Shelf, lock: Lock, machine: str, variables: Mapping[str, str]) -> None:
    """Make the archive of what an image has beyond its base. Call it with `archive-<image>` held."""
    env, base = shelf.layer(lock.image) / "env", _note(shelf, lock.base)
    parts = [Part(Listing, diff_id) for diff_id in base["diff_ids"]]  # nobody reads them
    layer = Part(lambda: listing(env, PLACE.strip("/")))
    on = {"on": base["diff_ids"]}
    _write(shelf, lock, [*parts, layer], on, machine=machine, variables=variables)


def bare(lock: Lock, base: str) -> Lock:
    """Return the lock of a base alone."""
    return lock.model_copy(update={"image": base, "base": base, "requirements": "", "conda": "", "r": ()})


def place(shelf: Shelf, key: str) -> Path:
    """Say where the archive of a base or an image is, once it is there."""
    return shelf.root / "archives" / f"{key}.tar"


def _note(shelf: Shelf, key: str) -> dict[str, Any]:
    note: dict[str, Any] = shelf.read(shelf.note("archives", key)) or {}
    return note


def _write(shelf: Shelf, lock: Lock, parts: list[Part], note: Mapping[str, Any], **said: Any) -> None:
    """Write the archive of the last part, which stands on the others, and what is known of it."""
    with shelf.temporary(f"archive-{lock.image}") as home:
        made = home / "archive"
        with made.open("wb") as file:
            for chunk in pack(lock, parts, there=len(parts) - 1, **said):
                file.write(chunk)
        made.chmod(0o644)  # past the umask: nodes read it as another account
        shelf.write(shelf.note("archives", lock.image), {**note, "diff_ids": [part.diff_id for part in parts]})
        shelf.publish(made, place(shelf, lock.image))
