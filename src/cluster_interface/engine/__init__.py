"""Moves jobs from state to state: claim, step, apply."""

from cluster_interface.engine.loop import Engine
from cluster_interface.engine.tools import Tools

__all__ = ["Engine", "Tools"]
