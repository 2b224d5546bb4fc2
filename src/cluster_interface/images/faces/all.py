"""All the faces of the store's images: found at once, or made once under a lock of their own."""

from __future__ import annotations

import platform
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cluster_interface.images import failures
from cluster_interface.images.faces import archives, directory, docker, registry, squashfs
from cluster_interface.images.oci import Registries
from cluster_interface.model.job import Progress
from cluster_interface.ports import Face

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cluster_interface.images.faces.engine import Engine
    from cluster_interface.images.shelf import Shelf
    from cluster_interface.model.plan import Lock
    from cluster_interface.ports import ImageRef, Report
    from cluster_interface.settings import Images


class Faces:
    """Finds and makes faces from a base and a layer that are in the store."""

    def __init__(
        self, shelf: Shelf, settings: Images, engine: Engine, variables: Callable[[Lock], dict[str, str]]
    ) -> None:
        self._variables = variables
        self._shelf = shelf
        self._settings = settings
        self._engine = engine

    def find(self, lock: Lock, face: Face, *, unchecked: bool = False) -> ImageRef | None:
        """Return the image if base and layer are there and it is ready in this face.

        `unchecked`: also if it is long ago that its registry was seen to have it.
        """
        ready = directory.find(self._shelf, lock)
        if ready is None or face is Face.DIRECTORY:
            return ready
        if face is Face.SQUASHFS:
            return squashfs.find(self._shelf, lock)
        if face is Face.ARCHIVE:
            return archives.find(self._shelf, lock)
        if face is Face.REGISTRY:
            return registry.find(self._shelf, lock, self._settings.registry, unchecked=unchecked)
        return docker.find(self._shelf, self._engine, lock)

    def make(self, lock: Lock, face: Face, report: Report) -> ImageRef:
        """Make the face if it is not there, once however many ask; Permanent(image_failed) or Transient in words."""
        if face is Face.DOCKER:
            self._load(lock, report)
        elif face is Face.SQUASHFS:
            self._squash(lock, report)
        elif face is Face.ARCHIVE:
            self._pack(lock, report)
        elif face is Face.REGISTRY:
            self._push(lock, report)
        if (ready := self.find(lock, face)) is None:
            raise failures.image_failed("the image was removed while it was built; run the job again")
        return ready

    def made(self, key: str) -> tuple[Face, ...]:
        """List the faces that have been made of an image or base."""
        places = {
            Face.DOCKER: self._shelf.note("docker", key),
            Face.ARCHIVE: archives.place(self._shelf, key),
            Face.REGISTRY: self._shelf.note("registry", key),
            Face.SQUASHFS: squashfs.place(self._shelf, key),
        }
        return (Face.DIRECTORY, *(face for face, place in places.items() if place.exists()))

    def sizes(self, lock: Lock) -> dict[str, int]:
        """Say how many bytes the base, the layer and each file made of them take."""
        found = {"base": (self._shelf.read(self._shelf.base(lock.base) / "base.json") or {}).get("size", 0)}
        if lock.layered:
            found["layer"] = (self._shelf.read(self._shelf.layer(lock.image) / "layer.json") or {}).get("size", 0)
        for face, place in ((Face.SQUASHFS, squashfs.place), (Face.ARCHIVE, archives.place)):
            with suppress(FileNotFoundError):
                found[face.value] = place(self._shelf, lock.image).stat().st_size
        return found

    def _load(self, lock: Lock, report: Report) -> None:
        with self._shelf.hold(f"docker-{lock.image}", waits(report, "the engine")):
            if docker.find(self._shelf, self._engine, lock) is None:
                report(Progress(stage="image", unit="", note="loading into the Docker engine"))
                docker.load(self._shelf, self._engine, lock, platform.machine(), self._variables(lock))

    def _squash(self, lock: Lock, report: Report) -> None:
        with self._shelf.hold(f"squashfs-{lock.image}", waits(report, "the image's file")):
            if squashfs.find(self._shelf, lock) is None:
                report(Progress(stage="image", unit="", note="packing into one file"))
                squashfs.make(self._shelf, lock, self._settings, self._shelf.log(lock.image))

    def _pack(self, lock: Lock, report: Report) -> None:
        machine = platform.machine()
        report(Progress(stage="image", unit="", note="packing for the nodes' engines"))
        base: str | None = lock.base
        while base:
            with self._shelf.hold(f"archive-{base}", waits(report, "the base's archive")):
                base = archives.make_base(self._shelf, archives.bare(lock, base), machine)
        with self._shelf.hold(f"archive-{lock.image}", waits(report, "the image's archive")):
            if archives.find(self._shelf, lock) is None:
                archives.make(self._shelf, lock, machine, self._variables(lock))

    def _push(self, lock: Lock, report: Report) -> None:
        if not self._settings.registry:
            raise failures.image_failed(
                "no registry is named from which nodes could pull the image: set images.registry"
            )
        report(Progress(stage="image", unit="", note=f"pushing to {self._settings.registry}"))
        with self._pushing(lock.base, report) as registries:
            registry.make_base(self._shelf, lock, registries)
        with self._pushing(lock.image, report) as registries:
            if registry.find(self._shelf, lock, self._settings.registry) is None:
                registry.make(self._shelf, lock, registries, self._variables(lock))

    @contextmanager
    def _pushing(self, key: str, report: Report) -> Iterator[Registries]:
        """Be the only one that pushes `key`, with what speaks to registries."""
        held = f"registry-{key}"
        with self._shelf.hold(held, waits(report, "the push")), self._shelf.temporary(held) as home:
            yield Registries(self._settings, platform.machine(), home, self._shelf.log(key))


def waits(report: Report, what: str) -> Callable[[], None]:
    """Say whom one waits for while another makes the same."""
    return lambda: report(Progress(stage="image", unit="", note=f"waiting: {what} is being made for another job"))
