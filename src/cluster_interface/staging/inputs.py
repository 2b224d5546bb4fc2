"""inputs/ of a job: every file fetched under a temporary name, verified, and only then moved into place.

What is in place is noted in `inputs.jsonl`, a line for all that reached the disk together: a kill at any moment costs
at most bringing the last small files again, or the verification of one large one. Many small files are written to the
disk together, and while the next ones are brought. The temporary names lie
in `incoming/`, which no container sees.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple

from cluster_interface.model.errors import Permanent
from cluster_interface.model.state import FailureCode
from cluster_interface.staging.cache import SMALL
from cluster_interface.staging.parts import LARGE, forget, part, sync_filesystem
from cluster_interface.staging.sources import naming
from cluster_interface.trees.beneath import look, open_file, parent, remove, rename

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.model.plan import SourceInfo
    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.sources import Sources
    from cluster_interface.trees.beneath import At, Kept

COMMON = 0o644  #: permissions of most inputs
INCOMING = "incoming"
INPUTS = "inputs"
RECORD = "inputs.jsonl"
FEW = 32  #: files that are written to the disk one by one: all that others have on it would take longer
MANY = 2_000  #: small files that are enough to begin writing to the disk while others are brought
SETTLE_EVERY = 5.0  #: seconds of work after which fewer are


class Staged(NamedTuple):
    """One file in place, as it was when it was verified."""

    path: str
    source: str
    size: int
    sha256: str
    mtime_ns: int
    mode: int  #: permissions


def recorded(home: At) -> dict[str, Staged]:
    """Read what is noted as in place: path -> file; a line that a kill cut short is left out."""
    try:
        fd = open_file(home, RECORD)
    except FileNotFoundError:
        return {}
    found = {}
    with os.fdopen(fd, encoding="utf-8", errors="replace") as file:
        for line in file:
            with suppress(ValueError, TypeError):
                noted = json.loads(line)
                for staged in [Staged(*one) for one in noted] if isinstance(noted, list) else [Staged(**noted)]:
                    found[staged.path] = staged
    return found


class Inputs:
    """Brings files into inputs/ of the job directory `home`."""

    def __init__(self, home: Kept, sources: Sources, limit: int, owner: str = "") -> None:
        self._owner = owner
        self._home = home
        self._sources = sources
        self.limit = limit
        self._known = recorded(home)
        self._lock = RLock()
        self._unsettled: dict[str, Staged] = {}  #: what is in place but not in the record yet
        self._large = False  #: one of them would be long to verify again
        self._settled = time.monotonic()
        self._pool = ThreadPoolExecutor(2)  # the last of it need not wait for what is before it
        self._syncing: deque[tuple[Future[None], list[Staged]]] = deque()  #: what is on its way to the disk

    def has(self, info: SourceInfo, entry: FileEntry) -> bool:
        """Say whether the file is in place, unchanged since it was verified against this very source."""
        return self.holds(info.path, info.source, entry.bits(), info.size, info.sha256)

    def holds(self, path: str, source: str, mode: int, size: int | None, sha256: str | None = None) -> bool:
        """Say the same of what is not an entry of the plan, but in one."""
        staged = self._known.get(path)
        if staged is None or (staged.source, staged.mode) != (source, mode):
            return False
        if sha256 not in (None, staged.sha256) or size not in (None, staged.size):
            return False
        seen = look(self._home, f"{INPUTS}/{path}")
        return seen is not None and (seen.st_size, seen.st_mtime_ns) == (staged.size, staged.mtime_ns)

    def bring(
        self,
        info: SourceInfo,
        entry: FileEntry,
        moved: Callable[[int], None],
        fetch: Callable[[Part], None] | None = None,
    ) -> int:
        """Fetch, verify and move one file into place; return its size. `moved(n)` is told how many bytes are there.

        `fetch` brings the bytes of what is not a source of its own, but in one.
        """
        temporary = f"{INCOMING}/{hashlib.sha256(os.fsencode(info.path)).hexdigest()[:32]}"
        with naming(info.path), part(self._home, temporary, self.limit, moved) as incoming:
            incoming.alone = entry.bits() != COMMON  # others' has other permissions
            if fetch:
                fetch(incoming)
            else:
                self._sources.fetch(info, entry, incoming, self._owner)
            try:
                _must_be_as_planned(info, incoming.size, incoming.sha256)
            except Permanent:
                forget(self._home, temporary)
                raise
            incoming.finish(entry.bits(), to_disk=incoming.size > LARGE)
            rename(self._home, temporary, f"{INPUTS}/{info.path}")
            self._note(info, entry, incoming.size, incoming.sha256)
        if incoming.left:
            forget(self._home, temporary)
        return incoming.size

    def take(self, files: Sequence[tuple[SourceInfo, FileEntry]]) -> list[int | None]:
        """Give files that the cache has by their checksums second names, many at once; return the sizes.

        None where that cannot be, and nothing was done: what has other permissions, what must be fetched.
        """
        able = [info for info, entry in files if info.sha256 and entry.bits() == COMMON]
        for above in {f"{INPUTS}/{info.path}".rpartition("/")[0] for info in able}:
            self._home.opened(above, make=True)
        linked = self._sources.link(able, self._owner, self._home, INPUTS)
        found = {info.path: kept for info, kept in zip(able, linked, strict=True)}
        staged = []
        for info in able:
            kept = found[info.path]
            if kept is None:
                continue
            if info.size in (None, kept.size) and kept.size <= self.limit:
                staged.append(Staged(info.path, info.source, kept.size, kept.sha256, kept.mtime_ns, COMMON))
            else:
                remove(self._home, f"{INPUTS}/{info.path}")  # whoever brings it says what is wrong
        self.note([one for one in staged if one.size <= SMALL])
        if lasting := [one for one in staged if one.size > SMALL]:  # the cache has seen to it that they are on the disk
            self._known.update((one.path, one) for one in lasting)
            self._append(json.dumps(lasting))
        sizes = {one.path: one.size for one in staged}
        return [sizes.get(info.path) for info, _ in files]

    def link(self, info: SourceInfo, entry: FileEntry, make: Callable[[str], bool]) -> bool:
        """Have `make(path)` give a file of this filesystem a second name among the inputs; False if it cannot."""
        path = f"{INPUTS}/{info.path}"
        with naming(info.path):
            remove(self._home, path)
            if not make(path):
                return False
            with os.fdopen(open_file(self._home, path), "rb") as file:
                size, sha256 = os.fstat(file.fileno()).st_size, info.sha256 or ""
                if info.sha256 is not None:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            try:
                _must_be_as_planned(info, size, sha256)
            except Permanent:
                remove(self._home, path)
                raise
            self._note(info, entry, size, sha256)
        return True

    def _note(self, info: SourceInfo, entry: FileEntry, size: int, sha256: str) -> None:
        seen = look(self._home, f"{INPUTS}/{info.path}")
        if seen is None:
            raise Permanent("was removed while the inputs were staged", code=FailureCode.INPUT_UNAVAILABLE)
        staged = Staged(
            path=info.path,
            source=info.source,
            size=size,
            sha256=sha256,
            mtime_ns=seen.st_mtime_ns,
            mode=entry.bits(),
        )
        self.note([staged])

    def note(self, files: Iterable[Staged]) -> None:
        """Note files that are in place and verified, for when they are on the disk."""
        with self._lock:
            for staged in files:
                self._known[staged.path] = self._unsettled[staged.path] = staged
                self._large = self._large or staged.size > LARGE
            late = time.monotonic() - self._settled > SETTLE_EVERY
            if late or self._large or len(self._unsettled) >= MANY:
                self._record_synced()
                if not self._syncing:
                    self._settle()

    def begin_to_settle(self) -> None:
        """Say that all is in place: the last of it may go to the disk while something else is done."""
        with self._lock:
            if len(self._unsettled) > FEW:
                self._settle()

    def settle(self) -> None:
        """Wait until all that was moved into place is on the disk, and noted."""
        with self._lock:
            self._settle()
            self._record_synced(wait=True)
        self._pool.shutdown()

    def _settle(self) -> None:
        """Begin to write to the disk what is not on its way there yet; a few files at once."""
        files = list(self._unsettled.values())
        if len(files) > FEW:
            self._syncing.append((self._pool.submit(sync_filesystem, self._home.fd), files))
        elif files:
            for staged in files:
                self._sync(staged.path)
            self._append(json.dumps(files))
        self._unsettled.clear()
        self._large = False
        self._settled = time.monotonic()

    def _record_synced(self, *, wait: bool = False) -> None:
        while self._syncing and (wait or self._syncing[0][0].done()):
            done, files = self._syncing.popleft()
            done.result()
            self._append(json.dumps(files))

    def _sync(self, path: str) -> None:
        with suppress(FileNotFoundError):  # who removed it will miss it later
            fd = open_file(self._home, f"{INPUTS}/{path}")
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def _append(self, line: str) -> None:
        """Add lines, on lines of their own even after one that a kill cut short."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with parent(self._home, RECORD) as (above, name):
            fd = os.open(name, flags, 0o600, dir_fd=above)
        with os.fdopen(fd, "r+b", buffering=0) as file:
            size = os.fstat(fd).st_size
            whole = size == 0 or os.pread(fd, 1, size - 1) == b"\n"
            file.write((line if whole else f"\n{line}").encode() + b"\n")


def _must_be_as_planned(info: SourceInfo, size: int, sha256: str) -> None:
    if info.sha256 is not None and sha256 != info.sha256:
        raise Permanent(
            f"{_words(info)} has the SHA-256 {sha256} ({size} bytes), not {info.sha256} as planned; "
            f"it changed, or the checksum given is wrong",
            code=FailureCode.INPUT_UNAVAILABLE,
        )
    if info.size is not None and size != info.size:
        raise Permanent(
            f"{_words(info)} has {size} bytes, not {info.size} as planned; it changed since",
            code=FailureCode.INPUT_UNAVAILABLE,
        )


def _words(info: SourceInfo) -> str:
    return info.source.partition("?")[0]
