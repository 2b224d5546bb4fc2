"""The software a job needs: packages of several kinds, or an image that is there already."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from cluster_interface.model.base import Model
from cluster_interface.model.variables import check_variables

LONGEST_SETUP = 64 * 1024  #: characters

_DISTRIBUTION = re.compile(r"[a-z0-9][a-z0-9+.-]+")  # Debian Policy 5.6.1
_VERSION = re.compile(r"3\.\d{1,2}")
_MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,127}")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[A-Za-z0-9._, -]*\])?[^\x00-\x1f#@/\\]*")
_R_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9.]*[A-Za-z0-9]")  # Writing R Extensions 1.1.1
_CONDA_PACKAGE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(\s*[=<>!~][A-Za-z0-9.*,|=<>!~_+ -]*)?")  # conda's MatchSpec
_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
#: https://github.com/distribution/reference: [host[:port]/]path[:tag][@digest]
_REFERENCE = re.compile(
    r"(?:docker://)?(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


def _requirement(value: str) -> str:
    """Check a PEP 508 requirement by name: no options, paths, links or second lines."""
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - slow, rarely needed

    try:
        if not _REQUIREMENT.fullmatch(value):
            raise ValueError
        Requirement(value)
    except (ValueError, InvalidRequirement):
        raise ValueError(f"{value!r} is not a package; write for example pandas or pandas>=2") from None
    return value


def _distribution_package(value: str) -> str:
    if not _DISTRIBUTION.fullmatch(value):
        raise ValueError(f"{value!r} is not the name of a distribution package")
    return value


def _module(value: str) -> str:
    if not _MODULE.fullmatch(value):
        raise ValueError(f"{value!r} is not a module; write for example blast/2.14")
    return value


def _r_package(value: str) -> str:
    if not _R_PACKAGE.fullmatch(value):
        raise ValueError(f"{value!r} is not the name of an R package; write for example dplyr")
    return value


def _conda_package(value: str) -> str:
    if not _CONDA_PACKAGE.fullmatch(value):
        raise ValueError(f"{value!r} is not a conda package; write for example gdal or gdal>=3.6")
    return value


def _channel(value: str) -> str:
    if not _CHANNEL.fullmatch(value):
        _address(value)
    return value.rstrip("/")


def _address(value: str) -> str:
    """Check an address: of the web, or of a directory of the site's; no passwords, spaces or second lines."""
    parts = urlsplit(value) if value.isprintable() and " " not in value else None
    if parts is None or parts.scheme not in ("https", "http", "file") or "@" in parts.netloc or "$" in value:
        raise ValueError(f"{value[:80]!r} is not an address; write https://… without user or password")
    return value.rstrip("/")


def _day(value: str | None) -> str | None:
    try:
        if value is not None:
            if len(value) != len("2026-01-31"):
                raise ValueError
            dt.date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a date; write for example 2026-01-31") from None
    return value


def _directory(value: str | None) -> str | None:
    if value is None:
        return None
    if not value.startswith("/") or not value.isprintable() or ".." in value.split("/") or not value.strip("/"):
        raise ValueError(f"{value!r} is not the path of a directory; write it in full, from / on")
    return value.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]
Day = Annotated[str | None, AfterValidator(_day)]
Directory = Annotated[str | None, AfterValidator(_directory)]


class PythonEnvironment(Model):
    """The Python side of an environment."""

    version: str | None = Field(default=None, description="such as 3.11; null: the base's own")
    packages: tuple[Annotated[str, AfterValidator(_requirement)], ...] = ()
    requirements: str | None = Field(default=None, description="a requirements file in the file tree")
    lock: str | None = Field(
        default=None, description="a lock in the file tree: pylock.toml, uv.lock, poetry.lock, Pipfile.lock"
    )
    extra_index_urls: tuple[Address, ...] = Field(
        default=(), description="further package indexes, before the site's own; each must be allowed by the site"
    )
    exclude_newer: Day = Field(default=None, description="as of this date (YYYY-MM-DD); null: environment.as_of")

    @field_validator("version")
    @classmethod
    def _minor(cls, value: str | None) -> str | None:
        if value is not None and not _VERSION.fullmatch(value):
            raise ValueError(f"{value!r} is not a Python version; write for example 3.11")
        return value


class REnvironment(Model):
    """The R side of an environment: the distribution's packages first, built from source else."""

    packages: tuple[Annotated[str, AfterValidator(_r_package)], ...] = Field(default=(), description="of CRAN")
    bioconductor: tuple[Annotated[str, AfterValidator(_r_package)], ...] = ()


class CondaEnvironment(Model):
    """Packages of conda channels, or an environment that is there already."""

    channels: tuple[Annotated[str, AfterValidator(_channel)], ...] = Field(
        default=(), description="in order of preference; empty: conda-forge"
    )
    packages: tuple[Annotated[str, AfterValidator(_conda_package)], ...] = ()
    path: Directory = Field(
        default=None, description="a conda environment that is there already, mounted at its own path"
    )

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if self.path is not None and (self.packages or self.channels):
            raise ValueError("an environment that is there already takes no packages; name packages or path")
        if self.path is None and not self.packages:
            raise ValueError("names neither packages nor path")
        return self


class Environment(Model):
    """The software a job needs. What is missing is inferred and shown."""

    python: PythonEnvironment | None = None
    r: REnvironment | None = None
    conda: CondaEnvironment | None = Field(default=None, description="channels and packages, or the path of one")
    venv: Directory = Field(default=None, description="a virtual environment that is there already, mounted")
    system: tuple[Annotated[str, AfterValidator(_distribution_package)], ...] = ()
    base: str | None = Field(default=None, description="the name of an imported base; null: the site's default")
    image: str | None = Field(default=None, description="an OCI image by reference (a .sif file is imported as a base)")
    dockerfile: str | None = Field(default=None, description="a Dockerfile in the file tree")
    modules: tuple[Annotated[str, AfterValidator(_module)], ...] = Field(
        default=(),
        description="of the cluster: packages or software of the host, by the site's table; `none` loads them",
    )
    as_of: Day = Field(
        default=None,
        description="packages of Python, R and conda as they were on this date (YYYY-MM-DD); the distribution's own "
        "too where the site has an archive of them (images.snapshot), else as they are when the base is made",
    )
    setup: str | None = Field(
        default=None, max_length=LONGEST_SETUP, description="shell lines, run once when the image is built"
    )
    variables: dict[str, str] = {}

    _one_line_each = field_validator("variables")(check_variables)

    @field_validator("setup", mode="before")
    @classmethod
    def _lines(cls, value: Any) -> Any:
        """Take a list of lines for the text that they make."""
        if isinstance(value, list | tuple) and all(isinstance(line, str) for line in value):
            value = "\n".join(value)
        if isinstance(value, str):
            if "\0" in value:
                raise ValueError("has a NUL in it")
            return value.strip("\n") or None
        return value

    @field_validator("image")
    @classmethod
    def _reference(cls, value: str | None) -> str | None:
        if value is None or (value.startswith("/") and value.endswith(".sif")):
            return _directory(value)
        if not _REFERENCE.fullmatch(value):
            raise ValueError(f"{value[:80]!r} is no image; write for example docker.io/library/python:3.12")
        return value

    @model_validator(mode="after")
    def _one_ground(self) -> Self:
        """An environment stands on one thing."""
        grounds = [name for name in ("base", "image", "dockerfile") if getattr(self, name) is not None]
        if len(grounds) > 1:
            raise ValueError(f"{' and '.join(grounds)} are both given; an environment stands on one of them")
        ready = [name for name in ("venv", "conda") if getattr(self, name) is not None]
        if len(ready) > 1:
            raise ValueError("venv and conda are both given; name the one that has the program")
        python = self.python
        if python and (python.packages or python.requirements or python.lock) and self.mounts:
            raise ValueError(
                "python.packages cannot be added to an environment that is there already; leave out one of them"
            )
        return self

    @property
    def mounts(self) -> tuple[str, ...]:
        """The directories outside that it consists of."""
        return tuple(path for path in (self.venv, self.conda.path if self.conda else None) if path)

    @property
    def newest(self) -> str | None:
        """The date after which nothing of the package indexes counts."""
        return (self.python.exclude_newer if self.python else None) or self.as_of

    def adding(self, field: str, package: str) -> Environment:
        """Return it with one package more, in the field of the job spec that takes such.

        ValueError if it has that one, or takes none, since it is there already.
        """
        *above, last = field.split(".")[1:]
        document = self.model_dump(mode="json", exclude_defaults=True)
        place = document
        for name in above:
            place = place.setdefault(name, {})
        if package in (there := place.get(last, ())):
            raise ValueError(f"{package} is in {field} already")
        place[last] = [*there, package]
        return Environment.model_validate(document)

    def files(self) -> dict[str, str]:
        """Name the files of the file tree that it is described by: field -> path."""
        python = self.python or PythonEnvironment()
        named = {
            "environment.python.requirements": python.requirements,
            "environment.python.lock": python.lock,
            "environment.dockerfile": self.dockerfile,
        }
        return {field: path for field, path in named.items() if path is not None}
