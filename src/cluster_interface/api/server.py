"""The server over REST: inspect, images, queues, who I am, doctor, the one-time link, the schemas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from apiflask import APIBlueprint
from flask import Response, g, jsonify, request

from cluster_interface.api.requests import answer, body, takes
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.store import sessions
from cluster_interface.wire import (
    BuildRequest,
    BuildView,
    DoctorReport,
    ImageList,
    ImageShow,
    ImageView,
    ImportBaseRequest,
    InspectRequest,
    InspectResponse,
    Me,
    PruneRequest,
    QueueList,
    UiLink,
)

if TYPE_CHECKING:
    from cluster_interface.service import Service


def blueprint(service: Service, page_address: str) -> APIBlueprint:
    """Make the routes."""
    bp = APIBlueprint("server", __name__, tag="Server")
    _images(bp, service)

    @bp.post("/inspect")
    @takes(InspectRequest)
    @bp.output(InspectResponse)
    def inspect() -> Response:
        """Propose environment, command and files for a script; nothing is kept."""
        return answer(service.inspect(g.user, body(InspectRequest)))

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


def _images(bp: APIBlueprint, service: Service) -> None:
    @bp.get("/images")
    @bp.output(ImageList)
    def images() -> Response:
        """List images and bases."""
        return answer(ImageList(images=tuple(service.images())))

    @bp.post("/images/bases")
    @takes(ImportBaseRequest)
    @bp.output(ImageView, status_code=201)
    def import_base() -> Response:
        """Take an uploaded root filesystem as a base."""
        wanted = body(ImportBaseRequest)
        return answer(service.import_base(g.user, wanted.upload, wanted.name), 201)

    @bp.get("/images/<key>")
    @bp.output(ImageShow)
    def image(key: str) -> Response:
        """Show one image: its lock, its sizes and the jobs that need it; `key` may be how that begins."""
        return answer(service.image(key))

    @bp.get("/images/<key>/sbom")
    @bp.doc(responses={200: "CycloneDX 1.6"})
    def sbom(key: str) -> Response:
        """Show what is in an image, as a bill of materials."""
        return Response(json.dumps(service.shelf.sbom(key), indent=1), content_type="application/vnd.cyclonedx+json")

    @bp.get("/images/<key>/export")
    @bp.doc(responses={200: "The tar"})
    def export(key: str) -> Response:
        """Stream an image for elsewhere (`as` docker, oci, apptainer or dockerfile), as one tar."""
        form = request.args.get("as", "docker")
        response = Response(service.shelf.export(key, form), content_type="application/x-tar")
        response.headers.set("Content-Disposition", "attachment", filename=f"{key[:24]}-{form}.tar")
        return response

    @bp.post("/images/prune")
    @takes(PruneRequest)
    @bp.output(ImageList)
    def prune() -> Response:
        """Remove images that no unfinished job needs; answers with those that went."""
        return answer(ImageList(images=tuple(service.prune(body(PruneRequest)))))

    @bp.post("/images/builds")
    @takes(BuildRequest)
    @bp.output(BuildView, status_code=202)
    def build() -> Response:
        """Build an environment before a job asks for it; the same request is the same build."""
        return answer(service.build_image(body(BuildRequest)), 202)

    @bp.get("/images/builds/<mark>")
    @bp.output(BuildView)
    def look_at_build(mark: str) -> Response:
        """Say how far a build is."""
        return answer(service.image_build(mark))

    @bp.get("/images/<key>/log")
    @bp.doc(responses={200: "The text"})
    def build_log(key: str) -> Response:
        """Show the log of an image's last build."""
        return Response(service.build_log(key), content_type="text/plain; charset=utf-8")
