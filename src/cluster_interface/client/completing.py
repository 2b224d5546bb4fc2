"""The last touches of a draft: many tasks, what earlier runs suggest, and where each parameter goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster_interface.client.sweeps import merged
from cluster_interface.model.amounts import show_bytes, show_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cluster_interface.client.specs import Document
    from cluster_interface.client.sweeps import Tasks

PREFIX = "CLIF_PARAM_"


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


def with_places(document: Document, proposal: Document, names: Iterable[str]) -> tuple[Document, list[str]]:
    """Give each parameter that an inferred command has no place for to the script's option of that name.

    Returns the document, and a word about each that only the environment carries.
    """
    from cluster_interface.model.placeholders import offer  # noqa: PLC0415 - only for sweeps
    from cluster_interface.model.subcommands import free_options  # noqa: PLC0415 - as above

    command = str(document.get("command") or "")
    inferred = command == proposal.get("command")
    options = free_options(command, proposal["options"]) if inferred and command else {}
    placed, notes = offer(command, tuple(names), options)
    return {**document, "command": placed} if placed != command else document, notes


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


def parameters_of(sweep: Any, local: Mapping[str, Path]) -> list[str]:
    """Name the parameters of a sweep as far as they are known here; a table is asked for its header."""
    sweep = _mapping(sweep)
    if sweep.get("files"):
        return ["file"]
    table = local.get(str(sweep.get("table")))
    if table is not None:
        from cluster_interface.inspection.tables import read_header  # noqa: PLC0415 - only for tables

        return read_header(table.name, table.read_bytes())
    return list(_mapping(sweep.get("parameters")))


def _mapping(value: Any) -> Document:
    """Return a document's part; the server has words for one of another shape."""
    return value if isinstance(value, dict) else {}
