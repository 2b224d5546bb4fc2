"""The store's directory: things appear whole or not at all, and are made once however many ask.

    bases/<key>/   rootfs/ and base.json           held/<key>   the lock of whoever makes that key
    layers/<key>/  env/ and layer.json             tmp/<key>.*  half-made things; swept under the key's lock
    squashfs/<key>.squashfs   archives/<key>.tar and .json
    locks/<request>.json   docker/<key>.json   names/<base>.json   logs/<key>.log
    registry/<key>.json    what was pushed to the site's registry
    amended/<key>.json     an image that got more distribution packages than it was planned with, see needs.py
    packages/<package>/    tree/ and package.json: installed and compiled, to be linked into layers
    built/<source>/        the wheel that was made of a source
    wheels/ (uv's cache)   conda/ (rattler's)   contexts/<key>.tar (of Dockerfiles)
    unwanted/<name>.json   a package that is to go from uv's cache once nobody uses that

A thing is made in tmp, flushed and renamed into place, so a reader needs no lock and a kill at any instant
leaves only a temporary. Locks are flock(2): the kernel lets go when the holder dies.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import secrets
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

PUBLIC = ("", "bases", "layers", "squashfs", "archives")  #: read by jobs, which run as somebody else
PRIVATE = (
    "locks",
    "names",
    "logs",
    "docker",
    "registry",
    "held",
    "tmp",
    "wheels",
    "packages",
    "built",
    "unwanted",
    "amended",
    "contexts",
    "conda",
)

_FEW, _AT_ONCE = 200, 8  #: files that are flushed one by one, and how many of them at the same time
_OFTEN = 3600.0  #: seconds: uses are not noted more often

_held: set[int] = set()


def _let_go_in_child() -> None:
    """A forked child shares its parent's locks; close them, or they would outlive the parent."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


class Shelf:
    """The directory with its places."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make the directories that are missing."""
        self.root.mkdir(parents=True, exist_ok=True)
        for name in PUBLIC:
            _directory(self.root / name, 0o755)
        for name in PRIVATE:
            _directory(self.root / name, 0o711 if name == "tmp" else 0o700)  # the sandbox's account passes through

    def base(self, key: str) -> Path:
        """Where a base is, once it is there."""
        return self.root / "bases" / key

    def layer(self, key: str) -> Path:
        """Where a layer is, once it is there."""
        return self.root / "layers" / key

    def note(self, kind: str, key: str) -> Path:
        """Where a small JSON fact is: kind is locks, names, docker, archives, registry, amended or unwanted."""
        return self.root / kind / f"{key}.json"

    def notes(self, kind: str) -> Iterator[dict[str, Any]]:
        """Read all small JSON facts of a kind."""
        yield from filter(None, map(self.read, (self.root / kind).glob("*.json")))

    def log(self, key: str) -> Path:
        """Where the log of the last build of `key` is."""
        return self.root / "logs" / f"{key}.log"

    @property
    def wheels(self) -> Path:
        """Where uv's cache is: on the store's own filesystem, so that layers are hard links."""
        return self.root / "wheels"

    def built(self, key: str) -> Path:
        """Where the wheel is that was made of a source, once it is there."""
        return self.root / "built" / key

    def package(self, key: str) -> Path:
        """Where an installed package is, once it is there."""
        return self.root / "packages" / key

    def all(self, kind: str) -> list[Path]:
        """List what there is of a kind, such as packages or built."""
        return list((self.root / kind).iterdir())

    def fresh_log(self, key: str) -> Path:
        """Begin the log of `key` anew."""
        path = self.log(key)
        path.unlink(missing_ok=True)
        return path

    def context(self, key: str) -> Path:
        """Where the context of a Dockerfile is kept."""
        return self.root / "contexts" / f"{key}.tar"

    @property
    def conda(self) -> Path:
        """Where rattler's cache is: on the store's own filesystem, as uv's."""
        return self.root / "conda"

    def add_to_log(self, key: str, line: str) -> None:
        """Write a line into the log of the last build of `key`."""
        with self.log(key).open("a") as file:
            file.write(f"{line}\n")

    @contextmanager
    def hold(self, key: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Be the only one on this filesystem that makes `key`; `waiting` is called if somebody else is at it."""
        with self._open(key) as descriptor:
            _lock(descriptor, waiting)
            self._sweep(key)
            yield

    @contextmanager
    def slot(self, slots: int, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Be one of at most `slots` that build at the same time; `waiting` is called if there are as many already."""
        for number in range(slots):
            with ExitStack() as stack:
                try:
                    stack.enter_context(self.hold_if_free(f"slot-{number}"))
                except BlockingIOError:
                    continue
                yield
                return
        waiting()
        with self.hold(f"slot-{os.getpid() % slots}"):
            yield

    def touch(self, key: str) -> None:
        """Note that an image or base is used; what was used least lately is removed first."""
        for note in (self.base(key) / "base.json", self.layer(key) / "layer.json"):
            with suppress(OSError):
                if time.time() - note.stat().st_mtime > _OFTEN:
                    os.utime(note)

    def used(self, key: str) -> float:
        """Say when it was used last, to the hour; 0 if it is not there."""
        for note in (self.base(key) / "base.json", self.layer(key) / "layer.json"):
            with suppress(OSError):
                return note.stat().st_mtime
        return 0.0

    @contextmanager
    def temporary(self, key: str) -> Iterator[Path]:
        """Make a directory to build in, under `hold(key)`; what is left of it at the end is removed."""
        path = self.root / "tmp" / f"{key}.{secrets.token_hex(4)}"
        path.mkdir(mode=0o755)
        path.chmod(0o755)
        try:
            yield path
        finally:
            remove(path)

    def publish(self, made: Path, place: Path, new: Collection[Path] | None = None) -> None:
        """Put a finished file or directory in its place, on disk first; with `new`, these files of it.

        Names need no waiting then: a filesystem's journal keeps the order in which they are made and moved.
        """
        if new is None or len(new) > _FEW:
            _flush_all(made.parent)
            made.rename(place)
            _flush(place.parent)
        else:
            with ThreadPoolExecutor(_AT_ONCE) as threads:
                list(threads.map(_flush, new))
            made.rename(place)

    def write(self, place: Path, value: Any, *, lasting: bool = False) -> None:
        """Put a small JSON value in place, whole; a `lasting` one is on disk then.

        Any other may be none after a power failure, as if it had not been written: it can be found out again.
        """
        made = self.root / "tmp" / f"note.{secrets.token_hex(8)}"
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(value, file)
        if lasting:
            _flush(made)
        made.rename(place)
        if lasting:
            _flush(place.parent)

    def read(self, place: Path) -> Any | None:
        """Read a small JSON value; None if there is none."""
        try:
            return json.loads(place.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def sweep(self) -> None:
        """Remove what dead builders left behind, whatever they were making."""
        for key in {path.name.partition(".")[0] for path in (self.root / "tmp").iterdir()} - {"note"}:
            with suppress(BlockingIOError), self.hold_if_free(key):
                self._sweep(key)

    @contextmanager
    def hold_if_free(self, key: str) -> Iterator[None]:
        """Be the only one that touches `key`; BlockingIOError if somebody else is at it."""
        with self._open(key) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    @contextmanager
    def use(self, *keys: str) -> Iterator[None]:
        """Keep images and bases, there or not yet, from being removed; others may use them too."""
        with ExitStack() as stack:
            for key in keys:
                fcntl.flock(stack.enter_context(self._open(f"use-{key}")), fcntl.LOCK_SH)
            yield

    @contextmanager
    def remove_if_free(self, key: str) -> Iterator[None]:
        """Be the only one that touches `key`, to remove it; BlockingIOError if it is being made or used."""
        with self.hold_if_free(f"use-{key}"), self.hold_if_free(key):
            yield

    @contextmanager
    def _open(self, key: str) -> Iterator[int]:
        """Open the lock of a key; closing it lets go."""
        descriptor = os.open(self.root / "held" / key, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _held.add(descriptor)
        try:
            yield descriptor
        finally:
            if descriptor in _held:  # not so in a forked child
                _held.discard(descriptor)
                os.close(descriptor)

    def _sweep(self, key: str) -> None:
        for path in (self.root / "tmp").glob(f"{key}.*"):
            remove(path)


def remove(path: Path) -> None:
    """Remove a tree, but never step into another filesystem: a killed bootstrap may have left mounts in it."""
    with suppress(FileNotFoundError):
        _remove(path, path.lstat().st_dev)


def _remove(path: Path, device: int) -> None:
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        path.unlink(missing_ok=True)
        return
    if status.st_dev != device:
        return
    with suppress(PermissionError):
        path.chmod(0o700)
    for entry in os.scandir(path):
        with suppress(FileNotFoundError):
            if entry.is_dir(follow_symlinks=False):
                _remove(Path(entry.path), device)
            else:
                Path(entry.path).unlink()
    with suppress(OSError):  # a mount point, or an orphan still writes: the next sweep gets it
        path.rmdir()


def _directory(path: Path, mode: int) -> None:
    path.mkdir(exist_ok=True)
    if path.stat().st_mode & 0o777 != mode:
        path.chmod(mode)


def _lock(descriptor: int, waiting: Callable[[], None]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _flush_all(directory: Path) -> None:
    """Write the whole filesystem out (syncfs(2)): one call, where fsync would be one per file."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(directory))
    finally:
        os.close(descriptor)


def _flush(path: Path) -> None:
    """Write a file or a directory out, whatever else the filesystem is busy with."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
