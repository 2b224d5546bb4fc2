"""From a job's events: which stages it went through, how long each took, and where it is now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.state import FINAL, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.wire import EventView, JobView

_S = JobState
_USUAL = (_S.SUBMITTED, _S.PREPARING, _S.QUEUED, _S.RUNNING, _S.STAGING_OUT)
_ALL = (_S.SUBMITTED, _S.AWAITING_APPROVAL, _S.PREPARING, _S.QUEUED, _S.RUNNING, _S.STAGING_OUT)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stop on the way of a job."""

    state: JobState
    now: str  #: done, here, ahead, skipped; for the end: ahead or the final state
    seconds: float | None = None  #: spent there, when it is over
    since: float | None = None  #: when it got there, while it is there


def stages(job: JobView, events: Sequence[EventView]) -> list[Stage]:
    """List the stages in order; the last one is the end, reached or not."""
    spent, since = _times(job, events)
    way = [state for state in _ALL if state in _USUAL or state in spent or state == job.state]
    passed = [_stage(state, job, spent, since) for state in way]
    end = job.state if job.state in FINAL else _S.COMPLETED
    reached = end.value if job.state in FINAL else "ahead"
    return [*passed, Stage(state=end, now=reached)]


def _stage(state: JobState, job: JobView, spent: dict[JobState, float], since: float) -> Stage:
    if state == job.state:
        return Stage(state=state, now="here", since=since)
    if state in spent and not _is_again_ahead(state, job):
        return Stage(state=state, now="done", seconds=spent[state])
    return Stage(state=state, now="skipped" if job.state in FINAL else "ahead")


def _is_again_ahead(state: JobState, job: JobView) -> bool:
    """Say whether a new attempt has taken the job back to before this stage."""
    return job.state in _ALL and _ALL.index(state) > _ALL.index(job.state)


def _times(job: JobView, events: Sequence[EventView]) -> tuple[dict[JobState, float], float]:
    """Add up the seconds in every stage that was left, and say when the present one began."""
    spent: dict[JobState, float] = {}
    at, state = job.created, _S.SUBMITTED
    for event in events:
        if event.new != state:
            spent[state] = spent.get(state, 0.0) + max(0.0, event.at - at)
            at, state = event.at, event.new
    return spent, at
