"""A root filesystem on disk, written and read without ever following a link out of it.

Every step is openat(2) with O_NOFOLLOW from a descriptor of the tree's own root, so neither `..`, nor an
absolute name, nor a link made a moment ago can lead elsewhere.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from cluster_interface.images.shelf import remove

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

_MOST_LINKS = 40  #: as the kernel's MAXSYMLINKS
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Unsafe(ValueError):
    """A name leads out of the tree, or through something that is no directory."""


class Tree:
    """A directory that is written as if it were /. Use it as a context manager."""

    def __init__(self, root: Path, *, through_links: bool = False) -> None:
        self.root = root
        self._through_links = through_links  #: of directories, as they mean inside: layers are written over others
        self._real: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __enter__(self) -> Self:
        self._root = os.open(self.root, _DIRECTORY)
        self._parent: tuple[tuple[str, ...], int] = ((), os.dup(self._root))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._parent[1])
        os.close(self._root)

    def directory(self, name: str) -> None:
        """Make a directory, and those above it; a directory that is there is kept."""
        *above, last = self._parts(name)
        parent = self._open(tuple(above))
        if _kind(parent, last) not in (None, stat.S_IFDIR):
            os.unlink(last, dir_fd=parent)
        if _kind(parent, last) is None:
            os.mkdir(last, 0o755, dir_fd=parent)
            os.chmod(last, 0o755, dir_fd=parent)  # noqa: S103 - past the umask: jobs run as somebody else

    @contextmanager
    def file(self, name: str, *, executable: bool = False, time: float | None = None) -> Iterator[int]:
        """Make a file and hand out its descriptor for writing; one that is there is replaced."""
        *above, last = self._parts(name)
        parent = self._open(tuple(above))
        _clear(parent, last, name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(last, flags, 0o600, dir_fd=parent)
        try:
            yield descriptor
            os.fchmod(descriptor, 0o755 if executable else 0o644)
            if time is not None:
                os.utime(descriptor, (time, time))
        finally:
            os.close(descriptor)

    def write(self, name: str, data: bytes) -> None:
        """Make a small file."""
        with self.file(name) as descriptor:
            os.write(descriptor, data)

    def link(self, name: str, target: str) -> None:
        """Make a symbolic link; where it points is never looked at."""
        *above, last = self._parts(name)
        parent = self._open(tuple(above))
        _clear(parent, last, name)
        os.symlink(target, last, dir_fd=parent)

    def same(self, name: str, as_name: str) -> None:
        """Make `name` another name (a hard link) of the file or link `as_name` of this tree."""
        *above, source = self._parts(as_name)
        parent = os.dup(self._open(tuple(above)))
        try:
            if _kind(parent, source) not in (stat.S_IFREG, stat.S_IFLNK):
                raise Unsafe(f"{name!r} is a link to {as_name!r}, which is not a file of this archive")
            *above, last = self._parts(name)
            target = self._open(tuple(above))
            _clear(target, last, name)
            os.link(source, last, src_dir_fd=parent, dst_dir_fd=target, follow_symlinks=False)
        finally:
            os.close(parent)

    def remove(self, name: str, *, content_only: bool = False, directories_only: bool = False) -> None:
        """Remove what is there under this name, if anything is: a directory with all in it."""
        names = self._parts(name) if name.strip("./") else []
        path = self.root.joinpath(*names)
        if not path.is_dir() or path.is_symlink():
            if not content_only and not directories_only and names:
                path.unlink(missing_ok=True)
            return
        os.close(self._parent[1])
        self._parent = ((), os.dup(self._root))
        self._real.clear()
        for entry in list(path.iterdir()) if content_only else [path]:
            remove(entry)

    def _parts(self, name: str) -> list[str]:
        """Take a name apart, as `parts`; the directories in it are those that links lead to, where that is asked."""
        *above, last = parts(name)
        if not self._through_links or not above:
            return [*above, last]
        if (found := self._real.get(tuple(above))) is None:
            found = self._real[tuple(above)] = self._led(above)
        return [*found, last]

    def _led(self, above: list[str]) -> tuple[str, ...]:
        at: list[str] = []
        for part in above:
            at.append(part)
            if self.root.joinpath(*at).is_symlink():
                found = inside(self.root, "/".join(at))
                if found is None:
                    raise Unsafe(f"{'/'.join(above)!r} goes through a link that leads nowhere")
                at = list(found.relative_to(self.root).parts)
        return tuple(at)

    def _open(self, above: tuple[str, ...]) -> int:
        """Open a directory, making what is missing; the last one stays open, since archives go in order."""
        if self._parent[0] == above:
            return self._parent[1]
        descriptor = os.dup(self._root)
        try:
            for part in above:
                if _kind(descriptor, part) is None:
                    os.mkdir(part, 0o755, dir_fd=descriptor)
                    os.chmod(part, 0o755, dir_fd=descriptor)  # noqa: S103 - as above
                inner = os.open(part, _DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, NotADirectoryError):
                raise Unsafe(f"{'/'.join(above)!r} goes through something that is no directory") from None
            raise
        os.close(self._parent[1])
        self._parent = (above, descriptor)
        return descriptor


def parts(name: str) -> list[str]:
    """Take a name of an archive apart; Unsafe if it is absolute, has `..` in it or is empty."""
    if name.startswith("/") or "\0" in name:
        raise Unsafe(f"{name[:80]!r} is an absolute name")
    found = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in found or not found:
        raise Unsafe(f"{name[:80]!r} is not a name inside an archive")
    return found


def inside(root: Path, name: str) -> Path | None:
    """Find what `name` means to somebody whose / is `root`, links followed as there; None if it is nothing.

    For looking only, in trees that nobody changes any more.
    """
    waiting = [part for part in reversed(name.split("/")) if part]
    at: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part == ".":
            continue
        if part == "..":
            at = at[:-1]
            continue
        path = root.joinpath(*at, part)
        if not path.is_symlink():
            at = [*at, part]
            continue
        links += 1
        if links > _MOST_LINKS:
            return None
        target = path.readlink().as_posix()
        at = [] if target.startswith("/") else at
        waiting += [piece for piece in reversed(target.split("/")) if piece]
    found = root.joinpath(*at)
    return found if found.exists() else None


def _kind(parent: int, name: str) -> int | None:
    try:
        return stat.S_IFMT(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return None


def _clear(parent: int, last: str, name: str) -> None:
    """Make room for a new entry; a directory is never replaced."""
    kind = _kind(parent, last)
    if kind == stat.S_IFDIR:
        raise Unsafe(f"{name!r} is a directory and also something else")
    if kind is not None:
        os.unlink(last, dir_fd=parent)
