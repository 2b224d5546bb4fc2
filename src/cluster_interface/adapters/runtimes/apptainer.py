"""Apptainer: images as one squashfs file or a directory, in user namespaces, without its setuid helper."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Literal

from cluster_interface.adapters.runtimes import entry, ordinary
from cluster_interface.adapters.runtimes.script import bound, render, render_shell
from cluster_interface.model.errors import Permanent
from cluster_interface.ports import Face

if TYPE_CHECKING:
    from cluster_interface.model.job import Account
    from cluster_interface.model.plan import Bounds
    from cluster_interface.ports import Run

_PARTS = ("own.sh", "apptainer.sh", "namespaces.sh")
_NESTED = 2  #: user namespaces below the outermost: one to be the account again, one that apptainer makes


class Apptainer:
    """Runs images with `apptainer exec --userns --containall`.

    `account` is whom jobs run as, if that is not us; `cgroups` says whether the scheduler bounds each task's memory
    and processors, which nobody but it can here. A directory wants nothing of the node; a squashfs file wants
    /dev/fuse and squashfuse, and is much faster where the store is on a network filesystem.
    """

    name = "apptainer"
    runs_as: Literal["user", "server"] = "user"

    def __init__(
        self,
        *,
        account: Account | None = None,
        cgroups: bool = False,
        grace: int = 2,
        face: Literal[Face.SQUASHFS, Face.DIRECTORY] = Face.SQUASHFS,
    ) -> None:
        self.face: Face | None = face
        self._account = account
        self._cgroups = cgroups
        self._grace = grace

    def probe(self) -> str | None:
        """Say why it cannot be used here: no program, no namespaces, no FUSE."""
        if not shutil.which("apptainer", path=ordinary.search_path()):
            return "there is no apptainer command; install Apptainer 1.1 or later"
        if said := ordinary.try_namespaces(self._account):
            return said
        if said := ordinary.attempt(self._account, ("apptainer", "--version")):
            return f"apptainer does not run: {said}"
        return self._lacks_fuse() if self.face is Face.SQUASHFS else None

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

    def _lacks_fuse(self) -> str | None:
        if not any(shutil.which(name, path=ordinary.search_path()) for name in ("squashfuse_ll", "squashfuse")):
            return "there is no squashfuse, with which apptainer mounts images as an ordinary user"
        if ordinary.attempt(self._account, ("test", "-w", "/dev/fuse")):
            return "this account may not use /dev/fuse, with which images are mounted"
        return None

    def _settings(self, run: Run) -> dict[str, str | int]:
        image = run.image
        place = None
        if image is not None:
            place = image.file if self.face is Face.SQUASHFS else image.rootfs
        if image is None or place is None:
            raise Permanent(f"apptainer needs an image in the form {self.face}")
        layer = None if self.face is Face.SQUASHFS else image.layer
        entry.plain(run.job_dir, place, layer)
        return {
            "apptainer": "apptainer",
            "image": str(place),
            "layer": str(layer or ""),
            "gpus": run.ask.gpus,
            "memory": run.ask.memory,
            "grace": self._grace,
            "mounts": " ".join(f"--bind {words}" for words in bound(run)),
            "network": "yes" if run.network else "no",
            "nested": _NESTED,
        }
