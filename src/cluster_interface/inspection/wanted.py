"""The environment of a proposal in the making: packages, modules, variables, and what is there already."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from cluster_interface.inspection.archive.index import PYTHONS
from cluster_interface.inspection.notes import Notes
from cluster_interface.inspection.wording import shown, writable
from cluster_interface.model.environment import Environment, PythonEnvironment, REnvironment
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from cluster_interface.inspection.software import Module, Software

MOST_SYSTEM = 200  #: packages of the distribution in one environment
PACKAGES = "environment.python.packages"
PYTHON_PATH = "PYTHONPATH"


class Wanted(Notes):
    """What a program needs to run."""

    def __init__(self, software: Software, home: str) -> None:
        super().__init__()
        self.software = software  #: where the site has its software from
        self.home = home  #: the directory of the job that the project's names count from
        self.uses_python = False
        self.python_version: str | None = None
        self.requirements: str | None = None
        self.variables: dict[str, str] = {}
        self.lent: dict[str, tuple[Module, str]] = {}  #: modules of the host that others may stand in for, and where
        self.borrows = False  #: it loads modules with which the host lends a container its own programs
        self.asked: set[str] = set()  #: packages that are asked about
        self._indexes: dict[str, None] = {}
        self._packages: dict[str, str] = {}
        self._system: dict[str, None] = {}
        self._r: dict[str, None] = {}
        self._bioconductor: dict[str, None] = {}
        self._modules: dict[str, bool] = {}  #: whether a container has something of it
        self._host: dict[str, str] = {}
        self._ready: dict[str, str] = {}  #: environments that are there already: "conda" or "venv" -> path

    def of_job(self, name: str) -> str:
        """Write a name of the project as one in the job; what leads outside of it begins with `..`."""
        return posixpath.normpath(posixpath.join(self.home, name)) if self.home else name

    def add_package(self, requirement: str, rests_on: str, sure: Sureness) -> None:
        """Add a Python requirement unless its distribution is there already; under other conditions it may be."""
        self.uses_python = True
        name = distribution_of(requirement)
        if ";" in requirement and ";" in self._packages.get(name, ""):
            name = requirement
        if name not in self._packages:
            self._packages[name] = requirement
            self.guess(PACKAGES, requirement, rests_on, sure)

    def add_index(self, url: str, rests_on: str) -> None:
        """Have a further package index asked, which the site allows."""
        self.uses_python = True
        self._indexes[url] = None
        self.guess("environment.python.extra_index_urls", url, rests_on, Sureness.STATED)

    def narrow_package(self, requirement: str, rests_on: str) -> None:
        """Add a Python requirement, or its bounds to that of its distribution which is there and has none above."""
        name = distribution_of(requirement)
        if name in self._packages:
            wanted = Requirement(self._packages[name])
            if all(one.operator in (">=", ">", "!=") for one in wanted.specifier):
                wanted.specifier &= Requirement(requirement).specifier
                self._packages[name] = str(wanted)
                self.guess(PACKAGES, str(wanted), rests_on, Sureness.LIKELY)
        self.add_package(requirement, rests_on, Sureness.LIKELY)

    def has_package(self, distribution: str) -> bool:
        """Say whether a distribution is among the packages so far."""
        return distribution_of(distribution) in self._packages

    @property
    def packages(self) -> tuple[str, ...]:
        """The Python requirements so far."""
        return tuple(self._packages.values())

    def add_system(self, package: str, rests_on: str, sure: Sureness = Sureness.KNOWN) -> None:
        """Add a distribution package."""
        if package not in self._system and len(self._system) < MOST_SYSTEM:
            self._system[package] = None
            self.guess("environment.system", package, rests_on, sure)

    @property
    def system(self) -> tuple[str, ...]:
        """The distribution packages so far."""
        return tuple(self._system)

    def has_system(self, package: str) -> bool:
        """Say whether a distribution package is among those so far."""
        return package in self._system

    def add_r(
        self, package: str, rests_on: str, *, bioconductor: bool = False, sure: Sureness = Sureness.KNOWN
    ) -> None:
        """Add an R package that the distribution does not carry."""
        field = "bioconductor" if bioconductor else "packages"
        try:
            REnvironment(**{field: (package,)})
        except ValueError:
            self.warn(f"{rests_on}: {shown(package)} is not the name of an R package")
            return
        (self._bioconductor if bioconductor else self._r)[package] = None
        self.guess(f"environment.r.{field}", package, rests_on, sure)

    def in_suite(self, suite: str, rests_on: str) -> bool:
        """Take another release of the distribution, by the Python that it has, unless one is asked for already."""
        if self.python_version is None:
            self.python_version, self.uses_python = PYTHONS[suite], True
            self.software = replace(self.software, suite=suite)
            self.guess("environment.python.version", self.python_version, rests_on, Sureness.LIKELY)
        return self.software.suite == suite

    def use_ready(self, kind: str, path: str, rests_on: str) -> None:
        """Take a conda or virtual environment that is there already, the first that is named."""
        try:
            Environment.model_validate({kind: path})
        except ValueError:
            return
        if not self.software.may_mount(path):
            self.uses_python = True
            self.guess(f"environment.{kind}", path, rests_on, Sureness.ASK)
            self.warn(
                f"{rests_on.replace(' it', f' {shown(path)}')}, which jobs do not see here (files.mount_roots): its "
                "packages are taken from what the scripts import, from a list beside them, or --with"
            )
        elif not self._ready:
            self._ready[kind] = path
            self.guess(f"environment.{kind}", path, rests_on, Sureness.STATED)

    def needs_host(self, what: str, rests_on: str) -> None:
        """Note software that can be had from the host alone: the job runs without a container."""
        if what not in self._host:
            self._host[what] = rests_on
            self.guess("resources.runtime", "none", f"{what}: {rests_on}", Sureness.LIKELY)

    @property
    def on_host(self) -> bool:
        """Whether the job runs on the host's own software, where modules bring the compilers."""
        return bool(self._host)

    def stand_in(self, module: Module, rests_on: str) -> None:
        """Take the packages that are in a container what a module is on the cluster."""
        for package in module.packages:
            self.add_system(package, rests_on, module.sure)
        for package in module.python:
            self.add_package(package, rests_on, module.sure)

    def add_module(self, module: str, rests_on: str, *, known: bool) -> bool:
        """Add a module of the host; one whose name could not be one is left to a warning. Says whether it could.

        What is not known is loaded where the job runs on the host, and is none of a container's.
        """
        try:
            Environment(modules=(module,))
        except ValueError:
            self.warn(f"{rests_on}: {shown(module)} is not the name of a module, so it is not known what is needed")
            return False
        if module not in self._modules:
            self._modules[module] = known
            if known:
                self.guess("environment.modules", module, rests_on)
        return True

    def loads(self, name: str) -> bool:
        """Say whether a module of that name was loaded, of whatever version."""
        return any(name in module.lower().split("/") for module in self._modules)

    def add_python_path(self, directory: str, rests_on: str) -> None:
        """Have Python look for modules in a directory of the job, after the script's own."""
        directory = self.of_job(directory)
        path = "/job" if directory in ("", ".") else f"/job/{directory}"
        before = self.variables.get(PYTHON_PATH)
        if path not in (before or "").split(":"):
            self.variables[PYTHON_PATH] = f"{before}:{path}" if before else path
            self.guess(f"environment.variables.{PYTHON_PATH}", path, rests_on, Sureness.LIKELY)

    def set_variable(self, name: str, value: str, rests_on: str, sure: Sureness = Sureness.STATED) -> None:
        """Set a variable of the job's environment."""
        self.variables[name] = writable(value)
        self.guess(f"environment.variables.{name}", value, rests_on, sure)

    @property
    def environment(self) -> Environment:
        """The environment so far."""
        return Environment(
            python=self._python() if self.uses_python and (self.python_version or not self._ready) else None,
            r=self._r_environment(),
            system=tuple(self._system),
            modules=tuple(name for name, there in self._modules.items() if there or self._host),
            variables=self.variables,
            **self._ready,
        )

    def _python(self) -> PythonEnvironment:
        return PythonEnvironment(
            version=self.python_version,
            packages=tuple(self._packages.values()),
            requirements=self.requirements and self.of_job(self.requirements),
            extra_index_urls=tuple(self._indexes),
        )

    def _r_environment(self) -> REnvironment | None:
        if not self._r and not self._bioconductor:
            return None
        return REnvironment(packages=tuple(self._r), bioconductor=tuple(self._bioconductor))

    def warn_of_host(self) -> None:
        """Say what it means to run without a container."""
        what = ", ".join(self._host)
        self.warn(
            f"{what} cannot be put into a container, so the job is to run on the host's own software (--runtime none), "
            "which the site must allow; where the program is licensed, it stays where it is"
        )


def distribution_of(requirement: str) -> str:
    """Return the normalized distribution name of a requirement (PEP 503)."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower().strip("-") if found else requirement
