"""A resolved spec: what exactly will run. Its hash is what a steward approves."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Any

from pydantic import Field

from cluster_interface.model.base import Model
from cluster_interface.model.jobspec import JobSpec


class Bound(StrEnum):
    """How well a runtime keeps a limit on this host."""

    ENFORCED = "enforced"
    BEST_EFFORT = "best effort"  #: sampled, and the job killed
    NONE = "none"


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
    system: tuple[str, ...] = ()  #: every distribution package that the base was asked to have


class SourceInfo(Model):
    """What is known of one input before it is fetched."""

    path: str
    source: str  #: upload:…, file:…, https:…; "content" for inline text, "directory" for one that is made
    size: int | None = None
    sha256: str | None = None

    @property
    def pinned(self) -> bool:
        """Whether its bytes are fixed by a checksum; a directory has none."""
        return self.sha256 is not None or self.path.endswith("/")


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


class Plan(Model):
    """Everything that decides what runs; nothing else is read once it is approved."""

    spec: JobSpec
    command: str
    lock: Lock | None  #: None: the host's own software, no container
    sources: tuple[SourceInfo, ...] = ()
    tasks: int = 1
    parameters_sha256: str | None = Field(default=None, description="of the tasks' parameters, in order")
    ask: Ask
    bounds: Bounds = {}

    @property
    def sha256(self) -> str:
        """The hash of what a steward looks at: the plan without the host's own properties."""
        return digest(self.model_dump(mode="json", exclude={"bounds"}))


def digest(value: Any) -> str:
    """SHA-256 of a JSON value in one canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
