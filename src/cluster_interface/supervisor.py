"""One server on one state directory: its lock, its sockets, and the processes it keeps alive."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import json
import multiprocessing
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NETWORK_FILESYSTEMS = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs", "fuse.s3fs", "gfs2", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "smb3", "smbfs",
})  # fmt: skip
STOP_SECONDS = 10.0  #: for a process to end after SIGTERM
PATIENCE = 5.0  #: seconds for another server to give up the state directory
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0  #: seconds before a process that ended is started again

log = structlog.get_logger()


def make_private(directory: Path) -> None:
    """Make a directory that only this account may enter; Rejected if somebody else made it before."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        owner = directory.stat().st_uid
    except OSError as error:
        raise Rejected.field(str(directory), f"cannot be made: {error.strerror}") from None
    if owner != os.geteuid():
        raise Rejected.field(str(directory), f"belongs to uid {owner}, not to this account; choose another place")


def refuse_network_filesystem(directory: Path, mounts: str | None = None) -> None:
    """Raise Rejected if `directory` lies on a network filesystem (read from proc(5) mountinfo)."""
    kind = filesystem_of(directory, mounts or Path("/proc/self/mountinfo").read_text())
    if kind in NETWORK_FILESYSTEMS:
        words = (
            f"{directory} is on a network filesystem ({kind}), where SQLite's write-ahead log and sockets do not work; "
            "set CLIF_SERVER__STATE and CLIF_SERVER__RUNTIME to directories on a local disk"
        )
        raise Rejected.field("server.state", words)


def filesystem_of(directory: Path, mounts: str) -> str:
    """Return the type of the filesystem a directory is on: the deepest mount point above it, the latest of equals."""
    real, best, kind = directory.resolve(), -1, ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5:
            continue
        point = Path(fields[4].encode().decode("unicode_escape"))
        if real.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split()[0]
    return kind


class StateLock:
    """The right to be the one server of a state directory, held until this process ends."""

    def __init__(self, state: Path) -> None:
        self.path = state / "server.lock"
        self._file = self.path.open("a+")
        os.set_inheritable(self._file.fileno(), False)
        if not self._taken():
            raise Rejected.field("server.state", f"another server uses {state} ({self.holder(state)})")
        self._file.truncate(0)
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "boot": boot}))
        self._file.flush()

    def _taken(self) -> bool:
        """Take the lock; a predecessor that is just ending has some seconds to let go."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > end:
                    return False
                time.sleep(0.1)
            else:
                return True

    def forget(self) -> None:
        """Let go of it in a process that was forked: the lock stays with who took it."""
        self._file.close()

    @staticmethod
    def holder(state: Path) -> str:
        """Say who holds the lock."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            held = json.loads((state / "server.lock").read_text())
            return f"process {held['pid']} on {held['host']}"
        return "an unknown process"

    @staticmethod
    def pid(state: Path) -> int | None:
        """Return the pid of the server of this state directory; None if none runs."""
        path = state / "server.lock"
        with contextlib.suppress(OSError, ValueError, KeyError), path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return int(json.loads(path.read_text())["pid"])
        return None


def unix_listener(path: Path) -> socket.socket:
    """Listen on a Unix socket that only this account may connect to; one left by a dead server is replaced."""
    listener = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        raise Rejected.field("server.runtime", f"cannot listen on {path}: {error.strerror or error}") from None
    finally:
        os.umask(before)
    listener.listen(512)
    return listener


def loopback_listener(address: str, remembered: Path) -> socket.socket:
    """Listen on `host:port`; port 0: the port of the last time if it is free, so that pages keep their address."""
    host, _, port = address.rpartition(":")
    if not port.isdigit() or host not in ("127.0.0.1", "localhost"):
        raise Rejected.field("server.listen", f"{address!r} must be 127.0.0.1:<port>; the pages are for this machine")
    wanted = [int(port)]
    if port == "0":
        with contextlib.suppress(OSError, ValueError):
            wanted.insert(0, int(remembered.read_text()))
    listener = _first_free(host, wanted, address)
    remembered.write_text(str(listener.getsockname()[1]))
    return listener


def _first_free(host: str, ports: Sequence[int], address: str) -> socket.socket:
    for number in ports:
        listener = socket.socket(socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, number))
            listener.listen(512)
        except OSError:
            listener.close()
        else:
            return listener
    raise Rejected.field("server.listen", f"{address} is in use; set another port, or 0 for any free one")


class Child:
    """One process of the server, forked from what is loaded already, and started again whenever it ends."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self.name, self._run = name, run
        self.pause, self.start_at = FIRST_PAUSE, 0.0
        self.process: multiprocessing.process.BaseProcess | None = None
        self.started = 0.0

    def tend(self) -> None:
        """Start it if it does not run and its pause is over."""
        now = time.monotonic()
        if self.process is not None and (code := self.process.exitcode) is not None:
            if now - self.started > LONGEST_PAUSE:
                self.pause = FIRST_PAUSE
            log.warning("a part ended", part=self.name, code=code, again_in=self.pause)
            self.process, self.start_at = None, now + self.pause
            self.pause = min(LONGEST_PAUSE, self.pause * 2)
        if self.process is None and now >= self.start_at:
            self.process = _FORK.Process(target=self._begin, args=(os.getpid(),), name=self.name)
            signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # until the child has its own answer to them
            try:
                self.process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
            self.started = now

    def _begin(self, parent: int) -> None:
        _LIBC.prctl(_PR_SET_NAME, f"clif-{self.name}".encode())
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        if os.getppid() == parent:  # which might have died before it could be told of it
            self._run()

    def terminate(self) -> None:
        """Ask it to end."""
        if self.process is not None:
            self.process.terminate()

    def await_end(self) -> None:
        """Wait until it has ended; kill it if it takes too long."""
        if self.process is None:
            return
        end = time.monotonic() + STOP_SECONDS
        # not join(): what it waits for is open in long work too, which outlives the part that began it
        while self.process.exitcode is None and time.monotonic() < end:
            time.sleep(0.02)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()


def supervise(children: Sequence[Child]) -> None:
    """Keep the children running until SIGTERM or SIGINT. They are forked, so there must be one thread here."""
    stopping: list[int] = []
    for number in _ENDING:
        signal.signal(number, lambda received, _frame: stopping.append(received))
    gc.collect()
    gc.freeze()  # or looking for garbage would make a copy of every page that is shared
    while not stopping:
        for child in children:
            child.tend()
        time.sleep(0.2)
    for child in children:
        child.terminate()
    for child in children:
        child.await_end()


_FORK = multiprocessing.get_context("fork")
_ENDING = (signal.SIGTERM, signal.SIGINT)
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15  # prctl(2)
