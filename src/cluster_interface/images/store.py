"""The image store: what an environment becomes, found at once or built once."""

from __future__ import annotations

import dataclasses
import errno
import os
import platform
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cluster_interface import __version__
from cluster_interface.images import bom, exports, failures, importing, pruning
from cluster_interface.images.base import Base
from cluster_interface.images.builder import Builder
from cluster_interface.images.capsules import capsule
from cluster_interface.images.faces.all import Faces
from cluster_interface.images.faces.engine import Engine
from cluster_interface.images.resolving import Resolver
from cluster_interface.images.shelf import Shelf
from cluster_interface.images.unpack import Limits
from cluster_interface.model.errors import NotFound
from cluster_interface.model.job import nobody_hears
from cluster_interface.model.plan import Lock
from cluster_interface.ports import Face, ImageDetail, ImageInfo, Pruned

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from cluster_interface.model.jobspec import Environment
    from cluster_interface.ports import Baked, ImageRef, Report
    from cluster_interface.settings import Images


_SHORTEST = 6  #: characters of a key that name an image


class Store:
    """`ports.ImageStore` in a directory, best on the filesystem that the nodes share."""

    def __init__(
        self,
        root: Path,
        settings: Images,
        *,
        docker_host: str | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self._shelf = Shelf(root.absolute())
        self._settings = settings
        self._limits = limits
        engine = Engine(docker_host or os.environ.get("DOCKER_HOST"))
        self._engine = engine
        self._builder = Builder(self._shelf, settings, engine, limits)
        self._resolver = Resolver(self._shelf, settings, self._builder)
        self._faces = Faces(self._shelf, settings, engine, self._builder.variables)
        try:
            self._shelf.prepare()
        except OSError as error:
            raise failures.image_failed(f"images.store: {root} cannot be used: {error.strerror}") from None

    def find_lock(
        self,
        environment: Environment,
        requirements: str,
        files: Mapping[str, bytes] | None = None,
        *,
        gpus: bool = True,
    ) -> Lock | None:
        """Return the lock of an environment resolved before; None if never. Rejected for what cannot be one."""
        return self._resolver.find(environment, requirements, files or {}, gpus=gpus)

    def resolve(
        self,
        environment: Environment,
        requirements: str,
        files: Mapping[str, bytes] | None = None,
        *,
        gpus: bool = True,
        report: Report = nobody_hears,
    ) -> Lock:
        """Resolve and keep the lock; Permanent(image_failed) or Transient in words."""
        with self._disk():
            return self._resolver.resolve(environment, requirements, files or {}, gpus=gpus, report=report)

    def find(self, lock: Lock, face: Face, *, unchecked: bool = False) -> ImageRef | None:
        """Return the image if it is ready in this face; None if `build` is wanted for it."""
        final = self._builder.final(lock)
        found = self._faces.find(final, face, unchecked=unchecked)
        for key in {final.image, final.base} if found else ():
            self._shelf.touch(key)
        return found and dataclasses.replace(found, variables=self._builder.variables(final))

    def build(self, lock: Lock, face: Face, report: Report) -> ImageRef:
        """Build what is missing, once however many ask; Permanent(image_failed) or Transient in words."""
        with self._disk():
            self._shelf.sweep()
            with self._shelf.use(*self.keys(lock)):
                final = self._builder.build(lock, report)
                with self._shelf.use(final.base, final.image):
                    made = self._faces.make(final, face, report)
                    return dataclasses.replace(made, variables=self._builder.variables(final))

    def capsule(
        self, lock: Lock, baked: Sequence[Baked], config: Mapping[str, Any], name: str
    ) -> Iterator[bytes] | None:
        """Stream an image that is there as `docker load` takes it, more baked into it; None if it must be built."""
        image = self.find(lock, Face.DIRECTORY)
        return None if image is None else capsule(self._shelf, self._builder.final(lock), image, baked, config, name)

    def images(self) -> list[ImageInfo]:
        """List bases and images, newest first."""
        found = [*self._bases(), *self._layers()]
        return sorted(found, key=lambda info: info.created, reverse=True)

    def detail(self, key: str) -> ImageDetail:
        """Describe one image or base by its key, or how that begins; NotFound."""
        info = self._named(key)
        lock = self._lock_of(info)
        return ImageDetail(info=info, lock=lock, sizes=self._faces.sizes(lock))

    def sbom(self, key: str) -> dict[str, Any]:
        """Return its bill of materials (CycloneDX 1.6); NotFound."""
        lock = self._lock_of(self._named(key))
        return bom.bill(lock, self._shelf.base(lock.base) / "rootfs", __version__)

    def export(self, key: str, form: str) -> Iterator[bytes]:
        """Stream it for elsewhere, as one tar; NotFound, or Rejected for an unknown form."""
        lock = self._lock_of(self._named(key))
        return exports.export(self._shelf, lock, form, self._builder.variables(lock), platform.machine())

    def prune(self, used: Collection[str], *, older_than: float, larger_than: int, keep: int, dry_run: bool) -> Pruned:
        """Remove images that are not among the `used` keys, and what nothing needs then; say what went, what not."""
        end = time.monotonic() + pruning.PATIENCE
        chosen = pruning.choose(self.images(), used, older_than=older_than, larger_than=larger_than, keep=keep)
        if dry_run:
            return Pruned(images=tuple(chosen))
        now = pruning.Pruning(self._shelf, self._engine, self._settings, end)
        return now.prune(chosen, used, older_than=older_than, larger_than=larger_than)

    def keys(self, lock: Lock) -> set[str]:
        """Name every image and base that a lock needs."""
        final = self._builder.final(lock)
        under = self.keys(lock.under) if lock.under else set()
        return {lock.image, lock.base, final.image, final.base} | under

    def import_base(self, archive: Path, name: str) -> ImageInfo:
        """Take a root filesystem made elsewhere as the base `name`; Rejected if it is none."""
        with self._disk():
            made = importing.take(self._shelf, archive, name, self._limits)
        return self._base_info(made)

    def log(self, key: str) -> str:
        """Return the log of the last build of an image or base by its key, or how that begins; NotFound."""
        _long_enough(key)
        found = list(self._shelf.log("x").parent.glob(f"{key}*.log")) if key.isalnum() else []
        if len(found) != 1:
            words = "there is no log of a build of" if not found else "there are logs of several builds that begin with"
            raise NotFound(f"{words} {key[:80]!r}")
        return failures.without_secrets(found[0].read_text(errors="replace"))

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Say in words when the disk is full."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise failures.disk_full(f"the image store ({self._shelf.root})") from None
            raise

    # --- for people

    def _named(self, key: str) -> ImageInfo:
        _long_enough(key)
        found = [info for info in self.images() if info.key.startswith(key)]
        if len(found) != 1:
            words = "there is no image" if not found else "several images have keys that begin with"
            raise NotFound(f"{words} {key[:64]!r}; `clif images list` shows them")
        return found[0]

    def _lock_of(self, info: ImageInfo) -> Lock:
        if info.kind == "image":
            return Lock.model_validate(self._shelf.read(self._shelf.layer(info.key) / "layer.json")["lock"])  # type: ignore[index]  # it was just listed
        base = Base.model_validate(self._shelf.read(self._shelf.base(info.key) / "base.json"))
        has = base.interpreter.version if base.interpreter else ""
        made_before = Lock(base=base.key, image=base.key, python=has, suite=base.suite, system=base.packages)
        return base.lock or made_before

    def _bases(self) -> Iterator[ImageInfo]:
        for path in (self._shelf.root / "bases").iterdir():
            if (kept := self._shelf.read(path / "base.json")) is not None:
                yield self._base_info(Base.model_validate(kept))

    def _base_info(self, base: Base) -> ImageInfo:
        return ImageInfo(
            key=base.key,
            kind="base",
            name=base.name,
            created=base.created,
            size=base.size,
            packages=base.packages,
            faces=self._faces.made(base.key),
            used=self._shelf.used(base.key),
            imported=base.suite is None and base.lock is None,
        )

    def _layers(self) -> Iterator[ImageInfo]:
        for path in (self._shelf.root / "layers").iterdir():
            if (kept := self._shelf.read(path / "layer.json")) is None:
                continue
            lock = Lock.model_validate(kept["lock"])
            yield ImageInfo(
                key=lock.image,
                kind="image",
                name=_name(lock),
                created=kept["created"],
                size=kept["size"],
                packages=lock.packages,
                base=lock.base,
                faces=self._faces.made(lock.image),
                used=self._shelf.used(lock.image),
            )


def _name(lock: Lock) -> str:
    names = [package.partition("==")[0] for package in lock.packages]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _long_enough(key: str) -> None:
    if len(key) < _SHORTEST:
        raise NotFound(f"write at least {_SHORTEST} characters of an image's key, not {key!r}")
