"""`file:/path`: a directory of this site, below one that the site grants; written as the job's account.

Nothing on the way below that directory may be a link, whoever put it there.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent, Transient
from cluster_interface.staging.destinations.kinds import AtOnce
from cluster_interface.trees.beneath import NotBeneath, create_file, directory, look, remove, rename
from cluster_interface.trees.names import native

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cluster_interface.staging.destinations.kinds import Errand, Item


@dataclass(frozen=True)
class Directories:
    """Directories below the roots that the site grants."""

    roots: Sequence[Path]

    @contextmanager
    def opened(self, errand: Errand) -> Iterator[DirectoryPlace]:
        """Open the directory, made if it is not there. The calling thread acts as the job's account already."""
        to = errand.to
        root, below = below_root(to, self.roots)
        try:
            fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Permanent(f"{root} cannot be opened: {error.strerror}") from None
        try:
            with words_for(to), directory(fd, below, make=True) as home:
                yield DirectoryPlace(home, to)
        finally:
            os.close(fd)


@dataclass(frozen=True)
class DirectoryPlace(AtOnce):
    """A directory that is open."""

    home: int
    to: str

    def has(self, item: Item) -> bool:
        """Say whether a file of that size and time is there."""
        with words_for(self.to):
            seen = look(self.home, native(item.name))
        return seen is not None and (seen.st_size, int(seen.st_mtime)) == (item.output.size, item.mtime)

    def put(self, item: Item) -> None:
        """Write it beside its place, bring it to the disk, and rename it."""
        temporary = native(item.temporary)
        with words_for(self.to):
            remove(self.home, temporary)
            fd = create_file(self.home, temporary, (0o777 if item.output.executable else 0o666) & ~_UMASK)
            try:
                with os.fdopen(fd, "wb") as file:
                    for data in item.chunks():
                        file.write(data)
                    file.flush()
                    os.utime(fd, (item.mtime, item.mtime))
                    os.fsync(fd)
                rename(self.home, temporary, native(item.name))
            except BaseException:
                with suppress(OSError):
                    remove(self.home, temporary)
                raise


_UMASK = 0o027  #: a lab's directory lets the group in, or not: its own mode says so


def below_root(to: str, roots: Sequence[Path]) -> tuple[Path, str]:
    """Split `file:/path` into a granted root and what is below it; Permanent where none grants it."""
    path = to.partition(":")[2]
    path = f"/{path.lstrip('/')}"
    parts = Path(path).parts
    if ".." in parts:
        raise Permanent(f"{to}: `..` is not allowed in it")
    for root in roots:
        if parts[: len(root.parts)] == root.parts:
            return root, "/".join(parts[len(root.parts) :])
    granted = ", ".join(map(str, roots)) or "none"
    raise Permanent(f"{to} is not below a directory that this site lets jobs deliver into (it grants {granted})")


@contextmanager
def words_for(to: str) -> Iterator[None]:
    """Say in words what the system refuses at a place."""
    try:
        yield
    except NotBeneath as error:
        raise Permanent(f"{to}: {error}") from None
    except (PermissionError, NotADirectoryError, IsADirectoryError) as error:
        raise Permanent(f"{to}: {error.strerror}") from None
    except OSError as error:
        if error.errno == 40:
            raise Permanent(f"{to}: a part of the way is a link, and links are not followed") from None
        raise Transient(f"{to}: {error.strerror or error}") from None
