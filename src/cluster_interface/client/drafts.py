"""From a script, a directory or a spec to the draft of a job: read here, judged by the server, nothing sent yet."""

from __future__ import annotations

import copy
import posixpath
import re
import shlex
from dataclasses import dataclass, field, replace
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
from cluster_interface.client.local_files import check_file, is_source, parse_inputs, whole
from cluster_interface.client.packed import MARK, Packed
from cluster_interface.client.specs import Document, inline_texts, is_spec, local_sources, read_spec
from cluster_interface.client.sweeps import Tasks
from cluster_interface.client.texts import listing_here, listing_of, program_of, text_of
from cluster_interface.client.tops import start_of
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster_interface.client.local_files import Inputs, Local
    from cluster_interface.client.transport import Transport
    from cluster_interface.model.jobspec import JobSpec
    from cluster_interface.model.proposal import Proposal

PACKAGES = "environment.python.packages"
_OF_A_PATH = ("source", "mode")  #: of a directory here, whose files are sent: what they themselves do not need


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a person says beyond the script. What is None or empty is inferred or the queue's default."""

    args: Sequence[str] = ()
    name: str | None = None
    inputs: Sequence[str] | Mapping[str, str | Path] = ()
    files: str | Path | Mapping[str, Any] | None = None  #: a file tree, in any of its forms
    outputs: Sequence[str] = ()
    deliver: Sequence[str] = ()
    packages: Sequence[str] = ()
    system: Sequence[str] = ()
    as_of: str | None = None
    network: bool | None = None
    resources: Mapping[str, Any] = field(default_factory=dict)
    tasks: Tasks = field(default_factory=Tasks)
    parts: Mapping[str, Any] = field(default_factory=dict)  #: after, retry and checkpoint, as the spec has them


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A job as it would be submitted. Local files appear as `file:` sources; they are sent when it is submitted."""

    document: Document  #: the job spec as JSON
    local: dict[str, Local]  #: name in the job -> the file here, or what is in an archive here
    inspected: Document | None  #: the server's InspectResponse as JSON; None: the spec left nothing to infer
    asks: tuple[Document, ...] = ()  #: guesses that need a yes: left out of the environment
    earlier: Mapping[str, str] = field(default_factory=dict)  #: resource -> what last time suggests, in words
    notes: tuple[str, ...] = ()  #: what a person should know of it
    place: Path = Path()  #: the directory here that the job's own stands for, where its outputs go
    keeps: Any = None  #: what must be there as long as it is: the room of a capsule's files

    @property
    def spec(self) -> JobSpec:
        """The spec, validated; raises Rejected naming every bad field."""
        from cluster_interface.model.jobspec import JobSpec  # noqa: PLC0415 - 200 ms that `clif run` need not pay

        return JobSpec.parse(self.document)

    @property
    def proposal(self) -> Proposal | None:
        """What inspection found, and what each guess rests on."""
        from cluster_interface.model.proposal import Proposal  # noqa: PLC0415 - as above

        return Proposal.parse(self.inspected["proposal"]) if self.inspected else None

    @property
    def to_send(self) -> dict[str, Path]:
        """The files to be sent, by their names in the job; an archive once, by its path."""
        here = [
            (str(one.archive), one.archive) if isinstance(one, Packed) else (name, one)
            for name, one in self.local.items()
        ]
        return dict(here)

    def with_sources(self, sources: Mapping[str, Document]) -> Document:
        """Return the document with the local files' entries replaced by what the server has of them."""
        document = copy.deepcopy(self.document)
        for name, one in self.local.items():
            if isinstance(one, Packed):
                entry = {"source": f"{sources[str(one.archive)]['source']}{MARK}{one.member}"}
            else:
                entry = sources[name]
            document["files"][name] = {**document["files"][name], **entry}
        return document


def make_draft(transport: Transport, script: str | Path | Document, wishes: Wishes) -> Draft:
    """Read a script, a directory or a spec (a document, or a file that holds one) and have it inspected.

    Raises Rejected where a file is missing or the server sees no way to run it, Transient where it is away.
    """
    return _completed(_first_draft(transport, script, wishes), wishes)


def _first_draft(transport: Transport, script: str | Path | Document, wishes: Wishes) -> Draft:
    if isinstance(script, dict):
        return _from_spec(transport, script, Path.cwd(), wishes)
    path = Path(script)
    if path.is_dir():
        return _from_directory(transport, whole(path), wishes)
    file = check_file(path, "script")
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
    local = draft.local | _here(fresh)
    document["files"] = {**document["files"], **_entries({}, fresh)}
    document, local = _with_tree(document, local, wishes.files)
    notes: list[str] = []
    if document.get("sweep") and not document.get("dialect"):  # a batch script finds its index as it always did
        notes = _place(document, inspected.get("proposal", {}), parameters_of(document["sweep"], local))
    return replace(draft, document=document, local=local, earlier=earlier, notes=tuple(notes))


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
    return {**document, "files": {**_entries({"files": files}, found), **document["files"]}}, _here(found) | local


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
    inspected = _inspect(transport, texts, name, wishes.args, inputs, start=start)
    files: Inputs = {name: script}
    files.update({found: base / found for found in inspected["proposal"]["inputs"] if (base / found).is_file()})
    if start is not None:
        wishes = replace(wishes, outputs=[posixpath.join(start, pattern) for pattern in wishes.outputs])
    draft = _of_here(_draft({}, inspected, files | inputs, wishes), base, texts)
    return replace(draft, place=base) if start is not None else draft


def _from_directory(transport: Transport, directory: Path, wishes: Wishes) -> Draft:
    texts = listing_here(directory)
    if not texts:
        raise Rejected.field("script", f"there are no files in {directory}")
    inputs = parse_inputs(wishes.inputs, Path.cwd())
    inspected = _inspect(transport, texts, None, wishes.args, inputs)
    files: Inputs = {name: directory / name for name in texts}
    return _of_here(_draft({}, inspected, files | inputs, wishes), directory, texts)


def _of_here(draft: Draft, base: Path, texts: Mapping[str, str | None]) -> Draft:
    """Add the directories that the program writes into."""
    proposal = draft.inspected["proposal"] if draft.inspected else {}
    return replace(draft, document=with_directories(draft.document, proposal, base, texts))


def _from_spec(transport: Transport, document: Document, base: Path, wishes: Wishes) -> Draft:
    files = local_sources(document, base) | parse_inputs(wishes.inputs, Path.cwd())
    script, inline = document.get("script"), inline_texts(document)
    if not isinstance(script, str) or not (script in inline or isinstance(files.get(script), Path)):
        _refuse_arguments(wishes)
        return _draft(document, None, files, wishes)
    beside = listing_here(base) if "files" not in document else {}
    texts = {name: text_of(path) if isinstance(path, Path) else None for name, path in files.items()}
    inspected = _inspect(transport, beside | inline | texts, script, wishes.args, {})
    if "files" not in document:
        files = {found: base / found for found in inspected["proposal"]["inputs"] if (base / found).is_file()} | files
    return _draft(document, inspected, files, wishes)


def _refuse_arguments(wishes: Wishes) -> None:
    if wishes.args:
        raise Rejected.field("arguments", "this spec names no script to give them to; write them in its command")


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


def _draft(given: Document, inspected: Document | None, files: Inputs, wishes: Wishes) -> Draft:
    proposal: Document = inspected["proposal"] if inspected else {}
    wanted = {_distribution(package) for package in wishes.packages}
    inferred = "environment" not in given
    asks = [
        guess
        for guess in proposal.get("guesses", ())
        if inferred and guess["sure"] == "ask" and _distribution(guess["value"]) not in wanted
    ]
    environment = copy.deepcopy(proposal.get("environment", {}) if inferred else given["environment"])
    document = {
        "apiVersion": 1,
        "name": wishes.name or given.get("name") or proposal.get("name"),
        "script": given.get("script") or proposal.get("script"),
        "command": _command(given, proposal, wishes),
        "environment": _environment(environment, asks, wishes),
        "files": _entries(given, files),
        "outputs": list(wishes.outputs) or given.get("outputs"),
        "deliver": list(wishes.deliver) or given.get("deliver"),
        "resources": {**proposal.get("resources", {}), **(given.get("resources") or {}), **wishes.resources},
        **{field: _said(given, proposal, field) for field in ("sweep", "dialect", "checkpoint")},
        "network": given.get("network", False) if wishes.network is None else wishes.network,
    }
    if inspected is None and inferred and not document["environment"]:
        del document["environment"]  # nobody has looked: the server infers it
    rest = {name: value for name, value in given.items() if name not in document}
    kept = {name: value for name, value in (document | rest).items() if value is not None}
    return Draft(document=kept, local=_here(files), inspected=inspected, asks=tuple(asks))


def _command(given: Document, proposal: Document, wishes: Wishes) -> str | None:
    """A command that was written down gets the arguments at its end; an inferred one has them already."""
    command: str | None = given.get("command")
    if command is None:
        return proposal.get("command")
    return f"{command} {shlex.join(wishes.args)}" if wishes.args else command


def _said(given: Document, proposal: Document, field: str) -> Any:
    """Return what the spec says of a field, else what the directives of a batch script do, without its empty parts."""
    found = given.get(field) or proposal.get(field)
    if field in given or not isinstance(found, dict):
        return found
    return {name: value for name, value in found.items() if value not in (None, False)}


def _environment(environment: Any, asks: Sequence[Document], wishes: Wishes) -> Any:
    if not isinstance(environment, dict):
        return environment  # the server says what is wrong with it
    unsure = {_distribution(guess["value"]) for guess in asks if guess["field"] == PACKAGES}
    python = environment.get("python") or {}
    named = {_distribution(package) for package in wishes.packages}
    packages = [p for p in python.get("packages") or () if _distribution(p) not in unsure | named]
    if packages := [*packages, *wishes.packages]:
        environment["python"] = {**python, "packages": packages}
    elif python.get("packages"):
        environment["python"] = {**python, "packages": []}
    if wishes.as_of:
        environment["as_of"] = wishes.as_of
    if wishes.system:
        environment["system"] = list(dict.fromkeys([*(environment.get("system") or ()), *wishes.system]))
    return environment


def _entries(given: Document, files: Inputs) -> Document:
    entries = {}
    listed = given.get("files") or {}
    if not isinstance(listed, dict):
        raise Rejected.field("files", "is not a mapping; write names, and what is said of each, such as data.csv: {}")
    for name, entry in listed.items():
        if not _is_path_here(entry):
            entries[name] = entry
        elif kept := {field: value for field, value in entry.items() if field not in _OF_A_PATH or name in files}:
            entries[name] = kept
    for name, source in files.items():
        kept = entries.get(name) or {}
        if isinstance(source, Path):
            executable = {"executable": True} if source.stat().st_mode & 0o111 or program_of(source) else {}
            entries[name] = {**executable, **kept, "source": f"file:{source}"}
        elif isinstance(source, Packed):
            executable = {"executable": True} if source.executable and "permissions" not in kept else {}
            entries[name] = {**executable, **kept, "source": source.source}
        else:
            entries[name] = {**kept, "source": source}
    return entries


def _here(files: Inputs) -> dict[str, Local]:
    return {name: source for name, source in files.items() if not isinstance(source, str)}


def _is_path_here(entry: Any) -> bool:
    """Say whether an entry's source is a path here: its file, or the files of its directory, stand in for it."""
    source = entry.get("source") if isinstance(entry, dict) else None
    return isinstance(source, str) and not is_source(source)


def _distribution(requirement: str) -> str:
    """Return the normalized distribution name of a requirement (PEP 503)."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else requirement
