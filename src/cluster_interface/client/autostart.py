"""Alone, the first command starts the server, and it outlives the command.

One at a time: whoever holds the lock in the runtime directory starts it; the others wait for the lock and then
find the server there.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cluster_interface.client.address import Address
from cluster_interface.client.transport import Transport
from cluster_interface.model.errors import ClusterError, Transient

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cluster_interface.settings import Settings

COMMAND = (sys.executable, "-m", "cluster_interface.main", "serve")
PATIENCE = 60.0  #: seconds until a starting server must answer
LOOK = 0.02  #: seconds between looks
LONGEST_WORDS = 16 * 1024  #: bytes of the log's end in which the refusal is looked for


def start(settings: Settings, command: Sequence[str] = COMMAND) -> None:
    """Make sure that a server answers on the settings' socket; Transient, in the server's own words, if none will."""
    try:
        _make_private(settings.server.runtime)
        with _only_one(settings.server.runtime / "autostart.lock"):
            if not _listens(settings.socket):
                _start(settings, command)
    except OSError as error:
        words = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise Transient(f"the server cannot be started: {words}") from None


def _make_private(directory: Path) -> None:
    """Make a directory that nobody else can write in, or see that it is one: it may lie in /tmp."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        seen = directory.lstat()
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid():
            words = "is not a directory of your own; set CLIF_SERVER__RUNTIME to one"
        elif seen.st_mode & 0o022:
            words = f"can be written by others; run: chmod 700 {directory}"
        else:
            return
        raise Transient(f"the server cannot be started: {directory} {words}") from None


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _start(settings: Settings, command: Sequence[str]) -> None:
    path = settings.server.state / "server.log"
    settings.server.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "ab+") as log:
        before = log.seek(0, os.SEEK_END)
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True
        )
        try:
            _await(server, settings.socket, path, before)
        finally:
            server.returncode = server.returncode or 0  # it lives on: Popen must not warn of it


def _await(server: subprocess.Popen[bytes], path: Path, log: Path, before: int) -> None:
    transport = Transport(Address(socket=path))
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended = server.poll() is not None
        if _listens(path) and _answers(transport):
            return
        if ended:
            raise Transient(f"the server did not start: {_last_words(log, before)}")
        time.sleep(LOOK)
    raise Transient(f"the server started, but does not answer after {PATIENCE:.0f} s; its log is {log}")


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True


def _answers(transport: Transport) -> bool:
    try:
        transport.request("GET", "/me", timeout=PATIENCE)
    except Transient:
        return False
    except ClusterError:
        return True  # it has an opinion: it is there
    finally:
        transport.close()
    return True


def _last_words(log: Path, before: int) -> str:
    """Return the server's refusal, which it prints as a line `clif: …`; else the end of what it wrote."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(before, size - LONGEST_WORDS))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    for line in reversed(lines):
        if line.startswith("clif: "):
            return line.removeprefix("clif: ")
    return f"{lines[-1]} (all of it: {log})" if lines else f"it said nothing (its log: {log})"
