"""What was fetched once: kept by checksum and by address, so that many jobs on one data set download it once.

<cache>/<space>/data/<sha256>        the bytes, the server's own; jobs are given second names of them (hard links)
                data/<sha256>.json   size and time when they were verified; its own time is that of the last use
                names/<key>.json     what lies at an address: its checksum, and what told that it is still the same
                incoming/<key>       bytes on their way; locked by who fetches them, taken up by the next if it dies

Two people never learn of each other through it. The space `public` holds what anybody could fetch from here: it came
without a credential from an address without a query (which may be a secret itself). All else is in a space of its
owner's. A hit by checksum alone is possible within one space only, so knowing a checksum proves nothing and gains
nothing. What the bytes are is believed only while size and time are those of when they were verified.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent
from cluster_interface.model.state import FailureCode
from cluster_interface.staging.acting import as_the_server
from cluster_interface.staging.parts import CHUNK, forget, part
from cluster_interface.staging.web import shown
from cluster_interface.trees.beneath import (
    directory,
    look,
    open_directory,
    open_file,
    read_small,
    remove,
    rename,
    replace_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cluster_interface.staging.parts import Part

PUBLIC = "public"
PLACING = "placing"  #: the lock under which bytes get their place
_TRIES = 3
_PRUNED = "was removed from the cache again and again; make staging.cache_bytes larger"

SHARE = 100  #: part of its bound that a process adds before it prunes
SMALL = 2**20  #: bytes of a file for which the disk is not waited for
LOOK_EVERY = 0.1  #: seconds between looks at a download that somebody else makes


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


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """Bytes that are here, as they were when they were verified."""

    sha256: str
    size: int
    mtime_ns: int


class Cache:
    """Files by checksum below one directory, at most `most` bytes of them."""

    def __init__(self, root: Path, most: int) -> None:
        self._root = root
        self._most = most
        self._added = 0  #: bytes since it was pruned
        self._made: set[str] = set()  #: spaces whose directories are there

    def knows(self, origin: Origin) -> bool:
        """Say whether something of this address is kept, so that it is worth asking which version is there now."""
        with as_the_server():
            return (self._root / origin.space / "names" / f"{_key(origin.address)}.json").exists()

    def give(self, origin: Origin, sha256: str | None, wanted: Part, fetch: Callable[[Part], None]) -> None:
        """Let `wanted` be what is at an origin: another name of the bytes kept here, or a copy of them.

        `fetch` brings them where they are not here; of many who want them at once one does, and the others wait.
        """
        for _ in range(_TRIES):  # it may be pruned between the finding and the linking
            with as_the_server(), self._found(origin, sha256, wanted.limit, wanted.say, fetch) as (data, kept):
                wanted.check_limit(kept.size)
                with suppress(FileNotFoundError):
                    if wanted.adopt(data, kept.sha256, kept.size, kept.sha256):
                        return
                    fd = open_file(data, kept.sha256)
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
            with (
                suppress(FileNotFoundError),
                as_the_server(),
                self._found(origin, sha256, limit, lambda _: None, fetch) as (data, kept),
            ):
                return open_file(data, kept.sha256)
        raise _gone(_PRUNED)

    def close(self) -> None:
        """Prune it, if anything was added since."""
        if self._added:
            self.prune()

    def prune(self) -> int:
        """Remove what was not used for longest until the rest is within the bound; return the bytes removed."""
        removed = self._added = 0
        with as_the_server():
            found = sorted(self._uses())
            total = sum(size for _, size, _, _ in found)
            for _, size, space, name in found[:-1]:  # the newest one is just wanted
                if total - removed <= self._most:
                    break
                with suppress(FileNotFoundError), _opened(self._root / space / "data") as data:
                    remove(data, f"{name}.json")
                    remove(data, name)
                    removed += size
        return removed

    # --- finding

    @contextmanager
    def _found(
        self, origin: Origin, sha256: str | None, limit: int, say: Callable[[int], None], fetch: Callable[[Part], None]
    ) -> Iterator[tuple[int, _Kept]]:
        with self._space(origin.space) as space, directory(space, "data") as data:
            kept, fresh = _look(space, data, origin, sha256), False
            if kept is None:
                asked = time.time_ns()
                with _alone(space, _key(origin.address), say):
                    kept = _look(space, data, origin, sha256, asked)
                    fresh = kept is None
                    kept = kept or _fetched(space, data, origin, limit, say, fetch)
            now = time.time_ns()  # finer than the file system's own clock
            with suppress(FileNotFoundError):  # it was pruned just now; who wants it will see
                os.utime(f"{kept.sha256}.json", ns=(now, now), dir_fd=data, follow_symlinks=False)
            if fresh:
                self._added += kept.size
                if self._added > self._most // SHARE:
                    self.prune()
            yield data, kept

    @contextmanager
    def _space(self, name: str) -> Iterator[int]:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _opened(self._root) as root:
            if name not in self._made or not (self._root / name).exists():
                for part_ in ("data", "names", "incoming"):
                    os.close(open_directory(root, f"{name}/{part_}", make=True))
                self._made.add(name)
            space = open_directory(root, name)
        try:
            yield space
        finally:
            os.close(space)

    def _uses(self) -> Iterator[tuple[float, int, str, str]]:
        """Yield when each file was used last, its size, its space and its name."""
        with suppress(FileNotFoundError):
            for space in [path.name for path in self._root.iterdir()]:
                with (
                    suppress(FileNotFoundError, NotADirectoryError),
                    os.scandir(self._root / space / "data") as entries,
                ):
                    for entry in entries:
                        if not entry.name.endswith(".json"):
                            with suppress(FileNotFoundError):
                                noted = Path(f"{entry.path}.json")
                                used = (noted if noted.exists() else Path(entry.path)).stat().st_mtime
                                yield used, entry.stat().st_size, space, entry.name


def _look(space: int, data: int, origin: Origin, sha256: str | None, since: int | None = None) -> _Kept | None:
    """Find the bytes wanted: by their checksum, or as those of the address if it still has the same ones.

    What was fetched after `since` (nanoseconds) is the same even where nothing tells versions apart.
    """
    if sha256 is not None:
        return _whole(data, sha256)
    name = f"names/{_key(origin.address)}.json"
    try:
        noted = json.loads(read_small(space, name, 64 * 1024))
        seen = look(space, name)
        kept = _whole(data, str(noted["sha256"]))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    same = origin.validator is not None and noted.get("validator") == origin.validator
    fresh = since is not None and origin.validator is None and seen is not None and seen.st_mtime_ns >= since
    return kept if same or fresh else None


def _whole(data: int, sha256: str) -> _Kept | None:
    """Return what is known of bytes that are here as they were; what somebody wrote to is not believed."""
    try:
        kept = _Kept(sha256=sha256, **json.loads(read_small(data, f"{sha256}.json", 4096)))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    seen = look(data, sha256)
    same = seen is not None and (seen.st_size, seen.st_mtime_ns) == (kept.size, kept.mtime_ns)
    if same and (kept.size > SMALL or hashlib.sha256(read_small(data, sha256, SMALL)).hexdigest() == sha256):
        return kept
    return None


def _fetched(  # noqa: PLR0917 - the cache's own affair
    space: int, data: int, origin: Origin, limit: int, say: Callable[[int], None], fetch: Callable[[Part], None]
) -> _Kept:
    """Fetch into a part that the next one takes up if this process dies; then keep it under its checksum."""
    incoming = f"incoming/{_key(origin.address)}"
    with part(space, incoming, limit, say) as fresh:
        fetch(fresh)
        last = fresh.size > SMALL  # small ones are read again before they are believed
        fresh.finish(0o644, to_disk=last)
        sha256, size, validator = fresh.sha256, fresh.size, fresh.note.get("validator") or origin.validator
    with _alone(space, PLACING, lambda _: None):  # the same bytes may come from another address at this very moment
        kept = _whole(data, sha256)
        if kept is None:
            rename(space, incoming, f"data/{sha256}")
            mtime = os.stat(sha256, dir_fd=data, follow_symlinks=False).st_mtime_ns
            noted = json.dumps({"size": size, "mtime_ns": mtime})
            replace_file(data, f"{sha256}.json", noted.encode(), 0o600, to_disk=last)
            kept = _Kept(sha256=sha256, size=size, mtime_ns=mtime)
    name = f"names/{_key(origin.address)}.json"
    remove(space, name)  # its time must be that of now
    noted = json.dumps({"address": shown(origin.address), "validator": validator, "sha256": sha256})
    replace_file(space, name, noted.encode(), 0o600, to_disk=last)
    forget(space, incoming)
    return kept


@contextmanager
def _alone(space: int, key: str, say: Callable[[int], None]) -> Iterator[None]:
    """Hold the lock on a download; while another has it, tell how far it is."""
    fd = os.open(f"incoming/{key}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=space)
    try:
        while not _take(fd):
            with suppress(FileNotFoundError):
                say(os.stat(f"incoming/{key}", dir_fd=space, follow_symlinks=False).st_size)
            time.sleep(LOOK_EVERY)
        yield
    finally:
        os.close(fd)


def _take(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _gone(message: str) -> Permanent:
    return Permanent(message, code=FailureCode.INPUT_UNAVAILABLE)
