"""One directory of this machine, open: its files copied, or given second names, only as they were listed.

All of it runs with the job account's identity.
"""

from __future__ import annotations

import hashlib
import os
import stat
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

from cluster_interface.model.errors import ClusterError, Permanent
from cluster_interface.model.filetree import FileEntry, Mode
from cluster_interface.model.resources import show_bytes
from cluster_interface.staging.acting import identity
from cluster_interface.staging.inputs import INPUTS
from cluster_interface.staging.manifests import target_of, unavailable
from cluster_interface.staging.sources import naming
from cluster_interface.trees.beneath import Kept, look, open_file, parent, remove
from cluster_interface.trees.names import portable
from cluster_interface.trees.walking import Entry, Kind
from cluster_interface.trees.writing import write_new

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cluster_interface.model.plan import SourceInfo
    from cluster_interface.staging.parts import Part
    from cluster_interface.trees.beneath import At

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Opened:
    """A directory of this machine, open."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.entries: list[Entry] = []  #: as they were compared with the plan
        self._kept = Kept(root)

    def __enter__(self) -> int:
        return self.root

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        self._kept.close()
        os.close(self.root)

    def members(self, info: SourceInfo, entry: FileEntry) -> Iterator[tuple[str, FileEntry, Entry]]:
        """Yield what is in it as entries of the job's own tree, in order; those that are alike are one object."""

        @cache
        def alike(permissions: int, mode: Mode) -> FileEntry:
            return FileEntry.model_construct(mode=mode, permissions=f"{permissions:04o}")

        for found in self.entries:
            path = info.path + found.path
            if found.kind is Kind.DIRECTORY:
                yield f"{path}/", alike(found.mode & 0o777, Mode.AUTO), found
            elif found.kind is Kind.LINK:
                yield path, FileEntry.model_construct(target=target_of(self.root, found.path)), found
            else:
                yield path, alike(found.mode & 0o777, entry.mode), found

    def place(self, files: Sequence[Entry], home: Kept, top: str, *, linked: bool) -> list[tuple[str, int]]:
        """Bring small files to their places below `top` in inputs/ at once; return each one's checksum and time.

        `linked`: by second names, without a checksum, where that can be. Permanent if one is not that of the manifest.
        """
        account = identity()
        own = account.uid if account else os.geteuid()  # others' files cannot be linked
        brought = []
        for inner, siblings in groupby(files, lambda entry: entry.path.rpartition("/")[0]):
            above = f"{INPUTS}/{top}{inner}".removesuffix("/")
            begin = len(inner) + 1 if inner else 0  #: of the name in the path
            place = home.opened(above, make=True)
            for entry in siblings:
                name = entry.path[begin:]
                seen, sha256 = None, ""
                try:
                    if linked and entry.uid == own:
                        seen = self.link(entry, home, f"{above}/{name}")
                    if seen is None:
                        data = self._read(inner, name, entry)
                        sha256 = hashlib.sha256(data).hexdigest()
                        seen = write_new(place, name, data, entry.mode & 0o777)
                except ClusterError:
                    with naming(portable(top + entry.path)):
                        raise
                brought.append((sha256, seen.st_mtime_ns))
        return brought

    def _read(self, above: str, name: str, entry: Entry) -> bytes:
        try:
            fd = os.open(name, _READ, dir_fd=self._kept.opened(above, make=False))
        except OSError as error:
            raise _unreadable(error) from None
        try:
            data = os.read(fd, entry.size + 1)
            seen = os.fstat(fd)
        except (IsADirectoryError, BlockingIOError):
            raise _changed(entry) from None
        finally:
            os.close(fd)
        if len(data) != entry.size or _is_another(seen, entry):
            raise _changed(entry)
        return data

    def bring(self, entry: Entry, part: Part) -> None:
        """Copy one file; Permanent if it is not the one of the manifest, or changes meanwhile."""
        part.restart()
        try:
            fd = open_file(self._kept, entry.path)
        except OSError as error:
            raise _unreadable(error) from None
        with os.fdopen(fd, "rb", buffering=0):
            part.check_limit(entry.size)
            part.take(fd, entry.size)
            seen = os.fstat(fd)
        if part.size != entry.size or _is_another(seen, entry):
            raise _changed(entry)

    def link(self, entry: Entry, home: At, path: str) -> os.stat_result | None:
        """Give one file a second name in the job's directory and return what it is; None where that cannot be.

        The kernel lets an account do so with what is its own, on one filesystem.
        """
        with parent(self._kept, entry.path) as (above, name), parent(home, path, make=True) as (place, last):
            for _ in range(2):
                try:
                    os.link(name, last, src_dir_fd=above, dst_dir_fd=place, follow_symlinks=False)
                    break
                except FileExistsError:  # left by a kill
                    remove(home, path)
                except OSError:
                    return None
        seen = look(home, path)
        if seen is None or _is_another(seen, entry):
            raise unavailable("changed since this was planned; submit it again")
        return seen


def _is_another(seen: os.stat_result, entry: Entry) -> bool:
    return not stat.S_ISREG(seen.st_mode) or (seen.st_size, seen.st_mtime_ns) != (entry.size, entry.mtime_ns)


def _unreadable(error: OSError) -> Permanent:
    return unavailable(f"cannot be read: {(error.strerror or str(error)).lower()}")


def _changed(entry: Entry) -> Permanent:
    return unavailable(f"changed while it was read ({show_bytes(entry.size)} at first); submit again")
