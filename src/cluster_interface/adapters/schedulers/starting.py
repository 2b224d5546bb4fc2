"""Starting one task: a session of its own, under its account, with a clean environment."""

from __future__ import annotations

import os
import signal
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from cluster_interface.adapters.processes import Process, fork_held, identify
from cluster_interface.model.errors import Transient

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from cluster_interface.ports import Order

_MOST_FILES = 65_536
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def start(
    order: Order,
    variables: Mapping[str, str],
    cores: Collection[int],
    record: Callable[[Process], None],
    unstarted: Callable[[], None],
) -> Process:
    """Start `sh job.sh <offset>`; it waits until `record` has written down who it is.

    Should we die in between, the pipe closes, and it calls `unstarted` and ends without having done anything: what
    runs is on record, and what is on record either ran or says that it did not. OSError or Transient if no
    process can be made.
    """
    pid, pipe = fork_held()
    if pid == 0:
        _become(order, variables, cores, pipe, unstarted)
    try:
        if (process := identify(pid)) is None:
            raise Transient("the process ended before it began")
        record(process)
    except BaseException:
        os.close(pipe)
        os.waitpid(pid, 0)  # it leaves at once
        raise
    with suppress(BrokenPipeError):  # somebody killed it meanwhile: it has started and ended
        os.write(pipe, b"!")
    os.close(pipe)
    return process


def _become(
    order: Order, variables: Mapping[str, str], cores: Collection[int], go: int, unstarted: Callable[[], None]
) -> NoReturn:
    """Turn this child into the task. Never returns."""
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if os.read(go, 1) != b"!":
            unstarted()
            os._exit(0)
        if cores:
            with suppress(OSError):
                os.sched_setaffinity(0, cores)
        _drop_to(order)
        _redirect(order)
        os.closerange(3, _MOST_FILES)  # whoever started the server may have left files open: not for users' eyes
        os.execve("/bin/sh", ["sh", str(order.script), str(order.offset)], {**_environment(order), **variables})  # noqa: S606 - clean by design
    except BaseException:  # noqa: BLE001 - a forked child must not go back into its parent's code
        with suppress(BaseException):
            traceback.print_exc()
    os._exit(126)


def _drop_to(order: Order) -> None:
    os.umask(0o077)
    if os.geteuid() == 0 and order.account.uid != 0:
        os.setgroups(sorted({order.account.gid, *order.account.groups}))
        os.setgid(order.account.gid)
        os.setuid(order.account.uid)
    try:
        os.chdir(order.script.parent)
    except OSError:
        os.chdir("/")


def _redirect(order: Order) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    log = nothing
    if order.log:
        log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _environment(order: Order) -> dict[str, str]:
    account = order.account
    return {
        "PATH": _PATH,
        "HOME": account.home,
        "USER": account.name,
        "LOGNAME": account.name,
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",  # noqa: S108 - the convention's name
    }
