"""From rows to values, and back."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from cluster_interface.model.job import Attempt, Event, Job, OutputFile, Task
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.plan import Plan
from cluster_interface.model.state import FailureCode, JobState, TaskState

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

T = TypeVar("T")

_CONVERT: dict[type, dict[str, Any]] = {
    Job: {"state": JobState, "code": FailureCode, "spec": JobSpec.model_validate, "plan": Plan.model_validate},
    Task: {"state": TaskState},
    Event: {"old": JobState, "new": JobState},
    Attempt: {},
    OutputFile: {},
}


def value(kind: type[T], row: RowMapping) -> T:
    """Make the frozen value of a row."""
    convert = _CONVERT[kind]
    found = {field.name: row[field.name] for field in fields(kind)}  # type: ignore[arg-type]  # all are dataclasses
    return kind(
        **{name: convert[name](item) if name in convert and item is not None else item for name, item in found.items()}
    )


def columns(item: object, **more: Any) -> dict[str, Any]:
    """Make the columns of a flat value, and `more` beside them."""
    return {**vars(item), **more}
