"""Repositories as the thing to run: `https://host/lab/tools.git@v1.2`. The server fetches them, not this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cluster_interface.client.specs import Document
    from cluster_interface.client.transport import Transport

PATIENCE = 1800.0  #: seconds: the server has its own bound, staging.git_time
MOST_NAMED = 5  #: files that a note names

_URL = re.compile(r"(?:git:)?(?:https?|git)://")
_SSH = re.compile(r"(?:git:)?(?:ssh://|git\+ssh://|[\w.-]+@[\w.-]+:)")  #: also as scp(1) writes it
_POINTER = "version https://git-lfs.github.com/spec/"  #: begins what stands for a file of Git LFS


@dataclass(frozen=True, kw_only=True)
class Repository:
    """The tree of one commit, as entries of a job."""

    source: str  #: git:URL@COMMIT
    files: dict[str, Document]
    texts: dict[str, str | None]
    notes: tuple[str, ...]  #: what a person should know of it


def repository_of(text: str) -> str | None:
    """Return the source `git:URL[@REVISION]` that a text names; None if it names no repository."""
    if _SSH.match(text):
        words = (
            "repositories are fetched over https, http or git: write https://host/path[@revision], and keep a token "
        )
        raise Rejected.field("script", f"{text}: {words}with `clif credentials add` where one is needed")
    return f"git:{text.removeprefix('git:')}" if _URL.match(text) else None


def fetch_repository(transport: Transport, source: str) -> Repository:
    """Have the server fetch one commit; Rejected where it cannot, Transient where it is busy or away."""
    answer = transport.request("POST", "/files/repository", document={"source": source}, timeout=PATIENCE).json()
    return Repository(
        source=answer["source"], files=_plain(answer["files"]), texts=answer["texts"], notes=tuple(_notes(answer))
    )


def _plain(files: Mapping[str, Document]) -> dict[str, Document]:
    """Leave out of the entries what they do not say."""
    return {name: {field: value for field, value in entry.items() if value} for name, entry in files.items()}


def _notes(answer: Mapping[str, Any]) -> Iterator[str]:
    for name, why in answer["left_out"].items():
        yield f"{name} of the repository {why}; it is left out"
    pointers = [name for name, text in answer["texts"].items() if text and text.startswith(_POINTER)]
    if pointers:
        more = f" and {len(pointers) - MOST_NAMED} more" if len(pointers) > MOST_NAMED else ""
        named = ", ".join(pointers[:MOST_NAMED])
        yield f"{named}{more}: pointers to large files (Git LFS), whose contents are not fetched; give them as inputs"
