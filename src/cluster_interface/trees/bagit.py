"""BagIt (RFC 8493): what a bag's manifest and fetch list say, as a file tree.

manifest-sha256.txt    CHECKSUM  data/name
fetch.txt              URL LENGTH data/name       LENGTH: bytes, or -
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cluster_interface.model.errors import Rejected
from cluster_interface.model.filenames import MOST_ENTRIES, check_name

if TYPE_CHECKING:
    from collections.abc import Iterator

Document = dict[str, Any]

DECLARATION, FETCH, MANIFEST = "bagit.txt", "fetch.txt", "manifest-sha256.txt"

_ESCAPES = {"%0A": "\n", "%0D": "\r", "%25": "%"}  # of names, RFC 8493 section 2.1.3
_CHECKSUM = re.compile(r"([0-9A-Fa-f]{64})[ \t]+\*?(.+)")
_FETCH = re.compile(r"(\S+)[ \t]+([0-9]+|-)[ \t]+(.+)")


def from_bag(manifest: str, fetch: str) -> Document:
    """Return the entries that the texts of a manifest and of a fetch list name; Rejected says which line is wrong."""
    files: Document = {}
    for number, line in _lines(manifest, MANIFEST):
        found = _CHECKSUM.fullmatch(line)
        if not found:
            raise Rejected.field(MANIFEST, f"line {number} is not a SHA-256 and a name: {line[:80]!r}")
        files[_payload(found[2], MANIFEST, number)] = {"sha256": found[1].lower()}
    for number, line in _lines(fetch, FETCH):
        found = _FETCH.fullmatch(line)
        if not found:
            raise Rejected.field(FETCH, f"line {number} is not an address, a length and a name: {line[:80]!r}")
        size = {} if found[2] == "-" else {"size": int(found[2])}
        name = _payload(found[3], FETCH, number)
        files[name] = {**files.get(name, {}), "source": found[1], **size}
    return files


def _lines(text: str, name: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty, numbered from 1; they may end in LF, CR or both."""
    lines = re.split(r"\r\n|\r|\n", text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"), maxsplit=MOST_ENTRIES + 1)
    if len(lines) > MOST_ENTRIES + 1:
        raise Rejected.field(name, f"has more than {MOST_ENTRIES:,} lines")
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, line.rstrip(" \t")


def _payload(name: str, where: str, number: int) -> str:
    """Undo the escapes of a name; what is no payload, or odd, has no business in a job."""
    name = re.sub("%0A|%0D|%25", lambda found: _ESCAPES[found[0].upper()], name, flags=re.IGNORECASE)
    name = name.removeprefix("./")
    if not name.startswith("data/"):
        raise Rejected.field(where, f"line {number}: {name[:80]!r} is not in the bag's data/")
    try:
        return check_name(name)
    except ValueError as error:
        raise Rejected.field(where, f"line {number}: {error}") from None
