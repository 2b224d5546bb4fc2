"""From a lock to what runtimes take: the base, the layer on it, and what the layer turns out to need."""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING

from cluster_interface.images import base as bases
from cluster_interface.images import conda, dockerfiles, failures, layer, needs, oci, rootfs, rpackages, sourced
from cluster_interface.images import lock as locks
from cluster_interface.images.base import Base, Recipe
from cluster_interface.images.commands import environment
from cluster_interface.images.faces.all import waits
from cluster_interface.images.packages import Packages
from cluster_interface.images.resolving import with_needs
from cluster_interface.images.sandbox import Sandbox
from cluster_interface.model.job import Progress, nobody_hears
from cluster_interface.model.plan import Lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cluster_interface.images.faces.engine import Engine
    from cluster_interface.images.packages import Package
    from cluster_interface.images.request import Request
    from cluster_interface.images.shelf import Shelf
    from cluster_interface.images.unpack import Limits
    from cluster_interface.ports import Report
    from cluster_interface.settings import Images


_NO_LAYER = {"requirements": "", "packages": (), "conda": "", "r": (), "indexes": (), "torch": None}


class Builder:
    """Makes bases and layers, each once however many ask."""

    def __init__(self, shelf: Shelf, settings: Images, engine: Engine, limits: Limits) -> None:
        self._shelf = shelf
        self._settings = settings
        self._engine = engine
        self._limits = limits

    def build(self, lock: Lock, report: Report) -> Lock:
        """Build base and layer, and the base again with what the layer turns out to need; return the lock that fits."""
        wanted = self.final(lock)
        base = self.base(wanted, report)
        if not wanted.layered:
            return wanted
        self._layer(wanted, base, report)
        made = self.final(wanted)
        if made.base != wanted.base:
            self.base(made, report)
        return made

    def final(self, lock: Lock) -> Lock:
        """Return the lock with the distribution packages that its layer was found to need when it was built."""
        kept = self._shelf.read(self._shelf.note("amended", lock.image)) if lock.layered and lock.suite else None
        return Lock.model_validate(kept) if kept else lock

    def check_base(self, request: Request) -> None:
        """Permanent if the base has to be bootstrapped here and cannot be."""
        if request.recipe and not self._shelf.base(request.base).is_dir() and not bases.can_bootstrap():
            raise _no_base()

    def base(self, lock: Lock, report: Report = nobody_hears) -> Base:
        """Return the base of a lock, making it if it is not there."""
        place = self._shelf.base(lock.base)
        if not place.is_dir():
            make, note = self._maker(lock)
            report(Progress(stage="image", unit="", note=note))
            under = self._under(lock, report)
            with self._shelf.hold(lock.base, waits(report, "the base")):
                if not place.is_dir():
                    with self._shelf.slot(self._settings.builders, _many(report)):
                        self._make_base(lock, under, make)
        return Base.model_validate(self._shelf.read(place / "base.json"))

    # --- bases

    def _under(self, lock: Lock, report: Report) -> Lock | None:
        """Build what the base of a lock begins with; None if with nothing."""
        if lock.under:
            return self.build(lock.under, report)
        if lock.suite is None or (plain := self._recipe(lock).under) is None:
            return None
        bare = Lock(
            base=plain.key,
            image=plain.key,
            python=lock.python,
            suite=plain.suite,
            system=plain.packages,
            as_of=plain.day,
        )
        return self.build(bare, report)

    def _maker(self, lock: Lock) -> tuple[str, str]:
        """Say how the base of a lock is made, and what people are told; Permanent if it cannot be."""
        if lock.under:
            return "setup", "running the setup step"
        if lock.origin:
            return "origin", f"bringing {lock.origin.partition('@')[0]}"
        if lock.dockerfile:
            return "dockerfile", "building the Dockerfile"
        recipe = self._recipe(lock)
        if recipe.under:
            return "recipe", f"adding {', '.join(recipe.more)} to the base"
        return "recipe", f"building base from Debian {recipe.suite}"

    def _recipe(self, lock: Lock) -> Recipe:
        if lock.suite is None:
            raise failures.image_failed(
                "the imported base that this job was planned with is gone: `clif images import-base FILE`, "
                "then submit the job again"
            )
        recipe = bases.recipe_of(self._settings, lock.suite, lock.system, lock.as_of)
        if recipe.key != lock.base:
            raise failures.image_failed("the base of this job is made in another way by now; submit the job again")
        if not bases.can_bootstrap():
            raise _no_base()
        return recipe

    def _make_base(self, lock: Lock, under: Lock | None, how: str) -> None:
        log = self._shelf.fresh_log(lock.base)
        with self._shelf.temporary(lock.base) as home:
            target = home / "base"
            target.mkdir(mode=0o755)
            if how == "recipe":
                made = bases.bootstrap(self._recipe(lock), target, self._shelf, self._settings, home)
            elif under is not None:
                made = self._after_setup(lock, under, target, home, log)
            else:
                made = self._taken(lock, target, home, log)
            bare = lock.model_copy(update={"image": lock.base, **_NO_LAYER})
            about = made.model_copy(update={"lock": bare})
            self._shelf.write(target / "base.json", about.model_dump(mode="json"))
            self._shelf.publish(target, self._shelf.base(lock.base))

    def _taken(self, lock: Lock, target: Path, home: Path, log: Path) -> Base:
        """Take an image of a registry, or what a Dockerfile makes."""
        root = _root(target)
        if lock.origin:
            registries = oci.Registries(self._settings, platform.machine(), home, log)
            size, variables = oci.pull(lock.origin, root, registries, self._limits)
            name = lock.origin.partition("@")[0].removeprefix("docker.io/library/")
        else:
            context = self._shelf.context(lock.dockerfile or "")
            if not context.is_file():
                raise failures.image_failed("the Dockerfile of this job is no longer kept; submit the job again")
            data = context.read_bytes()
            size, variables = dockerfiles.build(
                data, root, self._engine, self._settings, self._limits, home=home, log=log
            )
            name = "Dockerfile"
        rootfs.keep_bytecode(root, times_changed=False)
        python = rootfs.finish(root)
        return Base(
            key=lock.base,
            name=name,
            interpreter=python,
            size=size,
            created=time.time(),
            variables=_reachable(variables),
        )

    def _after_setup(self, lock: Lock, under: Lock, target: Path, home: Path, log: Path) -> Base:
        """Run the setup step in a copy of the image that it is for."""
        root = _root(target)
        rootfs.copy(self._shelf.base(under.base) / "rootfs", root)
        if under.layered:
            rootfs.copy(self._shelf.layer(under.image) / "env", root / "opt/env")
        variables = self.variables(under)
        sandbox = Sandbox(root, {}, writable=True, network=self._settings.build_network)
        environ = environment(self._settings, home)
        answer, ended = sandbox.run(
            f"set -x\n{lock.setup}\n", environ=environ, log=log, timeout=self._settings.timeout, variables=variables
        )
        with log.open("a") as file:
            file.write(answer)
        if ended.code != 0:
            raise failures.of_setup(ended.words + answer, ended.code, network=self._settings.build_network)
        size = rootfs.settle(root)
        python = rootfs.finish(root)
        return Base(
            key=lock.base,
            name="setup",
            packages=under.packages,
            interpreter=python,
            size=size,
            created=time.time(),
            variables=variables,
        )

    def variables(self, lock: Lock) -> dict[str, str]:
        """Return what an image sets in its programs' environment."""
        if not (lock.origin or lock.dockerfile or lock.under or lock.conda or lock.r or lock.suite is None):
            return {}
        places = [self._shelf.base(lock.base) / "base.json"]
        if lock.layered:
            places.append(self._shelf.layer(lock.image) / "layer.json")
        found: dict[str, str] = {}
        for place in places:
            found |= (self._shelf.read(place) or {}).get("variables", {})
        return found

    # --- layers

    def _layer(self, lock: Lock, base: Base, report: Report) -> None:
        if self._shelf.layer(lock.image).is_dir():
            return
        with self._shelf.hold(lock.image, waits(report, "the packages")):
            if not self._shelf.layer(self.final(lock).image).is_dir():
                count = len(lock.packages)
                report(Progress(stage="image", total=count, unit="packages", note=f"installing {count} packages"))
                with self._shelf.slot(self._settings.builders, _many(report)):
                    self._install(lock, base, report)

    def _install(self, lock: Lock, base: Base, report: Report) -> None:
        log = self._shelf.fresh_log(lock.image)
        for warning in lock.warnings:
            self._shelf.add_to_log(lock.image, f"warning: {warning}")
        with self._shelf.temporary(lock.image) as home:
            target = home / "layer"
            target.mkdir(mode=0o755)
            (target / "env").mkdir(mode=0o755)
            variables: dict[str, str] = {}
            if lock.conda:
                report(Progress(stage="image", unit="", note="installing conda packages"))
                variables |= self._conda(lock, target / "env", home, log)
            if lock.r:
                variables |= self._r(lock, target / "env", home, log, report)
            packages = self._packages(lock, base, home)
            size = rootfs.settle(target / "env")
            installed = self._python(lock, base, packages, target / "env", log) if packages else []
            size += sum(package.size for package in installed)
            made = self._amend(lock, installed, report)
            sizes = {packages.keys[one.name]: one.size for one in installed} if packages else {}
            about = {"lock": made.model_dump(mode="json"), "size": size, "created": time.time()}
            about |= {"variables": variables, "sizes": sizes}
            self._shelf.write(target / "layer.json", about)
            others = [file for file in (target / "env/pyvenv.cfg", target / "layer.json") if file.exists()]
            new = [*packages.new(), *others] if packages and not lock.conda and not lock.r else None
            self._shelf.publish(target, self._shelf.layer(made.image), new)
            if packages:
                packages.keep()
            if made.image != lock.image:
                kept = made.model_dump(mode="json")
                self._shelf.write(self._shelf.note("amended", lock.image), kept, lasting=True)

    def _packages(self, lock: Lock, base: Base, home: Path) -> Packages | None:
        """Say for what the packages of a package index are installed; None where there are none."""
        if not lock.requirements:
            return None
        version = conda.python(lock.conda)
        wanted = conda.target(version, base.target, platform.machine()) if version else base.target
        if wanted is None:
            raise failures.image_failed(f"the base {base.name!r} has no Python to install packages for")
        python = base.interpreter  # which compiles them, unless they are for another one, of conda's
        compiled = python is not None and python.version == wanted.minor
        return Packages(self._shelf, wanted, home, compiled=compiled)

    def _python(self, lock: Lock, base: Base, packages: Packages, env: Path, log: Path) -> list[Package]:
        """Install the packages of a package index, for the base's own Python or for conda's in the environment."""
        python, root = base.interpreter, self._shelf.base(lock.base) / "rootfs"
        environ = locks.uv_environment(self._settings, self._shelf.wheels, packages.home, lock.indexes, lock.torch)
        if made := sourced.links(self._shelf, lock, packages.target):
            environ["UV_FIND_LINKS"] = ",".join(map(str, made))
        uv = locks.Uv(packages.target, environ, log, self._settings.timeout, self._shelf.root)
        compiler = layer.compiler(root, python) if python and packages.compiled else ()
        installer = layer.Installer(uv, compiler)
        installed = packages.lay(lock.requirements, env, installer.install)
        if python and not conda.python(lock.conda):
            layer.begin(env, python)
        return installed

    def _conda(self, lock: Lock, env: Path, home: Path, log: Path) -> dict[str, str]:
        conda.install(
            lock.conda,
            env,
            machine=platform.machine(),
            settings=self._settings,
            cache=self._shelf.conda,
            home=home,
            log=log,
        )
        rootfs.settle(env)
        root = self._shelf.base(lock.base) / "rootfs"
        if version := conda.python(lock.conda):
            sandbox = Sandbox(root, {layer.PLACE: (env, True)})
            layer.compile_inside(sandbox, version, settings=self._settings, home=home, log=log)
        sandbox = Sandbox(root, {layer.PLACE: (env, False)})
        return conda.activation(env, sandbox, settings=self._settings, home=home, log=log)

    def _r(self, lock: Lock, env: Path, home: Path, log: Path, report: Report) -> dict[str, str]:
        sources = home / "sources"
        sources.mkdir(mode=0o755)
        sandbox = Sandbox(self._shelf.base(lock.base) / "rootfs", {layer.PLACE: (env, True), "/mnt": (sources, False)})
        for number, line in enumerate(lock.r, start=1):
            note = f"building the R package {line.split()[0]} from source ({number} of {len(lock.r)})"
            report(Progress(stage="image", done=number - 1, total=len(lock.r), unit="packages", note=note))
            rpackages.install([line], env, sandbox, settings=self._settings, home=home, log=log)
        return {"R_LIBS": rpackages.LIBRARY}

    def _amend(self, lock: Lock, installed: list[Package], report: Report) -> Lock:
        """Add the distribution packages that the installed ones need and the base has not; say why in the log."""
        if lock.suite is None or conda.python(lock.conda):  # conda's packages bring their own libraries
            return lock
        found = {package.name: package.libraries for package in installed}
        extra = needs.missing(self._shelf.base(lock.base) / "rootfs", found, lock.suite)
        if not extra:
            return lock
        for need in extra:
            self._shelf.add_to_log(lock.image, f"adding {need.package} to the system packages: {need.why}")
        report(Progress(stage="image", unit="", note=f"adding {', '.join(need.package for need in extra)}"))
        return with_needs(lock, extra, self._settings)


def _many(report: Report) -> Callable[[], None]:
    return lambda: report(
        Progress(stage="image", unit="", note="waiting: other images are being built (images.builders)")
    )


def _root(target: Path) -> Path:
    root = target / "rootfs"
    root.mkdir(mode=0o755)
    root.chmod(0o755)
    return root


def _reachable(variables: dict[str, str]) -> dict[str, str]:
    """Keep the place of the layer first where an image sets PATH itself."""
    if "PATH" in variables:
        return {**variables, "PATH": f"{layer.PLACE}/bin:{variables['PATH']}"}
    return variables


def _no_base() -> Exception:
    return failures.image_failed(
        "no base can be made on this machine: install mmdebstrap, or take a base made elsewhere "
        "(`clif images import-base FILE` and images.base in the settings)"
    )
