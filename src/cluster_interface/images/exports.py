"""Images written out for elsewhere, each loading or building to what runs here.

docker: what `docker load` and podman take. oci: an OCI image layout in a tar (image-layout.md 1.1), for skopeo, podman
and registries. apptainer: a definition beside a docker archive. dockerfile: a recipe with its locks, for those who
would rather build; a base that has no recipe (imported) goes along as an archive.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from typing import TYPE_CHECKING, Any

from cluster_interface.images import conda, sourced
from cluster_interface.images.archive import listing
from cluster_interface.images.faces.docker import configuration, pack, tag
from cluster_interface.images.faces.parts import Part
from cluster_interface.images.failures import PYTORCH
from cluster_interface.images.keys import EPOCH
from cluster_interface.images.layer import PLACE
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cluster_interface.images.shelf import Shelf
    from cluster_interface.model.plan import Lock

FORMS = ("docker", "oci", "apptainer", "dockerfile")
_OCI = "application/vnd.oci.image"
_DEFINITION = """Bootstrap: docker-archive
From: image.tar

%labels
    cluster-interface.key {key}

%runscript
    exec "$@"
"""

_R = """options(warn = 2)  # install.packages only warns of what failed
from_source <- function(url, md5) {
    file <- file.path(tempdir(), basename(url))
    download.file(url, file, quiet = TRUE)
    if (md5 != "-" && unname(tools::md5sum(file)) != md5) stop(url, " is not what was locked")
    install.packages(file, lib = Sys.getenv("R_LIBS"), repos = NULL, type = "source")
}
"""


def export(shelf: Shelf, lock: Lock, form: str, variables: Mapping[str, str], machine: str) -> Iterator[bytes]:
    """Yield an image of the store in one of FORMS, as one tar; Rejected for another form."""
    if form == "docker":
        return pack(lock, _parts(shelf, lock), there=0, machine=machine, variables=variables)
    if form == "oci":
        return _layout(shelf, lock, variables, machine)
    if form == "apptainer":
        return _apptainer(shelf, lock, variables, machine)
    if form == "dockerfile":
        return _recipe(shelf, lock, variables)
    raise Rejected.field("as", f"{form[:40]!r} is none of {', '.join(FORMS)}")


def _parts(shelf: Shelf, lock: Lock) -> list[Part]:
    root, env = shelf.base(lock.base) / "rootfs", shelf.layer(lock.image) / "env"
    parts = [Part(lambda: listing(root))]
    if lock.layered:
        parts.append(Part(lambda: listing(env, PLACE.strip("/"))))
    return parts


def _layout(shelf: Shelf, lock: Lock, variables: Mapping[str, str], machine: str) -> Iterator[bytes]:
    """Yield blobs named by their digests: each layer is read twice, since its name comes before its bytes."""
    parts = _parts(shelf, lock)
    layers = []
    for part in parts:
        size = sum(len(chunk) for chunk in part.stream(part.listed()))
        layers.append({"mediaType": f"{_OCI}.layer.v1.tar", "digest": part.diff_id, "size": size})
    config = json.dumps(configuration(lock, parts, machine, variables), sort_keys=True).encode()
    manifest: dict[str, Any] = {"schemaVersion": 2, "mediaType": f"{_OCI}.manifest.v1+json", "layers": layers}
    manifest["config"] = _descriptor(f"{_OCI}.config.v1+json", config)
    written = json.dumps(manifest, sort_keys=True).encode()
    named = {**_descriptor(f"{_OCI}.manifest.v1+json", written)}
    named["annotations"] = {"org.opencontainers.image.ref.name": tag(lock.image).partition(":")[2]}
    yield from _entry("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    yield from _entry("index.json", json.dumps({"schemaVersion": 2, "manifests": [named]}, sort_keys=True).encode())
    for blob in (config, written):
        yield from _entry(f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)
    for part, layer in zip(parts, layers, strict=True):
        yield _header(f"blobs/sha256/{str(layer['digest']).partition(':')[2]}", int(str(layer["size"])))
        yield from part.stream(part.listed())
        yield bytes(-int(str(layer["size"])) % 512)
    yield bytes(1024)


def _apptainer(shelf: Shelf, lock: Lock, variables: Mapping[str, str], machine: str) -> Iterator[bytes]:
    yield from _entry("image.def", _DEFINITION.format(key=lock.image).encode())
    parts = _parts(shelf, lock)
    size = sum(len(chunk) for chunk in pack(lock, parts, there=0, machine=machine, variables=variables))
    yield _header("image.tar", size)
    yield from pack(lock, parts, there=0, machine=machine, variables=variables)
    yield bytes(-size % 512) + bytes(1024)


# --- the recipe


def _recipe(shelf: Shelf, lock: Lock, variables: Mapping[str, str]) -> Iterator[bytes]:
    files: dict[str, bytes] = {}
    lines = [*_lines(shelf, lock, files), *(f"ENV {name}={_quoted(value)}" for name, value in variables.items())]
    yield from _entry("Dockerfile", ("\n".join(lines) + "\n").encode())
    for name, data in files.items():
        yield from _entry(name, data)
    if _ground(lock).startswith("import:"):
        base = listing(shelf.base(_innermost(lock).base) / "rootfs")
        part = Part(lambda: base)
        yield _header("base.tar", base.size)
        yield from part.stream(base)
        yield bytes(-base.size % 512)
    yield bytes(1024)


def _quoted(text: str) -> str:
    """Quote a value so that a Dockerfile takes it as it is."""
    return '"' + re.sub(r'(["\\$])', r"\\\1", text) + '"'


def _innermost(lock: Lock) -> Lock:
    return _innermost(lock.under) if lock.under else lock


def _ground(lock: Lock) -> str:
    inner = _innermost(lock)
    if inner.origin:
        return inner.origin
    if inner.dockerfile:
        return "dockerfile:"
    return f"debian:{inner.suite}-slim" if inner.suite else "import:"


def _lines(shelf: Shelf, lock: Lock, files: dict[str, bytes]) -> list[str]:
    if lock.under:
        lines = _lines(shelf, lock.under, files)
        name = f"setup-{lock.image[:12]}.sh"
        files[name] = f"{lock.setup}\n".encode()
        return [*lines, f"COPY {name} /tmp/{name}", f"RUN cd /tmp && /bin/sh -e /tmp/{name}"]
    return [*_base_lines(shelf, lock, files), *_layer_lines(shelf, lock, files)]


def _base_lines(shelf: Shelf, lock: Lock, files: dict[str, bytes]) -> list[str]:
    ground = _ground(lock)
    if ground == "import:":
        return ["FROM scratch", "ADD base.tar /", f"ENV PATH={PLACE}/bin:$PATH", "WORKDIR /job"]
    if ground == "dockerfile:":
        with tarfile.open(shelf.context(lock.dockerfile or "")) as archive:
            for member in archive:
                source = archive.extractfile(member)
                files[member.name] = source.read() if source else b""
        return [files.pop("Dockerfile").decode().rstrip(), f"ENV PATH={PLACE}/bin:$PATH", "WORKDIR /job"]
    lines = [f"FROM {ground}"]
    if lock.suite and lock.as_of:
        day = f"http://snapshot.debian.org/archive/debian/{lock.as_of.replace('-', '')}T000000Z"
        apt = f"deb [check-valid-until=no] {day} {lock.suite} main"
        lines += [f"RUN rm -f /etc/apt/sources.list.d/* && echo '{apt}' >/etc/apt/sources.list"]
    if lock.suite:
        more = ["python3-venv", "python3-pip"] if lock.requirements else []
        wanted = " ".join(sorted({*lock.system, *more}))
        install = f"apt-get update && apt-get install -y --no-install-recommends {wanted}"
        lines += [f"RUN {install} && rm -rf /var/lib/apt/lists/*"]
        lines += [f"# {reason}" for reason in lock.why]
        lines += ["RUN ln -sf python3 /usr/bin/python"]
    return [*lines, f"ENV PATH={PLACE}/bin:$PATH LANG=C.UTF-8", "WORKDIR /job"]


def _layer_lines(shelf: Shelf, lock: Lock, files: dict[str, bytes]) -> list[str]:
    lines = []
    if lock.conda:
        files["conda.lock"] = lock.conda.encode()
        files["explicit.txt"] = conda.explicit(lock.conda).encode()
        lines += [
            "COPY --from=mambaorg/micromamba:2 /bin/micromamba /usr/local/bin/micromamba",
            "COPY explicit.txt /tmp/",
        ]
        lines += [f"RUN micromamba create --yes --prefix {PLACE} --file /tmp/explicit.txt", f"ENV CONDA_PREFIX={PLACE}"]
    if lock.r:
        library = f"{PLACE}/lib/R/library"
        files["packages.R"] = (_R + "".join(_installed(line) for line in lock.r)).encode()
        lines += [f"RUN mkdir -p {library}", f"ENV R_LIBS={library}"]
        lines += ["COPY packages.R /tmp/", "RUN Rscript /tmp/packages.R"]
    if lock.requirements:
        files["requirements.txt"] = lock.requirements.encode()
        lines += ["COPY requirements.txt /tmp/"]
        python = f"{PLACE}/bin/python"
        # pip is no part of conda's Python, but ensurepip is
        lines += [
            f"RUN {python} -m pip --version || {python} -m ensurepip" if lock.conda else f"RUN python3 -m venv {PLACE}"
        ]
        asked = [*lock.indexes, *([f"https://{PYTORCH}/whl/{lock.torch}"] if lock.torch else [])]
        indexes = "".join(f" --extra-index-url {url}" for url in asked)
        if made := {f"wheels/{name}": data for name, data in sourced.wheels(shelf, lock.requirements).items()}:
            files |= made
            lines += ["COPY wheels /tmp/wheels"]
            indexes += " --find-links /tmp/wheels"
        lines += [f"RUN {python} -m pip install --no-deps --require-hashes{indexes} -r /tmp/requirements.txt"]
    return lines


def _installed(line: str) -> str:
    _, _, url, md5 = line.split()
    return f"from_source({json.dumps(url)}, {json.dumps(md5)})\n"


# --- pieces of a tar


def _descriptor(media: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media, "digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}


def _entry(name: str, data: bytes) -> Iterator[bytes]:
    yield _header(name, len(data)) + data + bytes(-len(data) % 512)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, EPOCH
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
