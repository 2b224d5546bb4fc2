"""A capsule here: taken in again as the draft of a new job."""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cluster_interface.client.transport import BLOCK
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from cluster_interface.client.specs import Document
    from cluster_interface.model.capsule import Capsule

SUFFIX = ".tar"
LARGEST = 64 * 2**20  #: bytes of capsule.json
HOW_MUCH = ("cpus", "memory", "time", "gpus", "nodes", "tasks_per_node")  #: resources that mean the same at any site
_KEPT = ("mode", "permissions", "executable")  #: of what is said of a file
_RESOLVED = ("packages", "requirements", "lock", "exclude_newer")  #: what the lock's own versions stand in for


def is_capsule(path: Path) -> bool:
    """Say whether a file is to be a capsule: a tar by its name and by how it begins, which is nothing else here."""
    try:
        return path.suffix.lower() == SUFFIX and tarfile.is_tarfile(path)
    except OSError:
        return False


def take_in(path: Path) -> tuple[Document, Any]:
    """Read a capsule as the spec of a new job: same command, files and parameters, and the very versions it had.

    Its files are unpacked into a temporary directory, which is there as long as the second value. Raises Rejected where
    the file is no capsule, or a file in it is not what it says.
    """
    from cluster_interface.model.capsule import DOCUMENT, FILES, Capsule  # noqa: PLC0415 - 200 ms, only for capsules

    room = tempfile.TemporaryDirectory(prefix="clif-capsule-")
    with tarfile.open(path, "r:") as image, closing(_last_layer(image, path)) as layer:
        capsule = Capsule.parse(json.loads(_member(layer, DOCUMENT, path).read(LARGEST)), str(path))
        unpacked = {}
        for number, file in enumerate(capsule.inputs):
            target = Path(room.name, str(number))  # its name in the job is no name here
            _unpack(_member(layer, f"{FILES}/{file.path}", path), target, file.sha256, file.path)
            unpacked[file.path] = str(target)
    return _document(capsule, unpacked), room


def _last_layer(image: tarfile.TarFile, path: Path) -> tarfile.TarFile:
    try:
        manifest = json.load(_member(image, "manifest.json", path))
        return tarfile.open(fileobj=_member(image, manifest[0]["Layers"][-1], path), mode="r:*")
    except (ValueError, LookupError, TypeError, tarfile.TarError):
        raise _no_capsule(path) from None


def _member(archive: tarfile.TarFile, name: str, path: Path) -> IO[bytes]:
    try:
        found = archive.extractfile(name)
    except KeyError:
        found = None
    if found is None:
        raise _no_capsule(path)
    return found


def _unpack(source: IO[bytes], target: Path, sha256: str, name: str) -> None:
    digest = hashlib.sha256()
    with target.open("wb") as file:
        while data := source.read(BLOCK):
            digest.update(data)
            file.write(data)
    if digest.hexdigest() != sha256:
        raise Rejected.field(f"files.{name}", "is not the file that the capsule was made with: its SHA-256 differs")


def _document(capsule: Capsule, unpacked: dict[str, str]) -> Document:
    spec: Document = capsule.spec.model_dump(mode="json", exclude_unset=True, exclude={"after", "group"})
    asked = spec.get("resources") or {}
    spec["resources"] = {name: asked[name] for name in HOW_MUCH if asked.get(name) is not None}
    given, files = spec.get("files", {}), {}
    for entry in capsule.inputs:
        kept = given.get(entry.path, {})
        files[entry.path] = {"source": unpacked[entry.path]} | {name: kept[name] for name in _KEPT if name in kept}
        if entry.mode & 0o100 and not kept:
            files[entry.path]["executable"] = True
    made = {path: {} if path.endswith("/") else entry for path, entry in given.items()}  # of a directory: its files
    spec["files"] = {**made, **files}
    lock = capsule.plan.lock
    if lock is not None and lock.packages:
        environment = spec.setdefault("environment", {})
        python = {name: value for name, value in (environment.get("python") or {}).items() if name not in _RESOLVED}
        environment["python"] = {**python, "version": lock.python or None, "packages": list(lock.packages)}
    return spec


def _no_capsule(path: Path) -> Rejected:
    return Rejected.field(str(path), "is no capsule, or not all of one: `clif capsule JOB FILE.tar` makes one")
