"""What runtimes share that are started in namespaces which job.sh puts around them, see namespaces.sh."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from cluster_interface.adapters.runtimes import entry, ordinary
from cluster_interface.adapters.runtimes.script import render, render_shell
from cluster_interface.model.errors import Permanent
from cluster_interface.ports import Face

if TYPE_CHECKING:
    from pathlib import Path

    from cluster_interface.model.job import Account
    from cluster_interface.model.plan import Bounds
    from cluster_interface.ports import ImageRef, Run

_NESTED = 2  #: user namespaces below the outermost: one to be the account again, one that the runtime makes


class Namespaced(ABC):
    """Runs images with a program that itself needs neither a daemon nor a privilege.

    `account` is whom jobs run as, if that is not us; `cgroups` says whether the scheduler bounds each task's memory
    and processors, which nobody but it can here. A directory wants nothing of the node; a squashfs file wants
    /dev/fuse and squashfuse, and is much faster where the store is on a network filesystem.
    """

    name: str
    runs_as: Literal["user", "server"] = "user"
    program: ClassVar[str]  #: what it is started with
    missing: ClassVar[str]  #: what to say where that is not there
    init: ClassVar[bool] = False  #: whether what it starts becomes the first process of its own namespace
    usual: ClassVar[Literal[Face.SQUASHFS, Face.DIRECTORY]]

    def __init__(
        self,
        *,
        account: Account | None = None,
        cgroups: bool = False,
        grace: int = 2,
        face: Literal[Face.SQUASHFS, Face.DIRECTORY] | None = None,
    ) -> None:
        self.face: Face | None = face or self.usual
        self._account = account
        self._cgroups = cgroups
        self._grace = grace

    def probe(self) -> str | None:
        """Say why it cannot be used here: no program, no namespaces, no FUSE where it is needed."""
        if not shutil.which(self.program, path=ordinary.search_path()):
            return self.missing
        if said := ordinary.try_namespaces(self._account):
            return said
        if said := ordinary.attempt(self._account, (self.program, "--version")):
            return f"{self.program} does not run: {said}"
        return self._lacks_fuse() if self.face is Face.SQUASHFS else None

    def bounds(self) -> Bounds:
        """Memory and processors are the scheduler's business; the rest is namespaces'."""
        return ordinary.bounds(cgroups=self._cgroups)

    def job_script(self, run: Run) -> str:
        """Write job.sh; Permanent if the image is not in this runtime's face."""
        words = entry.words(run, init=self.init, devices=True)
        return render(run, self._parts, self._settings(run) | {"interactive": "no"}, words)

    def shell_script(self, run: Run, task: int) -> str:
        """Write what opens a shell in the image and the directory of a task."""
        settings = self._settings(run) | {"interactive": "yes", "job_source": ""}
        return render_shell(run, task, self._parts, settings, entry.words(run, interactive=True, devices=True))

    def reap(self, mark: str) -> None:  # noqa: B027 - it is what it does
        """Nothing outlives job.sh: the namespaces end with it."""

    def reap_script(self, mark: str) -> str:
        """Nothing outlives job.sh."""
        del mark
        return ""

    @abstractmethod
    def _own_settings(self, run: Run, image: ImageRef, file: Path | None) -> dict[str, str | int]:
        """Return what this runtime's part of job.sh wants set; `file` is the squashfs file, if that is its face."""

    @property
    def _parts(self) -> tuple[str, ...]:
        return ("canary.sh", "own.sh", f"{self.name}.sh", "namespaces.sh")

    def _lacks_fuse(self) -> str | None:
        if not any(shutil.which(name, path=ordinary.search_path()) for name in ("squashfuse_ll", "squashfuse")):
            return "there is no squashfuse, with which images are mounted as an ordinary user"
        if ordinary.attempt(self._account, ("test", "-w", "/dev/fuse")):
            return "this account may not use /dev/fuse, with which images are mounted"
        return None

    def _settings(self, run: Run) -> dict[str, str | int]:
        image = run.image
        file = image.file if image and self.face is Face.SQUASHFS else None
        if image is None or (file if self.face is Face.SQUASHFS else image.rootfs) is None:
            raise Permanent(f"{self.name} needs an image in the form {self.face}")
        layer = None if file else image.layer
        entry.plain(run.job_dir, file or image.rootfs, layer)
        return {
            **self._own_settings(run, image, file),
            "layer": str(layer or ""),
            "memory": run.ask.memory,
            "grace": self._grace,
            "network": "yes" if run.network else "no",
            "nested": _NESTED,
        }
