"""File trees over REST: read in any form, looked at, and the server's directories to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiflask import APIBlueprint
from flask import Response, g, jsonify, request

from cluster_interface.api.requests import answer, body, number, takes
from cluster_interface.model.filetree import FileTree
from cluster_interface.wire import ConvertRequest, DirectoryPage, RepositoryRequest, RepositoryView, TreeReport

if TYPE_CHECKING:
    from cluster_interface.service import Service

MOST_LISTED = 1000


def blueprint(service: Service) -> APIBlueprint:
    """Make the routes."""
    bp = APIBlueprint("files", __name__, tag="Files")

    @bp.post("/files/convert")
    @takes(ConvertRequest)
    @bp.output(FileTree)
    def convert() -> Response:
        """Read a tree in any form (its own, a job spec, the older one with subdirs, BagIt) and check what it says."""
        tree = service.files.convert(body(ConvertRequest))
        return jsonify(tree.model_dump(mode="json", exclude_defaults=True) | {"apiVersion": 1})

    @bp.post("/files/check")
    @takes(FileTree)
    @bp.output(TreeReport)
    def check() -> Response:
        """Look at a tree's uploads and at its sources on this server, as the user."""
        return answer(service.files.check(g.user, body(FileTree)))

    @bp.post("/files/repository")
    @takes(RepositoryRequest)
    @bp.output(RepositoryView)
    def repository() -> Response:
        """Fetch the commit that `git:URL[@REVISION]` names now: its tree as a job would have it, texts to inspect."""
        return answer(service.files.repository(g.user, body(RepositoryRequest).source))

    @bp.get("/files/list")
    @bp.output(DirectoryPage)
    def listing() -> Response:
        """List the directory `path` of the server's filesystem as the user, names after `after`, at most `limit`."""
        limit = int(number("limit", 200, least=1, most=MOST_LISTED))
        path, after = request.args.get("path", "/"), request.args.get("after", "")
        return answer(service.files.list_directory(g.user, path, after, limit))

    @bp.get("/schemas/files.json")
    @bp.doc(responses={200: "JSON Schema of a file tree"})
    def schema() -> Response:
        """Publish the JSON Schema of a file tree."""
        return jsonify(FileTree.model_json_schema())

    return bp
