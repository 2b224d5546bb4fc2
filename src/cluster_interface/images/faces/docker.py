"""The docker face: an image in the engine, loaded as an archive that carries only the layers it lacks.

The engine knows a layer by its chain of diff ids and does not look for its bytes when it has it already; the base is
loaded once, large packages (`parts.py`) once for all images that begin with them, and each image costs what is left.
Where a layer was pruned meanwhile the engine says so ("layer.tar: no such file") and gets the whole archive. No
temporary copy is made: a layer's size is known before its bytes, and its digest, which the configuration wants, after
them.

Format: Docker Image Specification v1.2, https://github.com/moby/docker-image-spec (combined image JSON +
filesystem changeset).
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import time
from itertools import takewhile
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cluster_interface.images.faces.engine import Engine, LoadFailed
from cluster_interface.images.faces.parts import bases_of, large, layers_of
from cluster_interface.images.failures import disk_full, image_failed
from cluster_interface.images.keys import EPOCH
from cluster_interface.images.layer import PLACE
from cluster_interface.ports import Face, ImageRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cluster_interface.images.faces.parts import Part
    from cluster_interface.images.shelf import Shelf
    from cluster_interface.model.plan import Lock

REPOSITORY = "cluster-interface/image"
LABEL = "cluster-interface.key"
_PATH = f"{PLACE}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def tag(key: str) -> str:
    """Name an image for the engine and for people."""
    return f"{REPOSITORY}:{key[:24]}"


def find(shelf: Shelf, engine: Engine, lock: Lock) -> ImageRef | None:
    """Ask the engine for the image; None if it has none, or another one under that name."""
    known = shelf.read(shelf.note("docker", lock.image))
    if known is None:
        return None
    image = engine.image(tag(lock.image))
    if image is None or (image.get("RootFS") or {}).get("Layers") != known["diff_ids"]:
        return None
    if ((image.get("Config") or {}).get("Labels") or {}).get(LABEL) != lock.image:
        return None
    return ImageRef(key=lock.image, face=Face.DOCKER, tag=tag(lock.image))


def load(shelf: Shelf, engine: Engine, lock: Lock, machine: str, variables: Mapping[str, str]) -> ImageRef:
    """Load the image into the engine, without the layers that it has. Call it with the key held."""
    known = (shelf.read(shelf.note("docker", lock.base)) or {}).get("keys", [])
    bases = bases_of(shelf, lock, known)
    there = _there(shelf, lock, [part.key for part in bases])
    parts = [*bases, *layers_of(shelf, lock, list(there)[len(bases) :])]
    for part in parts:
        part.diff_id = there.get(part.key)
    count = min(len(there), len(parts) - 1)  # of an image that is not there as a whole, something is sent
    try:
        engine.load(pack(lock, parts, there=count, machine=machine, variables=variables))
    except LoadFailed as error:
        if not count:
            raise _refused(error) from None
        _load_whole(engine, lock, parts, machine, variables)
    for key, made in ((lock.base, bases), (lock.image, parts)):
        note = {"diff_ids": [part.diff_id for part in made], "keys": [part.key for part in made], "loaded": time.time()}
        shelf.write(shelf.note("docker", key), note)
    return ImageRef(key=lock.image, face=Face.DOCKER, tag=tag(lock.image))


def _there(shelf: Shelf, lock: Lock, bases: list[str]) -> dict[str, str]:
    """Say which of an image's layers the engine was given already, one on the other: keys and diff ids.

    Of all images that it was given, the longest beginning that this one can have.
    """
    wanted = set(large(shelf, lock)) if lock.layered else set()
    best: dict[str, str] = {}
    for note in shelf.notes("docker"):
        keys = note.get("keys", [])
        same = [key for key, base in takewhile(lambda pair: pair[0] == pair[1], zip(keys, bases, strict=False))]
        more = takewhile(wanted.__contains__, keys[len(bases) :]) if len(same) == len(bases) else ()
        begins = [*same, *more]
        if len(begins) > len(best):
            best = dict(zip(begins, note["diff_ids"], strict=False))
    return best


def _load_whole(engine: Engine, lock: Lock, parts: list[Part], machine: str, variables: Mapping[str, str]) -> None:
    try:
        engine.load(pack(lock, parts, there=0, machine=machine, variables=variables))
    except LoadFailed as error:
        raise _refused(error) from None


def _refused(error: LoadFailed) -> Exception:
    if "no space left" in str(error):
        return disk_full("the Docker engine's images")
    return image_failed(f"the Docker engine does not take the image: {error}")


def pack(
    lock: Lock,
    parts: list[Part],
    *,
    there: int,
    machine: str,
    variables: Mapping[str, str] = MappingProxyType({}),
    config: Mapping[str, Any] = MappingProxyType({}),
    name: str | None = None,
) -> Iterator[bytes]:
    """Yield an archive: the layers, then the configuration that names their digests, then the manifest.

    Of the first `there` layers, whose diff ids are known, the bytes are left out.
    `config` goes over the usual configuration (variables and labels beside the usual ones), `name` is another tag.
    """
    names = []
    for number, part in enumerate(parts):
        names.append(f"{number}/layer.tar")
        if number < there:
            continue
        found = part.listed()
        yield _header(names[-1], found.size)
        yield from part.stream(found)
        yield bytes(-found.size % 512)
    document = configuration(lock, parts, machine, variables)
    document["config"] = _over(document["config"], config)
    text = json.dumps(document, sort_keys=True).encode()
    called = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = json.dumps([{"Config": called, "RepoTags": [name or tag(lock.image)], "Layers": names}]).encode()
    for entry, data in ((called, text), ("manifest.json", manifest)):
        yield _header(entry, len(data)) + data + bytes(-len(data) % 512)
    yield bytes(1024)


def _over(usual: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **usual,
        **config,
        "Env": [*usual["Env"], *config.get("Env", ())],
        "Labels": {**usual["Labels"], **config.get("Labels", {})},
    }


def configuration(lock: Lock, parts: list[Part], machine: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return an image's configuration; its layers have been streamed, so that their digests are known."""
    environment = {"PATH": _PATH, "LANG": "C.UTF-8", **variables}
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH))
    return {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": created,
        "config": {
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "Cmd": ["/bin/sh"],
            "WorkingDir": "/job",
            "Labels": {LABEL: lock.image, "cluster-interface.base": lock.base},
        },
        "rootfs": {"type": "layers", "diff_ids": [part.diff_id for part in parts]},
        "history": [{"created": created, "created_by": "cluster-interface"} for _ in parts],
    }


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, EPOCH
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
