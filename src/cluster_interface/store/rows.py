"""From rows to values, and back."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar

from cluster_interface.model.job import Attempt, Delivery, Event, Job, Link, NativeOrder, OutputFile, Task
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.plan import Ask, Plan
from cluster_interface.model.state import FailureCode, JobState, TaskState

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

_CONVERT: dict[type, dict[str, Any]] = {
    Job: {
        "state": JobState,
        "code": FailureCode,
        "spec": JobSpec.model_validate,
        "plan": Plan.model_validate,
        "deliveries": lambda deliveries: tuple(Delivery(**delivery) for delivery in deliveries),
    },
    Task: {"state": TaskState},
    Event: {"old": JobState, "new": JobState},
    Attempt: {
        "ask": Ask.model_validate,
        "tasks": tuple,
        "orders": lambda orders: tuple(NativeOrder(**order) for order in orders),
    },
    OutputFile: {},
    Link: {},
}


_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in _CONVERT}  # all are dataclasses


def value(kind: type[T], row: Mapping[Any, Any]) -> T:
    """Make the frozen value of a row. A job may have ten thousand tasks: this is kept quick."""
    found = {name: row[name] for name in _NAMES[kind]}
    for name, convert in _CONVERT[kind].items():
        if found[name] is not None:
            found[name] = convert(found[name])
    return kind(**found)


def columns(item: object, **more: Any) -> dict[str, Any]:
    """Make the columns of a value, and `more` beside them."""
    return {**{name: _column(value) for name, value in vars(item).items()}, **more}


def _column(value: Any) -> Any:
    if isinstance(value, Ask):
        return value.model_dump(mode="json")
    if isinstance(value, tuple):
        return [asdict(part) if isinstance(part, NativeOrder) else part for part in value]
    return value
