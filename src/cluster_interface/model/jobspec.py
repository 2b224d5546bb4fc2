"""The job spec: the full, declarative description of a job, version 1."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from cluster_interface.model.base import Model
from cluster_interface.model.destinations import Destinations
from cluster_interface.model.environment import Environment, PythonEnvironment
from cluster_interface.model.filenames import check_all, check_name
from cluster_interface.model.filetree import FileEntry, check_count, check_tree
from cluster_interface.model.resources import Resources
from cluster_interface.model.sweep import Sweep
from cluster_interface.model.wishes import MOST_AFTER, After, Checkpoint, Retry

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Environment", "JobSpec", "PythonEnvironment"]

LONGEST_COMMAND = 64 * 1024  #: well below the kernel's limit of one argument (MAX_ARG_STRLEN, 128 KiB)


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
    deliver: Destinations = Field(
        default=(), max_length=8, description="where the outputs are taken: file:/path, s3://…, sftp://…, globus:…"
    )
    resources: Resources = Resources()
    sweep: Sweep | None = Field(default=None, description="many tasks, each with its own parameters")
    after: tuple[After, ...] = Field(
        default=(), max_length=MOST_AFTER, description="jobs that must have ended: JOB (well), JOB:any, JOB:failed"
    )
    retry: Retry = Retry()
    checkpoint: Checkpoint = Checkpoint()
    dialect: Literal["slurm", "gridengine", "pbs", "lsf"] | None = Field(
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
        check_all([_without_source(value)])
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
        for field, name in self.environment.files().items():
            if name not in self.files:
                raise ValueError(f"{field}: {name!r} is not among the files")
        if self.sweep and self.sweep.table is not None and self.sweep.table not in self.files:
            raise ValueError(f"sweep.table: {self.sweep.table!r} is not among the files")
        return self


def _without_source(files: dict[str, FileEntry]) -> Iterator[tuple[str, str]]:
    for name, entry in files.items():
        if not name.endswith("/") and entry.source is None and entry.content is None and entry.target is None:
            yield name, " has no source; write upload:…, file:/… or https://…"
