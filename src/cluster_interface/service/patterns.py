"""The common kinds of job, listed and filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.patterns import expand, form_schema
from cluster_interface.wire import (
    PatternSummary,
    PatternView,
)

if TYPE_CHECKING:
    from cluster_interface.model.jobspec import JobSpec
    from cluster_interface.patterns import Catalogue
    from cluster_interface.wire import (
        ExpandRequest,
    )


@dataclass(frozen=True, kw_only=True)
class Patterns:
    """What people can do with patterns."""

    catalogue: Catalogue

    def listed(self) -> list[PatternSummary]:
        """List the patterns."""
        return [PatternSummary.of(one, self.catalogue.origin(one)) for one in self.catalogue.patterns()]

    def show(self, name: str) -> PatternView:
        """Show a pattern's form and its example."""
        found = self.catalogue.find(name)
        summary = PatternSummary.of(found, self.catalogue.origin(found))
        said = {field: getattr(found, field) for field in ("fields", "example", "afterwards")}
        return PatternView(**dict(summary), **said, form=form_schema(found))

    def expand(self, name: str, request: ExpandRequest) -> JobSpec:
        """Make the job spec of what was filled in; Rejected names every bad field."""
        return expand(self.catalogue.find(name), request.values, example=request.example, more=request.spec)
