"""One turn of the engine: claim a due job, take one step, apply it. Safe to kill anywhere and to repeat."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from cluster_interface.engine.canceling import end_orders
from cluster_interface.engine.long_work import Later, stop_all
from cluster_interface.engine.steps import STEPS, canceling
from cluster_interface.engine.tools import Case
from cluster_interface.model.errors import ClusterError, Permanent, Rejected, Transient
from cluster_interface.model.state import FINAL, FailureCode, JobState
from cluster_interface.model.step import Step
from cluster_interface.store import claims, jobs
from cluster_interface.store.roll import Roll

if TYPE_CHECKING:
    from cluster_interface.engine.tools import Tools
    from cluster_interface.model.job import Job
    from cluster_interface.store import Store

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  #: seconds between tries
MOST_BUGS = 8  #: unexpected errors in a row before a job is given up

log = structlog.get_logger()


def turn(store: Store, tools: Tools) -> bool:
    """Advance one due job by one step; False if nothing was due."""
    with store.write(lasting=False) as db:
        job = claims.claim(db)
    if job is None:
        return False
    case = _case(store, job)
    step = _step(case, tools)
    with store.write() as db:
        held = claims.apply(db, job, step, tools.keep)
    if held and step.state != job.state:
        log.info("moved", job=job.id, old=job.state.value, new=step.state.value, why=step.reason)
    if held and step.state in FINAL:
        _clear(case, tools)
    return True


def _clear(case: Case, tools: Tools) -> None:
    """End what nobody needs any more: long work, and native jobs where trouble ended a job before they did."""
    stop_all(case, tools)
    if case.job.state in (JobState.PREPARING, JobState.QUEUED, JobState.RUNNING) and not case.job.cancel_requested:
        with contextlib.suppress(ClusterError):
            end_orders(case, tools)


def _case(store: Store, job: Job) -> Case:
    with store.read() as db:
        attempts = jobs.attempts(db, job.id)
        return Case(
            job=job,
            tasks=Roll(store, job.id),
            attempt=attempts[-1] if attempts else None,
            waits=tuple(jobs.waits_for(db, job.id)) if job.spec.after and job.state is JobState.SUBMITTED else (),
        )


def _step(case: Case, tools: Tools) -> Step:
    job = case.job
    try:
        return (canceling if job.cancel_requested else STEPS[job.state])(case, tools)
    except Permanent as error:
        return _failed(job, error.code, str(error))
    except Rejected as error:
        return _failed(job, FailureCode.INTERNAL, str(error))
    except Later as error:
        note = str(error) if error.told else ""
        return replace(_again(job, str(error)), after=error.wait, note=note)
    except Transient as error:
        return _again(job, str(error))
    except Exception:
        log.exception("a step failed unexpectedly", job=job.id, state=job.state.value, tries=job.tries)
        words = "an unexpected error in the engine; its log has the details"
        return _failed(job, FailureCode.INTERNAL, words) if job.tries >= MOST_BUGS else _again(job, words)


def _failed(job: Job, code: FailureCode, reason: str) -> Step:
    """Fail a job, or cancel it where that is what was asked for."""
    if job.cancel_requested:
        return Step(state=JobState.CANCELED, rest="canceled", reason="canceled by its owner", facts={})
    if job.state is JobState.AWAITING_APPROVAL:
        return Step(state=JobState.REJECTED, reason=reason)
    return Step(state=JobState.FAILED, code=code, reason=reason)


def _again(job: Job, reason: str) -> Step:
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(job.tries, 10))
    return Step(state=job.state, after=wait, again=True, reason=reason, facts=job.facts)
