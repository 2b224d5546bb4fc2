"""Where outputs are taken when a job has ended: one module per kind of place, each safe to kill and to repeat."""

from cluster_interface.staging.destinations.kinds import Errand
from cluster_interface.staging.destinations.registry import Destinations

__all__ = ["Destinations", "Errand"]
