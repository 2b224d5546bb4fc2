"""The image store: what an environment becomes, found at once or built once."""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_interface.images import base as bases
from cluster_interface.images import failures, importing, layer
from cluster_interface.images import lock as locks
from cluster_interface.images.base import Base, Recipe
from cluster_interface.images.bytecode import Bytecode
from cluster_interface.images.capsules import capsule
from cluster_interface.images.faces.all import Faces, waits
from cluster_interface.images.faces.engine import Engine
from cluster_interface.images.keys import image_key
from cluster_interface.images.request import Request, minor, understand
from cluster_interface.images.shelf import Shelf
from cluster_interface.images.unpack import Limits
from cluster_interface.model.job import Progress
from cluster_interface.model.plan import Lock
from cluster_interface.ports import Face, ImageInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from cluster_interface.model.jobspec import Environment
    from cluster_interface.ports import Baked, ImageRef, Report
    from cluster_interface.settings import Images


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
        self._faces = Faces(self._shelf, settings, Engine(docker_host or os.environ.get("DOCKER_HOST")))
        try:
            self._shelf.prepare()
        except OSError as error:
            raise failures.image_failed(f"images.store: {root} cannot be used: {error.strerror}") from None

    def find_lock(self, environment: Environment, requirements: str) -> Lock | None:
        """Return the lock of an environment resolved before; None if never. Rejected for what cannot be one."""
        request = understand(self._shelf, self._settings, environment, requirements)
        return self._kept(request) if request.wanted else self._bare(request)

    def resolve(self, environment: Environment, requirements: str) -> Lock:
        """Resolve and keep the lock; Permanent(image_failed) or Transient in words."""
        request = understand(self._shelf, self._settings, environment, requirements)
        self._check_base(request)
        if not request.wanted:
            return self._bare(request)
        if kept := self._kept(request):
            return kept
        with self._disk(), self._shelf.hold(request.key):
            if kept := self._kept(request):  # somebody else resolved it meanwhile
                return kept
            lock = self._compile(request)
            self._shelf.write(self._shelf.note("locks", request.key), lock.model_dump(mode="json"))
            return lock

    def find(self, lock: Lock, face: Face) -> ImageRef | None:
        """Return the image if it is ready in this face; None if it must be built."""
        return self._faces.find(lock, face)

    def build(self, lock: Lock, face: Face, report: Report) -> ImageRef:
        """Build what is missing, once however many ask; Permanent(image_failed) or Transient in words."""
        with self._disk():
            self._shelf.sweep()
            base = self._build_base(lock, report)
            if lock.requirements:
                self._build_layer(lock, base, report)
            return self._faces.make(lock, face, report)

    def capsule(
        self, lock: Lock, baked: Sequence[Baked], config: Mapping[str, Any], name: str
    ) -> Iterator[bytes] | None:
        """Stream an image that is there as `docker load` takes it, more baked into it; None if it must be built."""
        image = self._faces.find(lock, Face.DIRECTORY)
        return None if image is None else capsule(self._shelf, lock, image, baked, config, name)

    def images(self) -> list[ImageInfo]:
        """List bases and images, newest first."""
        found = [*self._bases(), *self._layers()]
        return sorted(found, key=lambda info: info.created, reverse=True)

    def import_base(self, archive: Path, name: str) -> ImageInfo:
        """Take a root filesystem made elsewhere as the base `name`; Rejected if it is none."""
        with self._disk():
            made = importing.take(self._shelf, archive, name, self._limits)
        return self._base_info(made)

    def log(self, key: str) -> str:
        """Return the log of the last build of this image or base; empty if there is none."""
        try:
            return failures.without_secrets(self._shelf.log(Path(key).name).read_text(errors="replace"))
        except FileNotFoundError:
            return ""

    # --- locks

    def _check_base(self, request: Request) -> None:
        if request.recipe and not self._shelf.base(request.base).is_dir() and not bases.can_bootstrap():
            raise _no_base()

    def _kept(self, request: Request) -> Lock | None:
        kept = self._shelf.read(self._shelf.note("locks", request.key))
        try:
            return Lock.model_validate(kept) if kept is not None else None
        except ValueError:  # another version of this program wrote it
            return None

    def _bare(self, request: Request) -> Lock:
        return self._lock(request, "")

    def _compile(self, request: Request) -> Lock:
        assert request.target is not None  # noqa: S101 - `understand` refuses packages without one
        with self._shelf.temporary(request.key) as home:
            text = locks.compile_lock(
                request.wanted,
                request.target,
                request.newest,
                environ=locks.uv_environment(self._settings, self._shelf.wheels, home, request.indexes),
                log=self._fresh_log(request.key),
                timeout=self._settings.timeout,
                store=self._shelf.root,
            )
        return self._lock(request, text)

    def _lock(self, request: Request, requirements: str) -> Lock:
        python = minor(request.target.python) if request.target else ""
        recipe = request.recipe
        return Lock(
            base=request.base,
            requirements=requirements,
            python=python,
            packages=locks.pinned(requirements),
            indexes=request.indexes,
            image=image_key(base=request.base, python=python, requirements=requirements),
            suite=recipe.suite if recipe else None,
            system=recipe.packages if recipe else (),
        )

    # --- building

    def _build_base(self, lock: Lock, report: Report) -> Base:
        place = self._shelf.base(lock.base)
        if not place.is_dir():
            recipe = self._recipe(lock)
            report(Progress(stage="image", unit="", note=f"building base from Debian {recipe.suite}"))
            with self._shelf.hold(lock.base, waits(report, "the base")):
                if not place.is_dir():
                    self._bootstrap(recipe, place)
        return Base.model_validate(self._shelf.read(place / "base.json"))

    def _recipe(self, lock: Lock) -> Recipe:
        """Say how the base of a lock is made; Permanent if it cannot be."""
        if lock.suite is None:
            raise failures.image_failed(
                "the imported base that this job was planned with is gone: `clif images import-base FILE`, "
                "then submit the job again"
            )
        recipe = bases.recipe_of(self._settings, lock.suite, lock.system)
        if recipe.key != lock.base:
            raise failures.image_failed("the base of this job is made in another way by now; submit the job again")
        if not bases.can_bootstrap():
            raise _no_base()
        return recipe

    def _bootstrap(self, recipe: Recipe, place: Path) -> None:
        self._fresh_log(recipe.key)
        with self._shelf.temporary(recipe.key) as home:
            target = home / "base"
            target.mkdir(mode=0o755)
            made = bases.bootstrap(recipe, target, self._shelf, self._settings, home)
            self._shelf.write(target / "base.json", made.model_dump(mode="json"))
            self._shelf.publish(target, place)

    def _build_layer(self, lock: Lock, base: Base, report: Report) -> None:
        place = self._shelf.layer(lock.image)
        if place.is_dir():
            return
        with self._shelf.hold(lock.image, waits(report, "the packages")):
            if not place.is_dir():
                count = len(lock.packages)
                report(Progress(stage="image", total=count, unit="packages", note=f"installing {count} packages"))
                self._install(lock, base, place)

    def _install(self, lock: Lock, base: Base, place: Path) -> None:
        if base.interpreter is None:
            raise failures.image_failed(f"the base {base.name!r} has no Python to install packages for")
        with self._shelf.temporary(lock.image) as home:
            target = home / "layer"
            target.mkdir(mode=0o755)
            env = target / "env"
            installed = layer.site_packages(env, base.interpreter)
            bytecode = Bytecode(self._shelf.bytecode, installed, base.interpreter.version, lock.requirements)
            size = layer.install(
                env,
                bytecode,
                self._shelf.base(lock.base) / "rootfs",
                base.interpreter,
                environ=locks.uv_environment(self._settings, self._shelf.wheels, home, lock.indexes),
                log=self._fresh_log(lock.image),
                timeout=self._settings.timeout,
                store=self._shelf.root,
            )
            about = {"lock": lock.model_dump(mode="json"), "size": size, "created": time.time()}
            self._shelf.write(target / "layer.json", about)
            compiled = bytecode.collect(home / "bytecode")
            self._shelf.publish(target, place)
            bytecode.keep(compiled)

    def _fresh_log(self, key: str) -> Path:
        path = self._shelf.log(key)
        path.unlink(missing_ok=True)
        return path

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Say in words when the disk is full."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise failures.disk_full(self._shelf.root) from None
            raise

    # --- for people

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
            )


def _name(lock: Lock) -> str:
    names = [package.partition("==")[0] for package in lock.packages]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _no_base() -> Exception:
    return failures.image_failed(
        "no base can be made on this machine: install mmdebstrap, or take a base made elsewhere "
        "(`clif images import-base FILE` and images.base in the settings)"
    )
