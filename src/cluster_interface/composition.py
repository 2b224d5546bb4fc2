"""Builds the parts from the settings: the one place, beside `helper`, that knows the outside world's modules."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import time
from functools import cached_property
from typing import TYPE_CHECKING

from cluster_interface.adapters.clock import SystemClock
from cluster_interface.adapters.identity.single import SingleIdentity
from cluster_interface.adapters.runtimes import make as make_runtime
from cluster_interface.adapters.runtimes import survey
from cluster_interface.adapters.schedulers import cgroups as own_cgroups
from cluster_interface.adapters.schedulers.choose import make as make_scheduler
from cluster_interface.adapters.schedulers.dispatcher import Dispatcher
from cluster_interface.adapters.site import Site
from cluster_interface.adapters.surveys import Surveys
from cluster_interface.adapters.works import DetachedWorks
from cluster_interface.doctor import examine
from cluster_interface.engine import Tools
from cluster_interface.images import Store as ImageShelf
from cluster_interface.inspection.software import Software
from cluster_interface.model.errors import NotFound
from cluster_interface.model.job import Account, OutputFile
from cluster_interface.model.plan import HOST
from cluster_interface.patterns import Catalogue
from cluster_interface.service import Service
from cluster_interface.staging import Keys, UploadStore, Workspace, as_the_server
from cluster_interface.store import Credentials, Store, Vault, jobs
from cluster_interface.store.vault import KEY
from cluster_interface.works import Kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cluster_interface.adapters.runtimes import Choice
    from cluster_interface.model.credential import Credential
    from cluster_interface.ports import Runtime, Scheduler
    from cluster_interface.settings import Settings
    from cluster_interface.wire import DoctorReport

WAKE = "engine.wake"  #: the engine's datagram socket, in the runtime directory
KEYS_KEPT = 30.0  #: seconds that a process remembers a person's credentials


class Parts:
    """Everything one process of the server may need, made when first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = settings.server.state
        self._held_before: dict[tuple[int, str], tuple[float, list[Credential]]] = {}
        self._late_store: tuple[int, Store | None] = (0, None)
        self.owner = pwd.getpwuid(os.geteuid()).pw_name  #: alone: the one user is who runs the server

    def prepare(self) -> None:
        """Make what must be there before the processes start: the job account, the directories, the database."""
        self.identity.ensure()
        if os.geteuid() == 0:
            self.state.chmod(0o711)  # the job account passes through to its jobs and the images, and lists nothing
        if self.settings.database.startswith("sqlite"):
            path = self.settings.database.removeprefix("sqlite:///")
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self.store.migrate()
        self.vault.prepare()

    @cached_property
    def store(self) -> Store:
        """The database."""
        return Store(self.settings.database)

    @cached_property
    def vault(self) -> Vault:
        """What people's secrets are sealed with."""
        return Vault(self.state / KEY)

    @cached_property
    def identity(self) -> SingleIdentity:
        """Whose account jobs run under."""
        return SingleIdentity(self.settings.identity)

    @cached_property
    def choice(self) -> Choice:
        """Which runtimes work on this machine, which do not, and why."""
        return survey(self.settings.runtime, self.identity.account(self.owner))

    @cached_property
    def runtimes(self) -> Mapping[str, Runtime]:
        """The runtimes that work on this machine, the preferred one first; the host's own software if that is named."""
        found = {runtime.name: runtime for runtime in self.choice.runtimes}
        said = self.settings.queues.get("local")
        if said and said.runtimes and HOST in said.runtimes:
            found[HOST] = make_runtime(HOST, self.identity.account(self.owner), cgroups=own_cgroups.works())
        return found

    @cached_property
    def schedulers(self) -> dict[str, Scheduler]:
        """The schedulers that the settings name, the one with the default queue first."""
        return {name: make_scheduler(name, self.settings) for name in self.settings.schedulers}

    @cached_property
    def surveys(self) -> Surveys:
        """What works on the nodes of each queue."""
        account, named = self.identity.account(self.owner), self.settings.queues.items()
        pulls = self.settings.images.registry is not None
        return Surveys(
            self.settings.workspace / ".site",
            account=account,
            server=_own_account(),
            make=lambda names: {name: make_runtime(name, account, remote=True, registry=pulls) for name in names},
            pinned={name: queue.runtimes for name, queue in named if queue.runtimes is not None},
            store=self.settings.image_store,
        )

    @cached_property
    def site(self) -> Site:
        """Schedulers, queues, and what works on their nodes."""
        return Site(
            settings=self.settings,
            schedulers=self.schedulers,
            local=lambda: self.runtimes,
            surveys=self.surveys,
            identity=self.identity,
            server=_own_account(),
        )

    @cached_property
    def images(self) -> ImageShelf:
        """The image store."""
        return ImageShelf(self.settings.image_store, self.settings.images)

    @cached_property
    def uploads(self) -> UploadStore:
        """Where uploaded bytes wait."""
        staging = self.settings.staging
        return UploadStore(
            self.state / "uploads", staging.max_bytes, keep=staging.keep_uploads, in_use=self._uploads_in_use
        )

    def _uploads_in_use(self) -> set[str]:
        """Name the uploads that jobs which have not ended may still be staged with."""
        with self.store.read() as db:
            specs = jobs.live_specs(db)
            sources = [entry.source or "" for spec in specs for entry in spec.files.values()]
        return {source.removeprefix("upload:").partition("!/")[0] for source in sources if source.startswith("upload:")}

    @cached_property
    def patterns(self) -> Catalogue:
        """The common kinds of job."""
        return Catalogue(self.settings.patterns.directory)

    @cached_property
    def stager(self) -> Workspace:
        """The job directories. Alone, every job is under the one account."""
        return Workspace(
            self.settings.workspace,
            self.uploads,
            self.settings.staging,
            lambda _job: self.identity.account(self.owner),
            self.settings.files,
            owner_of=lambda _job: self.owner,
            keys=Keys(self._held),
            outputs_of=self._outputs_of,
            delivery=self.settings.delivery,
        )

    def _held(self, owner: str) -> list[Credential]:
        """Look up an owner's keys; they are asked for with every request, so they are kept for a while."""
        known = self._held_before.get((os.getpid(), owner))
        if known is None or time.monotonic() - known[0] > KEYS_KEPT:
            with as_the_server():
                known = time.monotonic(), Credentials(self._own_store(), self.vault).held(owner)
            self._held_before = {(os.getpid(), owner): known}
        return known[1]

    def _own_store(self) -> Store:
        """Return the database for long work: a process that was forked has connections of its own."""
        pid, store = self._late_store
        if store is None or pid != os.getpid():
            store = Store(self.settings.database)
            self._late_store = os.getpid(), store
        return store

    def _outputs_of(self, owner: str, job: str) -> tuple[bool, list[OutputFile]]:
        """Look up what a job of the owner's left, for sources that name it."""
        with as_the_server(), self._own_store().read() as db:
            found = jobs.find(db, owner, job)
            if found is None:
                raise NotFound(f"there is no job {job!r}")
            return found.final, jobs.outputs(db, found.id)

    def works(self, wake: Callable[[str], None]) -> DetachedWorks:
        """Long work; `wake` is called with the mark of what has ended."""
        kinds = Kinds(self.images, self.stager)
        return DetachedWorks(self.state / "works", kinds.each(), small=kinds.small(), wake=wake)

    def tools(self, wake: Callable[[str], None]) -> Tools:
        """What the engine's steps are given."""
        return Tools(
            site=self.site,
            images=self.images,
            stager=self.stager,
            works=self.works(wake),
            identity=self.identity,
            clock=SystemClock(),
            defaults=self.settings.defaults,
            retention=self.settings.retention,
            software=self.software,
        )

    @cached_property
    def software(self) -> Software:
        """What the site says of software."""
        return Software(
            self.settings.images.suite,
            prefer=self.settings.software.prefer,
            modules=self.settings.software.modules,
            indexes=frozenset(url.rstrip("/") for url in self.settings.images.extra_index_urls),
            mountable=tuple(map(str, self.settings.files.roots(writable=False))),
        )

    def service(self) -> Service:
        """The use cases."""
        return Service(
            settings=self.settings,
            store=self.store,
            site=self.site,
            shelf=self.images,
            stager=self.stager,
            works=self.works(lambda _mark: None),
            uploads=self.uploads,
            identity=self.identity,
            catalogue=self.patterns,
            credentials=Credentials(self.store, self.vault),
            software=self.software,
            wake=self.wake,
            examine=self._examine,
        )

    def dispatcher(self) -> Dispatcher:
        """The process that owns this machine's slots."""
        return Dispatcher(
            self.state / "local", self.settings.local, reap=self._reap, changed=lambda: self.wake("scheduler")
        )

    def wake(self, mark: str) -> None:
        """Wake the engine: a hint, never needed for being right; an engine that is away looks when it comes."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(mark.encode(), str(self.settings.server.runtime / WAKE))

    def _reap(self, container: str) -> None:
        for runtime in self.runtimes.values():
            runtime.reap(container)

    def _examine(self, *, site: bool) -> DoctorReport:
        alone = "local" in self.settings.schedulers
        return examine(
            settings=self.settings,
            runtimes=self.choice if alone else None,
            site=self.site,
            images=self.images,
            account=self.identity.account(self.owner),
            surveyed=self.surveys.told if site else None,
            database=self.store.title,
            patterns=self.patterns.troubles(),
        )


def _own_account() -> Account:
    entry = pwd.getpwuid(os.geteuid())
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, home=entry.pw_dir)
