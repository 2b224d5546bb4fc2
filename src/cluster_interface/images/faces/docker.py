"""The docker face: an image in the engine, loaded as an archive that carries only the layer it lacks.

The engine knows a layer by its chain of diff ids and does not look for its bytes when it has it already; the
base is loaded once, and each image after that costs its own layer. Where the base was pruned meanwhile the
engine says so ("layer.tar: no such file") and gets the whole archive. No temporary copy is made: a layer's size
is known before its bytes, and its digest, which the configuration wants, after them.

Format: Docker Image Specification v1.2, https://github.com/moby/docker-image-spec (combined image JSON +
filesystem changeset).
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cluster_interface.images.archive import Listing, listing, stream
from cluster_interface.images.faces.engine import Engine, LoadFailed
from cluster_interface.images.failures import disk_full, image_failed
from cluster_interface.images.keys import EPOCH
from cluster_interface.images.layer import PLACE
from cluster_interface.ports import Face, ImageRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

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
    """Load the image into the engine, thin if it has the base. Call it with the key held."""
    root = shelf.base(lock.base) / "rootfs"
    base = Part(lambda: listing(root), _known_base(shelf, lock))
    parts = [base]
    if lock.layered:
        env = shelf.layer(lock.image) / "env"
        parts.append(Part(lambda: listing(env, PLACE.strip("/"))))
    has_base = base.diff_id is not None and len(parts) > 1
    try:
        engine.load(pack(lock, parts, thin=has_base, machine=machine, variables=variables))
    except LoadFailed as error:
        if not has_base:
            raise _refused(error) from None
        _load_whole(engine, lock, parts, machine, variables)
    for key, chain in ((lock.base, parts[:1]), (lock.image, parts)):
        shelf.write(shelf.note("docker", key), {"diff_ids": [part.diff_id for part in chain], "loaded": time.time()})
    return ImageRef(key=lock.image, face=Face.DOCKER, tag=tag(lock.image))


@dataclass
class Part:
    """One layer of an image; its diff id is known once it has been streamed."""

    listed: Callable[[], Listing]
    diff_id: str | None = None

    def stream(self, found: Listing) -> Iterator[bytes]:
        """Yield the layer's tar, and take its digest on the way."""
        digest = hashlib.sha256()
        for chunk in stream(found):
            digest.update(chunk)
            yield chunk
        self.diff_id = f"sha256:{digest.hexdigest()}"


def _known_base(shelf: Shelf, lock: Lock) -> str | None:
    known = shelf.read(shelf.note("docker", lock.base))
    return str(known["diff_ids"][0]) if known else None


def _load_whole(engine: Engine, lock: Lock, parts: list[Part], machine: str, variables: Mapping[str, str]) -> None:
    try:
        engine.load(pack(lock, parts, thin=False, machine=machine, variables=variables))
    except LoadFailed as error:
        raise _refused(error) from None


def _refused(error: LoadFailed) -> Exception:
    if "no space left" in str(error):
        return disk_full("the Docker engine's")
    return image_failed(f"the Docker engine does not take the image: {error}")


def pack(
    lock: Lock,
    parts: list[Part],
    *,
    thin: bool,
    machine: str,
    variables: Mapping[str, str] = MappingProxyType({}),
    config: Mapping[str, Any] = MappingProxyType({}),
    name: str | None = None,
) -> Iterator[bytes]:
    """Yield an archive: the layers, then the configuration that names their digests, then the manifest.

    `config` goes over the usual configuration (variables and labels beside the usual ones), `name` is another tag.
    """
    names = []
    for number, part in enumerate(parts):
        names.append(f"{number}/layer.tar")
        if thin and number == 0:
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
