"""Where a site's software comes from: the suite of its bases, the packages it prefers, what its modules mean."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING

from cluster_interface.inspection.archive.index import CURRENT, Archive
from cluster_interface.model.environment import PythonEnvironment
from cluster_interface.model.proposal import Sureness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.model.environment import Environment
    from cluster_interface.model.host import HostSoftware, Meaning

HOST = "host"  #: what stands in the table for software that stays where it is
PYTHON = "python:"  #: before a Python package


@dataclass(frozen=True)
class Software:
    """What a site says of software. The defaults are those of a site that says nothing."""

    suite: str = CURRENT  #: release of Debian of its bases
    prefer: Mapping[str, str] = field(default_factory=dict)  #: command -> package
    modules: Mapping[str, Meaning] = field(default_factory=dict)  #: module, with or without a version -> see `Module`
    indexes: frozenset[str] = frozenset()  #: addresses of further package indexes that jobs may name
    mountable: tuple[str, ...] | None = None  #: directories below which jobs may have what is there; None: not said

    @cached_property
    def archive(self) -> Archive:
        """The distribution's packages."""
        return Archive(self.suite, self.prefer)

    def may_mount(self, path: str) -> bool:
        """Say whether a job may have what lies at an absolute path, as far as that is known."""
        return self.mountable is None or any(f"{path}/".startswith(f"{root.rstrip('/')}/") for root in self.mountable)

    def module(self, name: str) -> Module:
        """Say what a module of the cluster means in a container."""
        for table, whose in ((self.modules, "the site's table of modules"), (_shipped(), "the table of modules")):
            for key in (name, name.lower(), *_shorter(name.lower())):
                if key in table:
                    return _understood(name, table[key], whose)
        for key in _shorter(name.lower())[:1]:  # what stands before it is a sort of software: bio/, apps/, vis/
            if packages := self.archive.command(key) or self.archive.command(key.upper()):
                return Module(packages[:1], rests_on=f"Debian's index has the command {key}", sure=Sureness.LIKELY)
        return Module()

    def lent(self, environment: Environment) -> tuple[HostSoftware, ...]:
        """Name the software of the host that a container is lent for an environment's modules."""
        found = (self.module(name).lent for name in environment.modules)
        return tuple(one for one in found if one)

    def near(self, name: str) -> list[str]:
        """Name known modules whose names are like one."""
        plain = next(iter(_shorter(name.lower())), name.lower())
        return difflib.get_close_matches(plain, [*self.modules, *_shipped()], n=3, cutoff=0.75)

    def in_container(self, environment: Environment) -> Environment:
        """Add the packages that stand in for an environment's modules; what is not known is left as it is."""
        found = [self.module(name) for name in environment.modules]
        system = dict.fromkeys([*environment.system, *(one for module in found for one in module.packages)])
        python = environment.python or PythonEnvironment()
        wanted = dict.fromkeys([*python.packages, *(one for module in found for one in module.python)])
        if tuple(wanted) != python.packages and not environment.mounts:
            python = python.model_copy(update={"packages": tuple(wanted)})
            environment = environment.model_copy(update={"python": python})
        return environment.model_copy(update={"system": tuple(system)})


@dataclass(frozen=True)
class Module:
    """What a module is in a container; `known` is False where nothing says what it is."""

    packages: tuple[str, ...] = ()  #: of the distribution
    python: tuple[str, ...] = ()
    host: bool = False  #: it stays on the host, and a job without a container has it
    lent: HostSoftware | None = None  #: it stays on the host, and containers have it from there
    rests_on: str = ""
    sure: Sureness = Sureness.KNOWN

    @property
    def in_container(self) -> bool:
        """Whether a container has it, or what stands in for it."""
        return self.known and (not self.host or bool(self.packages))

    @property
    def known(self) -> bool:
        """Whether anything is known of it."""
        return bool(self.rests_on)


def _understood(name: str, value: Meaning, whose: str) -> Module:
    lent = None if isinstance(value, str) else value.as_named(name)
    words = (value if isinstance(value, str) else value.packages).split()
    return Module(
        lent=lent,
        packages=tuple(word for word in words if not word.startswith(PYTHON) and word != HOST),
        python=tuple(word.removeprefix(PYTHON) for word in words if word.startswith(PYTHON)),
        host=HOST in words,
        rests_on=whose,
    )


def _shorter(name: str) -> list[str]:
    """List what a module may be called without version and toolchain: bio/BLAST+/2.14.0-gompi-2022b -> blast+."""
    parts = [part for part in name.split("/") if part]
    found = [re.sub(r"[-_]v?\d[\w.]*$", "", part) for part in reversed(parts) if not re.match(r"v?\d", part)]
    return list(dict.fromkeys(part for part in found if part))


@cache
def _shipped() -> dict[str, str]:
    table: dict[str, str] = tomllib.loads(resources.files(__package__).joinpath("modules.toml").read_text())["modules"]
    return table
