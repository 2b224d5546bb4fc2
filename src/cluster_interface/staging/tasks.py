"""tasks/<n>/ of a job: the file tree as a task sees it, in /job, with real directories.

Files are copies where that is small and the job single, else links to /inputs, where the container has inputs/.
A directory is filled under a temporary name and then moved, so one that is there is whole.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from cluster_interface.model.filetree import Mode
from cluster_interface.staging.inputs import INCOMING, INPUTS
from cluster_interface.staging.parts import copy_some
from cluster_interface.trees.beneath import (
    Kept,
    create_file,
    directory,
    look,
    open_directory,
    open_file,
    parent,
    read_small,
    remove,
    rename,
    replace_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.ports import Layout
    from cluster_interface.trees.beneath import At

TASKS = "tasks"
MADE_FOR = "tasks/attempt"  #: holds the number of the attempt that the directories were made for


def make_tasks(
    home: int,
    files: Mapping[str, FileEntry],
    *,
    layout: Layout,
    inputs: str,
    copy_below: int,
    made: Callable[[int], None],
) -> None:
    """Make what is missing of the task directories; those of a new attempt anew, unless they are to be kept.

    `inputs` is where the program finds the inputs: links lead there.
    """
    if not _made_for(home, layout.attempt):
        if not layout.keep:
            _set_aside(home, layout)
        replace_file(home, MADE_FOR, str(layout.attempt).encode(), 0o600)
    copies = _copies(home, files, copy_below if layout.tasks == 1 else -1)
    for count, task in enumerate(layout.only or range(layout.tasks), 1):
        if look(home, f"{TASKS}/{task}") is None:
            _make_task(home, task, files, copies, inputs)
        made(count)


def _set_aside(home: int, layout: Layout) -> None:
    """Move what an earlier attempt left out of the way: all of it, or the directories of some tasks."""
    if layout.only is None:
        remove(home, f"{INCOMING}/tasks")
        with suppress(FileNotFoundError):
            rename(home, TASKS, f"{INCOMING}/tasks")
        return
    for task in layout.only:
        remove(home, f"{INCOMING}/old-{task}")
        with suppress(FileNotFoundError):
            rename(home, f"{TASKS}/{task}", f"{INCOMING}/old-{task}")


def _made_for(home: int, attempt: int) -> bool:
    try:
        return read_small(home, MADE_FOR, 32) == str(attempt).encode()
    except FileNotFoundError:
        return False


def _copies(home: int, files: Mapping[str, FileEntry], copy_below: int) -> frozenset[str]:
    """Choose the files that are copied: those that ask for it, and in a single job the small ones."""
    chosen = set()
    with Kept(home) as kept:
        for path, entry in files.items():
            if path.endswith("/") or entry.mode is Mode.LINK or entry.target is not None:
                continue
            seen = look(kept, f"{INPUTS}/{path}")
            if seen is not None and (entry.mode is Mode.COPY or seen.st_size <= copy_below):
                chosen.add(path)
    return frozenset(chosen)


def _make_task(home: int, task: int, files: Mapping[str, FileEntry], copies: frozenset[str], inputs: str) -> None:
    temporary = f"{INCOMING}/task-{task}"
    remove(home, temporary)
    os.close(open_directory(home, temporary, make=True))
    with Kept(home) as kept:
        for path, entry in files.items():
            target = f"{temporary}/{path}".removesuffix("/")
            if entry.target is not None:
                _link(kept, target, entry.target)
            elif path.endswith("/"):
                os.close(open_directory(kept, target, make=True))
            elif path in copies:
                _copy(kept, f"{INPUTS}/{path}", target)
            else:
                _link(kept, target, f"{inputs}/{path}")
    _close(home, temporary, files)
    rename(home, temporary, f"{TASKS}/{task}")


def _link(home: At, path: str, target: str) -> None:
    with parent(home, path, make=True) as (above, name):
        os.symlink(target, name, dir_fd=above)


def _close(home: int, temporary: str, files: Mapping[str, FileEntry]) -> None:
    """Give directories the permissions that were asked for, the deepest first."""
    asked = [path for path, entry in files.items() if path.endswith("/") and entry.permissions is not None]
    for path in sorted(asked, key=lambda path: -path.count("/")):
        with directory(home, f"{temporary}/{path}") as fd:
            os.fchmod(fd, files[path].bits(directory=True))


def _copy(home: At, path: str, target: str) -> None:
    """Copy with permissions and times; the times tell later whether the task changed the file."""
    with os.fdopen(open_file(home, path), "rb") as source:
        seen = os.fstat(source.fileno())
        with os.fdopen(create_file(home, target, seen.st_mode & 0o777), "wb") as copy:
            while copy_some(source.fileno(), copy.fileno(), 2**30):
                pass
            os.utime(copy.fileno(), ns=(seen.st_mtime_ns, seen.st_mtime_ns))
