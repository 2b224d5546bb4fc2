"""The server over REST: inspect, queues, who I am, doctor, the one-time link, the schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiflask import APIBlueprint
from flask import Response, g, jsonify, request

from cluster_interface.api.requests import answer, body, takes
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.store import sessions
from cluster_interface.wire import (
    DoctorReport,
    InspectRequest,
    InspectResponse,
    Me,
    QueueList,
    UiLink,
)

if TYPE_CHECKING:
    from cluster_interface.service import Service


def blueprint(service: Service, page_address: str) -> APIBlueprint:
    """Make the routes."""
    bp = APIBlueprint("server", __name__, tag="Server")

    @bp.post("/inspect")
    @takes(InspectRequest)
    @bp.output(InspectResponse)
    def inspect() -> Response:
        """Propose environment, command and files for a script; nothing is kept."""
        return answer(service.submitting.inspect(g.user, body(InspectRequest)))

    @bp.get("/queues")
    @bp.output(QueueList)
    def queues() -> Response:
        """List the queues."""
        return answer(QueueList(queues=tuple(service.queues())))

    @bp.get("/me")
    @bp.output(Me)
    def me() -> Response:
        """Say who is calling."""
        return answer(service.me(g.user))

    @bp.get("/admin/doctor")
    @bp.output(DoctorReport)
    def doctor() -> Response:
        """Examine the server and its settings; with `site=true`, also what was found on the nodes of each queue."""
        return answer(service.doctor(site=request.args.get("site") == "true"))

    @bp.post("/ui-links")
    @bp.output(UiLink, status_code=201)
    def link() -> Response:
        """Make a link that opens the pages once, within a minute."""
        with service.store.write() as db:
            token = sessions.open_session(db, g.user, "link")
        return answer(UiLink(url=f"http://{page_address}/enter?token={token}"), 201)

    @bp.get("/schemas/job.json")
    @bp.doc(responses={200: "JSON Schema of the job spec"})
    def schema() -> Response:
        """Publish the job spec's JSON Schema."""
        return jsonify(JobSpec.model_json_schema())

    return bp
