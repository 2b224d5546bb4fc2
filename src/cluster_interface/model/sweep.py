"""A sweep: one job with many tasks, each with its own values of the parameters."""

from __future__ import annotations

import itertools
import math
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from cluster_interface.model.base import Model
from cluster_interface.model.filenames import check_name

MOST_TASKS = 100_000  #: of one job, whatever a site allows
LONGEST_VALUE = 4096  #: bytes of one parameter's value: it becomes part of an environment

Values = dict[str, str]  #: the parameters of one task, as text

PARAMETER = "^[A-Za-z_][A-Za-z0-9_]{0,63}$"

_PARAMETER = re.compile(PARAMETER)


def is_parameter(name: str) -> bool:
    """Say whether a text can be a parameter's name: it becomes a part of a variable's."""
    return bool(_PARAMETER.fullmatch(name))


def _scalar(value: float | str) -> str:
    """Write a value as the program will see it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, float) else str(value)
    if "\0" in text or len(text.encode(errors="replace")) > LONGEST_VALUE:
        raise ValueError(f"{text[:40]!r}… has a NUL in it or is longer than {LONGEST_VALUE} bytes")
    return text


Scalar = Annotated[bool | int | float | str, AfterValidator(_scalar)]


class Sweep(Model):
    """Where the tasks' parameters come from: lists (every combination, or side by side), a table, or files.

    `{name}` in the command, and CLIF_PARAM_name in the environment, is the task's value, always literal.
    """

    parameters: dict[str, tuple[Scalar, ...]] = Field(default={}, description="name -> its values")
    method: Literal["grid", "zip"] = Field(
        default="grid", description="grid: every combination; zip: the first values together, the second ones …"
    )
    table: str | None = Field(default=None, description="a CSV, TSV or XLSX file of the tree: a column a parameter")
    files: str | None = Field(default=None, description="a pattern over the inputs; {file} is each that matches")
    max_running: int | None = Field(default=None, ge=1, description="most tasks that run at the same time")
    first_alone: bool = Field(default=False, description="run one task; the rest only if it succeeds")
    pack: int | None = Field(
        default=None, ge=1, le=10_000, description="tasks that share one container start; null: where it pays"
    )

    @field_validator("parameters")
    @classmethod
    def _names(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, values in value.items():
            if not is_parameter(name):
                raise ValueError(f"{name!r} is not a parameter's name: letters, digits and _ only")
            if not values:
                raise ValueError(f"{name!r} has no values")
        return value

    @field_validator("table", "files")
    @classmethod
    def _beneath(cls, value: str | None) -> str | None:
        return value if value is None else check_name(value)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        given = [bool(self.parameters), self.table is not None, self.files is not None]
        if sum(given) != 1:
            raise ValueError("give one of parameters, table and files")
        if self.method == "zip" and len({len(values) for values in self.parameters.values()}) > 1:
            lengths = ", ".join(f"{name} has {len(values)}" for name, values in self.parameters.items())
            raise ValueError(f"the lists of a zip must be of one length: {lengths}")
        return self

    @property
    def count(self) -> int | None:
        """How many tasks there will be; None where the table or the files must be looked at first."""
        if not self.parameters:
            return None
        lengths = [len(values) for values in self.parameters.values()]
        return lengths[0] if self.method == "zip" else math.prod(lengths)

    def rows(self) -> list[Values]:
        """Write out the parameters of every task, the last parameter changing fastest."""
        names, columns = list(self.parameters), list(self.parameters.values())
        combined = zip(*columns, strict=True) if self.method == "zip" else itertools.product(*columns)
        return [dict(zip(names, map(str, values), strict=True)) for values in combined]
