"""What people want of a job that is there: end it, keep it, remove it, step into it, take it along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.amounts import show_day
from cluster_interface.model.errors import Conflict, NotFound
from cluster_interface.model.state import JobState
from cluster_interface.ports import Order
from cluster_interface.runs import describe_run
from cluster_interface.service.capsules import baked
from cluster_interface.service.capsules import describe as describe_capsule
from cluster_interface.store import jobs, keeping
from cluster_interface.wire import (
    JobView,
    ShellView,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cluster_interface.model.job import Job
    from cluster_interface.ports import (
        Identity,
        ImageStore,
        Site,
        Stager,
    )
    from cluster_interface.service.views import Views
    from cluster_interface.settings import (
        Retention,
    )
    from cluster_interface.store import Store


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What people can want. `user` is who asks, already authenticated."""

    store: Store
    site: Site
    shelf: ImageStore
    stager: Stager
    identity: Identity
    views: Views
    retention: Retention
    wake: Callable[[str], None]

    def cancel(self, user: str, job: str) -> JobView:
        """Ask for a job to be canceled; what has ended stays as it is (Conflict)."""
        with self.store.read() as db:
            found = jobs.get(db, user, job)
        if found.final and found.state is not JobState.CANCELED:
            raise Conflict(f"job {job} is {found.state} already: there is nothing left to cancel")
        with self.store.write() as db:
            jobs.request_cancel(db, found.id)
        self.wake(found.id)
        with self.store.read() as db:
            return self.views.job(db, jobs.get(db, user, job))

    def keep(self, user: str, job: str, seconds: int | None = None) -> JobView:
        """Keep an ended job's files for so many seconds from now (None: the site's usual time), or what it allows.

        Conflict where nothing would remove them, or the site allows no longer.
        """
        found = self._ended(user, job)
        policy = self.retention
        if policy.days is None:
            raise Conflict("this site keeps files until somebody removes them: there is nothing to put off")
        with self.store.write() as db:
            until = keeping.clock(db) + (policy.days * keeping.DAY if seconds is None else seconds)
            if policy.longest is not None:
                until = min(until, (found.ended or 0) + policy.longest * keeping.DAY)
            if until <= (found.keep_until or 0):
                raise Conflict(f"the files of job {job} are kept for that long already, or for as long as is allowed")
            keeping.keep(db, found, until, user, f"its files are kept until {show_day(until)}")
        with self.store.read() as db:
            return self.views.job(db, jobs.get(db, user, job))

    def discard(self, user: str, job: str) -> JobView:
        """Have an ended job's files removed now; what is known of the job, and its logs, stay."""
        found = self._ended(user, job)
        with self.store.write() as db:
            keeping.keep(db, found, keeping.clock(db), user, "its files are to be removed")
        self.wake("keeping")
        with self.store.read() as db:
            return self.views.job(db, jobs.get(db, user, job))

    def deliver(self, user: str, job: str) -> JobView:
        """Have an ended job's outputs taken once more to where they did not arrive.

        Conflict where they all did, where there is none, and where they are being removed.
        """
        found = self._ended(user, job)
        if not found.places:
            raise Conflict(f"job {job} delivers nowhere: nothing is named in `deliver` of its spec")
        if not found.undelivered:
            raise Conflict(f"the outputs of job {job} were delivered to {', '.join(found.places)} already")
        with self.store.write() as db:
            if not keeping.has_outputs(db, found.id):
                raise Conflict(f"job {job} left no outputs: there is nothing to deliver")
            if keeping.is_going(db, found.id):
                raise Conflict(f"the files of job {job} are being removed; rerun it to have them again")
            keeping.ask_delivery(db, found, user)
        self.wake("keeping")
        with self.store.read() as db:
            return self.views.job(db, jobs.get(db, user, job))

    def shell(self, user: str, job: str, task: int) -> ShellView:
        """Write what opens a shell in the image and the directory of a task; Conflict if there is none (any more)."""
        with self.store.read() as db:
            found = jobs.get(db, user, job)
            tasks, attempts = jobs.tasks(db, found.id), jobs.attempts(db, found.id)
        if not 0 <= task < len(tasks):
            raise NotFound(f"job {job} has no task {task}")
        attempt = next((attempt for attempt in attempts if attempt.number == tasks[task].attempt), None)
        if found.removed is not None:
            raise Conflict(f"the files of job {job} were removed; rerun the job to have them again")
        if found.plan is None or attempt is None:
            raise Conflict(f"task {task} of job {job} has not been handed over yet: it has no directory")
        ask = attempt.ask or found.plan.ask
        runtime = self.site.runtime(ask)
        image = None
        if found.plan.lock and runtime.face:
            image = self.shelf.find(found.plan.lock, runtime.face, unchecked=True)
        if image is None and runtime.face:
            raise Conflict(f"the image of job {job} is not there any more; rerun the job to have it built again")
        rows = [item.parameters for item in tasks]
        account, home = self.identity.account(user), self.stager.directory(found.id)
        run = describe_run(found, found.plan, attempt, rows, image, account, home)
        text = runtime.shell_script(run, task)
        script = self.stager.write_script(found.id, attempt.number, f"shell-{task}.sh", text)
        runs_as = self.site.runs_as(user, runtime)
        order = Order(script=script, mark=f"{attempt.mark}.shell", account=runs_as, ask=ask, time=ask.time)
        return ShellView(argv=tuple(self.site.scheduler(ask.scheduler).interactive(order)), account=runs_as.name)

    def capsule(self, user: str, job: str) -> Iterator[bytes]:
        """Stream a finished job as one image for `docker load`; Conflict in words where it cannot become one."""
        with self.store.read() as db:
            found = jobs.get(db, user, job)
            tasks, outputs = jobs.tasks(db, found.id), jobs.outputs(db, found.id)
        made = describe_capsule(found, tasks, outputs, self.stager)
        assert made.plan.lock is not None  # noqa: S101 - it was refused else
        whole = self.shelf.capsule(
            made.plan.lock, baked(made, self.stager), made.config(), f"cluster-interface/capsule:{found.id}"
        )
        if whole is None:
            raise Conflict(f"the image of job {job} is not there any more; rerun the job to have it built again")
        return whole

    def _ended(self, user: str, job: str) -> Job:
        with self.store.read() as db:
            found = jobs.get(db, user, job)
        if not found.final:
            raise Conflict(f"job {job} has not ended yet: its files stay as long as it needs them")
        if found.removed is not None:
            raise Conflict(f"the files of job {job} have been removed already; rerun it to have them again")
        return found
