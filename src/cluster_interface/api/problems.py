"""Errors as problem documents (RFC 9457). No traceback leaves the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from flask import Response, request
from werkzeug.exceptions import HTTPException

from cluster_interface.model.errors import Permanent, Problem, Rejected, Transient
from cluster_interface.wire import ProblemDocument, ProblemField

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apiflask import APIFlask

LONGEST_DETAIL = 4000  #: characters; what a caller sent is not echoed without end

log = structlog.get_logger()


def register(app: APIFlask) -> None:
    """Turn every error of the REST routes into a problem document."""
    app.register_error_handler(Rejected, _rejected)
    app.register_error_handler(Transient, _transient)
    app.register_error_handler(Permanent, _permanent)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def problem(status: int, title: str, detail: str, fields: Sequence[Problem] = ()) -> Response:
    """Make the response of a problem."""
    errors = tuple(ProblemField(field=item.field[:200], message=item.message[:LONGEST_DETAIL]) for item in fields)
    document = ProblemDocument(title=title, status=status, detail=detail[:LONGEST_DETAIL], errors=errors)
    text = document.model_dump_json(exclude={"extra"})
    return Response(text, status, content_type="application/problem+json")


def for_rest() -> bool:
    """Say whether this request wants problems rather than pages."""
    return request.path.startswith("/api/")


def _rejected(error: Rejected) -> Response:
    titles = {404: "Not found", 403: "Refused by policy", 409: "Not possible now"}
    return problem(
        error.status, titles.get(error.status, "The request cannot be taken as it is"), str(error), error.problems
    )


def _transient(error: Transient) -> Response:
    response = problem(503, "Try again", str(error))
    response.headers["Retry-After"] = "2"
    return response


def _permanent(error: Permanent) -> Response:
    return problem(422, "This cannot be done", str(error))


def _http(error: HTTPException) -> Response:
    response = problem(error.code or 500, error.name, error.description or error.name)
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    log.error("a request failed unexpectedly", path=request.path, exc_info=error)
    return problem(500, "Unexpected error", "an unexpected error on the server; its log has the details")
