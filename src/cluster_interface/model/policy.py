"""Stewardship: the rule that decides which plans run at once and which a person must approve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster_interface.model.plan import Plan


@dataclass(frozen=True)
class Verdict:
    """What the policy says of a plan, and why."""

    runs_at_once: bool
    why: str


def decide(plan: Plan) -> Verdict:
    """Judge a plan. Alone on a machine every job is its owner's own business and runs at once."""
    del plan  # a site's rules read it; alone there is none
    return Verdict(runs_at_once=True, why="alone on this machine: every job runs at once")
