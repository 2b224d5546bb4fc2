"""Runtimes: what starts an image on a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.adapters.runtimes.apptainer import Apptainer
from cluster_interface.adapters.runtimes.bubblewrap import Bubblewrap
from cluster_interface.adapters.runtimes.charliecloud import Charliecloud
from cluster_interface.adapters.runtimes.choose import Choice, choose
from cluster_interface.adapters.runtimes.docker import Docker
from cluster_interface.adapters.runtimes.none import NoContainer
from cluster_interface.adapters.runtimes.podman import Podman
from cluster_interface.adapters.schedulers import cgroups as own_cgroups
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.model.job import Account
    from cluster_interface.ports import Runtime

__all__ = [
    "KINDS",
    "LOCAL",
    "Apptainer",
    "Bubblewrap",
    "Charliecloud",
    "Choice",
    "Docker",
    "NoContainer",
    "Podman",
    "available",
    "choose",
    "make",
    "survey",
]

KINDS: Mapping[str, type[Apptainer | Bubblewrap | Charliecloud | NoContainer | Podman]] = {
    "apptainer": Apptainer,
    "podman": Podman,
    "charliecloud": Charliecloud,
    "bubblewrap": Bubblewrap,
    "none": NoContainer,
}  #: those that job.sh starts as an ordinary account; docker is the other one

LOCAL = ("docker", "bubblewrap", "podman", "apptainer", "charliecloud")  #: on this machine, the preferred one first


def make(
    name: str,
    account: Account | None,
    *,
    remote: bool = False,
    registry: bool = False,
    cgroups: bool = False,
    grace: int = 2,
) -> Runtime:
    """Make a runtime as it is on this machine, or (`remote`) on the nodes of a queue; Rejected for an unknown name.

    `account` is whom jobs run as, for probing here; `cgroups` says whether the scheduler bounds what each task takes,
    `registry` whether the nodes' engines have a registry to pull from.
    """
    if name == "docker":
        return Docker(grace=grace, remote=remote, registry=registry)
    if name == "bubblewrap":
        return Bubblewrap(account=account, cgroups=cgroups, grace=grace, remote=remote)
    if name not in KINDS:
        raise Rejected.field("runtime", f"{name!r} is not a runtime; there are: docker, {', '.join(KINDS)}")
    return KINDS[name](account=account, cgroups=cgroups, grace=grace)


def survey(wanted: str | None, account: Account) -> Choice:
    """Try every runtime on this machine: docker where its engine answers, else bubblewrap, or what is `wanted`."""
    bounded = own_cgroups.works()
    return choose([make(name, account, cgroups=bounded) for name in LOCAL], wanted)


def available(wanted: str | None, account: Account) -> Mapping[str, Runtime]:
    """Return the runtimes that work on this machine by name, the default first."""
    return {runtime.name: runtime for runtime in survey(wanted, account).runtimes}
