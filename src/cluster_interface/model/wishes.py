"""What a job wishes of its attempts: when it may begin, what is tried again, what is kept between tries."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from cluster_interface.model.base import Model
from cluster_interface.model.resources import Seconds
from cluster_interface.model.state import FINAL, JobState

MOST_RETRIES = 20
MOST_AFTER = 100  #: jobs that one job waits for

_AFTER = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{0,63})(?::(ok|any|failed))?")


class When(StrEnum):
    """How another job must have ended."""

    OK = "ok"  #: completed
    ANY = "any"  #: in whatever way
    FAILED = "failed"  #: failed or canceled

    def met_by(self, state: JobState) -> bool | None:
        """Say whether a job in this state meets it; None while that is open."""
        if state not in FINAL:
            return None
        return self is When.ANY or (state is JobState.COMPLETED) == (self is When.OK)


def _after(value: str) -> str:
    if not _AFTER.fullmatch(value):
        raise ValueError(f"{value!r} is not a job to wait for; write JOB, JOB:any or JOB:failed")
    return value


After = Annotated[str, AfterValidator(_after)]  #: "JOB", "JOB:ok", "JOB:any" or "JOB:failed"


def split_after(value: str) -> tuple[str, When]:
    """Take an entry of `after` apart: the job, and how it must end."""
    job, _, when = value.partition(":")
    return job, When(when or "ok")


class Retry(Model):
    """How often a failure is answered by a new attempt at the tasks that failed. Nothing is tried again by itself."""

    node_failed: int = Field(default=0, ge=0, le=MOST_RETRIES, description="times, after a node went down or was lost")
    out_of_memory: int = Field(default=0, ge=0, le=MOST_RETRIES, description="times, each with more memory")
    memory_factor: float = Field(default=2.0, gt=1, le=16, description="how much more memory each time")
    exit_code: int = Field(default=0, ge=0, le=MOST_RETRIES, description="times, after the program itself failed")


class Checkpoint(Model):
    """For programs that save their state and go on from it."""

    resume: bool = Field(
        default=False, description="keep /job between attempts, and go on past the queue's time limit in a new one"
    )
    signal_before: Seconds | None = Field(default=None, description="send USR1 so long before the time limit")
