"""tasks/<n>/ of a job: the file tree as a task sees it, in /job, with real directories.

Files are copies where that is small and the job single, else links to /inputs, where the container has inputs/.
A directory is filled under a temporary name and then moved, so one that is there is whole.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from cluster_interface.model.filetree import Mode
from cluster_interface.staging.inputs import INCOMING, INPUTS
from cluster_interface.trees.beneath import (
    create_file,
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

TASKS = "tasks"
MADE_FOR = "tasks/attempt"  #: holds the number of the attempt that the directories were made for

_CANNOT = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)


def make_tasks(
    home: int,
    files: Mapping[str, FileEntry],
    *,
    tasks: int,
    attempt: int,
    copy_below: int,
    made: Callable[[int], None],
) -> None:
    """Make what is missing of tasks/0 … tasks/<tasks-1>; all anew if they were made for another attempt."""
    if not _made_for(home, attempt):
        remove(home, f"{INCOMING}/tasks")
        with suppress(FileNotFoundError):
            rename(home, TASKS, f"{INCOMING}/tasks")
        replace_file(home, MADE_FOR, str(attempt).encode(), 0o600)
    copies = _copies(home, files, copy_below if tasks == 1 else -1)
    for task in range(tasks):
        if look(home, f"{TASKS}/{task}") is None:
            _make_task(home, task, files, copies)
        made(task + 1)


def _made_for(home: int, attempt: int) -> bool:
    try:
        return read_small(home, MADE_FOR, 32) == str(attempt).encode()
    except FileNotFoundError:
        return False


def _copies(home: int, files: Mapping[str, FileEntry], copy_below: int) -> frozenset[str]:
    """Choose the files that are copied: those that ask for it, and in a single job the small ones."""
    chosen = set()
    for path, entry in files.items():
        seen = None if path.endswith("/") or entry.mode is Mode.LINK else look(home, f"{INPUTS}/{path}")
        if seen is not None and (entry.mode is Mode.COPY or seen.st_size <= copy_below):
            chosen.add(path)
    return frozenset(chosen)


def _make_task(home: int, task: int, files: Mapping[str, FileEntry], copies: frozenset[str]) -> None:
    temporary = f"{INCOMING}/task-{task}"
    remove(home, temporary)
    os.close(open_directory(home, temporary, make=True))
    for path in files:
        target = f"{temporary}/{path}"
        if path.endswith("/"):
            os.close(open_directory(home, target, make=True))
        elif path in copies:
            _copy(home, f"{INPUTS}/{path}", target)
        else:
            with parent(home, target, make=True) as (above, name):
                os.symlink(f"/{INPUTS}/{path}", name, dir_fd=above)
    rename(home, temporary, f"{TASKS}/{task}")


def _copy(home: int, path: str, target: str) -> None:
    """Copy with permissions and times; the times tell later whether the task changed the file."""
    with os.fdopen(open_file(home, path), "rb") as source:
        seen = os.fstat(source.fileno())
        with os.fdopen(create_file(home, target, seen.st_mode & 0o777), "wb") as copy:
            _copy_bytes(source.fileno(), copy.fileno())
            os.utime(copy.fileno(), ns=(seen.st_mtime_ns, seen.st_mtime_ns))


def _copy_bytes(source: int, target: int) -> None:
    """Let the kernel copy, sharing the blocks where the filesystem can; else through memory."""
    try:
        while os.copy_file_range(source, target, 2**30):
            pass
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        while data := os.read(source, 2**20):
            view = memoryview(data)
            while view:
                view = view[os.write(target, view) :]
