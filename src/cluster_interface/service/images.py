"""Images looked at, built beforehand, brought in and removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.errors import NotFound, Rejected, Transient
from cluster_interface.model.plan import digest
from cluster_interface.model.queue import fill_in
from cluster_interface.model.resources import Resources
from cluster_interface.ports import Face, WorkState
from cluster_interface.store import jobs
from cluster_interface.wire import (
    BuildView,
    ImageShow,
    ImageView,
    PruneView,
)

if TYPE_CHECKING:
    from cluster_interface.model.plan import Lock
    from cluster_interface.ports import (
        ImageStore,
        Site,
        Uploads,
        Works,
    )
    from cluster_interface.settings import (
        Defaults,
    )
    from cluster_interface.store import Store
    from cluster_interface.wire import (
        BuildRequest,
        PruneRequest,
    )


@dataclass(frozen=True, kw_only=True)
class Images:
    """What people can do with images. `user` is who asks, already authenticated."""

    store: Store
    site: Site
    shelf: ImageStore
    works: Works
    uploads: Uploads
    defaults: Defaults

    def listed(self) -> list[ImageView]:
        """List bases and images."""
        return [ImageView(**vars(image)) for image in self.shelf.images()]

    def show(self, key: str) -> ImageShow:
        """Describe one image: its lock, its sizes and the jobs that need it."""
        found = self.shelf.detail(key)
        jobs = tuple(job for job, lock in self._needed() if found.info.key in self.shelf.keys(lock))
        return ImageShow(image=ImageView(**vars(found.info)), lock=found.lock, sizes=dict(found.sizes), jobs=jobs)

    def prune(self, wanted: PruneRequest) -> PruneView:
        """Remove images that nobody needs; say what went and what could not."""
        used = {key for _, lock in self._needed() for key in self.shelf.keys(lock)}
        done = self.shelf.prune(
            used,
            older_than=wanted.older_than,
            larger_than=wanted.larger_than,
            keep=wanted.keep,
            dry_run=wanted.dry_run,
        )
        images = tuple(ImageView(**vars(image)) for image in done.images)
        return PruneView(**{**vars(done), "images": images})

    def build(self, wanted: BuildRequest) -> BuildView:
        """Begin to build an environment, or say how far it is; the same request is the same build."""
        request = wanted.model_dump(mode="json")
        for field, path in wanted.environment.files().items():
            if path not in wanted.files:
                raise Rejected.field(field, f"{path} was not sent along")
        ask = fill_in(Resources(), self.site.queues(), self.defaults.disk, self.defaults.pids)
        face = self.site.runtime(ask).face or Face.DIRECTORY
        mark = f"environment-{digest(request)[:24]}"
        if self.works.look(mark).state in (WorkState.FAILED, WorkState.DONE):
            self.works.stop(mark)  # asked again
        self.works.start(mark, "environment", {**request, "face": face.value})
        return self.progress(mark)

    def progress(self, mark: str) -> BuildView:
        """Say how far a build is; NotFound if there is none."""
        work = self.works.look(mark) if mark.startswith("environment-") else None
        if work is None or work.state is WorkState.ABSENT:
            raise NotFound("there is no such build; ask for it again")
        if work.state is WorkState.FAILED:
            again = "; ask for it again later" if isinstance(work.error, Transient) else ""
            return BuildView(id=mark, state="failed", error=f"{work.error}{again}")
        if work.state is WorkState.DONE:
            return BuildView(id=mark, state="done", image=work.result["image"])
        return BuildView(id=mark, state="running", note=work.progress.note if work.progress else "")

    def _needed(self) -> list[tuple[str, Lock]]:
        with self.store.read() as db:
            return jobs.locks(db)

    def import_base(self, user: str, upload: str, name: str) -> ImageView:
        """Take an uploaded root filesystem as a base."""
        found = self.uploads.find(user, upload)
        if not found.complete:
            raise Rejected.field("upload", "is not complete; finish it first")
        image = self.shelf.import_base(self.uploads.path(user, upload), name)
        self.uploads.remove(user, upload)
        return ImageView(**vars(image))

    def log(self, key: str) -> str:
        """Return the log of an image's last build."""
        return self.shelf.log(key)
