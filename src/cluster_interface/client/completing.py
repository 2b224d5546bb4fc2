"""The last touches of a draft: many tasks, directories that are written into, what earlier runs suggest."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_interface.client.sweeps import merged
from cluster_interface.model.amounts import show_bytes, show_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.client.local_files import Local
    from cluster_interface.client.specs import Document
    from cluster_interface.client.sweeps import Tasks

_MAKES = re.compile(
    r"mkdir|makedirs|mkpath|make_path|dir\.create|dir_create|create_director|ensure_?dir", re.IGNORECASE
)


def with_tasks(document: Document, tasks: Tasks, parts: Mapping[str, Any]) -> Document:
    """Add the sweep, and what else was said of when tasks run and are tried again."""
    found = {**document}
    if tasks.document:
        found["sweep"] = merged(_mapping(document.get("sweep")), tasks.document)
    for name, value in parts.items():
        if isinstance(value, dict):
            value = {**_mapping(document.get(name)), **value}  # noqa: PLW2901 - on top of what the spec says
        if value:
            found[name] = value
    return found


def with_directories(
    document: Document, proposal: Document, base: Path, texts: Mapping[str, str | None] | None = None
) -> Document:
    """Have the directories in the job that the program writes into, where it does not make them.

    What a program makes itself is proposed as `name/**`; it may not want to find it there. So a directory that is not
    here either is made only for a program none of whose files, whose `texts` are given, speaks of making any.
    """
    patterns = proposal.get("outputs", ())
    makes = [pattern.removesuffix("**") for pattern in patterns if pattern.endswith("/**")]
    plain = (re.split(r"[*?\[]", pattern.removesuffix("/**"))[0] for pattern in patterns)
    above = dict.fromkeys(f"{posixpath.dirname(start)}/" for start in plain)
    files: Document = document["files"]
    itself = texts is None or any(_MAKES.search(texts.get(name) or "") for name in files)
    wanted = [
        name
        for name in above
        if not name.startswith(("/", "../"))
        and not any(name.startswith(made) for made in makes)
        and not any(file.startswith(name) for file in files)
        and ((base / name).is_dir() or not itself)
    ]
    return {**document, "files": {**files, **{name: {} for name in wanted}}}


def with_earlier(document: Document, inspected: Document) -> tuple[Document, dict[str, str]]:
    """Ask for what the same script used last time, where nobody says what to ask for; say on what that rests."""
    last, asked = inspected.get("earlier"), _mapping(document.get("resources"))
    if not last or asked.get("scheduler") or asked.get("queue") not in (None, inspected["queue"]):
        return document, {}
    used = {"memory": (show_bytes, last["peak_memory"]), "time": (show_time, last["seconds"])}
    suggested = {name: last[name] for name in used if last[name] and asked.get(name) is None}
    why = {}
    for name, amount in suggested.items():
        show, before = used[name]
        why[name] = f"{show(amount)} (last time it used {show(round(before, 1))}; job {last['job']})"
    return {**document, "resources": {**asked, **suggested}}, why


def parameters_of(sweep: Any, local: Mapping[str, Local]) -> list[str]:
    """Name the parameters of a sweep as far as they are known here; a table is asked for its header."""
    sweep = _mapping(sweep)
    if sweep.get("files"):
        return ["file"]
    table = local.get(str(sweep.get("table")))
    if isinstance(table, Path):
        from cluster_interface.inspection.tables import read_header  # noqa: PLC0415 - only for tables

        return read_header(table.name, table.read_bytes())
    return list(_mapping(sweep.get("parameters")))


def _mapping(value: Any) -> Document:
    """Return a document's part; the server has words for one of another shape."""
    return value if isinstance(value, dict) else {}
