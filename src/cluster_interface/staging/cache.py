"""What was fetched once: kept by checksum and by address, so that many jobs on one data set download it once.

<cache>/index.db                     which bytes are whole, and what lies at which address (see index.py)
        <space>/data/<sha256>        the bytes, the server's own; jobs are given second names of them (hard links).
                incoming/<key>       bytes on their way; locked by who fetches them, taken up by the next if it dies

Two people never learn of each other through it. The space `public` holds what anybody could fetch from here: it came
without a credential from an address without a query (which may be a secret itself). All else is in a space of its
owner's. A hit by checksum alone is possible within one space only, so knowing a checksum proves nothing and gains
nothing. What the bytes are is believed only while size and time are those of when they were verified; small ones are
not written to the disk before they are noted, so they are read again each time.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import time
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent
from cluster_interface.model.state import FailureCode
from cluster_interface.staging.acting import as_the_server
from cluster_interface.staging.index import Index, Kept, Named
from cluster_interface.staging.parts import CHUNK, NO_LINK, forget, part
from cluster_interface.staging.spaces import Spaces, alone, open_bytes, read_bytes, use
from cluster_interface.trees.beneath import parent, remove, rename

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from cluster_interface.staging.parts import Part
    from cluster_interface.trees.beneath import At

PUBLIC = "public"
PLACING = "placing"  #: the lock under which bytes get their place
_TRIES = 3
_PRUNED = "was removed from the cache again and again; make staging.cache_bytes larger"

SHARE = 100  #: part of its bound that a process adds before it prunes
SMALL = 2**20  #: bytes of a file for which the disk is not waited for


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What is fetched: an address, what tells its present version, and whether anybody could fetch it."""

    address: str
    validator: str | None = None  #: ETag, date, commit, checksum …: the same one means the same bytes
    owner: str | None = None  #: whose alone it is; None: anybody may share it

    @property
    def space(self) -> str:
        """The part of the cache it belongs to."""
        return PUBLIC if self.owner is None else f"of-{_key(self.owner)}"


class Cache:
    """Files by checksum below one directory, at most `most` bytes of them."""

    def __init__(self, root: Path, most: int) -> None:
        self._spaces = Spaces(root)
        self._most = most
        self._index = Index(root / "index.db")
        self._added = 0  #: bytes since it was pruned

    def named(self, origin: Origin) -> Named | None:
        """Say what was last fetched from an address, whether or not it is still there."""
        with as_the_server():
            self._spaces.make(origin.space)
            return self._index.named(origin.space, _key(origin.address))

    def last(self, origins: Collection[Origin]) -> list[tuple[Named, Kept] | None]:
        """Say what was last fetched from many addresses, each with its bytes; None where they are not kept."""
        with as_the_server(), self._reading({origin.space for origin in origins}):
            found = []
            for origin in origins:
                named = self._index.named(origin.space, _key(origin.address))
                kept = self._whole(origin.space, named.sha256) if named else None
                found.append((named, kept) if named and kept else None)
            return found

    def find(self, origin: Origin, sha256: str | None = None) -> Kept | None:
        """Say what is kept of an origin, if it still has the bytes that came from its address."""
        with as_the_server():
            self._spaces.make(origin.space)
            return self._look(origin, sha256)

    def keep(self, origin: Origin, content: bytes) -> str:
        """Keep the bytes of a small file that was just fetched; return their checksum."""
        sha256 = hashlib.sha256(content).hexdigest()
        with as_the_server():
            self._spaces.make(origin.space)
            there = os.path.exists(self._spaces.place(origin.space, sha256))  # noqa: PTH110 - for thousands, as below
            kept = self._whole(origin.space, sha256) if there else None
            kept = kept or self._written(origin.space, sha256, content)
            self._note(kept, origin.address, origin.validator, now=False)
        return sha256

    def link(self, wanted: Collection[tuple[str, str, str]], home: At) -> list[Kept | None]:
        """Give many files second names below `home`, each by space, checksum and path; None where that cannot be."""
        with as_the_server(), self._reading({space for space, _, _ in wanted}):
            return [self._linked(space, sha256, home, path) for space, sha256, path in wanted]

    def give(self, origin: Origin, sha256: str | None, wanted: Part, fetch: Callable[[Part], None]) -> None:
        """Let `wanted` be what is at an origin: another name of the bytes kept here, or a copy of them.

        `fetch` brings them where they are not here; of many who want them at once one does, and the others wait.
        """
        for _ in range(_TRIES):  # it may be pruned between the finding and the linking
            with as_the_server():
                kept = self._found(origin, sha256, wanted.limit, wanted.say, fetch)
                wanted.check_limit(kept.size)
                place = self._spaces.place(kept.space, kept.sha256)
                with suppress(FileNotFoundError):
                    if wanted.adopt(place, kept.size, kept.sha256):
                        return
                    fd = open_bytes(place)
                    break
        else:
            raise _gone(_PRUNED)
        wanted.restart()
        with os.fdopen(fd, "rb", buffering=0) as file:
            while piece := file.read(CHUNK):
                wanted.write(piece)

    def open(self, origin: Origin, sha256: str | None, limit: int, fetch: Callable[[Part], None]) -> int:
        """Return a descriptor of what is at an origin."""
        for _ in range(_TRIES):
            with as_the_server():
                kept = self._found(origin, sha256, limit, lambda _: None, fetch)
                with suppress(FileNotFoundError):
                    return open_bytes(self._spaces.place(kept.space, kept.sha256))
        raise _gone(_PRUNED)

    def close(self) -> None:
        """Write down what is kept; prune it, if anything was added since."""
        with as_the_server():
            if self._added:
                self.prune()
            self._index.close()

    def prune(self) -> int:
        """Remove what was not used for longest until the rest is within the bound; return the bytes removed."""
        removed = self._added = 0
        with as_the_server():
            if self._index.total() <= self._most:
                return 0
            found = sorted(self._spaces.uses())
            total = sum(size for _, size, _, _ in found)
            gone = []
            for _, size, space, name in found[:-1]:  # the newest one is just wanted
                if total - removed <= self._most:
                    break
                self._spaces.remove(space, name)
                gone.append((space, name))
                removed += size
            self._index.forget(gone)
        return removed

    # --- finding

    def _found(
        self, origin: Origin, sha256: str | None, limit: int, say: Callable[[int], None], fetch: Callable[[Part], None]
    ) -> Kept:
        self._spaces.make(origin.space)
        kept = self._look(origin, sha256)
        if kept is None:
            asked = time.time_ns()
            with self._spaces.opened(origin.space) as space, alone(space, _key(origin.address), say):
                kept = self._look(origin, sha256, asked) or self._fetched(space, origin, limit, say, fetch)
        use(self._spaces.place(kept.space, kept.sha256))
        if self._added > self._most // SHARE:
            self.prune()
        return kept

    def _look(self, origin: Origin, sha256: str | None, since: int | None = None) -> Kept | None:
        """Find the bytes wanted: by their checksum, or as those of the address if it still has the same ones.

        What was fetched after `since` (nanoseconds) is the same even where nothing tells versions apart.
        """
        if sha256 is not None:
            return self._whole(origin.space, sha256)
        named = self._index.named(origin.space, _key(origin.address))
        if named is None:
            return None
        same = origin.validator is not None and named.validator == origin.validator
        fresh = since is not None and origin.validator is None and named.at_ns >= since
        return self._whole(origin.space, named.sha256) if same or fresh else None

    def _whole(self, space: str, sha256: str) -> Kept | None:
        """Return what is known of bytes that are here as they were; what somebody wrote to is not believed."""
        kept = self._index.kept(space, sha256)
        if kept is None:
            return None
        path = self._spaces.place(space, sha256)
        try:
            if kept.size <= SMALL:
                return kept if hashlib.sha256(read_bytes(path, SMALL)).hexdigest() == sha256 else None
            seen = os.lstat(path)
        except FileNotFoundError:
            return None
        return kept if (seen.st_size, seen.st_mtime_ns) == (kept.size, kept.mtime_ns) else None

    # --- bringing in, and giving out

    def _fetched(
        self, space: int, origin: Origin, limit: int, say: Callable[[int], None], fetch: Callable[[Part], None]
    ) -> Kept:
        """Fetch into a part that the next one takes up if this process dies; then keep it under its checksum."""
        incoming = f"incoming/{_key(origin.address)}"
        with part(space, incoming, limit, say) as fresh:
            fetch(fresh)
            fresh.finish(0o644, to_disk=fresh.size > SMALL)
            sha256, validator = fresh.sha256, fresh.note.get("validator") or origin.validator
        with alone(space, PLACING, lambda _: None):  # the same bytes may come from another address at this very moment
            kept = self._whole(origin.space, sha256)
            if kept is None:
                rename(space, incoming, f"data/{sha256}")
                seen = os.lstat(self._spaces.place(origin.space, sha256))
                kept = Kept(origin.space, sha256, seen.st_size, seen.st_mtime_ns)
            self._note(kept, origin.address, validator, now=True)
        forget(space, incoming)
        self._added += kept.size
        return kept

    def _written(self, space: str, sha256: str, content: bytes) -> Kept:
        """Write a small file and give it its place whole; the disk is not waited for."""
        temporary = self._spaces.incoming(space, secrets.token_hex(16))
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb", buffering=0) as file:
            left = memoryview(content)
            while left:
                left = left[file.write(left) :]
            os.fchmod(fd, 0o644)
            seen = os.fstat(fd)
        os.rename(temporary, self._spaces.place(space, sha256))  # noqa: PTH104 - for thousands: a Path costs as much as this
        self._added += len(content)
        return Kept(space, sha256, seen.st_size, seen.st_mtime_ns)

    def _linked(self, space: str, sha256: str, home: At, path: str) -> Kept | None:
        kept = self._whole(space, sha256)
        if kept is None:
            return None
        place = self._spaces.place(space, sha256)
        try:
            with parent(home, path) as (above, last):
                try:
                    os.link(place, last, dst_dir_fd=above, follow_symlinks=False)
                except FileExistsError:
                    remove(home, path)
                    os.link(place, last, dst_dir_fd=above, follow_symlinks=False)
        except OSError as error:
            if error.errno in (*NO_LINK, errno.ENOENT):
                return None
            raise
        use(place)
        return kept

    def _note(self, kept: Kept, address: str, validator: str | None, *, now: bool) -> None:
        self._index.note(kept, Named(kept.space, _key(address), kept.sha256, validator, time.time_ns()), now=now)

    @contextmanager
    def _reading(self, spaces: Collection[str]) -> Iterator[None]:
        """Look many things up in spaces, if there are any."""
        for space in spaces:
            self._spaces.make(space)
        with self._index.reading() if spaces else nullcontext():
            yield


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _gone(message: str) -> Permanent:
    return Permanent(message, code=FailureCode.INPUT_UNAVAILABLE)
