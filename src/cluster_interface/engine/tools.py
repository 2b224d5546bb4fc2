"""What a step is given: the job with its parts, and the ports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.model.job import Account, Attempt, Job, Task
    from cluster_interface.ports import (
        Clock,
        Identity,
        ImageStore,
        Observation,
        Runtime,
        Scheduler,
        Stager,
        Works,
    )
    from cluster_interface.settings import Defaults


@dataclass(frozen=True, kw_only=True)
class Case:
    """One job with its tasks and its present attempt."""

    job: Job
    tasks: tuple[Task, ...]
    attempt: Attempt | None = None


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The ports, and what was last seen of the scheduler's jobs (native id -> task -> observation)."""

    scheduler: Scheduler
    runtimes: Mapping[str, Runtime]
    images: ImageStore
    stager: Stager
    works: Works
    identity: Identity
    clock: Clock
    server: Account  #: the server's own, for runtimes whose job.sh must run as it
    defaults: Defaults
    seen: dict[str, Mapping[int, Observation]] = field(default_factory=dict)
