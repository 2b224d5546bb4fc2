"""Tasks that share a container: their directories are lent to it, and a killed job.sh may leave one with it.

attempts/<k>/pack/<element>/job/    the container's /job: the entries of the present task's directory, moved here
                            now     a link that names the task; there while any of its entries may be in job/
                            io/     second names of the present task's logs

job.sh makes `now`, moves the entries of tasks/<n>/ to job/, runs the task, moves all of job/ back and removes `now`
(adapters/runtimes/moves.sh). So what is in job/ belongs into tasks/<now>, whenever a kill came.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress

from cluster_interface.trees.beneath import directory, remove, unlock

_NUMBER = re.compile(r"0|[1-9]\d{0,8}")


def settle(home: int, attempt: int) -> list[int]:
    """Finish the moving back for all elements of an attempt; return the tasks it was for.

    To be called as the job's account, below its open directory, once nothing of the attempt runs any more. Safe to
    repeat and to kill. OSError where the filesystem refuses.
    """
    try:
        with directory(home, f"attempts/{attempt}/pack") as packs:
            elements = [name for name in _names(packs) if _NUMBER.fullmatch(name)]
    except FileNotFoundError:
        return []  # nothing was shared
    found = (_settle_element(home, f"attempts/{attempt}/pack/{element}") for element in elements)
    return sorted(task for task in found if task is not None)


def _settle_element(home: int, pack: str) -> int | None:
    with directory(home, pack) as fd:
        try:
            task = os.readlink("now", dir_fd=fd)
        except FileNotFoundError:
            return None
        if not _NUMBER.fullmatch(task):
            return None
        _let_in("job", fd)
        with directory(fd, "job") as lent, directory(home, f"tasks/{task}", make=True) as own:
            for name in _names(lent):
                _give_back(name, lent, own)
        remove(fd, "io")
        os.unlink("now", dir_fd=fd)
        return int(task)


def _give_back(name: str, lent: int, own: int) -> None:
    """Move one entry; should there be one of its name, this is what the task wrote last."""
    try:
        os.rename(name, name, src_dir_fd=lent, dst_dir_fd=own)
    except PermissionError:  # a directory that even its owner may not write to cannot be moved
        mode = os.stat(name, dir_fd=lent, follow_symlinks=False).st_mode
        _let_in(name, lent)
        os.rename(name, name, src_dir_fd=lent, dst_dir_fd=own)
        os.chmod(name, mode & 0o7777, dir_fd=own)
    except OSError:
        remove(own, name)
        os.rename(name, name, src_dir_fd=lent, dst_dir_fd=own)


def _let_in(name: str, at: int) -> None:
    with suppress(NotADirectoryError):
        unlock(name, os.stat(name, dir_fd=at, follow_symlinks=False).st_mode, at)


def _names(fd: int) -> list[str]:
    with os.scandir(fd) as entries:
        return [entry.name for entry in entries]
