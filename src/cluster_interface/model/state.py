"""The states of jobs and tasks and the moves between them, as data."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Where a job is on its way from submission to outputs."""

    SUBMITTED = "submitted"  #: being resolved: lock, sizes, checksums; nothing built or run
    AWAITING_APPROVAL = "awaiting_approval"  #: a steward looks at the plan
    PREPARING = "preparing"  #: image and inputs, side by side
    QUEUED = "queued"  #: the scheduler has it
    RUNNING = "running"  #: at least one task has started
    STAGING_OUT = "staging_out"  #: outputs are listed, checked, delivered
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    REJECTED = "rejected"


class TaskState(StrEnum):
    """Where one task of a job is."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class FailureCode(StrEnum):
    """Why a job failed; always shown with a sentence."""

    EXIT_CODE = "exit_code"
    OUT_OF_MEMORY = "out_of_memory"
    TIME_LIMIT = "time_limit"
    NODE_FAILED = "node_failed"
    TASKS_FAILED = "tasks_failed"
    IMAGE_FAILED = "image_failed"
    INPUT_UNAVAILABLE = "input_unavailable"
    OUTPUT_MISSING = "output_missing"
    SCHEDULER_REJECTED = "scheduler_rejected"
    LOST = "lost"
    INTERNAL = "internal"


FINAL = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELED, JobState.REJECTED})
TASK_FINAL = frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED})

_S = JobState
TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    _S.SUBMITTED: frozenset({_S.AWAITING_APPROVAL, _S.PREPARING, _S.REJECTED, _S.FAILED, _S.CANCELED}),
    _S.AWAITING_APPROVAL: frozenset({_S.PREPARING, _S.REJECTED, _S.CANCELED}),
    _S.PREPARING: frozenset({_S.QUEUED, _S.FAILED, _S.CANCELED}),
    _S.QUEUED: frozenset({_S.RUNNING, _S.STAGING_OUT, _S.FAILED, _S.CANCELED, _S.PREPARING}),
    _S.RUNNING: frozenset({_S.STAGING_OUT, _S.PREPARING, _S.FAILED, _S.CANCELED}),
    _S.STAGING_OUT: frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELED}),
    **{state: frozenset() for state in FINAL},
}


def may_go(old: JobState, new: JobState) -> bool:
    """Say whether a job in `old` may be in `new` after one step (staying is allowed)."""
    return old == new or new in TRANSITIONS[old]
