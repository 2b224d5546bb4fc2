"""The Flask application: REST, who may call it, and what its errors look like."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from apiflask import APIFlask
from werkzeug.routing import PathConverter

from cluster_interface import __version__
from cluster_interface.api import auth, files, images, jobs, outputs, patterns, problems, server, sources, uploads

if TYPE_CHECKING:
    from cluster_interface.ports import Uploads
    from cluster_interface.service import Service

PREFIX = "/api/v1"


class _AnyPath(PathConverter):
    """A path with any character in it: a program may have put a line break into a file's name."""

    regex = "(?s:[^/].*?)"


def application(service: Service, upload_store: Uploads, *, owner: str, page_address: str) -> APIFlask:
    """Make the application. `owner` is whom the Unix socket and the one-time links speak for."""
    app = APIFlask(
        "cluster_interface.web", title="cluster-interface", version=__version__, docs_path=None,
        spec_path=f"{PREFIX}/openapi.json", static_folder=None,  # type: ignore[arg-type]  # Flask takes None: the pages have their own
    )  # fmt: skip
    app.config.update(
        SECRET_KEY=secrets.token_bytes(32),
        MAX_CONTENT_LENGTH=None,  # uploads are streamed; JSON has its own limit
        DESCRIPTION="Hand a script to a cluster: it is containerised, run and watched, and its outputs come back.",
        VALIDATION_ERROR_DESCRIPTION="What is wrong, field by field",
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    app.url_map.converters["path"] = _AnyPath
    problems.register(app)
    auth.register(app, service.store, owner=owner, page_address=page_address)
    for blueprint in (
        jobs.blueprint(service),
        outputs.blueprint(service, page_address),
        files.blueprint(service),
        images.blueprint(service),
        patterns.blueprint(service),
        uploads.blueprint(upload_store),
        sources.blueprint(service),
        server.blueprint(service, page_address),
    ):
        app.register_blueprint(blueprint, url_prefix=PREFIX)
    return app
