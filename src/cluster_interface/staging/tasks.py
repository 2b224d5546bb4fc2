"""tasks/<n>/ of a job: the file tree as a task sees it, in /job, with real directories.

Files are copies where that is small and the job single, else links to /inputs, where the container has inputs/.
A directory is filled under a temporary name and then moved, so one that is there is whole. That of a single task is
filled while its inputs are brought: each file of the two is made at once, and processes that share the work are less
often at the same directory, which only one can add to at a time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from cluster_interface.model.filetree import Mode
from cluster_interface.staging.inputs import INCOMING, INPUTS
from cluster_interface.staging.parts import copy_some
from cluster_interface.staging.sharing import batched, shared
from cluster_interface.trees.beneath import (
    Kept,
    create_file,
    directory,
    look,
    open_directory,
    open_file,
    read_small,
    remove,
    rename,
)
from cluster_interface.trees.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Self

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.ports import Layout
    from cluster_interface.trees.beneath import At

    Files = Iterable[tuple[str, FileEntry]]  #: entries by their paths

AT_ONCE = 256  #: files or links that a process makes before it takes the next ones
TASKS = "tasks"
MADE_FOR = "tasks/attempt"  #: holds the number of the attempt that the directories were made for


class Tasks:
    """The tasks' directories of one attempt, in the job directory `home`.

    `inputs` is where the program finds the inputs: links lead there.
    """

    def __init__(self, home: Kept, layout: Layout, *, inputs: str, copy_below: int) -> None:
        self._home, self._layout, self._inputs = home, layout, inputs
        self._copy_below = copy_below if layout.tasks == 1 else -1
        self._tasks = range(layout.tasks) if layout.only is None else layout.only
        self._begun: _Directory | None = None
        self._put: set[str] = set()  #: what is in it

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        if self._begun is not None:
            self._begun.close()

    def _begin(self) -> None:
        """Begin the directory of the only task, unless that is there already."""
        anew = not self._layout.keep and not self._are_made()
        if len(self._tasks) == 1 and (anew or not self._has(self._tasks[0])):
            self._begun = self._new(self._tasks[0])

    def put(self, files: Files) -> None:
        """Put entries whose inputs are in place in the directory that was begun, if one was. Repeatable."""
        if self._begun is not None:
            self._begun.fill(files)

    def note(self, paths: Iterable[str]) -> None:
        """Note that entries were put there, by whichever process."""
        self._put.update(paths)

    def make(self, files: Mapping[str, FileEntry], made: Callable[[int], None], processes: int = 1) -> None:
        """Make what is missing of the directories; those of a new attempt anew, unless they are to be kept.

        `made` is told how many there are. So many processes share the work.
        """
        if not self._are_made():
            if not self._layout.keep:
                self._set_aside()
            number = str(self._layout.attempt).encode()
            replace_file(self._home.fd, MADE_FOR, number, 0o600, to_disk=False)  # lost, all is made anew
        missing = [task for task in self._tasks if not self._has(task)]
        count = len(self._tasks) - len(missing)

        def several(tasks: Sequence[int]) -> None:
            for task in tasks:
                if not self._has(task):
                    self._make(task, files)

        def done(tasks: Sequence[int], _: None) -> None:
            nonlocal count
            count += len(tasks)
            made(count)

        made(count)
        if len(missing) == 1:
            self._make(missing[0], files, processes)
            done(missing, None)
        else:
            shared(batched(missing, max(1, AT_ONCE // (len(files) + 1))), several, done, processes)

    def _has(self, task: int) -> bool:
        """Say whether a task's directory is there, hence whole."""
        return look(self._home.fd, f"{TASKS}/{task}") is not None

    def _are_made(self) -> bool:
        """Say whether the directories that are there are this attempt's."""
        try:
            return read_small(self._home.fd, MADE_FOR, 32) == str(self._layout.attempt).encode()
        except FileNotFoundError:
            return False

    def _set_aside(self) -> None:
        """Move what an earlier attempt left out of the way: all of it, or the directories of some tasks."""
        old = {TASKS: f"{INCOMING}/tasks"}
        if self._layout.only is not None:
            old = {f"{TASKS}/{task}": f"{INCOMING}/old-{task}" for task in self._layout.only}
        for place, aside in old.items():
            remove(self._home.fd, aside)
            with suppress(FileNotFoundError):
                rename(self._home.fd, place, aside)

    def _new(self, task: int) -> _Directory:
        return _Directory(self._home, f"{INCOMING}/task-{task}", self._inputs, self._copy_below)

    def _make(self, task: int, files: Mapping[str, FileEntry], processes: int = 1) -> None:
        """Make the directory of a task that has none, or what is missing of the one that was begun."""
        made = self._begun or self._new(task)
        self._begun = None
        try:
            for path, entry in files.items():
                if path.endswith("/") and entry.target is None:
                    os.close(open_directory(made.root, path, make=True))
            rest = [
                (path, entry)
                for path, entry in files.items()
                if path not in self._put and (entry.target is not None or path[-1] != "/")
            ]
            shared(batched(rest, AT_ONCE), made.fill, _nothing, processes)
            _close(made.root.fd, files)
        finally:
            made.close()
        rename(self._home.fd, made.place, f"{TASKS}/{task}")


class _Directory:
    """The directory of a task on its way, under a temporary name."""

    def __init__(self, home: Kept, place: str, inputs: str, copy_below: int) -> None:
        self._home, self.place, self._inputs, self._copy_below = home, place, inputs, copy_below
        remove(home.fd, place)
        self.root = Kept(open_directory(home.fd, place, make=True))

    def close(self) -> None:
        """Let go of it."""
        self.root.close()
        os.close(self.root.fd)

    def fill(self, files: Files) -> None:
        """Make copies and links."""
        for path, entry in files:
            above, name = self.root.place(path.removesuffix("/"), make=True)
            target = entry.target if entry.target is not None else self._target(path, entry)
            try:
                self._put(path, target, above, name)
            except FileExistsError:  # of a process that did not come to its end
                os.unlink(name, dir_fd=above)
                self._put(path, target, above, name)

    def _put(self, path: str, target: str | None, above: int, name: str) -> None:
        if target is None:
            _copy(self._home, f"{INPUTS}/{path}", self.root, path)
        else:
            os.symlink(target, name, dir_fd=above)

    def _target(self, path: str, entry: FileEntry) -> str | None:
        """Say where the link to an input leads; None for what is copied: on request, or small in a single job."""
        if entry.mode is Mode.COPY or (entry.mode is not Mode.LINK and self._copy_below >= 0):
            seen = look(self._home, f"{INPUTS}/{path}")
            if seen is not None and (entry.mode is Mode.COPY or seen.st_size <= self._copy_below):
                return None
        return f"{self._inputs}/{path}"


def _nothing(*_: object) -> None:
    pass


def _close(root: int, files: Mapping[str, FileEntry]) -> None:
    """Give directories the permissions that were asked for, the deepest first."""
    asked = [path for path, entry in files.items() if path.endswith("/") and entry.permissions is not None]
    for path in sorted(asked, key=lambda path: -path.count("/")):
        with directory(root, path) as fd:
            os.fchmod(fd, files[path].bits(directory=True))


def _copy(home: At, path: str, root: At, target: str) -> None:
    """Copy with permissions and times; the times tell later whether the task changed the file."""
    source = open_file(home, path)
    try:
        seen = os.fstat(source)
        copy = create_file(root, target, seen.st_mode & 0o777)
        try:
            while copy_some(source, copy, 2**30):
                pass
            os.utime(copy, ns=(seen.st_mtime_ns, seen.st_mtime_ns))
        finally:
            os.close(copy)
    finally:
        os.close(source)
