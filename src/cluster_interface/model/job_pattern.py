"""A pattern: a common kind of job as data, a form of fields and the job spec that they fill in.

Not to be taken for model/patterns.py, which is about file names such as `*.csv`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field as About
from pydantic import StringConstraints, field_validator, model_validator

from cluster_interface.model.base import Model
from cluster_interface.model.filenames import check_name

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = re.compile(r"\$\{\{\s*(?:(?P<option>-[^\s{}]*)\s+)?(?P<name>[a-z][a-z0-9_]*)\s*\}\}")

_NAME = r"^[a-z][a-z0-9-]{0,63}$"


class FieldKind(StrEnum):
    """What is filled in."""

    TEXT = "text"  #: one line
    LINES = "lines"  #: a text of several lines
    WORDS = "words"  #: words as in a shell: arguments, names of packages
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"  #: yes or no
    CHOICE = "choice"
    FILE = "file"
    FILES = "files"  #: any number of files, in a directory of their own
    SWEEP = "sweep"  #: parameters and their values: n=1..10


class Field(Model):
    """One field of a pattern's form."""

    kind: FieldKind = FieldKind.TEXT
    title: str
    help: str = ""
    required: bool = About(default=True, description="a field with a default may be left out, too")
    default: str | int | float | bool | None = None
    choices: dict[str, str] = About(
        default={}, description="value -> what people read; of a file: a source that the site has -> what people read"
    )
    least: float | None = None
    most: float | None = None
    like: str | None = About(default=None, description="a regular expression that the whole text must match")
    accept: tuple[str, ...] = About(default=(), description="endings of the files that fit, such as .fasta")
    to: str | None = About(
        default=None, description="the file's name in the job, or (ending in /) its directory; null: as it is called"
    )

    @field_validator("to")
    @classmethod
    def _place(cls, value: str | None) -> str | None:
        return value if value is None else check_name(value)

    @field_validator("like")
    @classmethod
    def _expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind is FieldKind.CHOICE and not self.choices:
            raise ValueError("a choice wants choices")
        if self.kind is FieldKind.FILES and not (self.to or "").endswith("/"):
            raise ValueError("files want a directory of their own: to: inputs/")
        return self

    @property
    def is_file(self) -> bool:
        """Whether files are filled in."""
        return self.kind in (FieldKind.FILE, FieldKind.FILES)

    @property
    def wanted(self) -> bool:
        """Whether it must be filled in."""
        return self.required and self.default is None and self.kind is not FieldKind.FLAG


class Example(Model):
    """Values that run as they are. A file is named here, and its text stands in `files`."""

    values: dict[str, Any] = {}
    files: dict[str, str] = {}
    outputs: tuple[str, ...] = About(default=(), description="what it leaves behind, among other things")


class Pattern(Model):
    """A pattern as its file says it."""

    apiVersion: Literal[1] = 1  # noqa: N815 - as in the job spec
    name: Annotated[str, StringConstraints(pattern=_NAME)]
    title: str
    summary: str
    order: int = About(default=100, description="where it stands in the list: the lowest first")
    afterwards: str = About(default="", description="what a person does with the outputs")
    fields: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")], Field]
    spec: dict[str, Any] = About(description="a job spec with ${{ field }} where the values go")
    example: Example = Example()

    @model_validator(mode="after")
    def _says_no_more_than_there_is(self) -> Self:
        for name in places(self.spec):
            if name not in self.fields:
                raise ValueError(f"spec: ${{{{ {name} }}}} is no field; there are: {', '.join(self.fields) or 'none'}")
        return self


def places(value: Any) -> Iterator[str]:
    """Name the fields that a template speaks of."""
    if isinstance(value, str):
        yield from (found["name"] for found in PLACE.finditer(value))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from places(key)
            yield from places(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from places(inner)
