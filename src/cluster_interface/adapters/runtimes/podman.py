"""Podman, rootless: an ordinary account's container from directories, with nothing to load first."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING, Literal

from cluster_interface.adapters.runtimes import entry, ordinary
from cluster_interface.adapters.runtimes.parts import shipped
from cluster_interface.adapters.runtimes.script import bound, render, render_shell
from cluster_interface.model.errors import Permanent
from cluster_interface.model.plan import Bound
from cluster_interface.ports import Face

if TYPE_CHECKING:
    from cluster_interface.model.job import Account
    from cluster_interface.model.plan import Bounds
    from cluster_interface.ports import Run

_PARTS = ("canary.sh", "own.sh", "podman.sh")
_PATH = "PATH=${PATH:-/bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin\n"


class Podman:
    """Runs images unpacked in a directory, with `podman run --rootfs`.

    The account needs a range of subordinate ids (subuid(5)): podman maps the container's root to one of them and
    the account to itself. `account` and `cgroups` are as for Apptainer.
    """

    name = "podman"
    face: Face | None = Face.DIRECTORY
    runs_as: Literal["user", "server"] = "user"

    def __init__(self, *, account: Account | None = None, cgroups: bool = False, grace: int = 2) -> None:
        self._account = account
        self._cgroups = cgroups
        self._grace = grace

    def probe(self) -> str | None:
        """Say why it cannot be used here: no podman, no runtime for it, no subordinate ids, no user namespaces."""
        if not shutil.which("podman", path=ordinary.search_path()):
            return "there is no podman command; install Podman 4 or later"
        for needed in ("newuidmap", "conmon"):
            if not any(shutil.which(needed, path=f"{ordinary.search_path()}:{also}") for also in _PLACES):
                return f"there is no {needed}, which podman needs for an ordinary account"
        said = ordinary.attempt(self._account, ("sh", "-c", _TRY))
        return None if said is None else f"podman cannot map an ordinary account's ids: {said}{ordinary.advice()}"

    def bounds(self) -> Bounds:
        """Memory and processors are kept by the scheduler's cgroups or not at all.

        An ordinary account sets no limits on cgroups v1 (podman says so and goes on), and who looks for a task's
        processes among those that job.sh started does not find podman's.
        """
        kept = Bound.ENFORCED if self._cgroups else Bound.NONE
        return {**ordinary.bounds(cgroups=self._cgroups), "memory": kept, "cpus": kept}

    def job_script(self, run: Run) -> str:
        """Write job.sh; Permanent if the image is not in a directory."""
        return render(run, _PARTS, self._settings(run) | {"interactive": "no"}, entry.words(run, init=True))

    def shell_script(self, run: Run, task: int) -> str:
        """Write what opens a shell in the image and the directory of a task."""
        settings = self._settings(run) | {"interactive": "yes", "job_source": "", "element": "shell"}
        return render_shell(run, task, _PARTS, settings, entry.words(run, interactive=True))

    def reap(self, mark: str) -> None:
        """End containers of a mark, or the one of this name, whose job.sh was killed."""
        ordinary.carry_out(self.reap_script(mark))

    def reap_script(self, mark: str) -> str:
        """Write what does so on another node, as the account or as root."""
        return f"mark={shlex.quote(mark)}\n{_PATH}{shipped('podman-reap.sh')}"

    def _settings(self, run: Run) -> dict[str, str | int]:
        if run.image is None or run.image.rootfs is None:
            raise Permanent("podman needs an image in a directory")
        entry.plain(run.job_dir, run.image.rootfs, run.image.layer)
        return {
            "podman": "podman",
            "rootfs": str(run.image.rootfs),
            "layer": str(run.image.layer or ""),
            "memory": run.ask.memory,
            "grace": self._grace,
            "mounts": " ".join(f"--volume {words}" for words in bound(run)),
            "network": "host" if run.network else "none",
        }


_PLACES = ("/usr/libexec/podman", "/usr/lib/podman", "/usr/local/libexec/podman")
# Without a login session and outside the account's own storage, as job.sh does.
_TRY = (
    'room=$(mktemp -d) && trap \'kill "$(cat "$room/tmp/pause.pid")"; rm -rf "$room"\' EXIT && '
    'export HOME="$room" XDG_RUNTIME_DIR="$room" CONTAINERS_CONF="$room/containers.conf" && '
    'echo \'engine.lock_type = "file"\' >"$CONTAINERS_CONF" && '
    'podman --log-level error --root "$room/storage" --runroot "$room/runroot" --tmpdir "$room/tmp" '
    '--storage-driver vfs --cgroup-manager cgroupfs unshare sh -c \'test "$(wc -l </proc/self/uid_map)" -gt 1 || '
    '{ echo "it has no range in /etc/subuid" >&2; exit 1; }\''
)
