"""Runtimes: what starts an image on a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.adapters.runtimes.bubblewrap import Bubblewrap
from cluster_interface.adapters.runtimes.choose import Choice, choose
from cluster_interface.adapters.runtimes.docker import Docker
from cluster_interface.adapters.schedulers import cgroups

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.adapters.runtimes.probing import NodeReport
    from cluster_interface.model.job import Account
    from cluster_interface.ports import Runtime

__all__ = ["Bubblewrap", "Choice", "Docker", "available", "choose", "on_nodes", "survey"]


def survey(wanted: str | None, account: Account) -> Choice:
    """Try every runtime on this machine: docker where its engine answers, else bubblewrap, or what is `wanted`."""
    return choose([Docker(), Bubblewrap(account=account, cgroups=cgroups.works())], wanted)


def available(wanted: str | None, account: Account) -> Mapping[str, Runtime]:
    """Return the runtimes that work on this machine by name, the default first."""
    return {runtime.name: runtime for runtime in survey(wanted, account).runtimes}


def on_nodes(report: NodeReport, account: Account) -> Mapping[str, Runtime]:
    """Return the runtimes for the nodes that a report is about, by name."""
    made: list[Runtime] = [Docker(), Bubblewrap(account=account)]
    return {runtime.name: runtime for runtime in made if runtime.name in report.runtimes}
