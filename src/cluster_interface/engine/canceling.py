"""Ending what an attempt has going: its native jobs, and what its containers left on the nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.engine.handing import current
from cluster_interface.model.errors import Transient
from cluster_interface.model.marks import attempt_mark, order_mark
from cluster_interface.ports import Handle, NativeState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.engine.tools import Case, Tools
    from cluster_interface.model.job import Attempt, Task
    from cluster_interface.model.plan import Ask

_ALIVE = (NativeState.PENDING, NativeState.RUNNING)


def end_orders(case: Case, tools: Tools) -> bool:
    """Cancel every native job of the present attempt, answers lost or not; True when none is left, nor a container.

    What the scheduler took without telling anyone, and starts only later, finds its fence closed.
    """
    try:
        attempt = current(case, tools)
        scheduler = tools.scheduler(attempt.ask or case.plan.ask)
    except Transient:  # it went away; where nothing has been handed over, nothing needs to be known of it
        return _never_handed(case, tools)
    handles = _handles(attempt)
    seen = scheduler.observe(handles)
    asked = False
    for handle in handles:
        elements = seen.get(handle.mark)
        if elements is None and (handle.native_id is not None or scheduler.find(handle) is None):
            continue
        if elements is None or any(element.state in _ALIVE for element in elements.values()):
            scheduler.cancel(handle)
            asked = True
        elif any(element.state is NativeState.UNKNOWN for element in elements.values()):
            raise Transient("the scheduler does not show this job: it is not known whether it has ended")
    if asked:
        seen = scheduler.observe(handles)
        if any(element.state in _ALIVE for elements in seen.values() for element in elements.values()):
            return False
    try:
        tools.stager.close(case.job.id, attempt.number)
    finally:  # on a full disk as well
        reap(case, tools, attempt, case.tasks.still_open(tools.stager.begun(case.job.id, attempt.number)))
    return True


def withdraw(tools: Tools, attempt: Attempt, ask: Ask) -> None:
    """Take back what waits at the scheduler though its tasks have ended: what somebody put back into the queue."""
    for handle in _handles(attempt):
        seen = tools.seen.get(handle.mark, {})
        if any(element.state is NativeState.PENDING for element in seen.values()):
            tools.scheduler(ask).cancel(handle)


def _handles(attempt: Attempt) -> list[Handle]:
    return [Handle(mark=o.mark, account=attempt.account, native_id=o.native_id) for o in attempt.orders]


def _never_handed(case: Case, tools: Tools) -> bool:
    """Return True if no order of an attempt without a record has been handed over, and none can be; else Transient."""
    job = case.job
    if case.attempt is not None and case.attempt.number == job.number:
        raise Transient("what this attempt has at the scheduler cannot be asked for now")
    if not tools.stager.declare(job.id, job.number, order_mark(attempt_mark(job.id, job.number), 0)):
        raise Transient("it is not known whether the scheduler has taken this job: its scheduler is not there now")
    return True


def reap(case: Case, tools: Tools, attempt: Attempt, tasks: Iterable[Task]) -> None:
    """Remove the containers that these tasks may have left behind where they ran."""
    nodes = {}
    for task in tasks:
        claim = tools.stager.claimed(case.job.id, attempt.number, task.index)
        if claim and (host := claim.get("host")):
            nodes[host] = task.node or host
    if nodes:
        tools.site.reap(attempt.ask or case.plan.ask, attempt.mark, case.job.owner, nodes)
