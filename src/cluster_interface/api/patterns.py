"""Patterns over REST: the list, a form with its example, and what was filled in as a spec or at once as a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiflask import APIBlueprint
from flask import Response, g

from cluster_interface.api.requests import answer, body, created, key, takes
from cluster_interface.wire import ExpandRequest, ExpandResponse, JobView, PatternList, PatternView

if TYPE_CHECKING:
    from cluster_interface.service import Service


def blueprint(service: Service) -> APIBlueprint:
    """Make the routes."""
    bp = APIBlueprint("patterns", __name__, tag="Patterns")

    @bp.get("/patterns")
    @bp.output(PatternList)
    def patterns() -> Response:
        """List the common kinds of job."""
        return answer(PatternList(patterns=tuple(service.patterns.listed())))

    @bp.get("/patterns/<name>")
    @bp.output(PatternView)
    def pattern(name: str) -> Response:
        """Show a pattern: its form, as fields and as JSON Schema, and its example."""
        return answer(service.patterns.show(name))

    @bp.post("/patterns/<name>")
    @takes(ExpandRequest)
    @bp.output(ExpandResponse)
    def expand(name: str) -> Response:
        """Make the job spec of what was filled in; nothing is submitted."""
        spec = service.patterns.expand(name, body(ExpandRequest))
        return answer(ExpandResponse(spec=spec.model_dump(mode="json", exclude_unset=True)))

    @bp.post("/patterns/<name>/jobs")
    @takes(ExpandRequest)
    @bp.output(JobView, status_code=201)
    def submit(name: str) -> Response:
        """Submit what was filled in. The same Idempotency-Key again is the same job, answered with 200."""
        spec = service.patterns.expand(name, body(ExpandRequest))
        view, new = service.submitting.submit(g.user, spec, key())
        return created(view, new=new)

    return bp
