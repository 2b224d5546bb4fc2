"""Scripts looked at, and jobs handed in: new ones, and old ones again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from cluster_interface.inspection import inspect as read_script
from cluster_interface.inspection.batch.queues import with_known_queue, with_known_runtime, with_what_there_is
from cluster_interface.inspection.sweeps import with_places
from cluster_interface.model.advice import earlier, within
from cluster_interface.model.amounts import show_bytes
from cluster_interface.model.errors import Conflict, Forbidden, Rejected
from cluster_interface.model.queue import find_queue
from cluster_interface.model.resources import Resources
from cluster_interface.model.state import TaskState
from cluster_interface.store import jobs, keeping
from cluster_interface.wire import (
    InspectResponse,
    JobView,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.inspection.software import Software
    from cluster_interface.model.job import Job
    from cluster_interface.model.jobspec import JobSpec
    from cluster_interface.model.sweep import Values
    from cluster_interface.ports import (
        Site,
    )
    from cluster_interface.service.intake import Intake
    from cluster_interface.service.views import Views
    from cluster_interface.settings import (
        DeliverySettings,
        GlobusSettings,
        Retention,
    )
    from cluster_interface.store import Store
    from cluster_interface.wire import (
        InspectRequest,
    )

_ID_LETTERS = "abcdefghjkmnpqrstvwxyz23456789"  # none that is easily taken for another
_ID_LENGTH = 10  #: 49 bits: not to be guessed, short enough to type the beginning of


@dataclass(frozen=True, kw_only=True)
class Submitting:
    """What people can hand in. `user` is who asks, already authenticated."""

    store: Store
    site: Site
    intake: Intake
    views: Views
    retention: Retention
    delivery: DeliverySettings
    globus: GlobusSettings
    software: Software
    wake: Callable[[str], None]

    def inspect(self, user: str, request: InspectRequest) -> InspectResponse:
        """Propose what a script needs; nothing is kept."""
        proposal = read_script(request.files, request.script, request.arguments, self.software, request.start)
        proposal = with_places(proposal, request.parameters)
        proposal = with_known_queue(proposal, [queue.name for queue in self.site.queues()])
        ask = self.intake.fit(Resources())
        proposal = with_known_runtime(proposal, self.site.queues(), ask.queue, self.software)
        queue = find_queue(self.site.queues(), ask.scheduler, ask.queue)
        proposal = with_what_there_is(proposal, self.site.queues(), ask.queue)
        with self.store.read() as db:
            last = jobs.last_like(db, user, proposal.name, proposal.script)
            used = jobs.peak_use(db, last.id) if last else (None, None, None)
        return InspectResponse(
            proposal=proposal,
            queue=ask.queue,
            runtime=ask.runtime,
            bounds=self.site.bounds(ask),
            earlier=within(earlier(last, *used[:2]), queue) if last else None,
        )

    def submit(self, user: str, spec: JobSpec, key: str) -> tuple[JobView, bool]:
        """Take a job; the same key again is the same job. Says whether it is new; Rejected names what is wrong."""
        with self.store.read() as db:
            if known := jobs.find_by_key(db, user, key):
                return self.views.job(db, known), False
        self._must_have_room(user)
        self._must_be_granted(spec)
        spec, rows = self.intake.take(user, spec)
        return self._add(user, spec, key, rows)

    def rerun(
        self, user: str, job: str, key: str, *, failed: bool = False, with_missing: bool = False
    ) -> tuple[JobView, bool]:
        """Submit the same spec again as a new job: all of its tasks, or those that did not complete.

        `with_missing` adds the package that the program lacked. Conflict where none is known, or none failed.
        """
        with self.store.read() as db:
            old = jobs.get(db, user, job)
            tasks = jobs.tasks(db, old.id)
        self._must_have_room(user)
        self.intake.check_uploads(user, old.spec)
        if failed:
            if not old.final:
                raise Conflict(f"job {job} has not ended yet: what will have failed is not known")
            tasks = [task for task in tasks if task.state is not TaskState.COMPLETED]
            if not tasks:
                raise Conflict(f"every task of job {job} completed: there is nothing to run again")
        spec = old.spec.model_copy(update={"after": ()})
        if with_missing:
            spec = self._with_missing(old, spec)
        return self._add(user, spec, key, [task.parameters for task in tasks], rerun_of=old.id)

    def _with_missing(self, old: Job, spec: JobSpec) -> JobSpec:
        with self.store.read() as db:
            missing = self.views.missing(db, old)
        if missing is None:
            raise Conflict(f"job {old.id} does not tell of a package that it lacked; change what it asks for instead")
        environment = spec.environment.adding(missing.field, missing.package)
        return spec.model_copy(update={"environment": environment})

    def _must_be_granted(self, spec: JobSpec) -> None:
        """Refuse deliveries to where this site cannot or does not let them go: long before the job has run."""
        for number, to in enumerate(spec.deliver):
            path = PurePosixPath("/", to.partition(":")[2].lstrip("/"))
            if to.startswith("file:") and not any(path.is_relative_to(root) for root in self.delivery.roots):
                granted = ", ".join(map(str, self.delivery.roots)) or "none: its administrator sets delivery.roots"
                words = f"{to} is not below a directory that this site lets jobs deliver into (it grants {granted})"
                raise Rejected.field(f"deliver.{number}", words)
            if to.startswith("globus:") and not self.globus.complete:
                words = "this site has no Globus collection: its administrator can set staging.globus"
                raise Rejected.field(f"deliver.{number}", words)

    def _must_have_room(self, user: str) -> None:
        """Refuse new work of a person whose jobs hold more than the site lets them."""
        quota = self.retention.quota
        if quota is None:
            return
        with self.store.read() as db:
            used = keeping.used(db, user)
        if used >= quota:
            raise Forbidden(
                f"your jobs hold {show_bytes(used)} of the {show_bytes(quota)} that you may have; fetch what you need "
                "and remove the files of old jobs (`clif remove JOB…`, or on their pages)"
            )

    def _add(
        self, user: str, spec: JobSpec, key: str, rows: list[Values], rerun_of: str | None = None
    ) -> tuple[JobView, bool]:
        with self.store.write() as db:
            known = jobs.find_by_key(db, user, key, take=True)
            if known is None:
                name = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
                group = spec.group or user
                jobs.add(db, job=name, owner=user, group=group, key=key, spec=spec, rerun_of=rerun_of, tasks=rows)
            job = known or jobs.find(db, user, name)
            assert job is not None  # noqa: S101 - it was just inserted, in this transaction
            view = self.views.job(db, job)
        self.wake(job.id)
        return view, known is None
