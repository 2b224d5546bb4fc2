"""The use cases. They write what people want; what happens is the engine's business.

One file per use: `intake` checks and completes what `submitting` hands in, `following` looks at jobs, `wishes` are what
can be wanted of them, `outputs` what they left; `images`, `files` and `patterns` need no job.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cluster_interface import __version__
from cluster_interface.service.files import Files
from cluster_interface.service.following import Following
from cluster_interface.service.images import Images
from cluster_interface.service.intake import Intake
from cluster_interface.service.outputs import Outputs
from cluster_interface.service.patterns import Patterns
from cluster_interface.service.submitting import Submitting
from cluster_interface.service.views import Views
from cluster_interface.service.wishes import Wishes
from cluster_interface.store import keeping
from cluster_interface.wire import Me, QueueView

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.inspection.software import Software
    from cluster_interface.patterns import Catalogue
    from cluster_interface.ports import Identity, ImageStore, Site, Stager, Uploads, Works
    from cluster_interface.settings import Settings
    from cluster_interface.store import Credentials, Store
    from cluster_interface.wire import DoctorReport


@dataclass(frozen=True, kw_only=True)
class Service:
    """What people can do. `user` is who asks, already authenticated."""

    settings: Settings
    store: Store
    site: Site
    shelf: ImageStore
    stager: Stager
    works: Works
    uploads: Uploads
    identity: Identity
    catalogue: Catalogue
    credentials: Credentials
    software: Software
    wake: Callable[[str], None]
    examine: Callable[..., DoctorReport]

    @cached_property
    def submitting(self) -> Submitting:
        """Scripts looked at, and jobs handed in."""
        return Submitting(
            store=self.store,
            site=self.site,
            intake=self._intake,
            views=self._views,
            retention=self.settings.retention,
            delivery=self.settings.delivery,
            globus=self.settings.staging.globus,
            software=self.software,
            wake=self.wake,
        )

    @cached_property
    def following(self) -> Following:
        """Jobs looked at."""
        return Following(store=self.store, stager=self.stager, views=self._views)

    @cached_property
    def wishes(self) -> Wishes:
        """What people want of a job that is there."""
        return Wishes(
            store=self.store,
            site=self.site,
            shelf=self.shelf,
            stager=self.stager,
            identity=self.identity,
            views=self._views,
            retention=self.settings.retention,
            wake=self.wake,
        )

    @cached_property
    def outputs(self) -> Outputs:
        """What jobs left behind."""
        return Outputs(store=self.store, stager=self.stager, sharing=self.settings.sharing)

    @cached_property
    def images(self) -> Images:
        """Images and their builds."""
        return Images(
            store=self.store,
            site=self.site,
            shelf=self.shelf,
            works=self.works,
            uploads=self.uploads,
            defaults=self.settings.defaults,
        )

    @cached_property
    def files(self) -> Files:
        """Files that no job has yet."""
        return Files(
            stager=self.stager,
            identity=self.identity,
            intake=self._intake,
            uploads=self.uploads,
            shared=self.settings.staging.site,
        )

    @cached_property
    def patterns(self) -> Patterns:
        """The common kinds of job."""
        return Patterns(catalogue=self.catalogue)

    def queues(self) -> list[QueueView]:
        """List the queues."""
        return [
            QueueView(**{name: getattr(queue, name) for name in QueueView.model_fields}) for queue in self.site.queues()
        ]

    def me(self, user: str) -> Me:
        """Say who asks, and whose account their jobs run under."""
        account = self.identity.account(user)
        with self.store.read() as db:
            used = keeping.used(db, user)
        return Me(
            name=user,
            account=account.name,
            uid=account.uid,
            version=__version__,
            used=used,
            quota=self.settings.retention.quota,
            kept_days=self.settings.retention.days,
        )

    def doctor(self, *, site: bool = False) -> DoctorReport:
        """Examine the server and its settings, and what was found on the nodes of each queue if that is asked."""
        return self.examine(site=site)

    @cached_property
    def _intake(self) -> Intake:
        return Intake(
            store=self.store,
            site=self.site,
            uploads=self.uploads,
            defaults=self.settings.defaults,
            sweeps=self.settings.sweeps,
            files=self.settings.files,
            software=self.software,
            stager=self.stager,
            identity=self.identity,
        )

    @cached_property
    def _views(self) -> Views:
        return Views(site=self.site, works=self.works, stager=self.stager, shelf=self.shelf)
