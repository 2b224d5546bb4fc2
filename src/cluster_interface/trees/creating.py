"""Make a file tree in a directory: all that can be known to be in the way is found before anything is written."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

from cluster_interface.model.errors import Problem, Rejected, Transient
from cluster_interface.model.filetree import IN_ARCHIVE, FileEntry, FileTree, Mode
from cluster_interface.trees.archives import BROKEN, Unfit, split, words
from cluster_interface.trees.beneath import create_file, look, open_directory, parent, remove, rename
from cluster_interface.trees.checking import check
from cluster_interface.trees.describing import BLOCK, describe
from cluster_interface.trees.names import native, portable
from cluster_interface.trees.opening import open_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cluster_interface.trees.archives import Archive

MOST_PROBLEMS = 20
SHORT = ".clif-"  #: begins the names of files that are not complete


class Fetch(Protocol):
    """Brings the bytes of a source."""

    def __call__(self, source: str, target: BinaryIO) -> None:
        """Write them to `target`; raises Rejected or Transient in words."""


def create(
    tree: FileTree, directory: Path, *, fetch: Fetch | None = None, progress: Callable[[str, int], None] | None = None
) -> None:
    """Make the tree below `directory`, which is made too if it is not there.

    What is there already and as the tree says stays; anything else in its place is refused before a byte is written,
    and so is a file without a source. `fetch` brings what is neither inline nor `file:`. Each file is checked against
    its size and checksum, and has its name only when it is whole. Raises Rejected, Transient and OSError.
    """
    with _Sources(fetch) as sources:
        _create(tree, directory, sources, progress)


def _create(tree: FileTree, directory: Path, sources: _Sources, progress: Callable[[str, int], None] | None) -> None:
    tree = _filled(tree, directory, sources)
    _refuse(_without_source(tree, sources.fetch))
    if directory.exists():
        found = check(tree, directory, everything=True)
        changed = [(name, why) for name, why in found.changed if not _is_directory(tree, directory, name)]
        _refuse(Problem(name, f"{why}; move it away first") for name, why in changed)
        missing = set(found.missing)
    else:
        missing = set(tree.files)
    directory.mkdir(parents=True, exist_ok=True)
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name, entry in tree.files.items():
            if name in missing:
                _make(root, name, entry, sources)
            if progress:
                seen = look(root, native(name.removesuffix("/")))
                progress(name, seen.st_size if seen and stat.S_ISREG(seen.st_mode) else 0)
        _close(root, tree)
    finally:
        os.close(root)


def _refuse(problems: Iterable[Problem]) -> None:
    found = [problem for problem, _ in zip(problems, range(MOST_PROBLEMS), strict=False)]
    if found:
        raise Rejected(problems=found)


def _is_directory(tree: FileTree, directory: Path, name: str) -> bool:
    """Say whether this is a directory as it should be: its permissions and what is in it are seen to in the end."""
    place = directory / native(name)
    return f"{name}/" in tree.files and place.is_dir() and not place.is_symlink()


def _without_source(tree: FileTree, fetch: Fetch | None) -> Iterator[Problem]:
    for name, entry in tree.files.items():
        if name.endswith("/") or entry.target is not None or entry.content is not None:
            continue
        if entry.source is None and entry.size != 0:
            yield Problem(name, "has no source; `clif files describe DIR --source file` notes where files are")
        elif entry.source is not None and not entry.source.startswith("file:") and fetch is None:
            yield Problem(name, f"{entry.source[:80]} cannot be brought here")


def _filled(tree: FileTree, directory: Path, sources: _Sources) -> FileTree:
    """Put what is in directories with a source in their place: they are copied like all else."""
    files: dict[str, FileEntry] = {}
    for name, entry in tree.files.items():
        if not name.endswith("/") or entry.source is None:
            files[name] = entry
            continue
        if not entry.source.startswith("file:"):
            raise Rejected.field(name, f"{entry.source[:80]} cannot be brought here")
        files[name] = entry.model_copy(update={"source": None, "mode": Mode.AUTO})
        if split(entry.source):
            files |= sources.below(name, entry.source)
            continue
        source = local_path(name, entry.source)
        if directory.resolve().is_relative_to(source.resolve()):
            raise Rejected.field(name, f"{source} holds {directory}: the tree would hold itself")
        inner = describe(source, checksums=False, everything=True, source_of=_source_in(source))
        files |= {name + below: found for below, found in inner.files.items()}
    return FileTree.parse({"files": files}) if len(files) != len(tree.files) else tree


def _source_in(directory: Path) -> Callable[[str], str]:
    return lambda path: f"file:{portable(str(directory))}/{portable(path)}"


def local_path(name: str, source: str) -> Path:
    """Return the path of a `file:` source; Rejected if it is not an absolute one."""
    rest = source.removeprefix("file:")
    path = rest.removeprefix("//") if rest.startswith("///") else rest
    if not path.startswith("/") or path.startswith("//") or "\0" in path:
        raise Rejected.field(name, f"{source[:200]!r}: write an absolute path, such as file:/home/ada/data.csv")
    return Path(native(path))


def _make(root: int, name: str, entry: FileEntry, sources: _Sources) -> None:
    path = native(name.removesuffix("/"))
    if name.endswith("/"):
        os.close(open_directory(root, path, make=True))
    elif entry.target is not None:
        with parent(root, path, make=True) as (above, last):
            os.symlink(native(entry.target), last, dir_fd=above)
    else:
        _make_file(root, name, entry, sources)


def _make_file(root: int, name: str, entry: FileEntry, sources: _Sources) -> None:
    path = native(name)
    above, _, _ = path.rpartition("/")
    temporary = f"{above}/{SHORT}{secrets.token_hex(6)}".removeprefix("/")
    fd = create_file(root, temporary, 0o600)
    try:
        with os.fdopen(fd, "w+b") as file:
            sources.fill(file, name, entry)
            _verify(file, name, entry)
            os.fchmod(file.fileno(), entry.bits())
        if look(root, path) is not None:
            raise Rejected.field(name, "appeared meanwhile; try again")
        rename(root, temporary, path)
    except BaseException:
        with suppress(OSError):
            remove(root, temporary)
        raise


class _Sources:
    """Where the bytes are: in the tree itself, in files and archives here, and wherever `fetch` brings them from."""

    def __init__(self, fetch: Fetch | None) -> None:
        self.fetch = fetch
        self._archives: dict[str, Archive] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._archives:
            self._archives.popitem()[1].close()

    def fill(self, file: BinaryIO, name: str, entry: FileEntry) -> None:
        """Write the bytes of an entry."""
        if entry.content is not None:
            file.write(entry.content.encode())
        elif entry.source is not None and entry.source.startswith("file:"):
            self._fill_from_here(file, name, entry.source)
        elif entry.source is not None and self.fetch is not None:
            try:
                self.fetch(entry.source, file)
            except Rejected as error:
                raise Rejected.field(name, str(error)) from None
            except Transient as error:
                raise Transient(f"{name}: {error}") from None
        file.flush()

    def below(self, name: str, source: str) -> dict[str, FileEntry]:
        """Return what is below a directory of an archive as entries below `name`."""
        outer, below = split(source) or ("", "")
        archive, found = self._opened(name, outer), {}
        try:
            start, names = archive.below(below)
        except Unfit as error:
            raise Rejected.field(name, f"{outer} {error}") from None
        for member in names:
            if member in archive.links:
                made = FileEntry(target=archive.links[member])
            elif member in archive.sizes:
                program = bool(archive.modes[member] & 0o100)
                made = FileEntry(source=f"{outer}{IN_ARCHIVE}{member}", size=archive.sizes[member], executable=program)
            else:
                made = FileEntry()
            found[name + member[len(start) :]] = made
        return found

    def _fill_from_here(self, file: BinaryIO, name: str, source: str) -> None:
        if not (found := split(source)):
            _copy(file, name, local_path(name, source))
            return
        outer, member = found
        archive = self._opened(name, outer)
        try:
            archive.must_have(member)
            with archive.read(member) as opened:
                while (data := opened.read(BLOCK)) and file.tell() <= archive.sizes[member]:
                    file.write(data)
        except Unfit as error:
            raise Rejected.field(name, f"{outer} {error}") from None
        except BROKEN as error:
            raise Rejected.field(name, f"{member} cannot be read from {outer}: {words(error)}") from None

    def _opened(self, name: str, outer: str) -> Archive:
        if outer not in self._archives:
            path = local_path(name, outer)
            try:
                self._archives[outer] = open_archive(os.fdopen(_open(path), "rb"), sys.maxsize)
            except Unfit as error:
                raise Rejected.field(name, f"{outer} {error}") from None
            except OSError as error:
                raise Rejected.field(name, f"{path}: {(error.strerror or str(error)).lower()}") from None
        return self._archives[outer]


def _copy(target: BinaryIO, name: str, path: Path) -> None:
    """Copy a regular file; one that grows while it is read is refused by its size."""
    try:
        fd = _open(path)
        with os.fdopen(fd, "rb") as source:
            size = os.fstat(source.fileno()).st_size
            while data := source.read(BLOCK):
                target.write(data)
                if target.tell() > size:
                    break
        if target.tell() != size:
            raise Rejected.field(name, f"{path} changed while it was read; try again when it is complete")
    except OSError as error:
        raise Rejected.field(name, f"{path}: {(error.strerror or str(error)).lower()}") from None


def _open(path: Path) -> int:
    """Open a regular file; what it is is looked at before, since opening a fifo or a device alone may block or act."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is not a regular file")
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "is not a regular file")


def _verify(file: BinaryIO, name: str, entry: FileEntry) -> None:
    size = file.seek(0, os.SEEK_END)
    if entry.size is not None and size != entry.size:
        raise Rejected.field(name, f"has {size} bytes, not {entry.size} as the tree says")
    if entry.sha256 is not None:
        file.seek(0)
        has = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # it is a real file
        if has != entry.sha256:
            raise Rejected.field(name, f"has the SHA-256 {has}, not {entry.sha256} as the tree says")


def _close(root: int, tree: FileTree) -> None:
    """Give the directories their permissions, the deepest first: some may let nobody write into them."""
    named = {name for name in tree.files if name.endswith("/")}
    for name in sorted(named, key=lambda name: (-name.count("/"), name)):
        with parent(root, native(name.removesuffix("/"))) as (above, last):
            fd = os.open(last, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        try:
            os.fchmod(fd, tree.files[name].bits(directory=True))
        finally:
            os.close(fd)
