"""What a step is given: the job with its parts, and the ports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent
from cluster_interface.model.queue import find_queue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.inspection.software import Software
    from cluster_interface.model.job import Attempt, Job
    from cluster_interface.model.plan import Ask, Plan
    from cluster_interface.model.queue import Queue
    from cluster_interface.model.state import JobState
    from cluster_interface.model.wishes import When
    from cluster_interface.ports import (
        Clock,
        Identity,
        ImageStore,
        Observation,
        Scheduler,
        Site,
        Stager,
        Works,
    )
    from cluster_interface.settings import Defaults, Retention
    from cluster_interface.store.roll import Roll


@dataclass(frozen=True, kw_only=True)
class Case:
    """One job with its tasks, its newest attempt and the jobs it waits for."""

    job: Job
    tasks: Roll
    attempt: Attempt | None = None
    waits: tuple[tuple[str, When, JobState], ...] = ()

    @property
    def plan(self) -> Plan:
        """The job's plan; Permanent where it has none yet."""
        if self.job.plan is None:
            raise Permanent("this job has no plan")
        return self.job.plan

    @property
    def ask(self) -> Ask:
        """What the newest attempt asked for."""
        return (self.attempt.ask if self.attempt else None) or self.plan.ask


@dataclass(frozen=True)
class Looked:
    """A look at the tasks of an order: what the scheduler showed, and which of its elements need another look."""

    seen: Mapping[int, Observation]
    again: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The ports, and what was last seen of the native jobs.

    `seen`: mark -> element of that native job -> observation. A mark that is not in there has not been looked for
    yet; one with an empty mapping was looked for and is not there.
    `looked`: mark -> what was made of that when the job's tasks were last looked at. Both can be lost at any time.
    """

    site: Site
    images: ImageStore
    stager: Stager
    works: Works
    identity: Identity
    clock: Clock
    defaults: Defaults
    retention: Retention
    software: Software
    seen: dict[str, Mapping[int, Observation]] = field(default_factory=dict)
    looked: dict[str, Looked] = field(default_factory=dict)

    @property
    def keep(self) -> float | None:
        """Seconds after a job's end for which its files are kept; None: for good."""
        return None if self.retention.days is None else self.retention.days * 86400.0

    def scheduler(self, ask: Ask) -> Scheduler:
        """Return the scheduler of a request; Transient if the site has it no more."""
        return self.site.scheduler(ask.scheduler)

    def queue(self, ask: Ask) -> Queue | None:
        """Return the queue of a request; None if the site has it no more."""
        return find_queue(self.site.queues(), ask.scheduler, ask.queue)
