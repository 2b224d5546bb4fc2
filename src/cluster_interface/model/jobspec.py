"""The job spec: the full, declarative description of a job, version 1."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from cluster_interface.model.base import Model
from cluster_interface.model.filetree import FileEntry, check_count, check_name, check_tree
from cluster_interface.model.resources import Resources
from cluster_interface.model.sweep import Sweep
from cluster_interface.model.wishes import MOST_AFTER, After, Checkpoint, Retry

LONGEST_COMMAND = 64 * 1024  #: well below the kernel's limit of one argument (MAX_ARG_STRLEN, 128 KiB)

_DISTRIBUTION = re.compile(r"[a-z0-9][a-z0-9+.-]+")  # Debian Policy 5.6.1
_VERSION = re.compile(r"3\.\d{1,2}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,127}")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[A-Za-z0-9._, -]*\])?[^\x00-\x1f#@/\\]*")


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


class PythonEnvironment(Model):
    """The Python side of an environment."""

    version: str | None = Field(default=None, description="such as 3.11; null: the base's own")
    packages: tuple[Annotated[str, AfterValidator(_requirement)], ...] = ()
    requirements: str | None = Field(default=None, description="a requirements file in the file tree")
    exclude_newer: str | None = Field(default=None, description="as of this date (YYYY-MM-DD)")

    @field_validator("version")
    @classmethod
    def _minor(cls, value: str | None) -> str | None:
        if value is not None and not _VERSION.fullmatch(value):
            raise ValueError(f"{value!r} is not a Python version; write for example 3.11")
        return value

    @field_validator("exclude_newer")
    @classmethod
    def _date(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            raise ValueError(f"{value!r} is not a date; write for example 2026-01-31")
        return value


class Environment(Model):
    """The software a job needs. What is missing is inferred and shown."""

    python: PythonEnvironment | None = None
    system: tuple[Annotated[str, AfterValidator(_distribution_package)], ...] = ()
    base: str | None = Field(default=None, description="the name of an imported base; null: the site's default")
    modules: tuple[Annotated[str, AfterValidator(_module)], ...] = Field(
        default=(), description="of the host's own software; needs the runtime `none`"
    )
    variables: dict[str, str] = {}

    @field_validator("variables")
    @classmethod
    def _one_line_each(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a variable")
            if any(c in text for c in "\0\r\n"):
                raise ValueError(f"the value of {name} has a line break in it")
        return value


class JobSpec(Model):
    """What a person hands over, filled in by inspection; everything but `apiVersion` may be inferred."""

    apiVersion: Literal[1] = 1  # noqa: N815 - the document's own name
    name: str | None = Field(default=None, max_length=128)
    script: str | None = Field(default=None, description="a file of the file tree")
    command: str | None = Field(
        default=None, max_length=LONGEST_COMMAND, description="a shell command line, run in /job"
    )
    environment: Environment = Environment()
    files: dict[str, FileEntry] = {}
    outputs: tuple[str, ...] | None = Field(
        default=None, description="patterns below /job; null: every file that is new or changed"
    )
    resources: Resources = Resources()
    sweep: Sweep | None = Field(default=None, description="many tasks, each with its own parameters")
    after: tuple[After, ...] = Field(
        default=(), max_length=MOST_AFTER, description="jobs that must have ended: JOB (well), JOB:any, JOB:failed"
    )
    retry: Retry = Retry()
    checkpoint: Checkpoint = Checkpoint()
    dialect: Literal["slurm", "gridengine", "pbs"] | None = Field(
        default=None, description="the variables of this batch system mean inside what they meant"
    )
    network: bool = False
    group: str | None = None

    @field_validator("name", "group")
    @classmethod
    def _one_line(cls, value: str | None) -> str | None:
        if value is not None and any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in value):
            raise ValueError("has a line break or another control character in it")
        return value

    @field_validator("script")
    @classmethod
    def _script_name(cls, value: str | None) -> str | None:
        return value if value is None else check_name(value)

    @field_validator("command")
    @classmethod
    def _no_nul(cls, value: str | None) -> str | None:
        if value is not None and ("\0" in value or not value.strip()):
            raise ValueError("is empty or has a NUL in it")
        return value

    @field_validator("files", mode="before")
    @classmethod
    def _not_too_many_files(cls, value: Any) -> Any:
        return check_count(value)

    @field_validator("files")
    @classmethod
    def _tree(cls, value: dict[str, FileEntry]) -> dict[str, FileEntry]:
        check_tree(value)
        for name, entry in value.items():
            if not name.endswith("/") and entry.source is None and entry.content is None and entry.target is None:
                raise ValueError(f"{name!r} has no source; write upload:…, file:/… or https://…")
        return value

    @field_validator("outputs")
    @classmethod
    def _patterns(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for pattern in value or ():
            check_name(pattern)
        return value

    @model_validator(mode="after")
    def _something_to_run(self) -> Self:
        if self.script is None and self.command is None:
            raise ValueError("neither script nor command: there is nothing to run")
        if self.script is not None and self.script not in self.files:
            raise ValueError(f"script: {self.script!r} is not among the files")
        python = self.environment.python
        if python and python.requirements is not None and python.requirements not in self.files:
            raise ValueError(f"environment.python.requirements: {python.requirements!r} is not among the files")
        if self.sweep and self.sweep.table is not None and self.sweep.table not in self.files:
            raise ValueError(f"sweep.table: {self.sweep.table!r} is not among the files")
        return self
