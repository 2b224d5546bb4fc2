"""The site: its schedulers, their queues, and the runtimes that work on the nodes of each."""

from __future__ import annotations

import dataclasses
import os
import time
from typing import TYPE_CHECKING

import structlog

from cluster_interface.model.errors import ClusterError, Rejected, Transient
from cluster_interface.model.resources import GIB
from cluster_interface.ports import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cluster_interface.adapters.surveys import Surveys
    from cluster_interface.model.job import Account
    from cluster_interface.model.plan import Ask, Bounds
    from cluster_interface.model.queue import Queue
    from cluster_interface.ports import Identity, Runtime, Scheduler
    from cluster_interface.settings import Settings

FRESH = 20.0  #: seconds for which what schedulers said of their queues is taken for true
SURVEYED = 0.5  #: likewise, while a survey is under way
LOCAL = "local"
REAPING = GIB  #: most memory of an order that removes what was left on a node

log = structlog.get_logger()


class Site:
    """`ports.Site`. `local` are the runtimes of this machine's own queue, `server` is whom the server runs as."""

    def __init__(
        self,
        *,
        settings: Settings,
        schedulers: Mapping[str, Scheduler],
        local: Callable[[], Mapping[str, Runtime]],
        surveys: Surveys,
        identity: Identity,
        server: Account,
    ) -> None:
        self._settings = settings
        self._schedulers = dict(schedulers)
        self._local = local
        self._surveys = surveys
        self._identity = identity
        self._server = server
        self._known: list[Queue] = []
        self._known_at = float("-inf")

    def queues(self) -> list[Queue]:
        """List the queues of all schedulers, the default first; those of one that does not answer as last seen."""
        age = time.monotonic() - self._known_at
        if age < SURVEYED or (age < FRESH and not any(queue.surveying for queue in self._known)):
            return self._known
        found: list[Queue] = []
        for name, scheduler in self._schedulers.items():
            try:
                found += [self._completed(queue) for queue in scheduler.queues()]
            except ClusterError as error:
                before = [queue for queue in self._known if queue.scheduler == name]
                if not before and len(self._schedulers) == 1:
                    raise
                log.warning("a scheduler does not tell its queues", scheduler=name, reason=str(error))
                found += before
        self._known = [queue for queue in found if not self._said(queue.name, "hidden")]
        self._known_at = time.monotonic()
        return self._known

    def schedulers(self) -> Mapping[str, Scheduler]:
        """Return the schedulers by name."""
        return self._schedulers

    def scheduler(self, name: str) -> Scheduler:
        """Return a scheduler; Transient if the settings name it no more."""
        try:
            return self._schedulers[name]
        except KeyError:
            raise Transient(f"this server has no scheduler {name} now: see `schedulers` in its settings") from None

    def runtime(self, ask: Ask, *, offered: bool = True) -> Runtime:
        """Return the runtime as it is on the nodes of a queue; one that went away since may come back.

        `offered=False`: also one that went away, of which there may be something to end.
        """
        known = self._local() if ask.scheduler == LOCAL else self._surveys.runtimes(ask.scheduler, ask.queue)
        if not offered and ask.runtime not in known:
            return self._surveys.runtime(ask.runtime)
        try:
            return known[ask.runtime]
        except KeyError:
            raise Transient(f"the runtime {ask.runtime} is not available in queue {ask.queue} now") from None

    def bounds(self, ask: Ask) -> Bounds:
        """Say how well each limit is kept on a queue's nodes."""
        found = None if ask.scheduler == LOCAL else self._surveys.bounds(ask.scheduler, ask.queue, ask.runtime)
        return self.runtime(ask).bounds() if found is None else found

    def runs_as(self, owner: str, runtime: Runtime) -> Account:
        """Say which account a job script runs as: docker's is one that its engine obeys."""
        return self._server if runtime.runs_as == "server" else self._identity.account(owner)

    def reap(self, ask: Ask, mark: str, owner: str, nodes: Mapping[str, str]) -> None:
        """Remove what an attempt's containers left: here at once, on other nodes by a small order of its own."""
        runtime = self.runtime(ask, offered=False)
        here = os.uname().nodename
        if ask.scheduler == LOCAL or here in nodes:
            runtime.reap(mark)
        text = runtime.reap_script(mark)
        if ask.scheduler == LOCAL or not text:
            return
        little = {"cpus": 1, "tasks_per_node": 1, "nodes": 1, "memory": min(ask.memory, REAPING), "time": 300}
        nothing = {"gpus": 0, "gpu_type": None, "exclusive": False, "licenses": (), "constraint": None}
        for node in sorted({name for host, name in nodes.items() if host != here}):
            order = Order(
                script=self._surveys.write(f"{mark}.reap", f"#!/bin/sh\n{text}"),
                mark=f"{mark}.reap.{node}"[:64],
                account=self.runs_as(owner, runtime),
                ask=ask.model_copy(update=little | nothing),
                time=300,
                node=node,
            )
            try:
                self._surveys.run_on(self.scheduler(ask.scheduler), order)
            except Rejected as error:  # a node that is no more: nothing is left on it either
                log.warning("what a job left cannot be removed", mark=mark, node=node, reason=str(error))

    def survey(self) -> float:
        """Get on with the probes; return the seconds until the next look at them."""
        wait = self._surveys.get_on(self._schedulers, self.queues)
        if self._surveys.news:
            self._known_at = float("-inf")
        return wait

    def _completed(self, queue: Queue) -> Queue:
        """Add the runtimes, and what the site says otherwise."""
        said = self._settings.queues.get(queue.name)
        runtimes: tuple[str, ...] | None
        if queue.scheduler == LOCAL:
            here = tuple(self._local())
            wanted = here if said is None or said.runtimes is None else said.runtimes
            runtimes, why_not = tuple(name for name in wanted if name in here), ""
        elif said and said.runtimes is not None:
            runtimes, why_not = said.runtimes, ""
        else:
            runtimes, why_not = self._surveys.found(queue.scheduler, queue.name)
        report = self._surveys.report(queue.scheduler, queue.name) if queue.scheduler != LOCAL else None
        driver = said.driver if said and said.driver else report and report.found.driver
        changes = {
            "driver": driver,
            "runtimes": runtimes or (),
            "surveying": runtimes is None,
            "why_not": "" if runtimes else why_not,
        }
        for ours, theirs in (("default_cpus", "cpus"), ("default_memory", "memory"), ("default_time", "time")):
            if said and getattr(said, theirs) is not None:
                changes[ours] = getattr(said, theirs)
        return dataclasses.replace(queue, **changes)  # type: ignore[arg-type]  # the fields' own types

    def _said(self, queue: str, what: str) -> bool:
        said = self._settings.queues.get(queue)
        return bool(said and getattr(said, what))
