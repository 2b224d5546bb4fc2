"""What is in a zip or a tar, by name, and the bytes of its files. Nothing is unpacked on the way.

Members are what a tree can have: regular files, directories and links. Whatever else is there (names that lead out,
devices, what is encrypted …) is named in `odd` with the reason, so that nobody leaves it out unsaid.
"""

from __future__ import annotations

import lzma
import re
import tarfile
import zipfile
from typing import IO, TYPE_CHECKING
from zlib import error as ZlibError  # noqa: N812 - it is an exception

from cluster_interface.model.filenames import check_name
from cluster_interface.model.filetree import IN_ARCHIVE, MOST_MEMBERS
from cluster_interface.trees.names import portable

if TYPE_CHECKING:
    from collections.abc import Iterator


MOST_NAMED = 3  #: odd members that a message names

#: what reading a damaged archive raises
BROKEN = (zipfile.BadZipFile, tarfile.TarError, EOFError, ZlibError, lzma.LZMAError, NotImplementedError, OSError)

_ARCHIVE = re.compile(r"(?i)(\.zip|\.tar|\.tar\.(gz|bz2|xz)|\.tgz|\.tbz2|\.txz)$")


class Unfit(ValueError):
    """An archive, or a member of one, that cannot be used: its text says why."""


def split(source: str) -> tuple[str, str] | None:
    """Split the source of a member into the archive's and the member's name; None if it is no such source.

    Whatever precedes `!/` must be named like an archive, or be an upload or a repository, so that names with `!/` in
    them elsewhere stay what they are.
    """
    for outer, member in splits(source):
        if _ARCHIVE.search(outer) or outer.startswith(("upload:", "git:")):
            return outer, member
    return None


def splits(text: str) -> Iterator[tuple[str, str]]:
    """Yield every way to split a text at `!/`, from the left."""
    at = text.find(IN_ARCHIVE)
    while at >= 0:
        yield text[:at], text[at + len(IN_ARCHIVE) :]
        at = text.find(IN_ARCHIVE, at + 1)


class Archive:
    """An archive that is open: what it holds, and how a file of it is read (by several threads at once)."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sizes: dict[str, int] = {}  #: of the files, bytes
        self.modes: dict[str, int] = {}  #: of the files
        self.links: dict[str, str] = {}  #: name -> target
        self.directories: set[str] = set()  #: that have an entry of their own
        self.odd: dict[str, str] = {}  #: what no tree can have -> why

    def read(self, name: str) -> IO[bytes]:
        """Open a file of it."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def names(self) -> list[str]:
        """List the files and links, and the directories (ending in `/`) that hold none, in order."""
        found = [*self.sizes, *self.links]
        above = {name[: at + 1] for name in found for at, sign in enumerate(name) if sign == "/"}
        return sorted([*found, *(f"{name}/" for name in self.directories if f"{name}/" not in above)])

    def below(self, path: str) -> tuple[str, list[str]]:
        """Return how the names below a directory begin, and these; Unfit if there are none or some cannot be taken."""
        start = f"{path.strip('/')}/" if path.strip("/") else ""
        odd = {name: why for name, why in self.odd.items() if name.startswith(start)}
        if odd:
            named = "; ".join(f"{portable(name)[:200]!r} {why}" for name, why in [*odd.items()][:MOST_NAMED])
            more = f" and {len(odd) - MOST_NAMED:,} more" if len(odd) > MOST_NAMED else ""
            advice = "Name the files that are wanted, or a directory of it without these"
            raise Unfit(f"cannot be taken whole: {named}{more}. {advice}")
        names = [name for name in self.names() if name.startswith(start) and name != start]
        if not names and path.strip("/") not in self.directories:
            raise Unfit(f"holds no files below {path or 'its top'}")
        return start, names

    def must_have(self, name: str) -> None:
        """Raise Unfit, saying what there is instead, if it has no file of that name."""
        if name in self.sizes:
            return
        if name in self.odd:
            raise Unfit(f"{name[:200]!r} in it {self.odd[name]}")
        if name in self.links:
            raise Unfit(f"{name!r} in it is a link to {self.links[name]!r}; name that one")
        if name.strip("/") in self.directories or any(one.startswith(f"{name.strip('/')}/") for one in self.sizes):
            raise Unfit(f"{name!r} in it is a directory; it needs a name that ends in /")
        near = ", ".join(sorted(self.sizes)[:5]) or "nothing"
        raise Unfit(f"has no file {name!r} in it; it has {near}{' …' if len(self.sizes) > 5 else ''}")

    def _add(self, name: str, size: int, mode: int) -> bool:
        if not self._fits(name):
            return False
        self._forget(name)
        self.sizes[name], self.modes[name] = size, mode
        return True

    def _add_link(self, name: str, target: str) -> None:
        if self._fits(name):
            self._forget(name)
            self.links[name] = target

    def _add_directory(self, name: str) -> None:
        name = name.rstrip("/")
        if name not in ("", ".") and self._fits(name):
            self.directories.add(name)

    def _forget(self, name: str) -> None:
        """What comes later in an archive is in the place of what had the same name."""
        self.sizes.pop(name, None)
        self.links.pop(name, None)

    def _fits(self, name: str) -> bool:
        """Note a member whose name no tree could have as odd."""
        if len(self.sizes) + len(self.links) + len(self.directories) + len(self.odd) >= MOST_MEMBERS:
            raise Unfit(f"has more than {MOST_MEMBERS:,} files in it")
        try:
            check_name(name)
        except ValueError:
            self.odd[name] = _why(name)
        else:
            return True
        return False


def _why(name: str) -> str:
    if name.startswith("/"):
        return "has an absolute name"
    if ".." in name.split("/"):
        return "has `..` in its name"
    return "has a name that no file of a job can have" if name else "has no name"


def words(error: BaseException) -> str:
    """Say in words what reading an archive raised."""
    return str(error).rstrip(".") or type(error).__name__
