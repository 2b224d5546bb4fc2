"""Outputs over REST: listed, browsed, looked at, downloaded one by one or as archives; links to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from apiflask import APIBlueprint
from flask import Response, g, request, stream_with_context

from cluster_interface.api.downloads import INERT, attachment, download
from cluster_interface.api.requests import answer, body, number, takes
from cluster_interface.model.errors import Rejected
from cluster_interface.ports import Form
from cluster_interface.service.previews import IMAGES
from cluster_interface.wire import FolderView, LinkList, LinkView, OutputList, PreviewView, ShareRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.service import Service

FORMS: tuple[Form, ...] = get_args(Form)
MOST_ENTRIES = 1000  #: of one page of a folder


def blueprint(service: Service, page_address: str) -> APIBlueprint:
    """Make the routes."""
    bp = APIBlueprint("outputs", __name__, tag="Outputs")
    _looking(bp, service)
    _fetching(bp, service)
    _links(bp, service, page_address)
    _tables(bp, service)
    return bp


def _looking(bp: APIBlueprint, service: Service) -> None:
    @bp.get("/jobs/<job>/outputs")
    @bp.output(OutputList)
    def outputs(job: str) -> Response:
        """List a job's outputs."""
        return answer(OutputList(outputs=tuple(service.outputs.listed(g.user, job))))

    @bp.get("/jobs/<job>/browse")
    @bp.output(FolderView)
    def browse(job: str) -> Response:
        """Show a folder (`place`; empty: all), folders first, from its entry `start`, at most `limit` entries."""
        start, limit = int(number("start", 0, least=0, most=2**31)), int(number("limit", 200, least=1, most=1000))
        return answer(service.outputs.folder(g.user, job, request.args.get("place", ""), start, limit))

    @bp.get("/jobs/<job>/preview/<path:path>")
    @bp.output(PreviewView)
    def preview(job: str, path: str) -> Response:
        """Show what can be looked at: text (from `offset`; negative: from the end), rows, parts. Nothing is markup."""
        offset = int(number("offset", 0, least=-(2**53), most=2**53)) if "offset" in request.args else None
        return answer(service.outputs.preview(g.user, job, _task(), path, offset))


def _fetching(bp: APIBlueprint, service: Service) -> None:
    @bp.get("/jobs/<job>/outputs/<path:path>")
    @bp.doc(responses={200: "The bytes", 206: "A range of them", 304: "They are what If-None-Match names"})
    def output(job: str, path: str) -> Response:
        """Download one output; Range, If-Range and ETag are honoured. `?preview=1`: pictures as such, all else text."""
        opened = service.outputs.opened(g.user, job, _task(), path)
        if request.args.get("preview") != "1":
            return download(opened)
        kind = opened.output.type if opened.output.type in IMAGES else "text/plain; charset=utf-8"
        return download(opened, shown=kind)

    @bp.get("/jobs/<job>/archive")
    @bp.doc(responses={200: "The archive"})
    def archive(job: str) -> Response:
        """Stream outputs (`path`: a file or folder; else all) as one archive (`format` zip, tar.gz or tar.zst)."""
        form = _form()
        name, chunks = service.outputs.archive(g.user, job, request.args.get("path", ""), form)
        return attachment(chunks, name)


def _links(bp: APIBlueprint, service: Service, page_address: str) -> None:
    @bp.post("/jobs/<job>/links")
    @takes(ShareRequest)
    @bp.output(LinkView, status_code=201)
    def share(job: str) -> Response:
        """Make a link by which somebody without an account fetches a file or a folder. Its `url` is told only now."""
        link, token = service.outputs.share(g.user, job, body(ShareRequest))
        return answer(link.model_copy(update={"url": f"http://{page_address}/s/{token}"}), 201)

    @bp.get("/jobs/<job>/links")
    @bp.output(LinkList)
    def links(job: str) -> Response:
        """List a job's links that are still good."""
        return answer(LinkList(links=tuple(service.outputs.links(g.user, job))))

    @bp.delete("/jobs/<job>/links/<link>")
    @bp.doc(responses={204: "Taken back"})
    def revoke(job: str, link: str) -> Response:
        """Take a link back, at once."""
        service.outputs.revoke(g.user, job, link)
        return Response(status=204)


def _tables(bp: APIBlueprint, service: Service) -> None:
    @bp.get("/jobs/<job>/gather")
    @bp.doc(responses={200: "The table"})
    def gather(job: str) -> Response:
        """Stream the tables (CSV, TSV) called `path`, or that match it, of all completed tasks as one.

        Their rows stay byte for byte; the task's number and parameters stand before them.
        """
        path = request.args.get("path", "")
        if not path:
            raise Rejected.field("path", "name an output, or a pattern such as *.csv")
        name = path.rpartition("/")[2].replace("*", "all").replace("?", "_")
        ending = "" if name.endswith((".csv", ".tsv")) else ".csv"
        return _table(service.outputs.gather(g.user, job, path), f"{name}{ending}")

    @bp.get("/jobs/<job>/tasks.csv")
    @bp.doc(responses={200: "The table"})
    def task_table(job: str) -> Response:
        """Stream a table of the tasks: number, parameters, state, exit code, seconds, bytes of memory."""
        return _table(service.outputs.task_table(g.user, job), f"{job}.tasks.csv")


def _table(chunks: Iterator[bytes], name: str) -> Response:
    response = Response(stream_with_context(chunks), content_type="text/csv; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    response.headers["Content-Security-Policy"] = INERT
    return response


def _task() -> int:
    return int(number("task", 0, least=0, most=2**31 - 1))


def _form() -> Form:
    asked = request.args.get("format", "zip")
    for form in FORMS:
        if asked == form:
            return form
    raise Rejected.field("format", f"{asked[:20]!r} is not one of {', '.join(FORMS)}")
