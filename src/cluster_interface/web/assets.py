"""The bundled files of the pages: their names, with a digest so that browsers may keep them for good."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

DIRECTORY = Path(__file__).parent / "static"  #: made by `npm run build` in browser/, never committed
FOR_GOOD = 365 * 86400  #: seconds


def built() -> bool:
    """Say whether the pages' code has been bundled."""
    return (DIRECTORY / "pages.js").is_file() and (DIRECTORY / "pages.css").is_file()


@cache
def digest(name: str) -> str:
    """Return a short digest of a bundled file; empty if it is not there."""
    try:
        return hashlib.sha256((DIRECTORY / name).read_bytes()).hexdigest()[:16]
    except FileNotFoundError:
        return ""
