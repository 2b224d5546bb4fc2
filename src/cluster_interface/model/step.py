"""What a step of the engine wants written: the job's next state and the facts it observed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster_interface.model.job import Attempt, Delivery, OutputFile, Task
    from cluster_interface.model.plan import Plan
    from cluster_interface.model.state import FailureCode, JobState


@dataclass(frozen=True, kw_only=True)
class Step:
    """One guarded write. What is None stays as it is."""

    state: JobState
    after: float = 0.0  #: seconds until the job is looked at again
    reason: str = ""
    note: str = ""  #: something for the timeline, where the state stays as it is
    code: FailureCode | None = None
    again: bool | None = False  #: this step did not get on and counts as a try; None: it is one that goes on
    plan: Plan | None = None
    approved_by: str | None = None
    attempt: Attempt | None = None  #: inserted, or its native id and end updated
    tasks: tuple[Task, ...] | None = None
    fresh: bool = False  #: the tasks that `attempt` tries are queued, and nothing is known of them yet
    rest: str | None = None  #: every task that has not ended, those in `tasks` apart, is canceled for this reason
    outputs: tuple[OutputFile, ...] | None = None
    size: int | None = None  #: bytes that the job's directory holds; before its end, of what was staged
    deliveries: tuple[Delivery, ...] | None = None
    facts: dict[str, Any] | None = field(default=None)  #: the engine's own notes on the job, replaced whole
