"""Job patterns and their forms."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from cluster_interface.model.base import Model
from cluster_interface.model.job_pattern import Example, Pattern
from cluster_interface.model.job_pattern import Field as PatternField


class PatternSummary(Model):
    """One pattern in the list."""

    name: str
    title: str
    summary: str
    origin: str = Field(description="shipped, or the site's own")

    @classmethod
    def of(cls, pattern: Pattern, origin: str) -> PatternSummary:
        """Show a pattern in a list."""
        return cls(name=pattern.name, title=pattern.title, summary=pattern.summary, origin=origin)


class PatternList(Model):
    """GET /patterns, in the order in which they are offered."""

    patterns: tuple[PatternSummary, ...]


class PatternView(PatternSummary):
    """GET /patterns/{name}: the form, as fields and as JSON Schema, and an example that runs."""

    fields: dict[str, PatternField]
    form: dict[str, Any] = Field(description="JSON Schema of the values")
    example: Example
    afterwards: str = Field(description="what a person does with the outputs")


class ExpandRequest(Model):
    """POST /patterns/{name} and /patterns/{name}/jobs. A file is a source, or name and source or content."""

    values: dict[str, Any] = {}
    example: bool = Field(default=False, description="the example's values stand in for those that are missing")
    spec: dict[str, Any] = Field(default={}, description="fields of the job spec that go on top: name, resources …")


class ExpandResponse(Model):
    """The job spec that the values make; what it leaves out is inferred when it is submitted."""

    spec: dict[str, Any]
