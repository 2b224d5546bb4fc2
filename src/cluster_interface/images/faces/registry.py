"""The registry face: an image in the site's own registry, from which the engines of nodes pull it by digest.

It is pushed once, the base first as an image of its own; of what stands on it only new layers are made (`parts.py`).
skopeo asks the registry for a layer before it reads it, so the bytes of those that were pushed before are not even
there; where the registry has lost them skopeo misses the file ("no such file"), and gets it. Layers are compressed here
and not by skopeo, which would have to do so again with each image to learn their digests.

Format: OCI Image Specification 1.1 (image-layout.md, manifest.md).
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from typing import TYPE_CHECKING, Any

from cluster_interface.images.faces.docker import configuration, tag
from cluster_interface.images.faces.parts import bases_of, large, layers_of
from cluster_interface.model.errors import Permanent
from cluster_interface.ports import Face, ImageRef

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cluster_interface.images.faces.parts import Part
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
    base = _known(shelf, lock.base, registries.settings.registry) or {}
    bases = bases_of(shelf, lock, base.get("keys", ()))
    known = _there(shelf, lock, registries.settings.registry, [part.key for part in bases])
    try:
        pushed = _pushed(shelf, lock, registries, variables, bases=bases, known=known)
    except Permanent as error:
        if not known or "no such file" not in str(error):
            raise
        pushed = _pushed(shelf, lock, registries, variables, bases=bases, known={})
    shelf.write(shelf.note("registry", lock.image), pushed)


def _there(shelf: Shelf, lock: Lock, registry: str | None, bases: list[str]) -> dict[str, tuple[dict[str, Any], str]]:
    """Say which layers the registry was given already: keys of bases and packages, descriptors and diff ids."""
    found: dict[str, tuple[dict[str, Any], str]] = {}
    for key in [*bases, *(large(shelf, lock) if lock.layered else ())]:
        note = _known(shelf, key, registry) or {}
        keys = note.get("keys", [])
        if keys == ([key] if key not in bases else bases[: len(keys)]):
            found |= zip(keys, zip(note["layers"], note["diff_ids"], strict=True), strict=True) if keys else ()
    return found


def _pushed(
    shelf: Shelf,
    lock: Lock,
    registries: Registries,
    variables: Mapping[str, str],
    *,
    bases: list[Part],
    known: Mapping[str, tuple[dict[str, Any], str]],
) -> dict[str, Any]:
    """Push the image, without the bytes of the base and packages that are `known`; return what is to be known of it."""
    parts = [*bases, *layers_of(shelf, lock)]
    layers = []
    with shelf.temporary(f"registry-{lock.image}") as home:
        blobs = home / "blobs/sha256"
        blobs.mkdir(parents=True)
        for part in parts:
            there, part.diff_id = known.get(part.key, (None, None))
            layers.append(there or _layer(blobs, part))
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
    where = {"repository": repository, "seen": time.time()}
    for part, layer in zip(parts[len(bases) :], layers[len(bases) :], strict=True):
        if part.key:
            note = {**where, "keys": [part.key], "layers": [layer], "diff_ids": [part.diff_id]}
            shelf.write(shelf.note("registry", part.key), note)
    keys, diff_ids = [part.key for part in parts], [part.diff_id for part in parts]
    return {**where, "digest": digest, "keys": keys, "layers": layers, "diff_ids": diff_ids}


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
