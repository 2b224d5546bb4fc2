"""Uploads over REST: the tus resumable upload protocol 1.0 (https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from apiflask import APIBlueprint
from flask import Response, g, request

from cluster_interface.api.problems import problem
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from cluster_interface.ports import Upload, Uploads

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination"
CONTENT = "application/offset+octet-stream"


def blueprint(uploads: Uploads) -> APIBlueprint:
    """Make the routes."""
    bp = APIBlueprint("uploads", __name__, tag="Uploads")

    _speak_tus(bp)
    _routes(bp, uploads)
    return bp


def _speak_tus(bp: APIBlueprint) -> None:
    @bp.before_request
    def same_version() -> Response | None:
        if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
            response = problem(412, "Wrong version", f"send `Tus-Resumable: {VERSION}`")
            response.headers["Tus-Version"] = VERSION
            return response
        return None

    @bp.after_request
    def say_version(response: Response) -> Response:
        response.headers["Tus-Resumable"] = VERSION
        return response

    @bp.route("/uploads", methods=["OPTIONS"], provide_automatic_options=False)
    @bp.doc(hide=True)
    def options() -> Response:
        """Say what is supported."""
        return Response(status=204, headers={"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS})


def _routes(bp: APIBlueprint, uploads: Uploads) -> None:
    @bp.post("/uploads")
    @bp.doc(responses={201: "Created; Location names it, and `upload:<id>` is its source"})
    def create() -> Response:
        """Begin an upload; bytes may come along."""
        about = _metadata()
        upload = uploads.create(
            g.user, about.get("filename", "upload")[:255], _header_number("Upload-Length"), about.get("sha256")
        )
        if request.content_length and request.mimetype == CONTENT:
            upload = uploads.append(g.user, upload.id, 0, request.stream)
        response = _state(upload, 201)
        response.headers["Location"] = f"/api/v1/uploads/{upload.id}"
        return response

    @bp.route("/uploads/<upload>", methods=["HEAD"])
    @bp.doc(responses={200: "How far it is, in Upload-Offset"})
    def look(upload: str) -> Response:
        """Say how far an upload is."""
        return _state(uploads.find(g.user, upload), 200)

    @bp.patch("/uploads/<upload>")
    @bp.doc(responses={204: "The bytes are here"})
    def append(upload: str) -> Response:
        """Add bytes at Upload-Offset, which must be where the upload ends now (409 otherwise)."""
        if request.mimetype != CONTENT:
            return problem(415, "Wrong content type", f"send `Content-Type: {CONTENT}`")
        return _state(uploads.append(g.user, upload, _header_number("Upload-Offset"), request.stream), 204)

    @bp.delete("/uploads/<upload>")
    @bp.doc(responses={204: "Gone"})
    def remove(upload: str) -> Response:
        """Forget an upload."""
        uploads.remove(g.user, upload)
        return Response(status=204)


def _state(upload: Upload, status: int) -> Response:
    headers = {"Upload-Offset": str(upload.offset), "Upload-Length": str(upload.length), "Cache-Control": "no-store"}
    return Response(status=status, headers=headers)


def _header_number(name: str) -> int:
    text = request.headers.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Rejected.field(name, "send the number of bytes")
    return int(text)


def _metadata() -> dict[str, str]:
    """Read Upload-Metadata: `key base64` pairs parted by commas; `filename`, and `sha256` of the whole."""
    found = {}
    for pair in request.headers.get("Upload-Metadata", "").split(","):
        key, _, encoded = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Rejected.field("Upload-Metadata", f"{key[:40]} is not base64 of UTF-8") from None
    return found
