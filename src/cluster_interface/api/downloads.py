"""Somebody's bytes on their way to a browser: resumable, and inert whatever is in them."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from flask import Response, request, send_file, stream_with_context
from werkzeug.http import parse_range_header

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from werkzeug.wrappers import Response as BaseResponse

    from cluster_interface.service.outputs import Opened

INERT = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
TYPES = {".zip": "application/zip", ".gz": "application/gzip", ".zst": "application/zstd"}


def download(opened: Opened, shown: str | None = None) -> Response:
    """Answer with one output, or the one range of it asked for; as an attachment unless it is to be `shown`.

    Its ETag changes with its bytes, so that a download which goes on after a break (If-Range) is of one file.
    """
    response: BaseResponse = send_file(
        opened.file,
        mimetype=shown or "application/octet-stream",
        as_attachment=shown is None,
        download_name=_savable(opened.output.path.rpartition("/")[2]),
        last_modified=opened.mtime,
        etag=False,
        conditional=False,
    )
    response.content_length = opened.size
    response.set_etag(opened.tag)
    response.make_conditional(_with_one_range(), accept_ranges=True, complete_length=opened.size)
    return _inert(response)  # type: ignore[arg-type]  # Flask's own, since send_file made it


def _with_one_range() -> dict[str, Any]:
    """Return the request's environment without a Range that a server may or must ignore (RFC 9110, 14.2).

    Those are all but one range of bytes, asked for with GET: other units, what cannot be read, and several ranges.
    """
    environ = dict(request.environ)
    asked = parse_range_header(environ.get("HTTP_RANGE"))
    if request.method != "GET" or asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        environ.pop("HTTP_RANGE", None)
    return environ


def attachment(chunks: Iterator[bytes], name: str) -> Response:
    """Answer with an archive as it is made; how long it will be is not known."""
    kind = TYPES.get(f".{name.rpartition('.')[2]}", "application/octet-stream")
    response = Response(stream_with_context(chunks), content_type=kind)
    response.headers.set("Content-Disposition", "attachment", filename=_savable(name))
    return _inert(response)


def _savable(name: str) -> str:
    """Make a name that fits into a header and is what it seems to be: no controls, no marks of direction."""
    return "".join("_" if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char for char in name)


def _inert(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = INERT
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
