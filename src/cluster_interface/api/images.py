"""Images over REST: shown, exported, built beforehand, brought in, removed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from apiflask import APIBlueprint
from flask import Response, g, request

from cluster_interface.api.requests import answer, body, takes
from cluster_interface.wire import (
    BuildRequest,
    BuildView,
    ImageList,
    ImageShow,
    ImageView,
    ImportBaseRequest,
    PruneRequest,
    PruneView,
)

if TYPE_CHECKING:
    from cluster_interface.service import Service


def blueprint(service: Service) -> APIBlueprint:
    """Make the routes."""
    bp = APIBlueprint("images", __name__, tag="Images")
    _looking(bp, service)
    _making(bp, service)
    return bp


def _looking(bp: APIBlueprint, service: Service) -> None:
    @bp.get("/images")
    @bp.output(ImageList)
    def images() -> Response:
        """List images and bases."""
        return answer(ImageList(images=tuple(service.images.listed())))

    @bp.get("/images/<key>")
    @bp.output(ImageShow)
    def image(key: str) -> Response:
        """Show one image: its lock, its sizes and the jobs that need it; `key` may be how that begins."""
        return answer(service.images.show(key))

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

    @bp.get("/images/<key>/log")
    @bp.doc(responses={200: "The text"})
    def build_log(key: str) -> Response:
        """Show the log of an image's last build."""
        return Response(service.images.log(key), content_type="text/plain; charset=utf-8")


def _making(bp: APIBlueprint, service: Service) -> None:
    @bp.post("/images/bases")
    @takes(ImportBaseRequest)
    @bp.output(ImageView, status_code=201)
    def import_base() -> Response:
        """Take an uploaded root filesystem as a base."""
        wanted = body(ImportBaseRequest)
        return answer(service.images.import_base(g.user, wanted.upload, wanted.name), 201)

    @bp.post("/images/prune")
    @takes(PruneRequest)
    @bp.output(PruneView)
    def prune() -> Response:
        """Remove images that no unfinished job needs; answers within minutes with what went and what could not."""
        return answer(service.images.prune(body(PruneRequest)))

    @bp.post("/images/builds")
    @takes(BuildRequest)
    @bp.output(BuildView, status_code=202)
    def build() -> Response:
        """Build an environment before a job asks for it; the same request is the same build."""
        return answer(service.images.build(body(BuildRequest)), 202)

    @bp.get("/images/builds/<mark>")
    @bp.output(BuildView)
    def look_at_build(mark: str) -> Response:
        """Say how far a build is."""
        return answer(service.images.progress(mark))
