"""Charliecloud: `ch-run` on an unpacked image, in namespaces that job.sh puts around it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from cluster_interface.adapters.runtimes.namespaced import Namespaced
from cluster_interface.ports import Face

if TYPE_CHECKING:
    from pathlib import Path

    from cluster_interface.ports import ImageRef, Run


class Charliecloud(Namespaced):
    """Runs images with `ch-run`, which itself separates neither processes nor the network: the namespaces do.

    The squashfs face is mounted beforehand, so ch-run need not have been built with it.
    """

    name = "charliecloud"
    program = "ch-run"
    missing = "there is no ch-run command; install Charliecloud 0.30 or later"
    usual = Face.DIRECTORY

    def _own_settings(self, run: Run, image: ImageRef, file: Path | None) -> dict[str, str | int]:
        return {
            "chrun": self.program,
            "rootfs": "" if file else str(image.rootfs),
            "image": str(file or ""),
            "mounts": " ".join(
                shlex.join(["rw" if mount.writable else "ro", str(mount.source), str(mount.target)])
                for mount in run.mounts
            ),
            "binds": " ".join(
                f'"--bind=$room/mount{number}:"{shlex.quote(str(mount.target))}'
                for number, mount in enumerate(run.mounts, 1)
            ),
        }
