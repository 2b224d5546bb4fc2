"""Charliecloud: `ch-run` on an unpacked image, in namespaces that job.sh puts around it."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING, Literal

from cluster_interface.adapters.runtimes import entry, ordinary
from cluster_interface.adapters.runtimes.script import render, render_shell
from cluster_interface.model.errors import Permanent
from cluster_interface.ports import Face

if TYPE_CHECKING:
    from cluster_interface.model.job import Account
    from cluster_interface.model.plan import Bounds
    from cluster_interface.ports import Run

_PARTS = ("own.sh", "charliecloud.sh", "namespaces.sh")
_NESTED = 2  #: user namespaces that ch-run makes


class Charliecloud:
    """Runs images with `ch-run`, which itself separates neither processes nor the network: the namespaces do.

    `account` and `cgroups` are as for Apptainer. The squashfs face is mounted with squashfuse beforehand, so ch-run
    need not have been built with it.
    """

    name = "charliecloud"
    runs_as: Literal["user", "server"] = "user"

    def __init__(
        self,
        *,
        account: Account | None = None,
        cgroups: bool = False,
        grace: int = 2,
        face: Literal[Face.SQUASHFS, Face.DIRECTORY] = Face.DIRECTORY,
    ) -> None:
        self.face: Face | None = face
        self._account = account
        self._cgroups = cgroups
        self._grace = grace

    def probe(self) -> str | None:
        """Say why it cannot be used here: no program, no namespaces, no FUSE where it is needed."""
        if not shutil.which("ch-run", path=ordinary.search_path()):
            return "there is no ch-run command; install Charliecloud 0.30 or later"
        if said := ordinary.try_namespaces(self._account):
            return said
        if said := ordinary.attempt(self._account, ("ch-run", "--version")):
            return f"ch-run does not run: {said}"
        if self.face is Face.SQUASHFS and not shutil.which("squashfuse", path=ordinary.search_path()):
            return "there is no squashfuse, with which images are mounted"
        return None

    def bounds(self) -> Bounds:
        """Memory and processors are the scheduler's business; the rest is namespaces'."""
        return ordinary.bounds(cgroups=self._cgroups)

    def job_script(self, run: Run) -> str:
        """Write job.sh; Permanent if the image is not in this runtime's face."""
        return render(run, _PARTS, self._settings(run) | {"interactive": "no"}, entry.words(run))

    def shell_script(self, run: Run, task: int) -> str:
        """Write what opens a shell in the image and the directory of a task."""
        settings = self._settings(run) | {"interactive": "yes", "job_source": ""}
        return render_shell(run, task, _PARTS, settings, entry.words(run, interactive=True))

    def reap(self, mark: str) -> None:
        """Nothing outlives job.sh: the namespaces end with it."""

    def reap_script(self, mark: str) -> str:
        """Nothing outlives job.sh."""
        del mark
        return ""

    def _settings(self, run: Run) -> dict[str, str | int]:
        image = run.image
        packed = image.file if image and self.face is Face.SQUASHFS else None
        if image is None or (packed or image.rootfs) is None:
            raise Permanent(f"charliecloud needs an image in the form {self.face}")
        layer = None if packed else image.layer
        entry.plain(run.job_dir, packed or image.rootfs, layer)
        return {
            "chrun": "ch-run",
            "rootfs": "" if packed else str(image.rootfs),
            "image": str(packed or ""),
            "layer": str(layer or ""),
            "memory": run.ask.memory,
            "grace": self._grace,
            "mounts": " ".join(
                shlex.join(["rw" if mount.writable else "ro", str(mount.source), str(mount.target)])
                for mount in run.mounts
            ),
            "binds": " ".join(
                f'"--bind=$room/mount{number}:"{shlex.quote(str(mount.target))}'
                for number, mount in enumerate(run.mounts, 1)
            ),
            "network": "yes" if run.network else "no",
            "nested": _NESTED,
        }
