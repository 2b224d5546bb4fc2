"""From a script, a directory or a spec to the draft of a job: read here, judged by the server, nothing sent yet."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_interface.client.above import project_of
from cluster_interface.client.capsules import is_capsule, take_in
from cluster_interface.client.completing import (
    parameters_of,
    with_directories,
    with_earlier,
    with_tasks,
)
from cluster_interface.client.composing import Draft, Wishes, compose, entries_of, here_of
from cluster_interface.client.earlier import left_behind
from cluster_interface.client.local_files import MOST_FILES, check_file, parse_inputs, whole
from cluster_interface.client.repositories import fetch_repository, repository_of
from cluster_interface.client.specs import Document, inline_texts, is_spec, local_sources, read_spec
from cluster_interface.client.texts import listing_here, listing_of, text_of
from cluster_interface.client.tops import start_of
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster_interface.client.local_files import Inputs, Local
    from cluster_interface.client.transport import Transport


def make_draft(transport: Transport, script: str | Path | Document, wishes: Wishes) -> Draft:
    """Read a script, a directory, a repository or a spec (a document, or a file that holds one); have it inspected.

    Raises Rejected where a file is missing or the server sees no way to run it, Transient where it is away.
    """
    return _completed(_first_draft(transport, script, wishes), wishes)


def _first_draft(transport: Transport, script: str | Path | Document, wishes: Wishes) -> Draft:
    if isinstance(script, dict):
        return _from_spec(transport, script, Path.cwd(), wishes)
    if isinstance(script, str) and (source := repository_of(script)):
        return _from_repository(transport, source, wishes)
    path = Path(script)
    if path.is_dir():
        return _from_directory(transport, whole(path), wishes)
    file = check_file(path, "script")
    if wishes.program:
        raise Rejected.field("program", f"{path} is a file; a program is chosen of a directory or a repository")
    if is_capsule(file):
        document, room = take_in(file)
        return replace(_from_spec(transport, document, file.parent, wishes), keeps=room)
    if is_spec(file):
        return _from_spec(transport, read_spec(file), file.parent, wishes)
    return _from_script(transport, file, wishes)


def _completed(draft: Draft, wishes: Wishes) -> Draft:
    """Add what is said of many tasks, and what earlier runs suggest."""
    inspected: Document = draft.inspected or {}
    document = with_tasks(draft.document, wishes.tasks, wishes.parts)
    document, earlier = with_earlier(document, inspected) if inspected else (document, {})
    fresh = {name: path for name, path in wishes.tasks.files.items() if name not in draft.local}
    local = draft.local | here_of(fresh)
    document["files"] = {**document["files"], **entries_of({}, fresh)}
    document, local = _with_tree(document, local, wishes.files)
    notes: list[str] = []
    if document.get("sweep") and not document.get("dialect"):  # a batch script finds its index as it always did
        notes = _place(document, inspected.get("proposal", {}), parameters_of(document["sweep"], local))
    return replace(draft, document=document, local=local, earlier=earlier, notes=(*draft.notes, *notes))


def _place(document: Document, proposal: Document, parameters: list[str]) -> list[str]:
    """Give the parameters of a sweep to the options of a command that is inferred; one that was written stays."""
    from cluster_interface.model.placeholders import offer  # noqa: PLC0415 - only for sweeps

    command = document.get("command") or ""
    inferred = command == proposal.get("command")
    placed, notes = offer(command, parameters, proposal["options"] if inferred else ())
    if placed:
        document["command"] = placed
    return notes


def _with_tree(
    document: Document, local: dict[str, Local], tree: str | Path | Mapping[str, Any] | None
) -> tuple[Document, dict[str, Local]]:
    """Add the entries of a file tree; what the job has of the same name already stays."""
    if tree is None:
        return document, local
    from cluster_interface.client.files import base_of  # noqa: PLC0415 - only for those who have a tree
    from cluster_interface.trees.reading import from_document, read_tree  # noqa: PLC0415 - as above

    if isinstance(tree, str | Path):
        files, base = read_tree(Path(tree)), base_of(Path(tree))
    else:
        files, base = from_document(dict(tree)), Path.cwd()
    files = {name: entry for name, entry in files.items() if name not in document["files"]}
    found = local_sources({"files": files}, base)
    return {**document, "files": {**entries_of({"files": files}, found), **document["files"]}}, here_of(found) | local


def _from_script(transport: Transport, script: Path, wishes: Wishes) -> Draft:
    """The job starts where the person stands, if the script is below: that is what its relative paths mean.

    A program beside them that leads above that (`../data`) gets what is there too, unless its inputs were said.
    """
    here = Path.cwd() if script.is_relative_to(Path.cwd()) else script.parent
    said = wishes.inputs or wishes.files is not None or script.parent != here
    text = text_of(script)
    base, begins = (here, here) if said else start_of(script, text)
    base = base if said or base != here else project_of(script, text)
    start = None if base == here else "" if begins == base else begins.relative_to(base).as_posix()
    name = script.relative_to(base).as_posix()
    inputs = parse_inputs(wishes.inputs, Path.cwd())
    texts = listing_of(script, base)
    inspected, left = _inspect_here(transport, base, texts, name, wishes.args, inputs, start=start)
    files: Inputs = {name: script}
    files.update({found: base / found for found in inspected["proposal"]["inputs"] if (base / found).is_file()})
    if start is not None:
        wishes = replace(wishes, outputs=[posixpath.join(start, pattern) for pattern in wishes.outputs])
    draft = replace(_of_here(compose({}, inspected, files | inputs, wishes), base, texts), left=left)
    return replace(draft, place=base) if start is not None else draft


def _from_directory(transport: Transport, directory: Path, wishes: Wishes) -> Draft:
    texts = listing_here(directory, MOST_FILES)
    if not texts:
        raise Rejected.field("script", f"there are no files in {directory}")
    inputs = parse_inputs(wishes.inputs, Path.cwd())
    inspected, left = _inspect_here(transport, directory, texts, _program(wishes, texts), wishes.args, inputs)
    files: Inputs = {name: directory / name for name in texts}
    return replace(_of_here(compose({}, inspected, files | inputs, wishes), directory, texts), left=left)


def _program(wishes: Wishes, texts: Mapping[str, str | None]) -> str | None:
    """Return the file that was chosen to be run; None: it is found. Rejected where there is none of that name."""
    name = posixpath.normpath(wishes.program) if wishes.program else None
    if name is not None and name not in texts:
        raise Rejected.field("program", f"there is no file {wishes.program} in it")
    return name


def _from_repository(transport: Transport, source: str, wishes: Wishes) -> Draft:
    """The job has the whole tree of one commit, which each entry names."""
    found = fetch_repository(transport, source)
    inputs = parse_inputs(wishes.inputs, Path.cwd())
    inspected = _inspect(transport, found.texts, _program(wishes, found.texts), wishes.args, inputs)
    draft = compose({"files": found.files}, inspected, inputs, wishes)
    nowhere = Path("/nonexistent")
    return replace(_of_here(draft, nowhere, found.texts), notes=found.notes, origin=found.source.removeprefix("git:"))


def _of_here(draft: Draft, base: Path, texts: Mapping[str, str | None]) -> Draft:
    """Add the directories that the program writes into."""
    proposal = draft.inspected["proposal"] if draft.inspected else {}
    return replace(draft, document=with_directories(draft.document, proposal, base, texts))


def _from_spec(transport: Transport, document: Document, base: Path, wishes: Wishes) -> Draft:
    files = local_sources(document, base) | parse_inputs(wishes.inputs, Path.cwd())
    script, inline = document.get("script"), inline_texts(document)
    if not isinstance(script, str) or not (script in inline or isinstance(files.get(script), Path)):
        _refuse_arguments(wishes)
        return compose(document, None, files, wishes)
    beside = listing_here(base) if "files" not in document else {}
    texts: dict[str, str | None] = {
        name: text_of(path) if isinstance(path, Path) else None for name, path in files.items()
    }
    texts = beside | inline | texts
    if beside:
        inspected, left = _inspect_here(transport, base, texts, script, wishes.args, files)
    else:
        inspected, left = _inspect(transport, texts, script, wishes.args, {}), ()
    if "files" not in document:
        files = {found: base / found for found in inspected["proposal"]["inputs"] if (base / found).is_file()} | files
    return replace(compose(document, inspected, files, wishes), left=left)


def _refuse_arguments(wishes: Wishes) -> None:
    if wishes.args:
        raise Rejected.field("arguments", "this spec names no script to give them to; write them in its command")


def _inspect_here(  # noqa: PLR0917 - what is asked, and of which directory
    transport: Transport,
    base: Path,
    texts: dict[str, str | None],
    script: str | None,
    args: Sequence[str],
    inputs: Inputs,
    *,
    start: str | None = None,
) -> tuple[Document, tuple[str, ...]]:
    """Have files inspected, without what earlier jobs of the program left where it would be taken, and name that.

    What they left is taken out of `texts`, too.
    """
    inspected = _inspect(transport, texts, script, args, inputs, start=start)
    left = left_behind(base, texts, inspected["proposal"], args).difference(inputs)
    for name in left:
        del texts[name]
    if script is not None:  # else all that lies there is taken
        left &= set(inspected["proposal"]["inputs"])
    if left:
        inspected = _inspect(transport, texts, script, args, inputs, start=start)
    return inspected, tuple(sorted(left))


def _inspect(
    transport: Transport,
    texts: dict[str, str | None],
    script: str | None,
    args: Sequence[str],
    inputs: Inputs,
    *,
    start: str | None = None,
) -> Document:
    files = {**{name: None for name in inputs if not name.endswith("/")}, **texts}
    request = {"script": script, "arguments": list(args), "files": files, **({} if start is None else {"start": start})}
    answer: Document = transport.request("POST", "/inspect", document=request).json()
    return answer
