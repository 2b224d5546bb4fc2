"""The routes of the pages. They only look; whatever changes something goes through REST with a CSRF token."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

import structlog
from apiflask import APIBlueprint
from flask import Response, g, make_response, render_template, request, send_from_directory

from cluster_interface.api.problems import for_rest, problem
from cluster_interface.model.errors import ClusterError, Rejected, Transient
from cluster_interface.model.state import FINAL, JobState
from cluster_interface.web import assets, words
from cluster_interface.web.account import account_of
from cluster_interface.web.builds import build_log_of
from cluster_interface.web.folders import folder_of
from cluster_interface.web.headers import protect
from cluster_interface.web.tasks import tasks_of
from cluster_interface.web.timeline import stages
from cluster_interface.web.usage import usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from werkzeug.exceptions import HTTPException

    from cluster_interface.service import Service
    from cluster_interface.wire import QueueView

JOBS_PER_PAGE = 50
SUGGESTED = 200  #: names in one list of suggestions
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

log = structlog.get_logger()


def blueprint(service: Service) -> APIBlueprint:
    """Make the pages, to be mounted at `/`. Reads `g.user` and `g.csrf` (strings, None without a session)."""
    pages = APIBlueprint("web", __name__, template_folder="templates", enable_openapi=False)
    pages.app_context_processor(lambda: {"asset": assets.digest, "built": assets.built, "now": time.time()})
    pages.record_once(lambda setup: setup.app.jinja_env.filters.update(words.FILTERS))
    pages.before_request(_only_with_session)
    pages.after_request(protect)
    pages.register_error_handler(ClusterError, _as_page)
    pages.register_error_handler(Exception, _unexpected)
    for status in (404, 405):
        pages.app_errorhandler(status)(_no_such_page)
    pages.add_url_rule("/", "jobs", lambda: _jobs(service))
    pages.add_url_rule("/jobs/<job_id>", "job", lambda job_id: _job(service, job_id))
    pages.add_url_rule("/submit", "submit", lambda: _submit(service))
    pages.add_url_rule("/account", "account", lambda: _account(service))
    pages.add_url_rule("/new/<name>", "pattern", lambda name: _pattern(service, name))
    pages.add_url_rule("/images", "images", lambda: _page("images.html", {"images": service.images.listed()}))
    pages.add_url_rule("/images/<key>", "image", lambda key: _page("image.html", {"found": service.images.show(key)}))
    pages.add_url_rule("/assets/<digest>/<path:name>", "asset", _asset)
    return pages


def error_page(status: int, detail: str = "") -> Response:
    """Make the page that says what went wrong: a status and a sentence, never a traceback."""
    title = TITLES.get(status, "That did not work" if status < 500 else "Something went wrong on the server")
    return _page("error.html", {"status": status, "title": title, "detail": detail}, status)


def sign_in_page() -> Response:
    """Make the page for whoever comes without a session (401): how to open the pages with `clif ui`."""
    return _page("sign_in.html", {}, 401)


def _jobs(service: Service) -> Response:
    """List the user's jobs; with `part=list`, only what has changed since `seen`."""
    state, cursor = request.args.get("state") or None, request.args.get("cursor") or None
    page = service.following.jobs(g.user, cursor, JOBS_PER_PAGE, state)
    part, seen = request.args.get("part") == "list", _fingerprint(page)
    if part and request.args.get("seen") == seen:
        return Response(status=204)
    active = any(job.state not in FINAL for job in page.jobs)
    values = {"page": page, "state": state, "cursor": cursor, "choices": CHOICES, "active": active, "seen": seen}
    more = {"meanings": words.MEANING} if part else {"meanings": words.MEANING, "me": service.me(g.user)}
    return _page("jobs_list.html" if part else "jobs.html", {**values, **more})


def _job(service: Service, job_id: str) -> Response:
    """Show one job; with `part=live`, only what has changed since `seen`."""
    view = service.following.job(g.user, job_id)
    part, seen = request.args.get("part") == "live", _fingerprint(view)
    if part and request.args.get("seen") == seen:
        return Response(status=204)
    events = service.following.events(g.user, job_id, 0)
    tasks = tasks_of(service, g.user, view, request.args.to_dict())
    values = {
        "job": view,
        "seen": seen,
        "final": FINAL,
        "events": events,
        "stages": stages(view, events),
        "meaning": words.MEANING[view.state],
        "advice": words.ADVICE[view.code] if view.code else "",
        "folder": folder_of(service, g.user, view, tasks, request.args.to_dict()) if view.state in FINAL else None,
        "usage": usage(view, time.time()),
        "build": build_log_of(service, view),
        "tasks": tasks,
        "tables": service.outputs.tables(g.user, job_id) if tasks and view.state in FINAL else [],
        "waits": words.waits(view.waiting, time.time()) if view.waiting else "",
    }
    return _page("job_live.html" if part else "job.html", values)


def _submit(service: Service) -> Response:
    """Show the form for a new job; with `from`, filled with the spec of an earlier one."""
    old = request.args.get("from")
    earlier = service.following.job(g.user, old) if old else None
    queues, trouble = _queues(service)
    values = {
        "queues": queues,
        "shared": service.files.shared_data(g.user),
        "trouble": trouble,
        "known": _known(queues),
        "most_cpus": max((queue.cpus for queue in queues), default=0),
        "earlier": earlier,
        "patterns": [] if earlier else service.patterns.listed(),
        "spec": earlier.spec.model_dump_json(exclude_defaults=True) if earlier else "",
    }
    return _page("submit.html", values)


def _pattern(service: Service, name: str) -> Response:
    """Show a pattern's form, with its example in it."""
    found = service.patterns.show(name)
    return _page("pattern.html", {"pattern": found, "example": words.filled_in(found)})


def _account(service: Service) -> Response:
    """Show a person's room for files and the keys they have given, to add and remove."""
    return _page("account.html", {"account": account_of(service, g.user)})


def _asset(digest: str, name: str) -> Response:
    """Serve a bundled file under an address that changes with its content."""
    response = send_from_directory(assets.DIRECTORY, name)
    if digest == assets.digest(name):
        response.headers["Cache-Control"] = f"public, max-age={assets.FOR_GOOD}, immutable"
    return response


def _only_with_session() -> Response | None:
    return None if g.get("user") or request.endpoint == "web.asset" else sign_in_page()


def _page(name: str, values: dict[str, Any], status: int = 200) -> Response:
    return protect(make_response(render_template(name, **values), status))


def _no_such_page(error: HTTPException) -> Response:
    """Answer for every address that nothing is mounted at: in REST's form below /api, else as a page."""
    status, detail = error.code or 404, error.description or ""
    if for_rest():
        return problem(status, error.name, detail)
    return error_page(status) if g.get("user") else sign_in_page()


def _unexpected(error: Exception) -> Response:
    log.error("a page failed unexpectedly", path=request.path, exc_info=error)
    return error_page(500, "The server's log has the details.")


def _as_page(error: Exception) -> Response:
    if isinstance(error, Rejected):
        return error_page(error.status, str(error))
    if isinstance(error, Transient):
        response = error_page(503, str(error))
        response.headers["Retry-After"] = "5"
        return response
    return error_page(500, str(error))


def _fingerprint(value: Any) -> str:
    """Name what a reader sees, so that an unchanged part is not sent again."""
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _known(queues: Sequence[QueueView]) -> dict[str, list[str]]:
    """Collect what the schedulers know by name, to suggest it."""
    fields = ("accounts", "qos", "reservations", "features", "licenses", "gpu_types", "runtimes")
    known = {field: [name for queue in queues for name in getattr(queue, field) or ()] for field in fields}
    known["schedulers"] = [queue.scheduler for queue in queues]
    return {field: list(dict.fromkeys(names))[:SUGGESTED] for field, names in known.items()}


def _queues(service: Service) -> tuple[list[QueueView], str]:
    """List the queues; a scheduler that does not answer must not take the form away."""
    try:
        return service.queues(), ""
    except Transient as error:
        return [], str(error)
