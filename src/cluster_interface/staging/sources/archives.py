"""`SOURCE!/member`: one file of a zip or a tar, or what is below a directory of it, wherever the archive is.

Nothing is unpacked: the bytes of a member go straight into the job's inputs. What is in archives is read by
`trees.opening`; a compressed tar is written out plainly the first time that a process needs it.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Self

from cluster_interface.model.filetree import IN_ARCHIVE
from cluster_interface.model.resources import show_bytes
from cluster_interface.staging.parts import CHUNK
from cluster_interface.staging.sources.kinds import HASH_BELOW, Found, Member, unavailable
from cluster_interface.trees.archives import BROKEN, Archive, Unfit, split, words
from cluster_interface.trees.opening import open_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.sources.kinds import Kind

MOST_HASHED = 512  #: members of one archive that are read for their checksums before they are staged


@dataclass(frozen=True)
class Members:
    """Members of archives of every other kind of source."""

    kind_of: Callable[[str], Kind]
    limit: int
    _open: dict[tuple[str, str], Archive] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the archives that were read."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def measure(self, source: str, owner: str) -> Found:
        """Look its size up, and read it for its checksum where it is small."""
        archive, name = self._find(source, owner)
        size = archive.sizes[name]
        return Found(size=size, sha256=_checksum(archive, name) if size <= HASH_BELOW else None)

    def bring(self, source: str, owner: str, part: Part, sha256: str | None) -> None:
        """Read it from the archive."""
        del sha256
        part.restart()
        archive, name = self._find(source, owner)
        part.check_limit(archive.sizes[name])
        with _reading(name), archive.read(name) as file:
            while data := file.read(CHUNK):
                part.write(data)
                if part.size > archive.sizes[name]:
                    break
        if part.size != archive.sizes[name]:
            raise unavailable(f"{name} has not the {archive.sizes[name]} bytes that the archive says")

    def open(self, source: str, owner: str, sha256: str | None, limit: int) -> int:
        """Refuse: archives in archives are not read."""
        del owner, sha256, limit
        raise unavailable(f"{source}: an archive inside another is not looked into; unpack the outer one first")

    def members(self, source: str, owner: str) -> Iterator[Member]:
        """List what is below a directory of the archive, or all; the checksums of small files, where they are few.

        Permanent if something of it could not be had: what is not said to be left out is there.
        """
        outer, below = _must_split(source)
        archive = self.opened(outer, owner)
        try:
            start, names = archive.below(below)
        except Unfit as error:
            raise unavailable(f"{outer} {error}") from None
        if sum(archive.sizes.get(name, 0) for name in names) > self.limit:
            raise unavailable(f"{source} holds more than this site takes for one input, {show_bytes(self.limit)}")
        for name in names:
            path = name[len(start) :]
            if name not in archive.sizes:
                yield Member(path=path, source="", size=0, target=archive.links.get(name))
                continue
            small = len(names) <= MOST_HASHED and archive.sizes[name] <= HASH_BELOW
            yield Member(
                path=path,
                source=f"{outer}{IN_ARCHIVE}{name}",
                size=archive.sizes[name],
                sha256=_checksum(archive, name) if small else None,
                executable=bool(archive.modes[name] & 0o100),
            )

    def _find(self, source: str, owner: str) -> tuple[Archive, str]:
        outer, name = _must_split(source)
        archive = self.opened(outer, owner)
        try:
            archive.must_have(name)
        except Unfit as error:
            raise unavailable(f"{outer}: {error}") from None
        return archive, name

    def opened(self, outer: str, owner: str) -> Archive:
        """Open an archive, which stays open until `close`."""
        key = (owner, outer)
        with self._lock:
            if key not in self._open:
                file = os.fdopen(self.kind_of(outer).open(outer, owner, None, self.limit), "rb")
                try:
                    self._open[key] = open_archive(file, self.limit)
                except Unfit as error:
                    raise unavailable(f"{outer} {error}") from None
            return self._open[key]


def _checksum(archive: Archive, name: str) -> str:
    digest = hashlib.sha256()
    with _reading(name), archive.read(name) as file:
        while data := file.read(CHUNK):
            digest.update(data)
    return digest.hexdigest()


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise unavailable(f"{name} cannot be read from the archive: {words(error)}") from None


def _must_split(source: str) -> tuple[str, str]:
    found = split(source)
    if found is None:
        raise unavailable(f"{source} names no member of an archive")
    return found
