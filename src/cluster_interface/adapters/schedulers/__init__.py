"""Schedulers: argv and parsing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.adapters.schedulers.slurm import SlurmScheduler

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.ports import Scheduler
    from cluster_interface.settings import Settings


def campus_schedulers(settings: Settings) -> dict[str, Callable[[], Scheduler]]:
    """Return what makes each scheduler of a cluster, by name."""
    return {"slurm": lambda: SlurmScheduler(settings.slurm, settings.defaults)}
