"""Reading requests: JSON into models, numbers out of the query."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Response, request
from werkzeug.exceptions import BadRequest

from cluster_interface.model.errors import Problem, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cluster_interface.model.base import Model
    from cluster_interface.wire import JobView

    M = TypeVar("M", bound=Model)
    V = TypeVar("V", bound=Callable[..., Any])

LONGEST_JSON = 32 * 2**20  #: bytes

_ESCAPED_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def takes(model: type[Model]) -> Callable[[V], V]:
    """Say in the OpenAPI document what a view's JSON is; `body` validates it, with messages of our own."""

    def mark(view: V) -> V:
        described = {**getattr(view, "_spec", {}), "body": model, "content_type": "application/json"}
        view._spec = described  # type: ignore[attr-defined]  # noqa: SLF001 - APIFlask has no other way without validating
        return view

    return mark


def body(model: type[M]) -> M:
    """Validate the request's JSON; Rejected names every bad field."""
    if request.mimetype != "application/json":
        raise Rejected.field("Content-Type", "must be application/json")
    if (request.content_length or 0) > LONGEST_JSON:
        raise Rejected.field("document", f"is longer than {LONGEST_JSON} bytes; upload large files instead")
    return model.parse(_document())


def _document() -> Any:
    """Read the request's JSON; a sentence says where it is none, and Rejected names what is no text (RFC 8259 8.2)."""
    data = request.get_data()
    try:
        document = json.loads(data)
    except ValueError as error:
        raise BadRequest(f"the request's body is not JSON: {error}") from None
    except RecursionError:
        raise BadRequest("the request's body is nested too deep") from None
    if _ESCAPED_HALF.search(data) and (places := list(_halves(document, ()))):
        words = "has half of a character in it (\\ud800 to \\udfff stand in pairs)"
        raise Rejected(problems=[Problem(".".join(place) or "document", words) for place in places])
    return document


def _halves(value: Any, place: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield where texts are that UTF-8 cannot hold."""
    if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
        yield place
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _halves(key, (*place, ascii(key)))
            yield from _halves(inner, (*place, key))
    elif isinstance(value, list):
        for number_, inner in enumerate(value):
            yield from _halves(inner, (*place, str(number_)))


def number(name: str, default: float, *, least: float, most: float) -> float:
    """Read a number from the query; Rejected if it is none, cut to its bounds otherwise."""
    text = request.args.get(name)
    if text is None:
        return default
    try:
        return max(least, min(most, float(text)))
    except ValueError:
        raise Rejected.field(name, f"{text[:40]!r} is not a number") from None


def key() -> str:
    """Read the Idempotency-Key that the client made; Rejected if there is none."""
    sent = request.headers.get("Idempotency-Key", "")
    if not 8 <= len(sent) <= 128 or not sent.isascii() or not sent.isprintable():
        raise Rejected.field("Idempotency-Key", "send 8 to 128 printable characters, new for each job")
    return sent


def created(view: JobView, *, new: bool) -> Response:
    """Answer a submission: 201 with the job's address, 200 where the job was there already."""
    response = answer(view, 201 if new else 200)
    response.headers["Location"] = f"/api/v1/jobs/{view.id}"
    return response


def answer(model: Model, status: int = 200) -> Response:
    """Answer with a model as JSON."""
    return Response(model.model_dump_json(), status, content_type="application/json")
