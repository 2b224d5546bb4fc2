"""The capsule of a job: its image whole, one more layer over it, and another way in, as `docker load` takes it."""

from __future__ import annotations

import platform
import tarfile
from typing import TYPE_CHECKING, Any

from cluster_interface.images.archive import Listing, listing
from cluster_interface.images.faces.docker import pack
from cluster_interface.images.faces.parts import Part
from cluster_interface.images.keys import EPOCH
from cluster_interface.images.layer import PLACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cluster_interface.images.shelf import Shelf
    from cluster_interface.model.plan import Lock
    from cluster_interface.ports import Baked, ImageRef

_OPEN_TO_ALL = 0o1777


def capsule(  # noqa: PLR0917 - what a capsule is made of
    shelf: Shelf, lock: Lock, image: ImageRef, baked: Sequence[Baked], config: Mapping[str, Any], name: str
) -> Iterator[bytes]:
    """Yield the archive; OSError where a file changed meanwhile. `image` is the image's directories."""
    root, env = image.rootfs or shelf.base(lock.base) / "rootfs", image.layer
    parts = [Part(lambda: listing(root))]
    if env is not None:
        parts.append(Part(lambda: listing(env, PLACE.strip("/"))))
    parts.append(Part(lambda: _layer(baked)))
    machine = platform.machine()
    return pack(lock, parts, there=0, machine=machine, variables=image.variables, config=config, name=name)


def _layer(baked: Sequence[Baked]) -> Listing:
    """List the last layer: what is baked, every directory before what is in it, and /job for whoever runs it."""
    found = Listing()
    found.add(_info("job", tarfile.DIRTYPE, _OPEN_TO_ALL))
    directories: set[str] = set()
    for one in sorted(baked, key=lambda one: one.path):
        path = one.path.rstrip("/")
        parts = path.split("/")
        above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
        for directory in [*above, *([path] if one.path.endswith("/") else [])]:
            if directory not in directories:
                directories.add(directory)
                found.add(_info(directory, tarfile.DIRTYPE, 0o755))
        if one.target is not None:
            link = _info(path, tarfile.SYMTYPE, 0o777)
            link.linkname = one.target
            found.add(link)
        elif not one.path.endswith("/"):
            info = _info(path, tarfile.REGTYPE, one.mode)
            info.size = one.size
            found.add(info, one.open)
    return found


def _info(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, EPOCH
    return info
