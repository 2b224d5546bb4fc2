"""Apptainer: images as one squashfs file or a directory, in user namespaces, without its setuid helper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.adapters.runtimes.namespaced import Namespaced
from cluster_interface.adapters.runtimes.script import bound
from cluster_interface.ports import Face

if TYPE_CHECKING:
    from pathlib import Path

    from cluster_interface.ports import ImageRef, Run


class Apptainer(Namespaced):
    """Runs images with `apptainer exec --userns --containall`."""

    name = "apptainer"
    program = "apptainer"
    missing = "there is no apptainer command; install Apptainer 1.1 or later"
    init = True
    usual = Face.SQUASHFS

    def _own_settings(self, run: Run, image: ImageRef, file: Path | None) -> dict[str, str | int]:
        return {
            "apptainer": self.program,
            "image": str(file or image.rootfs),
            "mounts": " ".join(f"--bind {words}" for words in bound(run)),
        }
