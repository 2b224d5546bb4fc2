"""Docker: containers by the engine's own daemon, so job.sh runs as an account that the engine obeys."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cluster_interface.adapters.runtimes.parts import shipped
from cluster_interface.adapters.runtimes.script import (
    LEAST_ID,
    lasting_variables,
    program,
    render,
    render_shell,
    shell_program,
    task_variables,
    variables,
)
from cluster_interface.model.errors import Permanent, Transient
from cluster_interface.model.plan import Bound, Bounds
from cluster_interface.ports import Face

if TYPE_CHECKING:
    from cluster_interface.ports import ImageRef, Run

_ANSWER = 10  # seconds
REPOSITORY = "cluster-interface/image"  #: what images are called in engines, by the store
_LABEL = "cluster-interface.mark"
_GONE = ("No such container", "is already in progress")  # of containers that are to be removed
_INIT_PLACES = ("/usr/libexec/docker", "/usr/local/libexec/docker", "/usr/local/lib/docker", "/usr/lib/docker")

# A process whose executable its account may not read is closed to all others of the account: see driver.sh.
_UNREADABLE = (
    "mkdir /tmp/.driver && cp /bin/sh /tmp/.driver/sh && chmod 0111 /tmp/.driver/sh && "
    'exec /tmp/.driver/sh -c "$1" driver "$2" "$3" "$4"'
)


class Docker:
    """Runs docker-faced images with `docker run`.

    `bridge` is the network of jobs that may use one: docker's own bridge keeps the host's loopback out of reach.
    `remote`: jobs run where the engine is not the server's, so job.sh brings the image: from archives in the store, or
    from the site's `registry`.
    """

    name = "docker"
    runs_as: Literal["user", "server"] = "server"

    def __init__(self, *, grace: int = 2, bridge: str = "bridge", remote: bool = False, registry: bool = False) -> None:
        brought = Face.REGISTRY if registry else Face.ARCHIVE
        self.face: Face | None = brought if remote else Face.DOCKER
        self._remote = remote
        self._grace = grace
        self._bridge = bridge
        self._host = "" if remote else os.environ.get("DOCKER_HOST", "")
        self._cgroup_driver: str | None = None

    def probe(self) -> str | None:
        """Say why docker cannot be used here."""
        if not shutil.which("docker"):
            return "there is no docker command; install Docker Engine, or use bubblewrap"
        try:
            self._info()
        except (Transient, Permanent) as error:
            return str(error)
        return None

    def bounds(self) -> Bounds:
        """Everything is the kernel's business but disk (sampled by the scheduler) and time (the scheduler's)."""
        return {
            "memory": Bound.ENFORCED,
            "cpus": Bound.ENFORCED,
            "pids": Bound.ENFORCED,
            "disk": Bound.BEST_EFFORT,
            "time": Bound.ENFORCED,
            "network": Bound.ENFORCED,
            "filesystem": Bound.ENFORCED,
        }

    def job_script(self, run: Run) -> str:
        """Write job.sh for `docker run`."""
        settings, image = self._settings(run)
        if run.packed:
            settings["moves"] = shipped("moves.sh")
            return render(run, [*self._parts, "docker_pack.sh"], settings, [*_calm(run), *image, *_driver(run)])
        return render(run, self._parts, settings, [*_all(run), *image, "-c", shlex.quote(program(run))])

    def shell_script(self, run: Run, task: int) -> str:
        """Write a script that opens an interactive shell in a container of its own."""
        settings, image = self._settings(run)
        words = [*_all(run), '--env TERM="${TERM:-xterm}"', *image, "-c", shlex.quote(shell_program(run))]
        return render_shell(run, task, self._parts, settings, words)

    def reap(self, mark: str) -> None:
        """Remove the containers of a mark, or the one of this name; Transient if docker does not answer."""
        listed = _docker("ps", "-aq", "--no-trunc", "--filter", f"label={_LABEL}={mark}").split()
        _docker("rm", "-f", "-v", mark, *listed)

    def reap_script(self, mark: str) -> str:
        """Write what removes the containers of a mark on another node."""
        host = f"export DOCKER_HOST={shlex.quote(self._host)}\n" if self._host else ""
        return f"""{host}found=$(docker ps -aq --no-trunc --filter {shlex.quote(f"label={_LABEL}={mark}")}) || exit
[ -z "$found" ] || echo "$found" | xargs docker rm -f -v >/dev/null
"""

    def _settings(self, run: Run) -> tuple[dict[str, str | int], list[str]]:
        """Return what the parts want set, and the words that name the image."""
        if run.image is None or run.image.tag is None:
            raise Permanent("docker needs an image that its engine has")
        settings: dict[str, str | int] = {
            "docker": "docker" if self._remote else shutil.which("docker") or "docker",
            "host": self._host,
            "memory": run.ask.memory,
            "cpus": run.ask.cpus,
            "pids": run.ask.pids,
            "grace": self._grace,
            "network": self._bridge if run.network else "none",
            "init": "yes" if _has_init() else "no",
            "parents": "yes" if not self._remote and self._takes_parents() else "no",
            "job_source": _source(run.job_dir),
            **self._brought(run.image),
        }
        return settings, ["--", shlex.quote(run.image.tag)]

    def _brought(self, image: ImageRef) -> dict[str, str]:
        """Return what brings the image to a node."""
        if not self._remote:
            return {}
        more = _pulled(image) if self.face is Face.REGISTRY else _archives(image)
        return {"tag": image.tag or "", "key": image.key, **more}

    @property
    def _parts(self) -> list[str]:
        if not self._remote:
            return ["canary.sh", "docker.sh"]
        return [
            "canary.sh",
            "docker.sh",
            "docker_pull.sh" if self.face is Face.REGISTRY else "docker_load.sh",
            "docker_bring.sh",
        ]

    def _takes_parents(self) -> bool:
        """Whether a cgroup of ours can be a container's parent: not where systemd makes the containers' cgroups."""
        if self._cgroup_driver is None:
            self._cgroup_driver = str(self._info().get("CgroupDriver"))
        return self._cgroup_driver == "cgroupfs"

    def _info(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(_docker("info", "--format", "{{json .}}"))
        if errors := found.get("ServerErrors"):
            raise Transient(f"docker's engine does not answer: {'; '.join(errors)}{_advice()}")
        return found


def _pulled(image: ImageRef) -> dict[str, str]:
    """Return what a node's engine pulls."""
    if image.pulled is None:
        raise Permanent(f"image {image.key} is in no registry, from which a node could pull it")
    return {"pulled": image.pulled}


def _archives(image: ImageRef) -> dict[str, str]:
    """Return what a node's engine loads: tag and file of each archive, the one that stands on the others first."""
    if not image.archives:
        raise Permanent(f"image {image.key} is in no archives, from which a node could load it")
    words = [word for file in reversed(image.archives) for word in (f"{REPOSITORY}:{file.stem[:24]}", str(file))]
    return {"archives": shlex.join(words)}


def _mounts(run: Run) -> list[str]:
    """Return the options that mount what stays in place, without other filesystems in it: those would be writable.

    With it come the account's groups, by which people share such data; never one of the system's own.
    """
    groups = [number for number in run.account.groups if number >= LEAST_ID and run.mounts]
    return [f"--group-add {number}" for number in groups] + [
        "--mount "
        + shlex.quote(
            f"type=bind,{'' if mount.writable else 'readonly,'}bind-nonrecursive=true,"
            f'"source={mount.source}","target={mount.target}"'
        )
        for mount in run.mounts
    ]


def _all(run: Run) -> list[str]:
    return [*_mounts(run), *(f"--env {name}={word}" for name, word in variables(run))]


def _calm(run: Run) -> list[str]:
    """Give a shared container only what it knows alone, under our own names: the driver must not heed the user's."""
    own = [(name, word) for name, word in lasting_variables(run) if word.startswith('"')]
    return [*_mounts(run), *(f"--env {name}={word}" for name, word in own)]


def _driver(run: Run) -> list[str]:
    """Return the words of the driver's start: what users set comes in with each task."""
    settled = [(name, word) for name, word in lasting_variables(run) if not word.startswith('"')]
    exports = "export " + " ".join(f"{name}={word}" for name, word in [*settled, *task_variables(run)])
    texts = [_UNREADABLE, "sh", shipped("driver.sh"), program(run), exports, f"/home/{run.account.name}"]
    return ["-c", *map(shlex.quote, texts)]


def _docker(*words: str) -> str:
    try:
        done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=_ANSWER, check=False)
    except FileNotFoundError:
        raise Permanent("there is no docker command on this machine") from None
    except subprocess.TimeoutExpired:
        raise Transient(f"docker's engine has not answered for {_ANSWER} s") from None
    if done.returncode != 0 and not any(words in done.stderr for words in _GONE):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise Transient(f"docker's engine does not answer: {last}{_advice()}")
    return done.stdout


def _advice() -> str:
    socket = Path("/var/run/docker.sock")
    if os.environ.get("DOCKER_HOST") or not socket.exists():
        return "; is dockerd running?"
    if not os.access(socket, os.W_OK):
        return f"; this account may not use {socket} (members of the group docker may)"
    return ""


def _source(path: Path) -> str:
    """Begin a field of docker's --mount, which is CSV; the closing quote is the caller's."""
    return '"source=' + str(path).replace('"', '""')


def _has_init() -> bool:
    return bool(shutil.which("docker-init")) or any((Path(p) / "docker-init").exists() for p in _INIT_PLACES)
