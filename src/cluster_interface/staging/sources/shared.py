"""`site:NAME[/path]`: the site's shared data, as its catalogue in the configuration lists them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.model.filetree import MOST_MEMBERS
from cluster_interface.staging.sources.files import open_regular
from cluster_interface.staging.sources.kinds import Here, Member, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cluster_interface.settings import SharedData


@dataclass(frozen=True)
class Shared(Here):
    """The data that the site shares; opened as the job's account, if the catalogue lets its owner read them."""

    catalogue: Mapping[str, SharedData]

    def path(self, source: str, owner: str) -> Path:
        """Say where it lies on this machine; Permanent if there is no such thing, or not for `owner`."""
        name, _, below = source.partition(":")[2].partition("/")
        data = self.catalogue.get(name)
        if data is None or not data.may_read(owner):
            known = (
                ", ".join(f"site:{name}" for name, one in self.catalogue.items() if one.may_read(owner)) or "nothing"
            )
            raise unavailable(f"site:{name} is not among the data that this site shares with you ({known})")
        if ".." in below.split("/") or "\0" in below:
            raise unavailable(f"{source}: `..` is not allowed in a path")
        root, path = Path(os.path.realpath(data.path)), Path(os.path.realpath(data.path / below))
        if not path.is_relative_to(root):
            raise unavailable(f"{source} leads out of what the site shares")
        return path

    def descriptor(self, source: str, owner: str) -> int:
        """Open a file of it."""
        path = self.path(source, owner)
        if path.is_dir():
            raise unavailable(f"{source} is a directory; name a file in it, or give the entry a name that ends in /")
        return open_regular(str(path), source)

    def members(self, source: str, owner: str) -> Iterator[Member]:
        """List the files below a directory of it, through links to files; Permanent if there is anything else."""
        top = self.path(source, owner)
        if not top.is_dir():
            raise unavailable(f"{source} is not a directory")

        def refuse(error: OSError) -> None:
            raise unavailable(f"{source}: {error.filename}: {(error.strerror or 'cannot be read').lower()}")

        count = 0
        for above, directories, files in os.walk(top, onerror=refuse):
            directories.sort()
            if linked := next((name for name in directories if Path(above, name).is_symlink()), None):
                raise unavailable(f"{source}: {above}/{linked} is a link to a directory; name that one, or mount it")
            for name in sorted(files):
                path = Path(above, name)
                if not path.is_file():
                    raise unavailable(
                        f"{source}: {path} is no file, nor a link to one; name what is wanted, or mount it"
                    )
                count += 1
                if count > MOST_MEMBERS:
                    raise unavailable(f"{source} holds more than {MOST_MEMBERS:,} files; mount it instead")
                inside = path.relative_to(top).as_posix()
                seen = path.stat()
                yield Member(
                    path=inside,
                    source=f"{source.rstrip('/')}/{inside}",
                    size=seen.st_size,
                    executable=bool(seen.st_mode & 0o100),
                )
