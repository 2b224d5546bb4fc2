"""The pages for people who have nothing but a link: what it leads to, and a button that fetches it.

Looking at the page costs nothing, so a mail program that follows every link in a letter uses none of them up: only
the button does, by a POST, which no such program makes. It answers with a ticket, an address that is good for an
hour, on which the bytes are served with ranges. Neither address is logged or sent on as a referrer, and both say
the same of everything that is not there (any more).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for

from cluster_interface.api.downloads import attachment, download
from cluster_interface.model.errors import ClusterError, NotFound, Transient
from cluster_interface.web.headers import protect

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from cluster_interface.service import Service

log = structlog.get_logger()


def blueprint(service: Service) -> Blueprint:
    """Make the pages, to be mounted at `/`. They ask for no session, and give nothing but what the link is for."""
    pages = Blueprint("shared", __name__, template_folder="templates")
    pages.after_request(_protect)
    pages.register_error_handler(Exception, _failed)

    @pages.get("/s/<token>")
    def page(token: str) -> Response:
        """Show what a link leads to."""
        return _page("shared.html", {"shared": service.outputs.shared(token), "csrf": g.get("csrf") or ""})

    @pages.post("/s/<token>")
    def click(token: str) -> BaseResponse:
        """Count a download and lead to it."""
        return redirect(url_for("shared.hand", ticket=service.outputs.click(token)), 303)

    @pages.get("/s/get/<ticket>")
    def hand(ticket: str) -> Response:
        """Hand over what a ticket is for."""
        handed = service.outputs.handed(ticket)
        return attachment(handed[1], handed[0]) if isinstance(handed, tuple) else download(handed)

    return pages


def _page(name: str, values: dict[str, object], status: int = 200) -> Response:
    return make_response(render_template(name, **values), status)


def _failed(error: Exception) -> Response:
    """Say that there is nothing, or that the server needs a moment: never which address it was."""
    if isinstance(error, Transient):
        return _page("shared_none.html", {"title": "The server needs a moment", "detail": "Try again soon."}, 503)
    if not isinstance(error, ClusterError):
        log.error("a shared page failed unexpectedly", method=request.method, exc_info=error)
        return _page("shared_none.html", {"title": "Something went wrong on the server", "detail": ""}, 500)
    found = isinstance(error, NotFound)
    gone = "The address is mistyped, or the link has expired or was taken back."
    words = gone if found else "This cannot be handed out now."
    return _page("shared_none.html", {"title": "There is nothing here", "detail": words}, 404)


def _protect(response: Response) -> Response:
    """As on every page; what is handed out keeps the stricter policy of its own."""
    policy = response.headers.get("Content-Security-Policy")
    protect(response)
    if policy:
        response.headers["Content-Security-Policy"] = policy
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response
