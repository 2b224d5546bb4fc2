"""A resolved spec: what exactly will run. Its hash is what a steward approves."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Any

from pydantic import Field

from cluster_interface.model.base import Model
from cluster_interface.model.host import HostSoftware
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.resources import GIB


class Bound(StrEnum):
    """How well a runtime keeps a limit on this host."""

    ENFORCED = "enforced"
    BEST_EFFORT = "best effort"  #: sampled, and the job killed
    NONE = "none"


#: Address space that the programs of these, in Go, reserve at their start: 1.6 GiB by Apptainer 1.4 and Podman 4.3.
RESERVED = dict.fromkeys(("apptainer", "podman", "docker", "any"), 2 * GIB)

HOST = "none"  #: the runtime without a container, for the host's own software

Bounds = dict[str, Bound]  #: memory, cpus, pids, disk, time, network, filesystem -> how well it is kept


class Lock(Model):
    """An environment resolved: exact versions and hashes, the base they stand on, and the image's key."""

    base: str  #: key of the base
    requirements: str = ""  #: requirements.txt with hashes (pip's format); empty: the base alone
    python: str = ""  #: the interpreter's version the lock was made for, such as 3.11
    packages: tuple[str, ...] = ()  #: name==version, for people
    indexes: tuple[str, ...] = ()  #: package indexes besides the site's own
    image: str  #: key of the image: base, lock and the way of installing
    suite: str | None = None  #: the release of Debian the base is made from; None: it was imported
    as_of: str | None = None  #: the day whose Debian the base is made from; None: that of the day it is made
    system: tuple[str, ...] = ()  #: every distribution package that the base was asked to have
    why: tuple[str, ...] = ()  #: distribution packages that were added, each with its reason: "libgl1: cv2 needs …"
    warnings: tuple[str, ...] = ()  #: what people should know of the packages: "toy==1.0 was withdrawn …"
    conda: str = ""  #: a lock file of conda packages (rattler's, version 6 or later)
    r: tuple[str, ...] = ()  #: R packages built from source, in order: "name version url md5"
    torch: str | None = None  #: cpu: the packages around PyTorch are those without CUDA
    origin: str | None = None  #: the base is this image of a registry, by digest
    dockerfile: str | None = None  #: the base is made from the Dockerfile whose context has this key
    setup: str = ""  #: the base is `under`, and then these lines of shell were run in it
    under: Lock | None = None

    @property
    def layered(self) -> bool:
        """Whether it has anything beyond its base."""
        return bool(self.requirements or self.conda or self.r)


class SourceInfo(Model):
    """What is known of one input before it is fetched."""

    path: str
    source: str  #: upload:…, file:…, https:…; "content" for inline text, "directory" for one that is made
    size: int | None = None
    sha256: str | None = None
    entries: int | None = Field(default=None, description="of a directory with a source: what is in it, in all")
    manifest: str | None = Field(default=None, description="SHA-256 of the paths, sizes and times of all that is in it")
    listing: str | None = Field(default=None, description="SHA-256 of what the node can see again of the manifest")
    mount: str | None = Field(default=None, description="where what is mounted really is")

    @property
    def pinned(self) -> bool:
        """Whether its bytes are fixed by a checksum or, in a directory, by sizes and times; what is made has none."""
        return self.sha256 is not None or self.manifest is not None or self.source in ("directory", "link")


class Ask(Model):
    """Resources with every default filled in: what the scheduler and the runtime are given."""

    cpus: int
    memory: int  #: bytes, per task
    time: int  #: seconds
    gpus: int = 0  #: per node
    gpu_type: str | None = None
    nodes: int = 1
    tasks_per_node: int = 1
    exclusive: bool = False
    queue: str
    scheduler: str = "local"
    runtime: str
    account: str | None = None
    qos: str | None = None
    reservation: str | None = None
    constraint: str | None = None
    licenses: tuple[str, ...] = ()
    disk: int  #: bytes the task's directory may hold
    pids: int = 512

    @property
    def addresses(self) -> int:
        """Bytes of address space: the memory, and what the runtime reserves beside it and does not use."""
        return self.memory + RESERVED.get(self.runtime, 0)


class Plan(Model):
    """Everything that decides what runs; nothing else is read once it is approved."""

    spec: JobSpec
    command: str
    lock: Lock | None  #: None: the host's own software, no container
    sources: tuple[SourceInfo, ...] = ()
    tasks: int = 1
    parameters_sha256: str | None = Field(default=None, description="of the tasks' parameters, in order")
    ask: Ask
    host: tuple[HostSoftware, ...] = Field(default=(), description="software of the host that its container is lent")
    bounds: Bounds = {}

    @property
    def sha256(self) -> str:
        """The hash of what a steward looks at: the plan without the host's own properties.

        Nor does it hold the listings, which say less than the manifests.
        """
        return digest(self.model_dump(mode="json", exclude={"bounds": True, "sources": {"__all__": {"listing"}}}))


def digest(value: Any) -> str:
    """SHA-256 of a JSON value in one canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
