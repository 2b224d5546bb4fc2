"""What works on the nodes of a queue: a script that looks at the one it runs on, and the reading of its report.

The machine that the server runs on says nothing about them: it may have a Docker engine and they Apptainer alone.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from cluster_interface.adapters.runtimes.modules import MODULE_FILES
from cluster_interface.adapters.runtimes.parts import shipped
from cluster_interface.adapters.runtimes.script import LEAST_ID
from cluster_interface.model.base import Model
from cluster_interface.model.errors import Transient
from cluster_interface.model.plan import RESERVED, Bound, Bounds

if TYPE_CHECKING:
    from pathlib import Path

PREFERRED = ("apptainer", "podman", "charliecloud", "bubblewrap", "docker")  #: on a cluster, the best first

_CONTAINER = dict.fromkeys(("pids", "time", "network", "filesystem"), Bound.ENFORCED)


class Place(Model):
    """A directory as a node sees it."""

    path: str
    visible: bool
    readable: bool
    writable: bool
    type: str = ""  #: of its filesystem, as stat(1) calls it, such as nfs or ext2/ext3


class Found(Model):
    """The report itself, as probe.sh writes it."""

    version: Literal[1]
    host: str
    uid: int
    kernel: str
    distribution: str
    namespaces: str | None  #: why an ordinary account cannot make them; None: it can
    workspace: Place
    store: Place
    cgroups: Literal[0, 1, 2]
    memory_limit: int | None  #: bytes, in force for the probe itself
    addresses: int | None = None  #: bytes that each of its processes could map
    cpus: int  #: that the probe could use
    cpus_of_node: int
    fuse: bool
    squashfuse: bool
    modules: bool
    gpus: tuple[str, ...] = ()
    driver: str | None = None  #: NVIDIA's, such as 535.104.05
    runtimes: dict[str, str | None]  #: name -> why not; None: it works


class NodeReport(Model):
    """What a node can do for jobs."""

    runtimes: tuple[str, ...]  #: those that work, the preferred one first; `none` is a site's decision, not a node's
    refused: dict[str, str]  #: name -> why not
    bounds: dict[str, Bounds]  #: of each runtime that works, and of none
    trouble: tuple[str, ...] = ()  #: what keeps every runtime from working here, in words
    found: Found


def probe_script(out: Path, *, workspace: Path, store: Path, rootfs: Path | None = None) -> str:
    """Write a job that looks at its node and leaves its report in `out`, whole, on the shared filesystem.

    What works depends on the account: submit it as one that jobs run as, and for docker as the server's own.
    `rootfs` is a root filesystem in the store to really start something in; without one versions have to do.
    """
    settings = {
        "out": str(out),
        "workspace": str(workspace),
        "store": str(store),
        "rootfs": str(rootfs or ""),
        "modules_places": " ".join(MODULE_FILES),
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    return "\n".join(["#!/bin/sh", *lines, shipped("probe.sh")])


def read_report(text: str) -> NodeReport:
    """Read what a probe left; Transient if it is no report (a node may have died over it)."""
    try:
        found = Found.model_validate_json(text)
    except ValidationError as error:
        raise Transient(f"the report of a node cannot be read: {error.errors()[0]['msg']}") from None
    trouble = tuple(_trouble(found))
    refused = {name: _why(name, found) for name in PREFERRED}
    works = [] if trouble else [name for name, why in refused.items() if why is None]
    if found.addresses is not None:  # those first that ask for no more of them than the job itself
        works.sort(key=lambda name: name in RESERVED)
    return NodeReport(
        runtimes=tuple(works),
        refused={name: why for name, why in refused.items() if why is not None},
        bounds={name: _bounds(name, found) for name in (*works, "none")},
        trouble=trouble,
        found=found,
    )


def _why(name: str, found: Found) -> str | None:
    """Say why a runtime is not offered, though it may start."""
    if found.uid < LEAST_ID and name != "docker":
        return f"it was tried as uid {found.uid}, as which no job runs"
    why = found.runtimes.get(name, "it was not tried")
    if why is None and name == "apptainer" and not (found.fuse and found.squashfuse):
        lacks = "squashfuse" if found.fuse else "access to /dev/fuse"
        return f"this node lacks {lacks}, with which apptainer mounts images as an ordinary user"
    return why


def _trouble(found: Found) -> list[str]:
    words = []
    if not found.workspace.writable:
        words.append(
            f"{found.host} cannot write to the workspace {found.workspace.path}: it must be a shared directory"
        )
    if not found.store.readable:
        words.append(f"{found.host} does not see the image store {found.store.path}: it must be a shared directory")
    return words


def _bounds(name: str, found: Found) -> Bounds:
    """Say what is kept of a job there: nobody samples on another's node, so what is not enforced is not kept."""
    memory = Bound.NONE if found.addresses is None else Bound.BEST_EFFORT  # of each process, not of all of them
    memory = Bound.ENFORCED if name == "docker" or found.memory_limit is not None else memory
    cpus = Bound.ENFORCED if name == "docker" or found.cpus < found.cpus_of_node else Bound.NONE
    rest = _CONTAINER if name != "none" else {**dict.fromkeys(_CONTAINER, Bound.NONE), "time": Bound.ENFORCED}
    return {"memory": memory, "cpus": cpus, "disk": Bound.NONE, **rest}
