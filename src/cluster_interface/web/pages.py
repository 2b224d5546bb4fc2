"""The routes of the pages. They only look; whatever changes something goes through REST with a CSRF token."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, make_response, render_template, request, send_from_directory

from cluster_interface.model.errors import ClusterError, Rejected, Transient
from cluster_interface.model.resources import Resources
from cluster_interface.model.state import FINAL, JobState
from cluster_interface.web import assets, words
from cluster_interface.web.headers import protect
from cluster_interface.web.timeline import stages
from cluster_interface.web.usage import usage

if TYPE_CHECKING:
    from cluster_interface.service import Service
    from cluster_interface.wire import JobPage, JobView, QueueView

JOBS_PER_PAGE = 50
OUTPUTS_SHOWN = 500  #: rows of the table; the archive has them all
CHOICES = (None, JobState.RUNNING, JobState.QUEUED, JobState.COMPLETED, JobState.FAILED, JobState.CANCELED)
TITLES = {
    400: "That request could not be understood",
    401: "Please sign in",
    403: "This is not allowed here",
    404: "There is nothing here",
    405: "That does not work here",
    409: "Not possible just now",
    413: "That is too large",
    422: "Something in that request is not right",
    503: "The server needs a moment",
}


def blueprint(service: Service) -> Blueprint:
    """Make the pages, to be mounted at `/`. Needs `g.user` and `g.csrf` (strings) on every request."""
    pages = Blueprint("web", __name__, template_folder="templates")
    pages.app_context_processor(lambda: {"asset": assets.digest, "built": assets.built, "now": time.time()})
    pages.record_once(lambda setup: setup.app.jinja_env.filters.update(words.FILTERS))
    pages.after_request(protect)
    pages.register_error_handler(ClusterError, lambda error: _as_page(error))

    @pages.get("/")
    def jobs() -> Response:
        """List the user's jobs; with `part=list`, only what has changed since `seen`."""
        state, cursor = request.args.get("state") or None, request.args.get("cursor") or None
        page = service.jobs(g.user, cursor, JOBS_PER_PAGE, state)
        seen = _fingerprint(page, page.jobs and page.jobs[0].owner)
        if request.args.get("part") == "list" and request.args.get("seen") == seen:
            return Response(status=204)
        values = {"page": page, "state": state, "cursor": cursor, "seen": seen, "choices": CHOICES}
        name = "jobs_list.html" if request.args.get("part") == "list" else "jobs.html"
        return _page(name, active=_is_active(page), **values)

    @pages.get("/jobs/<job_id>")
    def job(job_id: str) -> Response:
        """Show one job; with `part=live`, only what has changed since `seen`."""
        view = service.job(g.user, job_id)
        seen = _fingerprint(view)
        if request.args.get("part") == "live" and request.args.get("seen") == seen:
            return Response(status=204)
        events = service.events(g.user, job_id, 0)
        outputs = service.outputs(g.user, job_id) if view.state in FINAL else []
        values = {"job": view, "seen": seen, "events": events, "stages": stages(view, events), "final": FINAL}
        name = "job_live.html" if request.args.get("part") == "live" else "job.html"
        words_ = {"meaning": words.MEANING[view.state], "advice": words.ADVICE[view.code] if view.code else ""}
        shown = {"outputs": outputs[:OUTPUTS_SHOWN], "output_count": len(outputs), "usage": usage(view, time.time())}
        return _page(name, **values, **words_, **shown)

    @pages.get("/submit")
    def submit() -> Response:
        """Show the form for a new job; with `from`, filled with the spec of an earlier one."""
        old = request.args.get("from")
        earlier = service.job(g.user, old) if old else None
        queues, trouble = _queues(service)
        spec = earlier.spec.model_dump_json(exclude_defaults=True) if earlier else ""
        limits = {name: max((getattr(queue, name) or 0 for queue in queues), default=0) for name in ("cpus", "memory")}
        values = {"queues": queues, "trouble": trouble, "earlier": earlier, "spec": spec, "limits": limits}
        return _page("submit.html", defaults=Resources(), **values)

    @pages.get("/assets/<digest>/<path:name>")
    def asset(digest: str, name: str) -> Response:
        """Serve a bundled file under a name that changes with its content."""
        response = send_from_directory(assets.DIRECTORY, name)
        if digest == assets.digest(name):
            response.headers["Cache-Control"] = f"public, max-age={assets.FOR_GOOD}, immutable"
        return response

    return pages


def error_page(status: int, detail: str = "") -> Response:
    """Make the page that says what went wrong: a status and a sentence, never a traceback."""
    title = TITLES.get(status, "That did not work" if status < 500 else "Something went wrong on the server")
    return _page("error.html", status, status=status, title=title, detail=detail)


def sign_in_page() -> Response:
    """Make the page for whoever comes without a session (401): how to open the pages with `clif ui`."""
    return _page("sign_in.html", 401)


def _page(name: str, code: int = 200, **values: Any) -> Response:
    return protect(make_response(render_template(name, **values), code))


def _as_page(error: Exception) -> Response:
    if isinstance(error, Rejected):
        return error_page(error.status, str(error))
    if isinstance(error, Transient):
        response = error_page(503, str(error))
        response.headers["Retry-After"] = "5"
        return response
    return error_page(500, str(error))


def _fingerprint(*values: Any) -> str:
    """Name what a reader sees, so that an unchanged part is not sent again."""
    return hashlib.sha256(repr(values).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _is_active(page: JobPage) -> bool:
    return any(job.state not in FINAL for job in page.jobs)


def _queues(service: Service) -> tuple[list[QueueView], str]:
    """List the queues; a scheduler that does not answer must not take the form away."""
    try:
        return service.queues(), ""
    except Transient as error:
        return [], str(error)
