"""One function per state: takes the job and the ports, returns a Step, writes nothing, is safe to run again."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from cluster_interface.engine.endings import ending_of, read_endings, tally
from cluster_interface.engine.long_work import look, stop_all
from cluster_interface.model.errors import Permanent, Rejected, Transient
from cluster_interface.model.job import Attempt
from cluster_interface.model.marks import attempt_mark, image_mark
from cluster_interface.model.plan import Lock, Plan, SourceInfo
from cluster_interface.model.policy import decide
from cluster_interface.model.queue import fill_in
from cluster_interface.model.state import TASK_FINAL, FailureCode, JobState, TaskState
from cluster_interface.model.step import Step
from cluster_interface.ports import NativeState, Order, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.engine.tools import Case, Tools
    from cluster_interface.model.job import Account, Job, Task
    from cluster_interface.ports import ImageRef, Runtime

SOON = 2.0  #: seconds to the next look at long work, whose end wakes the engine anyway
WATCHED = 30.0  #: seconds to the next look at a job of the scheduler; a change that is seen wakes it at once


def submitted(case: Case, tools: Tools) -> Step:
    """Resolve the lock and the sources; then the policy decides."""
    job = case.job
    if job.plan is None:
        resolved, waiting = look(case, tools, "resolve", {"job": job.id, "spec": job.spec.model_dump(mode="json")})
        if resolved is None:
            return waiting
        job = dataclasses.replace(job, plan=_plan(job, tools, resolved))
    verdict = decide(job.plan) if job.plan else None
    if verdict is None or not verdict.runs_at_once:
        return Step(state=JobState.AWAITING_APPROVAL, plan=job.plan, reason=verdict.why if verdict else "")
    return Step(state=JobState.PREPARING, plan=job.plan, approved_by="policy", reason=verdict.why)


def _plan(job: Job, tools: Tools, resolved: dict[str, Any]) -> Plan:
    ask = fill_in(job.spec.resources, tools.scheduler.queues(), tools.defaults.disk, tools.defaults.pids)
    return Plan(
        spec=job.spec,
        command=job.spec.command or "",
        lock=Lock.model_validate(resolved["lock"]),
        sources=tuple(SourceInfo.model_validate(source) for source in resolved["sources"]),
        ask=ask,
        bounds=_runtime(tools, ask.runtime).bounds(),
    )


def awaiting_approval(_case: Case, _tools: Tools) -> Step:
    """Wait for a steward; the service makes the job due when one has spoken."""
    return Step(state=JobState.AWAITING_APPROVAL, reason="waits for a steward's approval", after=WATCHED)


def preparing(case: Case, tools: Tools) -> Step:
    """Bring image and inputs side by side; when both are there, hand the attempt to the scheduler."""
    plan = _plan_of(case.job)
    runtime = _runtime(tools, plan.ask.runtime)
    image = tools.images.find(plan.lock, runtime.face)
    build = Step(state=JobState.PREPARING)
    if image is None:
        mark = image_mark(plan.lock.image, runtime.face)
        wanted = {"lock": plan.lock.model_dump(mode="json"), "face": runtime.face.value}
        built, build = look(case, tools, "build", wanted, mark=mark)
        if built is not None:  # it ended just now: find it again, or build again if someone removed it since
            tools.works.stop(mark)
            image = tools.images.find(plan.lock, runtime.face)
    request: dict[str, Any] = {
        "job": case.job.id,
        "plan": plan.model_dump(mode="json"),
        "tasks": len(case.tasks),
        "attempt": max(1, case.job.attempt),
    }
    staged, stage = look(case, tools, "inputs", request)
    if image is None or staged is None:
        parts = [step.reason for step in (build, stage) if step.reason]
        return Step(state=JobState.PREPARING, after=SOON, reason="; ".join(parts))
    return _hand_over(case, tools, plan, image)


def _hand_over(case: Case, tools: Tools, plan: Plan, image: ImageRef) -> Step:
    """Write the attempt's script and submit it, unless a lost answer already did."""
    job, number = case.job, max(1, case.job.attempt)
    mark = attempt_mark(job.id, number)
    runtime = _runtime(tools, plan.ask.runtime)
    user = tools.identity.account(job.owner)
    native = tools.scheduler.find(mark)
    if native is None:
        text = runtime.job_script(_run(job, plan, image, user, tools))
        script = tools.stager.write_attempt(job.id, number, text, plan.model_dump_json(indent=2))
        order = Order(
            script=script,
            mark=mark,
            account=user if runtime.runs_as == "user" else tools.server,
            ask=plan.ask,
            tasks=len(case.tasks),
            log=script.parent / "job.log",
        )
        try:
            native = tools.scheduler.submit(order)
        except Rejected as error:
            raise Permanent(str(error), code=FailureCode.SCHEDULER_REJECTED) from None
    attempt = Attempt(job=job.id, number=number, mark=mark, native_id=native, created=tools.clock.now())
    tasks = tuple(dataclasses.replace(task, state=TaskState.QUEUED, attempt=number) for task in case.tasks)
    return Step(
        state=JobState.QUEUED,
        attempt=attempt,
        tasks=tasks,
        after=WATCHED,
        facts={},
        reason=f"handed to {tools.scheduler.name} as {native}",
    )


def _run(job: Job, plan: Plan, image: ImageRef, user: Account, tools: Tools) -> Run:
    number = max(1, job.attempt)
    return Run(
        mark=attempt_mark(job.id, number),
        job_dir=tools.stager.directory(job.id),
        attempt=number,
        image=image,
        command=plan.command,
        account=user,
        ask=plan.ask,
        network=plan.spec.network,
        variables=plan.spec.environment.variables,
    )


def watching(case: Case, tools: Tools) -> Step:
    """Follow the tasks from the bulk observation: queued, running, and on to the outputs when all have ended."""
    if case.attempt is None or case.attempt.native_id is None:
        raise Permanent("this job's attempt is not in the database")
    seen = tools.seen.get(case.attempt.native_id, {})
    endings, missing = read_endings(case, tools, seen)
    tasks = tuple(endings.get(task.index) or _alive(task, seen) for task in case.tasks)
    if all(task.state in TASK_FINAL for task in tasks):
        attempt = dataclasses.replace(case.attempt, ended=tools.clock.now())
        return Step(state=JobState.STAGING_OUT, tasks=tasks, attempt=attempt, reason=tally(tasks), facts={})
    started = any(task.started for task in tasks)
    reasons = [seen[task.index].reason for task in tasks if task.index in seen and seen[task.index].reason]
    return Step(
        state=JobState.RUNNING if started or case.job.state == JobState.RUNNING else JobState.QUEUED,
        tasks=tasks,
        after=0.5 if missing else WATCHED,
        reason=next(iter(reasons), "") if not started else "",
        facts={"missing": missing},
    )


def _alive(task: Task, seen: Any) -> Task:
    if task.state in TASK_FINAL or task.index not in seen:
        return task
    if seen[task.index].state == NativeState.RUNNING:
        started = task.started or seen[task.index].started
        return dataclasses.replace(task, state=TaskState.RUNNING, started=started)
    return task


def staging_out(case: Case, tools: Tools) -> Step:
    """List and check what the tasks left; the tasks' endings say how the job ended."""
    request = {"job": case.job.id, "tasks": len(case.tasks), "patterns": case.job.spec.outputs}
    collected, waiting = look(case, tools, "outputs", request)
    if collected is None:
        return waiting
    return ending_of(case, collected)


def canceling(case: Case, tools: Tools) -> Step:
    """End whatever the job has going outside, look again until nothing is left, then call it canceled."""
    job = case.job
    stop_all(case, tools)
    if job.state not in (JobState.SUBMITTED, JobState.AWAITING_APPROVAL):
        native = case.attempt.native_id if case.attempt else None
        mark = attempt_mark(job.id, max(1, job.attempt))
        native = native or tools.scheduler.find(mark)
        if native is not None:
            tools.scheduler.cancel(native)
            alive = tools.scheduler.observe([native]).get(native, {})
            if any(seen.state in (NativeState.PENDING, NativeState.RUNNING) for seen in alive.values()):
                return Step(state=job.state, reason="being canceled", after=0.2)
        if job.plan is not None:
            _runtime(tools, job.plan.ask.runtime).reap(mark)
    ended = tools.clock.now()
    tasks = tuple(
        task
        if task.state in TASK_FINAL
        else dataclasses.replace(task, state=TaskState.CANCELED, ended=ended, reason="canceled")
        for task in case.tasks
    )
    return Step(state=JobState.CANCELED, tasks=tasks, reason="canceled by its owner")


def _plan_of(job: Job) -> Plan:
    if job.plan is None:
        raise Permanent("this job has no plan")
    return job.plan


def _runtime(tools: Tools, name: str) -> Runtime:
    """Find a runtime by name; one that went away since may come back."""
    try:
        return tools.runtimes[name]
    except KeyError:
        raise Transient(f"the runtime {name} is not available on this server now") from None


STEPS: dict[JobState, Callable[[Case, Tools], Step]] = {
    JobState.SUBMITTED: submitted,
    JobState.AWAITING_APPROVAL: awaiting_approval,
    JobState.PREPARING: preparing,
    JobState.QUEUED: watching,
    JobState.RUNNING: watching,
    JobState.STAGING_OUT: staging_out,
}
