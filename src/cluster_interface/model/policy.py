"""Stewardship: the rule that decides which plans run at once and which a person must approve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.plan import HOST

if TYPE_CHECKING:
    from cluster_interface.model.plan import Plan


@dataclass(frozen=True)
class Verdict:
    """What the policy says of a plan, and why."""

    runs_at_once: bool
    why: str


def decide(plan: Plan) -> Verdict:
    """Judge a plan. Where there is one user every job is their own business and runs at once.

    What runs without a container is a class of its own, which a queue must allow by name (`queues.NAME.runtimes`).
    """
    if plan.ask.runtime == HOST:
        return Verdict(runs_at_once=True, why="the queue allows software of the host, without a container")
    return Verdict(runs_at_once=True, why="every job of the one user runs at once")
