"""Errors on their way from a detached process to the engine, as JSON and back."""

from __future__ import annotations

from typing import Any

from cluster_interface.model.errors import (
    ClusterError,
    Conflict,
    Forbidden,
    NotFound,
    Permanent,
    Problem,
    Rejected,
    Transient,
)
from cluster_interface.model.state import FailureCode

_REJECTIONS = {kind.__name__: kind for kind in (NotFound, Conflict, Forbidden, Rejected)}


def error_to_json(error: ClusterError) -> dict[str, Any]:
    """Write an error down."""
    found: dict[str, Any] = {"kind": "Transient", "message": str(error)}
    if isinstance(error, Transient):
        found |= {"tries": error.tries} if error.tries else {}
    elif isinstance(error, Permanent):
        found |= {"kind": "Permanent", "code": error.code.value}
    elif isinstance(error, Rejected):
        name = next(name for name, kind in _REJECTIONS.items() if isinstance(error, kind))
        found |= {"kind": name, "problems": [[problem.field, problem.message] for problem in error.problems]}
    return found


def error_from_json(found: dict[str, Any]) -> ClusterError:
    """Make the error again."""
    if found["kind"] == "Permanent":
        return Permanent(found["message"], code=FailureCode(found["code"]))
    if found["kind"] in _REJECTIONS:
        problems = [Problem(field, message) for field, message in found["problems"]]
        return _REJECTIONS[found["kind"]](found["message"], problems)
    return Transient(found["message"], tries=found.get("tries"))
