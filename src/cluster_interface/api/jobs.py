"""Jobs over REST: submit, list, look, cancel, rerun, events, logs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from apiflask import APIBlueprint
from flask import Response, g, request, stream_with_context

from cluster_interface.api.downloads import INERT
from cluster_interface.api.requests import answer, body, created, key, number, takes
from cluster_interface.model.errors import NotFound
from cluster_interface.model.state import FINAL
from cluster_interface.wire import (
    EventList,
    JobPage,
    JobView,
    KeepRequest,
    ShellView,
    SubmitRequest,
    TaskPage,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cluster_interface.ports import LogPart
    from cluster_interface.service import Service
    from cluster_interface.wire import EventView

FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.05  #: seconds between looks on behalf of somebody who waits
LONGEST_WAIT = 30.0  #: seconds
LONGEST_STREAM = 60.0  #: seconds; then the client resumes by Last-Event-ID
HEARTBEAT = 10.0  #: seconds


def blueprint(service: Service) -> APIBlueprint:
    """Make the routes."""
    bp = APIBlueprint("jobs", __name__, tag="Jobs")
    _submitting(bp, service)
    _wishes(bp, service)
    _looking(bp, service)
    _watching(bp, service)
    return bp


def _submitting(bp: APIBlueprint, service: Service) -> None:
    @bp.post("/jobs")
    @takes(SubmitRequest)
    @bp.output(JobView, status_code=201)
    def submit() -> Response:
        """Submit a job. The same Idempotency-Key again is the same job, answered with 200."""
        view, new = service.submitting.submit(g.user, body(SubmitRequest).spec, key())
        return created(view, new=new)

    @bp.post("/jobs/<job>/rerun")
    @bp.output(JobView, status_code=201)
    def rerun(job: str) -> Response:
        """Submit the same spec again as a new job.

        With `failed=true` only the tasks that did not complete; with `with_missing=true` the package is added that the
        job's `missing` names.
        """
        wishes = {name: request.args.get(name, "") in ("1", "true") for name in ("failed", "with_missing")}
        view, new = service.submitting.rerun(g.user, job, key(), **wishes)
        return created(view, new=new)


def _wishes(bp: APIBlueprint, service: Service) -> None:
    @bp.post("/jobs/<job>/cancel")
    @bp.output(JobView, status_code=202)
    def cancel(job: str) -> Response:
        """Ask for a job to be canceled."""
        return answer(service.wishes.cancel(g.user, job), 202)

    @bp.post("/jobs/<job>/deliver")
    @bp.output(JobView, status_code=202)
    def deliver(job: str) -> Response:
        """Take an ended job's outputs once more to where they could not be delivered; nothing is run again."""
        return answer(service.wishes.deliver(g.user, job), 202)

    @bp.post("/jobs/<job>/keep")
    @takes(KeepRequest)
    @bp.output(JobView)
    def keep(job: str) -> Response:
        """Keep an ended job's files for longer, as far as the site allows."""
        return answer(service.wishes.keep(g.user, job, body(KeepRequest).seconds))

    @bp.delete("/jobs/<job>/files")
    @bp.output(JobView, status_code=202)
    def discard(job: str) -> Response:
        """Have an ended job's files removed now; what is known of the job, and its logs, stay."""
        return answer(service.wishes.discard(g.user, job), 202)

    @bp.post("/jobs/<job>/shell")
    @bp.output(ShellView)
    def shell(job: str) -> Response:
        """Write what opens a shell where a `task` ran or runs; it is run on this machine, by `clif shell`."""
        return answer(service.wishes.shell(g.user, job, int(number("task", 0, least=0, most=2**31))))

    @bp.get("/jobs/<job>/capsule")
    @bp.doc(responses={200: "The image, for docker load"})
    def capsule(job: str) -> Response:
        """Stream a finished job as one self-contained image: base, environment, files and command."""
        response = Response(stream_with_context(service.wishes.capsule(g.user, job)), content_type="application/x-tar")
        response.headers.set("Content-Disposition", "attachment", filename=f"{job}.capsule.tar")
        return response


def _looking(bp: APIBlueprint, service: Service) -> None:
    @bp.get("/jobs")
    @bp.output(JobPage)
    def page() -> Response:
        """List jobs, newest first; `next` is the cursor of the following page."""
        limit = int(number("limit", 50, least=1, most=200))
        return answer(service.following.jobs(g.user, request.args.get("cursor"), limit, request.args.get("state")))

    @bp.get("/jobs/<job>")
    @bp.output(JobView)
    def look(job: str) -> Response:
        """Show a job."""
        return answer(service.following.job(g.user, job))

    @bp.get("/jobs/<job>/tasks")
    @bp.output(TaskPage)
    def tasks(job: str) -> Response:
        """List tasks with an index above `after`, perhaps only those in one `state`."""
        after, limit = int(number("after", -1, least=-1, most=2**31)), int(number("limit", 100, least=1, most=1000))
        return answer(service.following.tasks(g.user, job, after=after, limit=limit, state=request.args.get("state")))


def _watching(bp: APIBlueprint, service: Service) -> None:
    @bp.get("/jobs/<job>/events")
    @bp.output(EventList)
    def events(job: str) -> Response:
        """List events after an id, waiting up to `wait` seconds for one; as text/event-stream, follow them."""
        after = int(number("after", 0, least=0, most=2**53))
        if "text/event-stream" in request.headers.get("Accept", ""):
            resumed = request.headers.get("Last-Event-ID", "")
            return _stream(service, g.user, job, int(resumed) if resumed.isdigit() else after)
        user = g.user
        found = _waited(lambda: service.following.events(user, job, after), bool)
        return answer(EventList(events=tuple(found)))

    @bp.get("/jobs/<job>/logs/<stream>")
    @bp.doc(responses={200: "The bytes; X-Log-Offset, X-Log-Size and X-Log-End say where they stand"})
    def log(job: str, stream: Literal["out", "err"]) -> Response:
        """Read at most 1 MiB of a log from `offset` (negative: from the end), waiting up to `wait` seconds."""
        if stream not in ("out", "err"):
            raise NotFound(f"there is no log {stream[:20]!r}; there are out and err")
        task, offset = int(number("task", 0, least=0, most=2**31)), int(number("offset", 0, least=-(2**53), most=2**53))
        user = g.user
        part, end = _waited(lambda: service.following.log(user, job, stream, task, offset), _has_news)
        return Response(
            part.data,
            content_type="text/plain; charset=utf-8",
            headers={
                "X-Log-Offset": str(part.offset),
                "X-Log-Size": str(part.size),
                "X-Log-End": "true" if end else "false",
                "Content-Security-Policy": INERT,
            },
        )


def _has_news(seen: tuple[LogPart, bool]) -> bool:
    part, end = seen
    return bool(part.data) or end


def _waited(look: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    """Look until there is something to say or the caller's `wait` is over."""
    deadline = time.monotonic() + number("wait", 0, least=0, most=LONGEST_WAIT)
    seen, pause = look(), FIRST_PAUSE
    while not enough(seen) and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 1.3)
        seen = look()
    return seen


def _stream(service: Service, user: str, job: str, after: int) -> Response:
    service.following.events(user, job, after)  # an unknown job is a 404, not an empty stream
    return Response(
        stream_with_context(_frames(service, user, job, after)),
        content_type="text/event-stream",
        headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
    )


def _frames(service: Service, user: str, job: str, after: int) -> Iterator[str]:
    """Server-sent events (WHATWG HTML, 9.2): one a change, heartbeats between, an end when the job is final."""
    end = time.monotonic() + LONGEST_STREAM
    beat = time.monotonic()
    yield "retry: 500\n\n"
    while time.monotonic() < end:
        new: list[EventView] = service.following.events(user, job, after)
        for event in new:
            after = event.id
            yield f"id: {event.id}\ndata: {event.model_dump_json()}\n\n"
            if event.new in FINAL:
                return
        if not new and time.monotonic() - beat > HEARTBEAT:
            beat = time.monotonic()
            yield ": still here\n\n"
        time.sleep(LONGEST_PAUSE)
