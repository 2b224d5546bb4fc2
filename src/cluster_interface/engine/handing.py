"""Handing an attempt over: its script and lists into the job directory, its orders to the scheduler."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent, Rejected
from cluster_interface.model.job import Attempt
from cluster_interface.model.marks import attempt_mark
from cluster_interface.model.packing import orders_of
from cluster_interface.model.parameters import element_lines, parameter_lines
from cluster_interface.model.state import FailureCode, TaskState
from cluster_interface.ports import Handle, Order
from cluster_interface.runs import describe_run

if TYPE_CHECKING:
    from cluster_interface.engine.tools import Case, Tools
    from cluster_interface.model.job import NativeOrder
    from cluster_interface.ports import ImageRef, Runtime

MOST_AT_ONCE = 20  #: orders handed over in one step, so that it ends well inside its lease


def current(case: Case, tools: Tools) -> Attempt:
    """Return the attempt that is to be handed over: the open one, or a new one as the last ending wants it."""
    job, plan = case.job, case.plan
    if case.attempt is not None and case.attempt.number == job.number:
        return case.attempt
    again = job.facts.get("again", {})
    ask = plan.ask.model_copy(update=again.get("ask", {}))
    tasks = tuple(again["tasks"]) if "tasks" in again else None
    runtime = tools.site.runtime(ask, offered=False)  # it may be there to be ended
    queue, sweep, mark = tools.queue(ask), job.spec.sweep, attempt_mark(job.id, job.number)
    pack = (sweep.pack if sweep else None) or 1
    count = len(case.tasks) if tasks is None else len(tasks)
    orders = orders_of(
        mark,
        count,
        pack,
        first_alone=sweep is not None and sweep.first_alone and (tasks is None or tasks[0] == 0),
        max_array=queue.max_array if queue else None,
    )
    return Attempt(
        job=job.id,
        number=job.number,
        mark=mark,
        account=tools.site.runs_as(job.owner, runtime).name,
        ask=ask,
        tasks=tasks,
        pack=pack,
        orders=orders,
        created=tools.clock.now(),
    )


def write(case: Case, tools: Tools, attempt: Attempt, image: ImageRef | None) -> None:
    """Write job.sh and the lists that it reads. Repeatable."""
    ask = attempt.ask or case.plan.ask
    rows = case.tasks.parameters()
    account, home = tools.identity.account(case.job.owner), tools.stager.directory(case.job.id)
    run = describe_run(case.job, case.plan, attempt, rows, image, account, home)
    script = tools.site.runtime(ask).job_script(run)
    lists = {}
    if attempt.pack > 1 or attempt.tasks is not None:
        lists["elements"] = element_lines(attempt.elements(len(case.tasks)))
    if any(rows):
        lists["parameters"] = parameter_lines(rows)
    tools.stager.write_attempt(case.job.id, attempt.number, script, case.plan.model_dump_json(indent=2), lists)


def hand(case: Case, tools: Tools, attempt: Attempt, may_go: set[int]) -> Attempt:
    """Hand over those orders, by number, that may go and have not gone, unless a lost answer already did.

    Permanent(scheduler_rejected) in the scheduler's words; Transient where the outcome is unknown.
    """
    ask = attempt.ask or case.plan.ask
    runtime = tools.site.runtime(ask)
    orders = list(attempt.orders)
    waiting = [number for number in sorted(may_go) if orders[number].native_id is None]
    for number in waiting[:MOST_AT_ONCE]:
        native = _hand_one(case, tools, attempt, orders[number], runtime)
        orders[number] = dataclasses.replace(orders[number], native_id=native)
    return dataclasses.replace(attempt, orders=tuple(orders))


def _hand_one(case: Case, tools: Tools, attempt: Attempt, part: NativeOrder, runtime: Runtime) -> str:
    job, ask = case.job, attempt.ask or case.plan.ask
    scheduler = tools.scheduler(ask)
    handle = Handle(mark=part.mark, account=attempt.account)
    if not tools.stager.declare(job.id, attempt.number, part.mark) and (known := scheduler.find(handle)) is not None:
        return known
    script = tools.stager.directory(job.id) / "attempts" / str(attempt.number) / "job.sh"
    sweep = job.spec.sweep
    order = Order(
        script=script,
        mark=part.mark,
        account=tools.site.runs_as(job.owner, runtime),
        ask=ask,
        time=ask.time * attempt.pack,
        elements=part.elements,
        offset=part.offset,
        max_running=sweep.max_running if sweep else None,
        log=script.parent / "job.log",
    )
    try:
        return scheduler.submit(order)
    except Rejected as error:
        raise Permanent(str(error), code=FailureCode.SCHEDULER_REJECTED) from None


def may_go(case: Case, attempt: Attempt) -> set[int]:
    """Say which orders may be with the scheduler, given what is written of their tasks.

    All at once; but only one after the other where few tasks may run at the same time, and none after a first task
    that runs alone and has failed.
    """
    sweep, count = case.job.spec.sweep, len(attempt.orders)
    first_alone = sweep is not None and sweep.first_alone and attempt.numbers(len(case.tasks))[0] == 0
    if count == 1 or sweep is None or not (first_alone or sweep.max_running):
        return set(range(count))
    if not any(order.native_id for order in attempt.orders):
        return {0}  # and nothing is written of this attempt's tasks yet
    if first_alone and (first := case.tasks.first()) and first.state is not TaskState.COMPLETED:
        return {0}
    if sweep.max_running is None:
        return set(range(count))
    first_open = case.tasks.first_open()
    element = attempt.elements(len(case.tasks)).of(first_open.index) if first_open else len(case.tasks)
    return {number for number, order in enumerate(attempt.orders) if order.offset <= element}
