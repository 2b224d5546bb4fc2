"""`file:/path`: a file of this machine, opened as the job's account."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cluster_interface.staging.sources.kinds import Here, unavailable
from cluster_interface.trees.names import native, portable

_NO_DATA = ("/proc", "/sys")
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Files(Here):
    """Files of this machine; links are followed, as the account's own right allows."""

    def __init__(self, hash_below: int) -> None:
        self.hash_below = hash_below

    def descriptor(self, source: str, owner: str) -> int:
        """Open a regular file."""
        del owner
        path = file_path(source.partition(":")[2])
        return open_regular(native(path), path)


def file_path(rest: str) -> str:
    """Return the absolute path of `file:/path` or `file:///path` (nothing in it is percent-decoded)."""
    path = rest.removeprefix("//") if rest.startswith("///") else rest
    if not path.startswith("/") or path.startswith("//") or "\0" in path:
        raise unavailable(f"{rest!r}: write an absolute path of this machine, such as file:/home/ada/data.csv")
    return path


def place_of(path: str) -> str:
    """Return where a path leads by its links' texts; Permanent for what is the system's.

    The kernel would follow links of /proc to what this server has open, past the directories that keep others out.
    """
    real = os.path.realpath(path)
    if any(real == top or real.startswith(f"{top}/") for top in _NO_DATA):
        raise unavailable(f"{portable(path)} is of the server's own processes and devices, not data")
    return real


def open_regular(path: str, shown: str | None = None) -> int:
    """Open a regular file and nothing else."""
    shown, path = shown or path, place_of(path)
    try:
        if stat.S_ISREG(Path(path).stat().st_mode):  # before opening, which alone may block on a fifo
            fd = os.open(path, _READ)
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return fd
            os.close(fd)
    except OSError as error:
        raise unavailable(f"{shown}: {(error.strerror or 'cannot be read').lower()}") from None
    raise unavailable(f"{shown} is not a regular file")
