"""The part of a cluster that is about its images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_interface.client.part import Part
from cluster_interface.client.saving import save
from cluster_interface.client.transport import segment
from cluster_interface.client.uploads import send
from cluster_interface.model.errors import Permanent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cluster_interface.client.uploads import Progress
    from cluster_interface.wire import ImageShow, ImageView, PruneView

POLL = 0.5  #: seconds between looks at a build
LONG = 3600.0  #: seconds that unpacking a base may take


class OfImages(Part):
    """Looking at images, building them before they are wanted, taking them elsewhere, making room."""

    def images(self) -> list[ImageView]:
        """List images and bases."""
        from cluster_interface.wire import ImageList  # noqa: PLC0415 - the models cost an import of 200 ms

        return list(ImageList.parse(self._json("GET", "/images")).images)

    def image(self, key: str) -> ImageShow:
        """Show one image by its key, or how that begins: its lock, its sizes and the jobs that need it."""
        from cluster_interface.wire import ImageShow  # noqa: PLC0415 - as above

        return ImageShow.parse(self._json("GET", f"/images/{segment(key)}"))

    def image_sbom(self, key: str) -> dict[str, Any]:
        """Return an image's bill of materials (CycloneDX 1.6)."""
        found: dict[str, Any] = self._json("GET", f"/images/{segment(key)}/sbom")
        return found

    def image_log(self, key: str) -> str:
        """Return the log of the last build of an image or base, of a failed one too, by its key or how that begins."""
        data: bytes = self._transport.request("GET", f"/images/{segment(key)}/log").body
        return data.decode(errors="replace")

    def export_image(self, key: str, form: str, path: str | Path) -> Path:
        """Write an image for elsewhere into a file: docker, oci, apptainer or dockerfile, as one tar."""
        where = f"/images/{segment(key)}/export"
        return save(self._transport.stream("GET", where, query={"as": form}, timeout=LONG), Path(path))

    def prune_images(
        self, *, older_than: str | int = "30d", larger_than: int = 0, keep: int = 0, dry_run: bool = False
    ) -> PruneView:
        """Remove images that no unfinished job needs; say what went (with `dry_run`: would go) and what could not.

        The server does a minute's work at a time; it is asked again for as long as that removes something.
        """
        from cluster_interface.wire import PruneView  # noqa: PLC0415 - as above

        wanted = {"older_than": older_than, "larger_than": larger_than, "keep": keep, "dry_run": dry_run}
        done = PruneView(images=())
        while True:
            answer = self._transport.request("POST", "/images/prune", document=wanted, timeout=LONG)
            more = PruneView.parse(answer.json())
            went = {"images": (*done.images, *more.images), "packages": done.packages + more.packages}
            done = more.model_copy(update={**went, "wheels": done.wheels + more.wheels})
            if not more.unfinished or not (more.images or more.packages or more.wheels):
                return done

    def build_image(
        self,
        environment: Mapping[str, Any],
        files: Mapping[str, str] | None = None,
        said: Callable[[str], None] | None = None,
    ) -> str:
        """Build an environment before a job asks for it, and return the image's key; Permanent in words.

        `files` are the texts of the files it names; `said` is told how far it is.
        """
        from cluster_interface.wire import BuildView  # noqa: PLC0415 - as above

        request = {"environment": dict(environment), "files": dict(files or {})}
        build = BuildView.parse(self._transport.request("POST", "/images/builds", document=request).json())
        while build.state == "running":
            time.sleep(POLL)
            build = BuildView.parse(self._json("GET", f"/images/builds/{segment(build.id)}"))
            if said and build.note:
                said(build.note)
        if build.error is not None or build.image is None:
            raise Permanent(build.error or "the build ended without an image")
        return build.image

    def import_base(self, path: str | Path, name: str, progress: Progress | None = None) -> ImageView:
        """Take a root filesystem made elsewhere (a tar, perhaps compressed) as a base."""
        from cluster_interface.wire import ImageView, ImportBaseRequest  # noqa: PLC0415 - as above

        ImportBaseRequest.parse({"upload": "", "name": name})  # before much is sent
        sent = send(self._transport, Path(path), Path(path).name, progress)
        request = {"upload": sent.source.removeprefix("upload:"), "name": name}
        answer = self._transport.request("POST", "/images/bases", document=request, timeout=LONG)
        return ImageView.parse(answer.json())
