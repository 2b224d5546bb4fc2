"""The registry face: an image in the site's own registry, from which the engines of nodes pull it by digest.

It is pushed once, the base first as an image of its own; of what stands on it only the new layer is made. skopeo asks
the registry for a layer before it reads it, so the base's bytes are not even there; where the registry has lost them
skopeo misses the file ("no such file"), and gets it. Layers are compressed here and not by skopeo, which would have to
do so again with each image to learn their digests.

Format: OCI Image Specification 1.1 (image-layout.md, manifest.md).
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from typing import TYPE_CHECKING, Any

from cluster_interface.images.archive import listing
from cluster_interface.images.faces.docker import Part, configuration, tag
from cluster_interface.images.layer import PLACE
from cluster_interface.model.errors import Permanent
from cluster_interface.ports import Face, ImageRef

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cluster_interface.images.oci import Registries
    from cluster_interface.images.shelf import Shelf
    from cluster_interface.model.plan import Lock

FRESH = 3600.0  #: seconds for which a registry is taken to have what it had
_MEDIA = "application/vnd.oci.image"
_LEVEL = 1  #: of gzip, which every engine knows: the usual 6 takes three times as long for a tenth


def find(shelf: Shelf, lock: Lock, registry: str | None, *, unchecked: bool = False) -> ImageRef | None:
    """Say what nodes pull; None if it was not pushed there, or (but for `unchecked`) not seen there lately."""
    known = _known(shelf, lock.image, registry)
    if known is None or not (unchecked or time.time() - known["seen"] < FRESH):
        return None
    pulled = f"{known['repository']}@{known['digest']}"
    return ImageRef(key=lock.image, face=Face.REGISTRY, tag=tag(lock.image), pulled=pulled)


def make_base(shelf: Shelf, lock: Lock, registries: Registries) -> None:
    """Push the base if it was not. Call it with `registry-<base>` held."""
    if _known(shelf, lock.base, registries.settings.registry) is None:
        bare = lock.model_copy(update={"image": lock.base, "requirements": "", "conda": "", "r": ()})
        _push(shelf, bare, registries, {})


def make(shelf: Shelf, lock: Lock, registries: Registries, variables: Mapping[str, str]) -> None:
    """Push the image, or see that the registry still has it. Call it with `registry-<image>` held.

    Transient if the registry cannot be reached, Permanent(image_failed) in its words if it does not take the image.
    """
    known = _known(shelf, lock.image, registries.settings.registry)
    if known is None or not _has(registries, f"{known['repository']}@{known['digest']}"):
        _push(shelf, lock, registries, variables)
    else:
        shelf.write(shelf.note("registry", lock.image), {**known, "seen": time.time()})


def _has(registries: Registries, reference: str) -> bool:
    try:
        registries.inspect(reference)
    except Permanent:
        return False
    return True


def _known(shelf: Shelf, key: str, registry: str | None) -> dict[str, Any] | None:
    """Return what was pushed, if it was to the repository that the settings name now."""
    known: dict[str, Any] | None = shelf.read(shelf.note("registry", key))
    return known if registry and known and known["repository"] == _repository(registry) else None


def _repository(registry: str) -> str:
    return f"{registry}/image"  # some registries have projects, in which a repository needs a name of its own


def _push(shelf: Shelf, lock: Lock, registries: Registries, variables: Mapping[str, str]) -> None:
    base = _known(shelf, lock.base, registries.settings.registry) if lock.layered else None
    try:
        pushed = _pushed(shelf, lock, registries, variables, base)
    except Permanent as error:
        if base is None or "no such file" not in str(error):
            raise
        pushed = _pushed(shelf, lock, registries, variables, None)
    shelf.write(shelf.note("registry", lock.image), pushed)


def _pushed(
    shelf: Shelf, lock: Lock, registries: Registries, variables: Mapping[str, str], base: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Push the image, without the bytes of a base that is `base`; return what is to be known of it."""
    root = shelf.base(lock.base) / "rootfs"
    parts = [Part(lambda: listing(root), base["diff_ids"][0] if base else None)]
    if lock.layered:
        env = shelf.layer(lock.image) / "env"
        parts.append(Part(lambda: listing(env, PLACE.strip("/"))))
    with shelf.temporary(f"registry-{lock.image}") as home:
        blobs = home / "blobs/sha256"
        blobs.mkdir(parents=True)
        layers = [base["layers"][0] if base and part is parts[0] else _layer(blobs, part) for part in parts]
        config = json.dumps(configuration(lock, parts, registries.machine, variables), sort_keys=True).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "config": _blob(blobs, f"{_MEDIA}.config.v1+json", config),
            "layers": layers,
        }
        named = _blob(blobs, f"{_MEDIA}.manifest.v1+json", json.dumps(manifest, sort_keys=True).encode())
        (home / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
        (home / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        repository = _repository(str(registries.settings.registry))
        digest = registries.push(home, f"{repository}:{lock.image[:24]}")
    diff_ids = [part.diff_id for part in parts]
    return {"repository": repository, "digest": digest, "layers": layers, "diff_ids": diff_ids, "seen": time.time()}


def _layer(blobs: Path, part: Part) -> dict[str, Any]:
    """Write a layer as a blob."""
    digest, packer = hashlib.sha256(), zlib.compressobj(_LEVEL, wbits=31)  # 31: as gzip, without a time
    made = blobs / "layer"
    with made.open("wb") as file:
        for chunk in part.stream(part.listed()):
            packed = packer.compress(chunk)
            digest.update(packed)
            file.write(packed)
        packed = packer.flush()
        digest.update(packed)
        file.write(packed)
    size = made.stat().st_size
    made.rename(blobs / digest.hexdigest())
    return {"mediaType": f"{_MEDIA}.layer.v1.tar+gzip", "digest": f"sha256:{digest.hexdigest()}", "size": size}


def _blob(blobs: Path, media: str, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}
