"""A root filesystem made elsewhere (`docker export`, a tarball of a chroot) as a base of this store.

Whoever may import a base is trusted with the server's account: the base's own Python compiles layers there.
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import TYPE_CHECKING

from cluster_interface.images import rootfs
from cluster_interface.images.base import Base
from cluster_interface.images.tree import Unsafe, inside
from cluster_interface.images.unpack import Limits, opened, unpack
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from pathlib import Path

    from cluster_interface.images.shelf import Shelf

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def take(shelf: Shelf, archive: Path, name: str, limits: Limits) -> Base:
    """Unpack, check and name a base; Rejected if the archive is no root filesystem that can be used."""
    if not _NAME.fullmatch(name):
        raise Rejected.field("name", f"{name[:80]!r}: write small letters, digits and ._- only, 64 at most")
    try:
        with archive.open("rb") as file:
            key = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Rejected.field("archive", f"{archive} cannot be read: {error.strerror}") from None
    place = shelf.base(key)
    with shelf.hold(key):
        if not place.is_dir():
            _unpack(shelf, archive, key, name, limits)
        made = Base.model_validate(shelf.read(place / "base.json")).model_copy(update={"name": name})
        shelf.write(shelf.note("names", name), made.model_dump(mode="json"), lasting=True)
    return made


def named(shelf: Shelf, name: str) -> Base | None:
    """Return the base that has this name; None if there is none, or it was removed."""
    if not _NAME.fullmatch(name) or (kept := shelf.read(shelf.note("names", name))) is None:
        return None
    base = Base.model_validate(kept)
    return base if shelf.base(base.key).is_dir() else None


def _unpack(shelf: Shelf, archive: Path, key: str, name: str, limits: Limits) -> None:
    with shelf.temporary(key) as home:
        target = home / "base"
        root = target / "rootfs"
        root.mkdir(parents=True)
        target.chmod(0o755)
        root.chmod(0o755)
        with opened(archive) as stream:
            size = unpack(stream, root, limits, leave_out=lambda entry: entry.startswith("dev/"))
        if inside(root, "/bin/sh") is None:
            raise Rejected.field(
                "archive", "has no /bin/sh: it is not a root filesystem (of `docker export`, not `save`)"
            )
        rootfs.keep_bytecode(root, times_changed=False)
        try:
            python = rootfs.finish(root)
        except Unsafe as error:
            raise Rejected.field("archive", f"not taken: {error}") from None
        made = Base(key=key, name=name, interpreter=python, size=size, created=time.time())
        shelf.write(target / "base.json", made.model_dump(mode="json"))
        shelf.publish(target, shelf.base(key))
