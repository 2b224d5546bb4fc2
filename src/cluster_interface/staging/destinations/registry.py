"""Every kind of place by its scheme, and the loop that takes outputs to one of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from cluster_interface.model.errors import ClusterError, Permanent, Transient
from cluster_interface.model.job import Delivery, Progress
from cluster_interface.staging.destinations.files import Directories
from cluster_interface.staging.destinations.globus import EndpointPlaces
from cluster_interface.staging.destinations.kinds import Errand, Item
from cluster_interface.staging.destinations.s3 import BucketPlaces
from cluster_interface.staging.destinations.sftp import HostPlaces
from cluster_interface.staging.sources.globus import Endpoints
from cluster_interface.staging.sources.s3 import Buckets
from cluster_interface.staging.sources.sftp import Hosts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.settings import DeliverySettings
    from cluster_interface.staging.destinations.kinds import Kind
    from cluster_interface.staging.sources import Sources

TRIES = 4  #: in a row without one file more
PAUSE = 2.0  #: seconds before the second try; doubled for each further one


@dataclass(frozen=True)
class Destinations:
    """Takes outputs to where they are wanted."""

    kinds: Mapping[str, Kind] = field(repr=False)  #: by scheme
    pause: float = PAUSE

    @classmethod
    def of(cls, settings: DeliverySettings, sources: Sources) -> Self:
        """Make all kinds as the site says; they share guard, patience and keys with the sources."""
        kinds: dict[str, Kind] = {"file": Directories(settings.roots)}
        if isinstance(buckets := sources.kinds.get("s3"), Buckets):
            kinds["s3"] = BucketPlaces(buckets)
        if isinstance(hosts := sources.kinds.get("sftp"), Hosts):
            kinds["sftp"] = HostPlaces(hosts)
        if isinstance(endpoints := sources.kinds.get("globus"), Endpoints):
            kinds["globus"] = EndpointPlaces(endpoints.globus)
        return cls(kinds)

    def deliver(self, errand: Errand) -> Delivery:
        """Take every file to a place; say what became of it, trouble included.

        What is there already is left alone, so it may be killed and repeated.
        """
        done: set[str] = set()
        trouble, left = "", TRIES
        while left:
            before = len(done)
            try:
                self._deliver(errand, done)
            except Transient as error:
                trouble = str(error)
                left = TRIES - 1 if len(done) > before else left - 1
                if left:
                    time.sleep(self.pause * 2 ** (TRIES - 1 - left))
            except ClusterError as error:
                trouble, left = str(error), 0
            except OSError as error:
                trouble, left = error.strerror or str(error), 0
            else:
                trouble, left = "", 0
        size = sum(file.size for name, file in errand.files if name in done)
        return Delivery(to=errand.to, files=len(done), size=size, trouble=trouble, at=time.time())

    def _deliver(self, errand: Errand, done: set[str]) -> None:
        kind = self.kinds.get(errand.to.partition(":")[0])
        if kind is None:
            raise Permanent(f"this server delivers to no such place; it knows {', '.join(self.kinds)}")
        total = sum(file.size for _, file in errand.files)
        moved = sum(file.size for name, file in errand.files if name in done)
        with kind.opened(errand) as place:
            for name, output in errand.files:
                if name in done:
                    continue
                errand.report(Progress(stage="delivery", done=moved, total=total, note=name))
                with errand.open_output(output) as file:
                    item = Item(name, output, file)
                    if not place.has(item):
                        place.put(item)
                if place.at_once:
                    done.add(name)
                    moved += output.size
            place.finish(lambda size: errand.report(Progress(stage="delivery", done=size, total=total)))
            done.update(name for name, _ in errand.files)
