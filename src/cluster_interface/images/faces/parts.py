"""What an image of an engine or a registry is cut into: the base, each large package, and the rest.

So a list with one package more costs that one, and not once more what it has always had; for an engine of this machine
a base that grew costs what it has beyond the other one. A package is a layer of the same bytes in every image. In an
engine a layer stands on those before it, so what the engine has comes first.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cluster_interface.images.archive import Listing, inodes, listing, stream
from cluster_interface.images.layer import PLACE
from cluster_interface.images.packages import read
from cluster_interface.model.resources import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cluster_interface.images.shelf import Shelf
    from cluster_interface.model.plan import Lock

_LARGE = 8 * MIB  #: a package is worth a layer of its own
_MOST = 60  #: of these; engines take 127 layers


@dataclass
class Part:
    """One layer of an image; its diff id is known once it has been streamed."""

    listed: Callable[[], Listing]
    diff_id: str | None = None
    key: str = ""  #: of the base or the package that it is; empty: the rest

    def stream(self, found: Listing) -> Iterator[bytes]:
        """Yield the layer's tar, and take its digest on the way."""
        digest = hashlib.sha256()
        for chunk in stream(found):
            digest.update(chunk)
            yield chunk
        self.diff_id = f"sha256:{digest.hexdigest()}"


def base_of(shelf: Shelf, lock: Lock) -> Part:
    """Return the layer that all others stand on."""
    return Part(partial(listing, shelf.base(lock.base) / "rootfs"), key=lock.base)


def bases_of(shelf: Shelf, lock: Lock, known: Sequence[str] = ()) -> list[Part]:
    """Return the layers that all others stand on: the base, or the one that it grew from and what it has beyond that.

    The second where nothing of that one went. `known` are the keys of what was returned before.
    """
    base = shelf.base(lock.base)
    below = shelf.base((shelf.read(base / "base.json") or {}).get("under") or "none")
    root, under = base / "rootfs", below / "rootfs"
    if not under.is_dir() or len(known) == 1 or (not known and _lost(under, root)):
        return [base_of(shelf, lock)]
    more = Part(lambda: listing(root, without=inodes(under)), key=lock.base)
    return [Part(partial(listing, under), key=below.name), more]


def _lost(under: Path, root: Path) -> bool:
    """Say whether a base lacks anything of the one that it grew from."""
    for at, directories, names in os.walk(under):
        same = root / os.path.relpath(at, under)
        if same.is_symlink() or not same.is_dir() or {*directories, *names} - {entry.name for entry in same.iterdir()}:
            return True
    return False


def layers_of(shelf: Shelf, lock: Lock, first: Sequence[str] = ()) -> list[Part]:
    """Cut what an image has beyond its base: its large packages, those in `first` before the others, then the rest."""
    if not lock.layered:
        return []
    env, place = shelf.layer(lock.image) / "env", PLACE.strip("/")
    owned: dict[str, int] = {}
    parts = []
    for key in dict.fromkeys([*first, *large(shelf, lock)]):
        tree = shelf.package(key) / "tree"
        files = {file: (tree / file).lstat().st_ino for file in read(shelf.package(key)).files}
        if not files.keys() & owned.keys():  # else which of them is seen would depend on the order
            owned |= files
            parts.append(Part(partial(listing, tree, place), key=key))
    return [*parts, Part(lambda: listing(env, place, owned))]


def large(shelf: Shelf, lock: Lock) -> list[str]:
    """Name the packages of an image that are worth a layer of their own, the largest first."""
    sizes: Mapping[str, int] = (shelf.read(shelf.layer(lock.image) / "layer.json") or {}).get("sizes", {})
    found = sorted((-size, key) for key, size in sizes.items() if size >= _LARGE and shelf.package(key).is_dir())
    return [key for _, key in found[:_MOST]]
