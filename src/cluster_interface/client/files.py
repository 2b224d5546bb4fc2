"""File trees on one's own machine: described, made and checked here, without a server.

import cluster_interface as ci

tree = ci.files.describe("project")
ci.files.check(tree, "copy")           # what is missing, extra or changed there
ci.files.create("tree.json", "fresh")  # from wherever the bytes are
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from cluster_interface.client.local_files import is_source
from cluster_interface.model.errors import Rejected, Transient

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.model.filetree import FileTree
    from cluster_interface.trees.checking import Differences

    Progress = Callable[[str, int], None]  #: name, its bytes
    Tree = FileTree | Mapping[str, Any] | str | Path

__all__ = ["check", "create", "describe", "read"]

PATIENCE = 60.0  #: seconds without a byte from a web server
BLOCK = 2**20


def describe(
    directory: str | Path,
    *,
    checksums: bool = True,
    everything: bool = False,
    source: Literal["file", "upload"] | None = None,
    progress: Progress | None = None,
) -> FileTree:
    """Return the tree of what is in `directory`.

    What .gitignore and .clusterignore name is left out, unless `everything` is wanted. `source` gives each file one:
    its path here ("file"), or an upload to the server that `connect()` finds ("upload"). Raises Rejected, naming
    them, for what a tree cannot hold or what cannot be read.
    """
    from cluster_interface.trees import describing  # noqa: PLC0415 - pydantic is slow to import
    from cluster_interface.trees.names import portable  # noqa: PLC0415 - as above

    place = Path(os.path.abspath(directory))  # noqa: PTH100 - resolve() would follow links
    wanted = {"checksums": checksums, "everything": everything, "progress": progress}
    if source == "file":
        return describing.describe(place, source_of=lambda path: f"file:{portable(f'{place}/{path}')}", **wanted)  # type: ignore[arg-type]
    tree = describing.describe(place, **wanted)  # type: ignore[arg-type]
    return tree if source is None else _uploaded(tree, place)


def _uploaded(tree: FileTree, place: Path) -> FileTree:
    from cluster_interface.client.cluster import connect  # noqa: PLC0415 - only where a server is wanted
    from cluster_interface.trees.names import native  # noqa: PLC0415 - as above

    files = dict(tree.files)
    with connect() as cluster:
        for name, entry in tree.files.items():
            if name.endswith("/") or entry.target is not None:
                continue
            sent = cluster.upload(place / native(name), name)
            if entry.sha256 not in (None, sent.sha256):
                raise Rejected.field(name, "changed while it was sent; try again when it is complete")
            files[name] = entry.model_copy(update={"source": sent.source, "sha256": sent.sha256, "size": sent.size})
    return tree.model_copy(update={"files": files})


def create(tree: Tree, directory: str | Path, *, progress: Progress | None = None) -> None:
    """Make a tree below `directory`: from inline text, files here (`file:`) and the web (`https:`, `http:`).

    `tree` is a FileTree, a mapping, or the path of a document or a BagIt bag. What is there already and right stays;
    nothing is overwritten. Each file is checked against its size and checksum. Raises Rejected in words, Transient
    where a web server is away.
    """
    from cluster_interface.trees import creating  # noqa: PLC0415 - pydantic is slow to import

    try:
        creating.create(read(tree), Path(directory), fetch=_fetch, progress=progress)
    except OSError as error:
        words = f"{(error.strerror or str(error)).lower()}{f': {error.filename}' if error.filename else ''}"
        raise Rejected.field(str(directory), words) from None


def check(
    tree: Tree,
    directory: str | Path,
    *,
    checksums: bool = True,
    everything: bool = False,
    progress: Progress | None = None,
) -> Differences:
    """Say what of a tree is missing, extra or changed in `directory`; false if nothing is."""
    from cluster_interface.trees import checking  # noqa: PLC0415 - pydantic is slow to import

    return checking.check(read(tree), Path(directory), checksums=checksums, everything=everything, progress=progress)


def read(tree: Tree) -> FileTree:
    """Read a tree in any of its forms: its own JSON or YAML, a job spec, the original form, a BagIt bag."""
    from cluster_interface.model.filetree import FileTree  # noqa: PLC0415 - pydantic is slow to import
    from cluster_interface.trees.reading import from_document, read_tree  # noqa: PLC0415 - as above

    if isinstance(tree, FileTree):
        return tree
    if isinstance(tree, Mapping):
        files, base = from_document(dict(tree)), Path.cwd()
    else:
        path = Path(tree)
        files, base = read_tree(path), base_of(path)
    return FileTree.parse({"files": {name: _absolute(entry, base) for name, entry in files.items()}})


def base_of(path: Path) -> Path:
    """Say what relative paths in a tree's document are relative to."""
    return Path(os.path.abspath(path if path.is_dir() else path.parent))  # noqa: PTH100 - links keep their names


def _absolute(entry: Any, base: Path) -> Any:
    """Make a path here a `file:` source."""
    source = entry.get("source") if isinstance(entry, dict) else None
    if not isinstance(source, str) or is_source(source):
        return entry
    return {**entry, "source": f"file:{os.path.join(base, source)}"}  # noqa: PTH118 - a Path would lose a / at its end


def _fetch(source: str, target: BinaryIO) -> None:
    """Bring what is on the web, as this account and with its proxies; anything else is a job's business."""
    import urllib.error  # noqa: PLC0415 - only where a tree has such sources
    import urllib.request  # noqa: PLC0415 - as above

    if not source.startswith(("http:", "https:")):
        raise Rejected(f"{source[:80]} cannot be brought here; a job on the server can have it")
    try:
        with urllib.request.urlopen(source, timeout=PATIENCE) as answer:  # noqa: S310 - the scheme was just looked at
            expected = answer.headers.get("Content-Length", "")
            while data := answer.read(BLOCK):
                target.write(data)
    except urllib.error.HTTPError as error:
        raise Rejected(f"{source} answers {error.code} {error.reason}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Transient(f"{source} cannot be reached: {getattr(reason, 'strerror', None) or reason}") from None
    if expected.isdigit() and target.tell() != int(expected):
        raise Transient(f"{source} broke off after {target.tell()} of {expected} bytes; try again")
