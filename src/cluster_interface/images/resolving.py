"""From an environment to its lock: what exactly will be in the image, found again where it was found before."""

from __future__ import annotations

import platform
from functools import partial
from typing import TYPE_CHECKING

from cluster_interface.images import base as bases
from cluster_interface.images import conda, dockerfiles, failures, needs, oci, rpackages
from cluster_interface.images import lock as locks
from cluster_interface.images.failures import PYTORCH
from cluster_interface.images.keys import image_key, setup_key
from cluster_interface.images.lock import OnlySource
from cluster_interface.images.request import Request, at_origin, understand
from cluster_interface.images.sourced import Bench, Workshop
from cluster_interface.model.errors import ClusterError
from cluster_interface.model.job import Progress, nobody_hears
from cluster_interface.model.plan import Lock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cluster_interface.images.builder import Builder
    from cluster_interface.images.lock import Target
    from cluster_interface.images.rpackages import Source
    from cluster_interface.images.shelf import Shelf
    from cluster_interface.model.jobspec import Environment
    from cluster_interface.ports import Report
    from cluster_interface.settings import Images


class Resolver:
    """Resolves environments, and keeps the answers."""

    def __init__(self, shelf: Shelf, settings: Images, builder: Builder) -> None:
        self._shelf = shelf
        self._settings = settings
        self._builder = builder

    def find(
        self, environment: Environment, requirements: str, files: Mapping[str, bytes], *, gpus: bool
    ) -> Lock | None:
        """Return the lock of an environment resolved before, without the network; None if never."""
        if environment.setup:
            under = self.find(environment.model_copy(update={"setup": None}), requirements, files, gpus=gpus)
            return under and self._after_setup(under, environment.setup)
        request = understand(self._shelf, self._settings, environment, requirements, files, gpus=gpus)
        if not request.base or (request.dockerfile and not self._shelf.context(request.dockerfile).is_file()):
            return None
        return self._kept(request) if request.layered else self._bare(request)

    def resolve(
        self,
        environment: Environment,
        requirements: str,
        files: Mapping[str, bytes],
        *,
        gpus: bool,
        report: Report = nobody_hears,
    ) -> Lock:
        """Resolve and keep the lock; Permanent(image_failed) or Transient in words."""
        if environment.setup:
            bare = environment.model_copy(update={"setup": None})
            under = self.resolve(bare, requirements, files, gpus=gpus, report=report)
            return self._after_setup(under, environment.setup)
        request = understand(self._shelf, self._settings, environment, requirements, files, gpus=gpus)
        if request.origin and not request.base:
            request = self._pinned(request)
        if request.dockerfile and environment.dockerfile:
            self._keep_context(request.dockerfile, dockerfiles.context(environment.dockerfile, files))
        self._builder.check_base(request)
        if not request.layered:
            return self._bare(request)
        if kept := self._kept(request):
            return kept
        with self._shelf.hold(request.key):
            if kept := self._kept(request):  # somebody else resolved it meanwhile
                return kept
            lock = self._compile(request, environment, report)
            self._shelf.write(self._shelf.note("locks", request.key), lock.model_dump(mode="json"))
            return lock

    def _kept(self, request: Request) -> Lock | None:
        kept = self._shelf.read(self._shelf.note("locks", request.key))
        try:
            return Lock.model_validate(kept) if kept is not None else None
        except ValueError:  # another version of this program wrote it
            return None

    def _bare(self, request: Request) -> Lock:
        recipe = request.recipe
        return Lock(
            base=request.base,
            python=request.target.minor if request.target else "",
            image=request.base,
            suite=recipe.suite if recipe else None,
            as_of=recipe.day if recipe else None,
            system=recipe.packages if recipe else (),
            origin=request.origin,
            dockerfile=request.dockerfile,
        )

    def _after_setup(self, under: Lock, setup: str) -> Lock:
        key = setup_key(under.image, setup, network=self._settings.build_network)
        return Lock(
            base=key,
            image=key,
            python=under.python,
            packages=under.packages,
            warnings=under.warnings,
            system=under.system,
            why=under.why,
            setup=setup,
            under=under,
        )

    def _pinned(self, request: Request) -> Request:
        reference = request.origin or ""
        with self._shelf.temporary(request.key) as home:
            log = self._shelf.fresh_log(request.key)
            pinned = oci.pin(reference, oci.Registries(self._settings, platform.machine(), home, log))
        return at_origin(request, pinned, self._settings)

    def _keep_context(self, key: str, data: bytes) -> None:
        place = self._shelf.context(key)
        if not place.is_file():
            with self._shelf.hold(f"context-{key}"), self._shelf.temporary(f"context-{key}") as home:
                (home / "context").write_bytes(data)
                self._shelf.publish(home / "context", place)

    # --- the parts of a layer, each resolved against what it stands on

    def _compile(self, request: Request, environment: Environment, report: Report) -> Lock:
        lock = self._bare(request)
        with self._shelf.temporary(request.key) as home:
            log = self._shelf.fresh_log(request.key)
            if request.r:
                lock = self._with_r(lock, request, home)
            if request.conda:
                lock = lock.model_copy(update={"conda": self._conda(request, environment, home, log)})
            if request.wanted:
                bench = Bench(environment, report, home, log)
                lock = self._with_python(lock, request, bench)
        lock = lock.model_copy(update={"packages": (*lock.packages, *conda.pinned(lock.conda))})
        lock = lock.model_copy(update={"image": key_of(lock)})
        return self._with_known_needs(lock)

    def _with_r(self, lock: Lock, request: Request, home: Path) -> Lock:
        suite = lock.suite or ""
        sources = rpackages.resolve(request.r, suite, request.newest, self._settings, home)
        recipe = bases.recipe_of(
            self._settings, suite, {*lock.system, *rpackages.debian_needs(sources, suite)}, lock.as_of
        )
        lines = tuple(source.line for source in sources)
        return lock.model_copy(
            update={"r": lines, "base": recipe.key, "system": recipe.packages, "packages": tuple(map(_shown, sources))}
        )

    def _conda(self, request: Request, environment: Environment, home: Path, log: Path) -> str:
        wanted = request.conda
        version = environment.python.version if environment.python else None
        if version and not any(package.split("=")[0].strip() == "python" for package in wanted):
            wanted = (*wanted, f"python {version}.*")
        return conda.solve(
            wanted,
            request.channels,
            (request.target.glibc if request.target else None) or conda.OLD_GLIBC,
            request.newest,
            machine=platform.machine(),
            settings=self._settings,
            cache=self._shelf.conda,
            home=home,
            log=log,
        )

    def _with_python(self, lock: Lock, request: Request, bench: Bench) -> Lock:
        target = self._target(lock, request)
        torch = request.torch
        try:
            text, withdrawn = self._requirements(lock, request, target, bench)
        except ClusterError:
            if torch is None or PYTORCH not in bench.log.read_text(errors="replace"):
                raise
            torch = None  # the site cannot reach PyTorch's own index: the packages with CUDA work without a GPU too
            self._shelf.add_to_log(
                request.key, "PyTorch's own index cannot be reached; its packages are taken with CUDA"
            )
            text, withdrawn = self._requirements(lock, request.model_copy(update={"torch": None}), target, bench)
        packages = locks.pinned(text)
        warnings = locks.warnings(packages, withdrawn)
        for warning in warnings:
            bench.report(Progress(stage="image", unit="", note=warning))
        return lock.model_copy(
            update={
                "requirements": text,
                "python": target.minor,
                "packages": (*lock.packages, *packages),
                "warnings": warnings,
                "indexes": request.indexes,
                "torch": torch if "+cpu" in text else None,
            }
        )

    def _requirements(
        self, lock: Lock, request: Request, target: Target, bench: Bench
    ) -> tuple[str, Mapping[str, str]]:
        """Resolve, and say what was withdrawn; what the index has only as source is built first, where it can be."""
        environ = locks.uv_environment(self._settings, self._shelf.wheels, bench.home, request.indexes, request.torch)
        uv = locks.Uv(target, environ, bench.log, self._settings.timeout, self._shelf.root)
        resolve = partial(locks.compile_lock, request.wanted, request.newest, uv)
        workshop = Workshop(self._shelf, self._settings, target, self._toolchain, bench, conda=lock.conda)
        while True:
            try:
                return workshop.with_sources(resolve(links=workshop.links)), uv.withdrawn
            except OnlySource as error:
                if not request.recipe or not workshop.build(error.names, resolve):
                    raise

    def _toolchain(self, environment: Environment) -> Lock:
        return self._builder.build(self.resolve(environment, "", {}, gpus=False), lambda _: None)

    def _target(self, lock: Lock, request: Request) -> Target:
        if version := conda.python(lock.conda):
            return conda.target(version, request.target, platform.machine())
        if request.target:
            return request.target
        base = self._builder.base(lock)  # an image of a registry: only its files say which Python it has
        if base.target is None:
            raise failures.image_failed(f"{request.field}: this image has no Python to install packages for")
        return base.target

    def _with_known_needs(self, lock: Lock) -> Lock:
        if lock.suite is None or not lock.requirements:
            return lock
        names = (package.partition("==")[0] for package in lock.packages)
        missing = [need for need in needs.known(names, lock.suite) if need.package not in lock.system]
        return with_needs(lock, missing, self._settings) if missing else lock


def key_of(lock: Lock) -> str:
    """Name the image of a lock."""
    return image_key(base=lock.base, python=lock.python, requirements=lock.requirements, conda=lock.conda, r=lock.r)


def with_needs(lock: Lock, extra: list[needs.Need], settings: Images) -> Lock:
    """Return a lock on a base that has these packages too."""
    recipe = bases.recipe_of(settings, lock.suite or "", {*lock.system, *(need.package for need in extra)}, lock.as_of)
    why = (*lock.why, *(f"{need.package}: {need.why}" for need in extra))
    lock = lock.model_copy(update={"base": recipe.key, "system": recipe.packages, "why": why})
    return lock.model_copy(update={"image": key_of(lock)})


def _shown(source: Source) -> str:
    return f"{source.name}={source.version}"
