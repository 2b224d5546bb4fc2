"""Making schedulers by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.adapters.schedulers.gridengine import GridEngineScheduler
from cluster_interface.adapters.schedulers.local import LocalScheduler
from cluster_interface.adapters.schedulers.pbs import PbsScheduler
from cluster_interface.adapters.schedulers.slurm import SlurmScheduler
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from cluster_interface.ports import Scheduler
    from cluster_interface.settings import Settings

SCHEDULERS = ("local", "slurm", "gridengine", "pbs")


def make(name: str, settings: Settings) -> Scheduler:
    """Make the scheduler of this name; nothing is asked of it yet. Rejected if there is no such kind."""
    if name == "local":
        return LocalScheduler(settings.server.state / "local", settings.local, settings.defaults)
    if name == "slurm":
        return SlurmScheduler(settings.slurm, settings.defaults)
    if name == "gridengine":
        return GridEngineScheduler(settings.gridengine, settings.defaults)
    if name == "pbs":
        return PbsScheduler(settings.pbs, settings.defaults)
    raise Rejected(f"there is no scheduler {name!r}; known: {', '.join(SCHEDULERS)}")
