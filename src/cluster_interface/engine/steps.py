"""One function per state: takes the job and the ports, returns a Step, writes nothing, is safe to run again."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

from cluster_interface.engine.canceling import end_orders, reap, withdraw
from cluster_interface.engine.endings import ending_of, look_at, tally
from cluster_interface.engine.handing import current, hand, may_go, write
from cluster_interface.engine.long_work import look, stop_all
from cluster_interface.engine.trying_again import next_attempt
from cluster_interface.model import cuda
from cluster_interface.model.errors import ClusterError, Permanent, Rejected
from cluster_interface.model.job import Delivery
from cluster_interface.model.marks import image_mark
from cluster_interface.model.plan import HOST, Lock, Plan, SourceInfo, digest
from cluster_interface.model.policy import decide
from cluster_interface.model.queue import fill_in, find_queue
from cluster_interface.model.resources import show_bytes
from cluster_interface.model.state import TASK_FINAL, JobState, TaskState
from cluster_interface.model.step import Step
from cluster_interface.ports import Handle, NativeState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cluster_interface.engine.endings import Picture
    from cluster_interface.engine.tools import Case, Tools
    from cluster_interface.model.job import Attempt
    from cluster_interface.model.plan import Ask
    from cluster_interface.ports import ImageRef

SOON = 2.0  #: seconds to the next look at long work, whose end wakes the engine anyway
WATCHED = 300.0  #: seconds to the next look at a job of the scheduler; a change that is seen wakes it at once
WAITING = 60.0  #: seconds to the next look at a job that waits for others, whose end wakes it at once
SETTLED = 5.0  #: seconds after which a scheduler knows when it will start what it has
FIRST_LOOK, LAST_LOOK = 0.2, 2.0  #: seconds between looks at what is being canceled, the longer the more there were


def submitted(case: Case, tools: Tools) -> Step:
    """Wait for other jobs where that is wished, resolve the lock and the sources; then the policy decides."""
    job = case.job
    if waiting := _waits(case):
        return waiting
    if job.plan is None:
        ask = _ask(case, tools)
        request = {"job": job.id, "spec": job.spec.model_dump(mode="json"), "host": ask.runtime == HOST}
        resolved, waiting = look(case, tools, "resolve", request)
        if resolved is None:
            return waiting
        job = dataclasses.replace(job, plan=_plan(case, tools, ask, resolved))
    verdict = decide(job.plan) if job.plan else None
    if verdict is None or not verdict.runs_at_once:
        return Step(state=JobState.AWAITING_APPROVAL, plan=job.plan, reason=verdict.why if verdict else "")
    return Step(state=JobState.PREPARING, plan=job.plan, approved_by="policy", reason=verdict.why)


def _waits(case: Case) -> Step | None:
    """Stay until the jobs that this one waits for have ended as they must; give it up once one did not."""
    met = {other: when.met_by(state) for other, when, state in case.waits}
    for other, when, state in case.waits:
        if met[other] is False:
            wanted = {"ok": "complete", "failed": "fail", "any": "end"}[when]
            return Step(state=JobState.CANCELED, reason=f"job {other} had to {wanted} first, but it is {state}")
    still = [other for other, ended in met.items() if ended is None]
    if not still:
        return None
    return Step(state=JobState.SUBMITTED, reason=f"waits for {', '.join(still)}", after=WAITING)


def _ask(case: Case, tools: Tools) -> Ask:
    spec, defaults = case.job.spec, tools.defaults
    chained = spec.checkpoint.resume
    return fill_in(spec.resources, tools.site.queues(), defaults.disk, defaults.pids, chained=chained)


def _plan(case: Case, tools: Tools, ask: Ask, resolved: dict[str, Any]) -> Plan:
    job = case.job
    rows = case.tasks.parameters()
    lock = Lock.model_validate(resolved["lock"]) if resolved["lock"] else None
    cuda.check(lock, ask, find_queue(tools.site.queues(), ask.scheduler, ask.queue))
    return Plan(
        spec=job.spec,
        command=job.spec.command or "",
        lock=lock,
        sources=tuple(SourceInfo.model_validate(source) for source in resolved["sources"]),
        tasks=len(case.tasks),
        parameters_sha256=digest(rows) if any(rows) else None,
        ask=ask,
        host=() if ask.runtime == HOST else tools.software.lent(job.spec.environment),
        bounds=tools.site.bounds(ask),
    )


def awaiting_approval(_case: Case, _tools: Tools) -> Step:
    """Wait for a steward; the service makes the job due when one has spoken."""
    return Step(state=JobState.AWAITING_APPROVAL, reason="waits for a steward's approval", after=WATCHED)


def preparing(case: Case, tools: Tools) -> Step:
    """Bring image and inputs side by side; when both are there, hand the attempt to the scheduler."""
    attempt = current(case, tools)
    ready, image, build = _image(case, tools, attempt)
    staged, stage = look(case, tools, "inputs", _staging(case, attempt))
    if not ready or staged is None:
        parts = [step.reason for step in (build, stage) if step.reason]
        return Step(state=JobState.PREPARING, after=SOON, again=None, reason="; ".join(parts))
    if not any(order.native_id for order in attempt.orders):
        write(case, tools, attempt, image)
    go = may_go(case, attempt)
    attempt = hand(case, tools, attempt, go)
    if any(attempt.orders[number].native_id is None for number in go):
        return Step(state=JobState.PREPARING, attempt=attempt, reason="being handed over", facts=_kept(case))
    return Step(
        state=JobState.QUEUED,
        attempt=attempt,
        fresh=True,
        after=WATCHED,
        facts=_kept(case),
        reason=_handed(tools.scheduler(case.plan.ask).name, attempt) + _brought(case),
        size=sum(source.size or 0 for source in case.plan.sources if source.mount is None),
    )


def _brought(case: Case) -> str:
    """Say what had to be brought from elsewhere, for the timeline."""
    away = [source for source in case.plan.sources if source.source.partition(":")[0] not in _HERE]
    sizes = [source.size for source in away]
    amount = "" if None in sizes else f", {show_bytes(sum(size or 0 for size in sizes))}"
    return f"; {len(away)} input{'s' * (len(away) > 1)} brought{amount}" if away else ""


_HERE = ("content", "directory", "link", "upload", "file", "site")


def _image(case: Case, tools: Tools, attempt: Attempt) -> tuple[bool, ImageRef | None, Step]:
    """Find the image or have it built: whether all is ready, the image (None on the host), the step that waits."""
    lock, face = case.plan.lock, tools.site.runtime(attempt.ask or case.plan.ask).face
    waiting = Step(state=JobState.PREPARING)
    if lock is None or face is None:
        return True, None, waiting
    image = tools.images.find(lock, face)
    if image is None:
        mark = image_mark(lock.image, face)
        wanted = {"lock": lock.model_dump(mode="json"), "face": face.value}
        built, waiting = look(case, tools, "build", wanted, mark=mark)
        if built is not None:  # it ended just now: find it again, or build again if someone removed it since
            tools.works.stop(mark)
            image = tools.images.find(lock, face)
    return image is not None, image, waiting


def _staging(case: Case, attempt: Attempt) -> dict[str, Any]:
    again = case.job.facts.get("again", {})
    return {
        "job": case.job.id,
        "plan": case.plan.model_dump(mode="json"),
        "layout": {
            "tasks": len(case.tasks),
            "attempt": attempt.number,
            "only": None if attempt.tasks is None else list(attempt.tasks),
            "keep": bool(again.get("keep")),
            "host": case.plan.lock is None,
        },
    }


def _kept(case: Case) -> dict[str, Any]:
    """Keep what has been tried already; what is to be tried again is now being tried."""
    return {name: value for name, value in case.job.facts.items() if name == "tried"}


def _handed(scheduler: str, attempt: Attempt) -> str:
    ids = [order.native_id for order in attempt.orders if order.native_id]
    more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
    return f"handed to {scheduler} as {ids[0]}{more}"


def watching(case: Case, tools: Tools) -> Step:
    """Follow the tasks from the bulk observation: queued, running, and on to the outputs when all have ended."""
    if case.attempt is None:
        raise Permanent("this job's attempt is not in the database")
    attempt = case.attempt
    seen = look_at(case, tools, attempt)
    ended = any(task.state in TASK_FINAL for task in seen.changed)
    go = may_go(case, attempt)
    if any(attempt.orders[number].native_id is None for number in go):
        attempt = hand(case, tools, attempt, go)
        ended = False
    elif not (ended and _waiting_orders(attempt)):
        idle = len(seen.unbegun) + len(attempt.not_handed(len(case.tasks)))
        if seen.still_open == idle:
            return _over(case, tools, attempt, seen)
    if seen.started and attempt.started is None:
        attempt = dataclasses.replace(attempt, started=seen.first_started)
    elif not seen.started:
        attempt = _expect(case, tools, attempt)
    running = seen.started is not None or case.job.state is JobState.RUNNING
    return Step(
        state=JobState.RUNNING if running else JobState.QUEUED,
        tasks=seen.changed,
        attempt=attempt if attempt != case.attempt else None,
        after=_look_again(seen, tools, ended=ended and _waiting_orders(attempt)),
        note=_handed(tools.scheduler(case.plan.ask).name, attempt) if attempt.orders != case.attempt.orders else "",
        reason=tally(seen.counts) if running and len(case.tasks) > 1 else _why_waiting(tools, attempt),
        facts=_kept(case) | {"counts": dict(seen.counts)} | ({"missing": dict(seen.missing)} if seen.missing else {}),
    )


def _look_again(seen: Picture, tools: Tools, *, ended: bool) -> float:
    """Look for status files soon after a start, and less often the longer it runs: they come before the scheduler.

    `ended`: other orders wait for what ended just now; with that written, it is known which may go.
    """
    if ended:
        return 0.0
    if len(seen.missing) > len(seen.unbegun):  # some may still turn up
        return 0.5
    if not seen.live:
        return WATCHED
    return min(WATCHED, max(1.0, (tools.clock.now() - (seen.started or tools.clock.now())) / 10))


def _waiting_orders(attempt: Attempt) -> bool:
    return any(order.native_id is None for order in attempt.orders)


def _over(case: Case, tools: Tools, attempt: Attempt, seen: Picture) -> Step:
    """End an attempt: try again what is to be tried again, else see to the outputs."""
    unbegun = set(tools.stager.revoke(case.job.id, attempt.number, seen.unbegun))
    if len(unbegun) < len(seen.unbegun):  # it has begun after all
        return Step(state=case.job.state, tasks=seen.changed, after=0.5, facts=_kept(case))
    now = tools.clock.now()
    withdraw(tools, attempt, case.ask)
    failed = [task for task in seen.changed if task.state in (TaskState.FAILED, TaskState.CANCELED)]
    failed += case.tasks.failed(attempt.number)
    reap(case, tools, attempt, [task for task in failed if task.exit_code is None])
    attempt = dataclasses.replace(attempt, ended=now)
    again = next_attempt(case, tools, attempt, failed, unbegun)
    if again is not None and not case.job.cancel_requested:
        return Step(
            state=JobState.PREPARING,
            tasks=seen.changed,
            attempt=attempt,
            reason=again["again"]["why"],
            facts=again,
        )
    lost = tuple(
        dataclasses.replace(task, state=TaskState.FAILED, ended=now, reason=_LOST)
        for task in case.tasks.still_open(unbegun)
    )
    rest = seen.still_open - len(lost)
    ended = Counter({TaskState.FAILED: len(lost), TaskState.CANCELED: rest})
    every = ended + Counter({state: count for state, count in seen.counts.items() if state in TASK_FINAL})
    return Step(
        state=JobState.STAGING_OUT,
        tasks=(*seen.changed, *lost),
        rest=_NOT_TRIED if rest else None,
        attempt=attempt,
        reason=tally(every),
        facts={},
    )


_NOT_TRIED = "not tried: the first task failed"
_LOST = "lost: the scheduler lost it again and again before it began"


def _expect(case: Case, tools: Tools, attempt: Attempt) -> Attempt:
    """Note when the scheduler expects an attempt to start, once, after it had a moment to think about it."""
    if attempt.expected is not None or tools.clock.now() - attempt.created < SETTLED or not attempt.orders:
        return attempt
    handle = Handle(mark=attempt.orders[0].mark, account=attempt.account, native_id=attempt.orders[0].native_id)
    with contextlib.suppress(ClusterError):
        waiting = tools.scheduler(case.plan.ask).waiting(handle)
        if waiting and waiting.start:
            return dataclasses.replace(attempt, expected=waiting.start)
    return attempt


def _why_waiting(tools: Tools, attempt: Attempt) -> str:
    seen = tools.seen.get(attempt.orders[0].mark, {}) if attempt.orders else {}
    return next((o.reason for o in seen.values() if o.reason and o.state is NativeState.PENDING), "")


def staging_out(case: Case, tools: Tools) -> Step:
    """List and check what the tasks left; the tasks' endings say how the job ended."""
    request = {
        "job": case.job.id,
        "tasks": len(case.tasks),
        "patterns": case.job.spec.outputs,
        "attempt": case.attempt.number if case.attempt else 1,
    }
    collected, waiting = look(case, tools, "outputs", request)
    if collected is None:
        return waiting
    deliveries, waiting_too = _delivered(case, tools, collected["outputs"])
    return waiting_too or ending_of(case, collected, deliveries)


def _delivered(
    case: Case, tools: Tools, outputs: Sequence[dict[str, Any]]
) -> tuple[tuple[Delivery, ...] | None, Step | None]:
    """Take the outputs to where the spec wants them. What cannot be is told, and is no failure: they are here."""
    job = case.job
    to = job.places
    if not to or not outputs:
        return None, None
    request = {"job": job.id, "by_task": job.by_task, "to": list(to), "outputs": outputs}
    try:
        done, waiting = look(case, tools, "deliver", request)
    except (Permanent, Rejected) as error:
        return tuple(Delivery(to=place, trouble=str(error), at=tools.clock.now()) for place in to), None
    return (tuple(Delivery(**delivery) for delivery in done["deliveries"]), None) if done else (None, waiting)


def canceling(case: Case, tools: Tools) -> Step:
    """End whatever the job has going outside, look again until nothing is left, then call it canceled."""
    job = case.job
    stop_all(case, tools)
    if job.state not in (JobState.SUBMITTED, JobState.AWAITING_APPROVAL) and not end_orders(case, tools):
        looks = job.facts.get("looks", 0)
        after = min(FIRST_LOOK * 1.5**looks, LAST_LOOK)
        return Step(state=job.state, reason="being canceled", after=after, facts={**job.facts, "looks": looks + 1})
    return Step(state=JobState.CANCELED, rest="canceled", reason="canceled by its owner", facts={})


STEPS: dict[JobState, Callable[[Case, Tools], Step]] = {
    JobState.SUBMITTED: submitted,
    JobState.AWAITING_APPROVAL: awaiting_approval,
    JobState.PREPARING: preparing,
    JobState.QUEUED: watching,
    JobState.RUNNING: watching,
    JobState.STAGING_OUT: staging_out,
}
