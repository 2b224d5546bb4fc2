"""Directories of this machine as sources: copied or linked file by file, or mounted where they are.

All of it runs with the job account's identity. What a plan holds of such a directory is its manifest: one checksum
over the paths, kinds, sizes and times of all that is in it. Staging looks again, and stops if that has changed.
"""

from __future__ import annotations

import errno
import heapq
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent, Rejected
from cluster_interface.model.filenames import check_links, check_name
from cluster_interface.model.filetree import MOST_MEMBERS, FileEntry, Mode, is_local, lacking, mounted_at
from cluster_interface.model.plan import SourceInfo
from cluster_interface.ports import Listed
from cluster_interface.staging.manifests import Manifest, target_of, unavailable
from cluster_interface.staging.opened import Opened
from cluster_interface.staging.sources.files import place_of
from cluster_interface.trees.names import native, portable
from cluster_interface.trees.walking import Entry, Kind, kind_of, walk

if TYPE_CHECKING:
    from cluster_interface.settings import FileRules

_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)


@dataclass(frozen=True)
class Directories:
    """Looks at directories, and lists and opens what is in them. `workspace` is where the jobs' own are."""

    rules: FileRules
    workspace: Path

    def measure(self, path: str, entry: FileEntry, place: Path | None = None) -> SourceInfo:
        """Make the manifest of one entry's directory and check what the entry requires; Permanent in words.

        `place` is where the site's own catalogue says that it lies, which may be mounted wherever that is.
        """
        source = entry.source or ""
        with _opened(f"file:{place}" if place else source) as root:
            real = _real(root)
            if _inside(self.workspace, real):
                raise unavailable(f"{real} holds the jobs' own directories: the tree would hold itself")
            if entry.mode is Mode.MOUNT:
                _must_be_plain(real, source)
                if place is None:
                    self._may_be_mounted(source, real, entry)
                elif entry.writable or self.rules.is_containers_own(real):
                    why = "to be written" if entry.writable else f"from {real}: a container has its own there"
                    raise unavailable(f"{source} cannot be mounted {why}")
            if entry.writable:
                _must_be_writable(root, real)
                return SourceInfo(path=path, source=source, mount=str(real))
            manifest = self._manifest(root, entry)
        if problem := lacking(entry.require, manifest.names):
            raise unavailable(f"{problem} in {real}")
        return SourceInfo(
            path=path,
            source=source,
            size=manifest.size,
            entries=manifest.entries,
            manifest=manifest.sha256,
            listing=manifest.listing,
            mount=str(real) if entry.mode is Mode.MOUNT else None,
        )

    def open(self, info: SourceInfo, entry: FileEntry) -> Opened:
        """Open a directory again and compare it with the plan; Permanent in words if it is another by now."""
        found = _opened(info.source if is_local(info.source) else f"file:{info.mount}")
        try:
            found.entries = self._must_agree(found.root, info, entry)
        except BaseException:
            found.close()
            raise
        return found

    def _must_agree(self, root: int, info: SourceInfo, entry: FileEntry) -> list[Entry]:
        if info.mount is not None and info.mount != str(_real(root)):
            raise unavailable(f"{info.source} leads to {_real(root)} now, not to {info.mount} as planned")
        if info.manifest is None:
            return [] if info.mount is not None else list(walk(root))
        manifest = self._manifest(root, entry, keep=info.mount is None)
        if manifest.sha256 != info.manifest:
            raise unavailable(
                f"{info.source} changed since this was planned: {info.entries} entries with {info.size} bytes then, "
                f"{manifest.entries} with {manifest.size} bytes now, the newest {manifest.newest!r}; submit it again"
            )
        return manifest.kept

    def _may_be_mounted(self, source: str, real: Path, entry: FileEntry) -> None:
        """A path must be below a root as it is written, which is where it is seen inside, and where it leads."""
        roots = self.rules.roots(writable=entry.writable)
        named = Path(file_path(source))
        allowed = [Path(os.path.realpath(root)) for root in roots]
        if not any(_inside(named, root) for root in roots):
            raise unavailable(self.rules.refusal(str(named), writable=entry.writable))
        if not any(_inside(real, root) for root in allowed):
            raise unavailable(f"{named} leads to {real}. {self.rules.refusal(str(real), writable=entry.writable)}")

    def _manifest(self, root: int, entry: FileEntry, *, keep: bool = False) -> Manifest:
        mounted = entry.mode is Mode.MOUNT
        made = Manifest(keep=keep, keep_names=bool(entry.require), listed=mounted)
        links: dict[str, str] = {}
        device = os.fstat(root).st_dev
        for found in walk(root):
            made.add(root, found)
            if found.kind is Kind.OTHER:
                raise unavailable(f"{portable(found.path)!r} in it is a fifo, a socket or a device")
            if made.entries > (self.rules.max_entries if mounted else MOST_MEMBERS):
                most = self.rules.max_entries if mounted else MOST_MEMBERS
                raise unavailable(f"holds more than {most:,} entries{'' if mounted else '; mount it instead'}")
            if mounted:
                if found.kind is Kind.DIRECTORY and found.device != device:
                    words = "in it is another filesystem, which would not be read-only; mount it as an entry of its own"
                    raise unavailable(f"{portable(found.path)!r} {words}")
                continue
            if found.kind is Kind.UNREADABLE:
                raise unavailable(f"{portable(found.path)!r} in it cannot be read: permission denied, or too deep")
            _must_have_a_name(found)
            if found.kind is Kind.LINK:
                links[portable(found.path)] = portable(target_of(root, found.path))
        try:
            check_links(links)
        except ValueError as error:
            raise unavailable(f"cannot be copied: {error}") from None
        return made


def list_directory(path: str, after: str, limit: int) -> tuple[list[Listed], str | None]:
    """List the entries of a directory whose names come after `after`; Rejected in words if it cannot be read."""
    if not path.startswith("/") or "\0" in path:
        raise Rejected.field("path", "write an absolute path of the server")
    try:
        real = place_of(native(path))
        with os.scandir(real) as entries:
            names = heapq.nsmallest(
                limit + 1, (entry.name for entry in entries if portable(entry.name) > after), portable
            )
        listed = [one for name in names[:limit] if (one := _listed(real, name))]
    except Permanent as error:
        raise Rejected.field("path", str(error)) from None
    except OSError as error:
        raise Rejected.field("path", f"{path[:200]}: {(error.strerror or 'cannot be read').lower()}") from None
    return listed, portable(names[limit - 1]) if len(names) > limit else None


def _listed(path: str, name: str) -> Listed | None:
    try:
        seen = os.lstat(os.path.join(path, name))  # noqa: PTH118 - of bytes that need not be text
    except FileNotFoundError:
        return None
    return Listed(name=portable(name), kind=kind_of(seen.st_mode), size=seen.st_size, modified=seen.st_mtime)


def _must_be_plain(real: Path, source: str) -> None:
    """Runtimes have their lists of mounts in words that some signs would take apart."""
    if any(sign in f"{real}{source.partition(':')[2]}" for sign in ',:"\\\n'):
        raise unavailable(f"{source} has a comma, colon, quote, backslash or line break in it and cannot be mounted")


def _opened(source: str) -> Opened:
    path = file_path(source)
    try:
        return Opened(os.open(place_of(native(path)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        raise unavailable(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None


def file_path(source: str) -> str:
    """Return the absolute path of `file:/path` without a trailing slash; Permanent if it is none, or has `..`."""
    rest = source.removeprefix("file:")
    if not rest.startswith("/") or (rest.startswith("//") and rest[2:3] != "/") or {"..", "."} & set(rest.split("/")):
        raise unavailable(f"{source!r}: write an absolute path of this machine, such as file:/data/ada/raw")
    return mounted_at(source)


def _real(root: int) -> Path:
    return Path(os.readlink(f"/proc/self/fd/{root}"))  # noqa: PTH115 - of a descriptor, and only its text


def _inside(path: Path, root: Path) -> bool:
    return path.is_relative_to(root)


def _must_have_a_name(entry: Entry) -> None:
    try:
        check_name(portable(entry.path))
    except ValueError as error:
        raise unavailable(str(error)) from None


def _must_be_writable(root: int, path: Path) -> None:
    try:
        os.close(os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=root))
    except OSError as error:
        if error.errno not in _NO_TMPFILE:
            raise unavailable(f"{path} cannot be written: {(error.strerror or '').lower()}") from None
