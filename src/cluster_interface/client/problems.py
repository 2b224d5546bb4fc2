"""Problem documents (RFC 9457) back into the error tree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cluster_interface.model.errors import ClusterError, Conflict, Forbidden, NotFound, Problem, Rejected, Transient

if TYPE_CHECKING:
    from cluster_interface.client.transport import Answer

_KINDS: dict[int, type[Rejected]] = {401: Forbidden, 403: Forbidden, 404: NotFound, 409: Conflict}
_TRANSIENT = frozenset({408, 425, 429})


def error_of(answer: Answer) -> ClusterError:
    """Return what an answer with status 4xx or 5xx stands for, in the server's own words where it has some."""
    document = _document(answer.body)
    words = str(document.get("detail") or document.get("title") or f"the server answered with status {answer.status}")
    if answer.status >= 500 or answer.status in _TRANSIENT:
        return Transient(words)
    problems = [
        Problem(str(item["field"]), str(item["message"]))
        for item in document.get("errors") or ()
        if isinstance(item, dict) and "field" in item and "message" in item
    ]
    return _KINDS.get(answer.status, Rejected)(words, problems)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
