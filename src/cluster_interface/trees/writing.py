"""Write small files below an open directory, following no symbolic link: whole under their names, or at once."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from cluster_interface.trees.beneath import NEW, create_file, read_small, remove, rename

if TYPE_CHECKING:
    from cluster_interface.trees.beneath import At


def write_new(above: int, name: str, data: bytes, mode: int) -> os.stat_result:
    """Write a small file of an open directory under its own name, in place of whatever has that; return what it is.

    A kill may leave a part of it: the caller must not believe what he has not noted. Another name of what was there
    keeps its bytes.
    """
    try:
        fd = os.open(name, NEW, mode, dir_fd=above)
    except FileExistsError:
        remove(above, name)
        fd = os.open(name, NEW, mode, dir_fd=above)
    try:
        while data:
            data = data[os.write(fd, data) :]
        seen = os.fstat(fd)
        if seen.st_mode & 0o7777 != mode:  # the process's mask took something away
            os.fchmod(fd, mode)
    finally:
        os.close(fd)
    return seen


def replace_file(at: At, path: str, data: bytes, mode: int, *, to_disk: bool = True) -> None:
    """Write a small file whole or not at all: temporary name, fsync, rename. The same bytes change nothing."""
    with suppress(OSError):
        if read_small(at, path, len(data) + 1) == data:
            return
    temporary = f"{path}.{secrets.token_hex(4)}.new"
    fd = create_file(at, temporary, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            if to_disk:
                os.fsync(file.fileno())
        rename(at, temporary, path)
    except BaseException:
        with suppress(OSError):
            remove(at, temporary)
        raise
