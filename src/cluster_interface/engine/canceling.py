"""Ending what an attempt has going: its native jobs, and what its containers left on the nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.engine.handing import current
from cluster_interface.model.errors import Transient
from cluster_interface.model.state import TASK_FINAL
from cluster_interface.ports import Handle, NativeState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.engine.tools import Case, Tools
    from cluster_interface.model.job import Attempt, Task

_ALIVE = (NativeState.PENDING, NativeState.RUNNING)


def end_orders(case: Case, tools: Tools) -> bool:
    """Cancel every native job of the present attempt, answers lost or not; True when none is left, nor a container.

    What the scheduler took without telling anyone, and starts only later, finds its tasks revoked.
    """
    attempt = current(case, tools)
    scheduler = tools.scheduler(attempt.ask or case.plan.ask)
    handles = [Handle(mark=o.mark, account=attempt.account, native_id=o.native_id) for o in attempt.orders]
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
    tools.stager.revoke(case.job.id, attempt.number, attempt.numbers(len(case.tasks)))
    reap(case, tools, attempt, [task for task in case.tasks if task.state not in TASK_FINAL])
    return True


def reap(case: Case, tools: Tools, attempt: Attempt, tasks: Iterable[Task]) -> None:
    """Remove the containers that these tasks may have left behind where they ran."""
    claims = [tools.stager.claimed(case.job.id, attempt.number, task.index) for task in tasks]
    nodes = {claim["host"] for claim in claims if claim and claim.get("host")}
    if nodes:
        tools.site.reap(attempt.ask or case.plan.ask, attempt.mark, case.job.owner, nodes)
