"""Resources as a person writes them, in the spec's words."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from cluster_interface.model.errors import Problem, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

RESOURCES = (
    "cpus", "memory", "time", "gpus", "gpu_type", "nodes", "tasks_per_node", "exclusive", "queue", "scheduler",
    "runtime", "account", "qos", "reservation", "constraint", "licenses",
)  # fmt: skip


def asked_resources(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those that say something, `gpus="a100:2"` taken apart; Rejected names those that are none."""
    problems = [Problem(name, _unknown(name)) for name in given if name not in RESOURCES]
    if problems:
        raise Rejected(problems=problems)
    asked = said(**given)
    if isinstance(gpus := asked.get("gpus"), str):
        kind, colon, count = gpus.rpartition(":")
        if not count.isdigit() or (colon and not kind):
            kind, count = (gpus, "1") if not colon and gpus else ("", "")
        if not count:
            raise Rejected.field("resources.gpus", f"{gpus!r} is not a number of GPUs; write 2, a100 or a100:2")
        asked["gpus"] = int(count)
        if kind:
            asked["gpu_type"] = kind
    return asked


def said(**given: Any) -> dict[str, Any]:
    """Return what is neither None nor an empty list."""
    return {name: value for name, value in given.items() if value is not None and value != ()}


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, RESOURCES, n=1)
    return f"unknown; did you mean `{close[0]}`?" if close else f"unknown; resources are: {', '.join(RESOURCES)}"
