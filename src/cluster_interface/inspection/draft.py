"""A proposal in the making: readers add what they find, each line with what it rests on."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from cluster_interface.inspection.archive.index import PYTHONS
from cluster_interface.inspection.software import Software
from cluster_interface.model.environment import Environment, PythonEnvironment, REnvironment
from cluster_interface.model.filenames import check_name
from cluster_interface.model.proposal import Guess, Option, Proposal, Sureness

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cluster_interface.inspection.batch.directives import Dialect
    from cluster_interface.inspection.batch.request import Request
    from cluster_interface.inspection.project import Project
    from cluster_interface.inspection.software import Module
    from cluster_interface.model.proposal import Missing

MOST_WARNINGS = 40
MOST_SYSTEM = 200  #: packages of the distribution in one environment
MOST_SIGNS = 5  #: signs of network use that are named
MOST_NAMED = 20  #: files of one finding that get a line of their own; more are summed up
PACKAGES = "environment.python.packages"
PYTHON_PATH = "PYTHONPATH"
_USER = re.compile(r"(\w://)[^/@\s'\"]*@")

Follow = Callable[["Draft", str, "Sequence[str]"], bool]
FollowText = Callable[["Draft", str, str, str], None]


def _follow_nothing(_draft: Draft, _name: str, _arguments: Sequence[str]) -> bool:
    return False


def _follow_no_text(_draft: Draft, _interpreter: str, _name: str, _text: str) -> None:
    pass


class Draft:
    """What has been found so far about one script."""

    def __init__(
        self,
        project: Project,
        script: str,
        arguments: Sequence[str],
        software: Software | None = None,
        start: str | None = None,
        *,
        home: str = "",
    ) -> None:
        self.project = project
        self.software = software or Software()  #: where the site has its software from
        self.script = script
        self.arguments = tuple(arguments)
        self.command = ""
        self.asked_start = start  #: the directory in which the program is to be started; None: nobody said
        self.home = home  #: the directory of the job that the project's names count from
        self.start = ""  #: the one in which it starts, below the job's
        self.options: tuple[Option, ...] = ()
        self.suggestions: tuple[str, ...] = ()
        self.missing: Missing | None = None
        self.uses_python = False
        self.python_version: str | None = None
        self.requirements: str | None = None
        self._indexes: dict[str, None] = {}
        self.variables: dict[str, str] = {}
        self.batch: Request | None = None  #: what the directives of a batch script ask for
        self.dialect: Dialect | None = None  #: the batch system whose variables the script uses
        self._lines: Callable[[str], str] = str  #: how lines of the script are called
        self.first: dict[str, str] = {}  #: commands that run before its own, and why
        self.built: set[str] = set()  #: programs that are made in the job itself
        self.builds = False  #: its scripts build by themselves what their words do not name
        self.unbuilt: dict[str, str] = {}  #: programs of the job's directory that are started, and where
        self.looked_up: set[str] = set()  #: commands that were looked for in the archive
        self.absolute: set[str] = set()  #: absolute paths that were named
        self.followed: set[str] = set()  #: files that were read because another one runs them
        self.follow: Follow = _follow_nothing  #: reads a file that another one runs, whatever its kind
        self.follow_text: FollowText = _follow_no_text  #: reads what an interpreter is given to run
        self._modules: dict[str, bool] = {}  #: whether a container has something of it
        self._host: dict[str, str] = {}
        self.lent: dict[str, tuple[Module, str]] = {}  #: modules of the host that others may stand in for, and where
        self.borrows = False  #: it loads modules with which the host lends a container its own programs
        self.opaque = False  #: it starts what cannot be seen here
        self._r: dict[str, None] = {}
        self._bioconductor: dict[str, None] = {}
        self._ready: dict[str, str] = {}  # environments that are there already: "conda" or "venv" -> path
        self._packages: dict[str, str] = {}
        self._system: dict[str, None] = {}
        self._inputs: dict[str, None] = {}
        self._outputs: dict[str, None] = {}
        self._network: dict[str, None] = {}
        self._guesses: dict[Guess, None] = {}
        self._warnings: dict[str, None] = {}
        self._warned: set[str] = set()
        self.asked: set[str] = set()  #: packages that are asked about

    def guess(self, field: str, value: str, rests_on: str, sure: Sureness = Sureness.KNOWN) -> None:
        """Note what one line of the proposal rests on."""
        where = without_secrets(writable(self._lines(rests_on)))
        guess = Guess(field=field, value=without_secrets(writable(value)), rests_on=where, sure=sure)
        self._guesses[guess] = None

    def warn(self, sentence: str) -> None:
        """Note something the person should know before the job runs."""
        self._warnings[without_secrets(writable(self._lines(sentence)))] = None

    def say_lines(self, call: Callable[[str], str]) -> None:
        """Have `line 7` in what is said from now on called as people find it: a notebook has cells."""
        self._lines = call

    def warn_once(self, about: str, sentence: str) -> None:
        """Note something that holds for many lines, at the first of them."""
        if about not in self._warned:
            self._warned.add(about)
            self.warn(sentence)

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

    def add_inputs(self, names: Iterable[str], rests_on: str, sure: Sureness = Sureness.LIKELY) -> None:
        """Add files of the project as inputs; the script itself is none."""
        new = [n for n in names if n in self.project and n != self.script and n not in self._inputs]
        self._inputs.update(dict.fromkeys(new))
        for name in new if len(new) <= MOST_NAMED else ():
            self.guess("files", self.of_job(name), rests_on, sure)
        if len(new) > MOST_NAMED:
            common = posixpath.commonpath(map(self.of_job, new))
            self.guess("files", f"{common}/**" if common else "**", f"{rests_on} ({len(new)} files)", sure)

    def add_output(self, pattern: str, rests_on: str) -> None:
        """Add a pattern of files that seem to be written; what cannot be a name below /job is left out."""
        try:
            check_name(self.of_job(pattern))
        except ValueError:
            return
        if pattern not in self._outputs:
            self._outputs[pattern] = None
            self.guess("outputs", self.of_job(pattern), rests_on, Sureness.LIKELY)

    def of_job(self, name: str) -> str:
        """Write a name of the project as one in the job; what leads outside of it begins with `..`."""
        return posixpath.normpath(posixpath.join(self.home, name)) if self.home else name

    def written(self, names: Iterable[str]) -> set[str]:
        """Return those names that are outputs and nothing but outputs so far."""
        return {name for name in names if name in self._outputs and name not in self._inputs}

    def needs_network(self, what: str) -> None:
        """Note that the script asks for something from outside, which a job must say."""
        if what not in self._network:
            self._network[what] = None
            self.guess("network", "true", what, Sureness.ASK)

    @property
    def name(self) -> str:
        """What the job is called: as its directives say, else as the script is."""
        said = self.batch.value("name") if self.batch else None
        return str(said) if said else clean_name(self.script)

    @property
    def array(self) -> tuple[int, ...]:
        """The indices of the array that the directives ask for; empty where they ask for none."""
        return self.batch.value("array")[0] if self.batch and self.batch.sweep else ()

    def proposal(self) -> Proposal:
        """Close the draft."""
        if self._network:
            named = ", ".join([*self._network][:MOST_SIGNS]) + (" …" if len(self._network) > MOST_SIGNS else "")
            self.warn(f"it seems to ask for things from the network: {named}. A job has none unless you say --network")
        batch = self.batch
        if self._host:
            self._stay_on_host()
        return Proposal(
            script=self.of_job(self.script),
            name=self.name,
            command=self.command,
            environment=Environment(
                python=self._python() if self.uses_python and (self.python_version or not self._ready) else None,
                r=self._r_environment(),
                system=tuple(self._system),
                modules=tuple(name for name, there in self._modules.items() if there or self._host),
                variables=self.variables,
                **self._ready,
            ),
            inputs=tuple(map(self.of_job, self._inputs)),
            outputs=tuple(map(self.of_job, self._outputs)),
            options=self.options,
            suggestions=tuple(map(writable, self.suggestions)),
            missing=self.missing,
            resources={**(batch.resources if batch else {}), **({"runtime": "none"} if self._host else {})},
            sweep=batch.sweep if batch else None,
            dialect=self.dialect,
            checkpoint=batch.checkpoint if batch else None,
            left_out=tuple(batch.left_out) if batch else (),
            guesses=tuple(self._guesses),
            warnings=self._few_warnings(),
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

    def _stay_on_host(self) -> None:
        """Say what it means to run without a container."""
        what = ", ".join(self._host)
        self.warn(
            f"{what} cannot be put into a container, so the job is to run on the host's own software (--runtime none), "
            "which the site must allow; where the program is licensed, it stays where it is"
        )

    def _few_warnings(self) -> tuple[str, ...]:
        every = tuple(self._warnings)
        if len(every) <= MOST_WARNINGS:
            return every
        return (*every[:MOST_WARNINGS], f"… and {len(every) - MOST_WARNINGS} more of this sort")


def distribution_of(requirement: str) -> str:
    """Return the normalized distribution name of a requirement (PEP 503)."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower().strip("-") if found else requirement


def clean_name(script: str) -> str:
    """Make a job name of a script's stem: letters, digits and `._-`, starting with a letter or digit."""
    stem = posixpath.basename(script).rsplit(".", 1)[0] or posixpath.basename(script)
    return re.sub(r"[^\w.-]+", "-", stem, flags=re.ASCII).strip("-._")[:64] or "job"


def writable(text: str) -> str:
    """Return a text that UTF-8 can write: a lone surrogate, legal in a program's texts, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def without_secrets(text: str) -> str:
    """Return a text in which addresses name no user and no password."""
    return _USER.sub(r"\1…@", text)


def shown(text: str, longest: int = 80) -> str:
    """Quote a piece of somebody's text for a sentence: no control characters, not too long."""
    return repr(text if len(text) <= longest else f"{text[: longest - 1]}…")
