"""Touch files as a job's account, in this thread alone.

A server that runs as root must not read `file:/etc/shadow` for a user, nor leave root's files in a job's
directory. `acting_as` gives the calling thread the account's file system identity (setfsuid(2), setfsgid(2),
setgroups(2)): the kernel then checks every access as if the account made it, and takes away root's power to
pass by permissions (capabilities(7), "Effect of user ID changes on capabilities"). Unlike setresuid it can be
undone, and unlike it the account's processes cannot signal ours. libc's setgroups would change every thread,
hence the plain system call.

Never yield to a caller while acting: what it does would be done as the account too.
"""

from __future__ import annotations

import ctypes
import os
import platform
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from cluster_interface.model.errors import Permanent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cluster_interface.model.job import Account

#: The number of setgroups(2) per machine (arch/*/syscall tables of Linux).
_SETGROUPS = {"x86_64": 116, "aarch64": 159, "riscv64": 159, "loongarch64": 159, "ppc64le": 81, "s390x": 206}

_libc = ctypes.CDLL(None, use_errno=True)


class Acting(NamedTuple):
    """An account that a thread acts for."""

    uid: int
    gid: int
    groups: tuple[int, ...]


class _State(threading.local):
    own: Acting | None = None  #: the server's, while this thread acts for somebody
    now: Acting | None = None


_state = _State()


@contextmanager
def acting_as(account: Account) -> Iterator[None]:
    """Reach files as `account` alone until the end; nothing changes where it is the server's own.

    Raises Permanent for uid 0, and where the server is another ordinary account.
    """
    if account.uid == 0 or account.gid == 0:
        raise Permanent(f"jobs never touch files as {account.name}: give the job an ordinary account")
    wanted = Acting(account.uid, account.gid, tuple(sorted({account.gid, *account.groups})))
    if os.geteuid() == account.uid or _state.now == wanted:
        yield
        return
    if os.geteuid() != 0:
        raise Permanent(f"the server runs as uid {os.geteuid()} and cannot reach files as {account.name}")
    with _switched(wanted):
        yield


@contextmanager
def as_the_server() -> Iterator[None]:
    """Step back to the server's own identity for a moment: to open an upload, to report progress."""
    if _state.own is None or _state.now is None:
        yield
        return
    with _switched(_state.own):
        yield


def identity() -> Acting | None:
    """Say whom this thread acts for, so that a program it starts can become them; None where that is the server."""
    return _state.now


@contextmanager
def _switched(wanted: Acting) -> Iterator[None]:
    before = _state.now or Acting(os.geteuid(), os.getegid(), tuple(os.getgroups()))
    own = _state.own
    _state.own = own or before
    try:
        _take(wanted)
        yield
    finally:
        _take(before)
        _state.own = own


def _take(wanted: Acting) -> None:
    """Change this thread's identity and make sure of it: a thread of mixed identity must not go on."""
    if os.geteuid() == wanted.uid:  # regain the right to change the rest
        _set_fs_id("setfsuid", wanted.uid)
    _set_groups(wanted.groups)
    _set_fs_id("setfsgid", wanted.gid)
    _set_fs_id("setfsuid", wanted.uid)
    _state.now = wanted if wanted != _state.own else None


def _set_fs_id(call: str, value: int) -> None:
    function = getattr(_libc, call)
    function(value)
    if function(ctypes.c_uint(-1 & 0xFFFFFFFF)) != value:  # an impossible id changes nothing and tells the present one
        raise SystemError(f"{call}({value}) was refused")


def _set_groups(groups: Sequence[int]) -> None:
    number = _SETGROUPS.get(platform.machine())
    if number is None:
        raise Permanent(f"running as root is not supported on {platform.machine()}: run the server as an account")
    array = (ctypes.c_uint32 * len(groups))(*groups)
    if _libc.syscall(ctypes.c_long(number), ctypes.c_size_t(len(groups)), array) != 0:
        raise SystemError(f"setgroups was refused: {os.strerror(ctypes.get_errno())}")
