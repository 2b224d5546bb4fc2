"""A draft put together: what a spec says, what inspection proposes, what lies here and what a person wishes."""

from __future__ import annotations

import copy
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_interface.client.local_files import is_source
from cluster_interface.client.packed import MARK, Packed
from cluster_interface.client.sweeps import Tasks
from cluster_interface.client.texts import program_of
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster_interface.client.local_files import Inputs, Local
    from cluster_interface.client.specs import Document
    from cluster_interface.model.jobspec import JobSpec
    from cluster_interface.model.proposal import Proposal

PACKAGES = "environment.python.packages"
_OF_A_PATH = ("source", "mode")  #: of a directory here, whose files are sent: what they themselves do not need


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a person says beyond the script. What is None or empty is inferred or the queue's default."""

    args: Sequence[str] = ()
    name: str | None = None
    program: str | None = None  #: of a directory or a repository, which of its files is run
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
    left: tuple[str, ...] = ()  #: what earlier jobs of the program left here, and it is not given
    origin: str | None = None  #: the repository and commit that is run
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


def compose(given: Document, inspected: Document | None, files: Inputs, wishes: Wishes) -> Draft:
    """Make a draft of a spec's document and what was inspected; `files` are what the job has beyond the document."""
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
        "files": entries_of(given, files),
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
    return Draft(document=kept, local=here_of(files), inspected=inspected, asks=tuple(asks))


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


def entries_of(given: Document, files: Inputs) -> Document:
    """Return a document's file entries with those of `files`; Rejected where they are no mapping."""
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


def here_of(files: Inputs) -> dict[str, Local]:
    """Return what of these is here, hence to be sent."""
    return {name: source for name, source in files.items() if not isinstance(source, str)}


def _is_path_here(entry: Any) -> bool:
    """Say whether an entry's source is a path here: its file, or the files of its directory, stand in for it."""
    source = entry.get("source") if isinstance(entry, dict) else None
    return isinstance(source, str) and not is_source(source)


def _distribution(requirement: str) -> str:
    """Return the normalized distribution name of a requirement (PEP 503)."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else requirement
