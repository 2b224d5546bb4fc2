"""A Dockerfile that a job brings, built by the engine's BuildKit, or by buildah where there is no engine.

The context is the Dockerfile and the job's own small files, kept by digest when the job was planned. The result is
taken as a base and forgotten by the engine. Format: POST /build of the Docker Engine API 1.41, `version=2`: BuildKit.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING

from cluster_interface.images import failures, oci
from cluster_interface.images.commands import environment, run
from cluster_interface.images.faces.engine import BuildFailed
from cluster_interface.images.keys import EPOCH
from cluster_interface.images.unpack import unpack
from cluster_interface.model.errors import Rejected, Transient
from cluster_interface.model.resources import MIB, show_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cluster_interface.images.faces.engine import Engine
    from cluster_interface.images.unpack import Limits
    from cluster_interface.settings import Images

LARGEST_CONTEXT = 64 * MIB
_FIELD = "environment.dockerfile"
_FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE | re.MULTILINE)
_COPIED_FROM = re.compile(r"\bfrom=([^\s,]+)", re.IGNORECASE)  # of COPY, and of RUN's mounts
_DIRECTIVE = re.compile(r"^#\s*(syntax|escape)\s*=\s*(\S*)", re.IGNORECASE | re.MULTILINE)
_SYNTAX = re.compile(r"(docker\.io/)?docker/dockerfile(:[\w.-]+)?")
_COMMENT = re.compile(r"^[ \t]*#.*(?:\r?\n|\Z)|^[ \t]*\r?\n", re.MULTILINE)
_CONTINUED = re.compile(r"\\[ \t]*\r?\n")
_ADD = re.compile(r"^\s*(?:ONBUILD\s+)?ADD\b.*", re.IGNORECASE | re.MULTILINE)
_ELSEWHERE = re.compile(r"://|\$|\\|@")


def check(text: str, settings: Images) -> None:
    """Refuse a Dockerfile that would have the engine take something from where the site does not allow.

    Read as BuildKit reads it: comments and empty lines are gone before lines are joined. Rejected in words.
    """
    if not settings.dockerfiles:
        raise Rejected.field(_FIELD, "Dockerfiles are not built here (images.dockerfiles)")
    for name, value in _DIRECTIVE.findall(text):
        if name.lower() == "escape" or not _SYNTAX.fullmatch(value):
            raise Rejected.field(_FIELD, f"# {name}={value[:60]}: this directive is not taken here; leave it out")
    text = _CONTINUED.sub("", _COMMENT.sub("", text))
    for line in _ADD.findall(text):
        if _ELSEWHERE.search(line):
            words = "ADD takes the job's own files only; name what is elsewhere in the job's files"
            raise Rejected.field(_FIELD, f"{line.strip()[:80]}: {words}")
    stages: set[str] = {"scratch"}
    for image, name in _FROM.findall(text):
        _check_image(image, stages, settings)
        stages.add(name.lower())
    for image in _COPIED_FROM.findall(text):
        if not image.isdigit():
            _check_image(image.strip("\"'"), stages, settings)
    if not _FROM.search(text):
        raise Rejected.field(_FIELD, "has no FROM line")


def _check_image(image: str, stages: set[str], settings: Images) -> None:
    if image.lower() in stages:
        return
    if "$" in image:
        raise Rejected.field(_FIELD, f"FROM {image}: write the image's name out, without variables")
    oci.full(image, settings, _FIELD)


def context(dockerfile: str, files: Mapping[str, bytes]) -> bytes:
    """Make the context, the same byte for byte each time; Rejected if it is too large."""
    if (size := sum(map(len, files.values()))) > LARGEST_CONTEXT:
        words = f"the job's files together are {show_bytes(size)}; a Dockerfile may copy {show_bytes(LARGEST_CONTEXT)}"
        raise Rejected.field(_FIELD, words)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in sorted({**files, "Dockerfile": files[dockerfile]}.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(data), EPOCH, 0o755 if data.startswith(b"#!") else 0o644
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def key_of(data: bytes) -> str:
    """Name a context."""
    return hashlib.sha256(data).hexdigest()


def build(
    data: bytes, root: Path, engine: Engine, settings: Images, limits: Limits, *, home: Path, log: Path
) -> tuple[int, dict[str, str]]:
    """Build it into `root`; return the bytes of its files and its variables. Permanent or Transient, in words."""
    try:
        return _with_engine(data, root, engine, settings, limits, home=home, log=log)
    except Transient:
        if shutil.which("buildah"):
            return _with_buildah(data, root, settings, limits, home=home, log=log)
        raise failures.image_failed(
            "Dockerfiles need a Docker engine or buildah on the server, and there is neither"
        ) from None


def _with_engine(
    data: bytes, root: Path, engine: Engine, settings: Images, limits: Limits, *, home: Path, log: Path
) -> tuple[int, dict[str, str]]:
    tag = f"cluster-interface/build:{key_of(data)[:24]}"
    try:
        engine.build(data, tag, network="host" if settings.build_network else "none", log=log)
    except BuildFailed as error:
        raise failures.of_dockerfile(str(error)) from None
    place = home / "saved"
    place.mkdir()
    try:
        with engine.save(tag) as stream:
            unpack(stream, place, limits)
        return oci.take_saved(place, root, limits)
    finally:
        with suppress(Transient):
            engine.remove(tag)


def _with_buildah(
    data: bytes, root: Path, settings: Images, limits: Limits, *, home: Path, log: Path
) -> tuple[int, dict[str, str]]:
    place, storage = home / "context", home / "storage"
    place.mkdir()
    unpack(io.BytesIO(data), place, limits)
    environ = {**environment(settings, home), "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
    here = [f"--root={storage}", f"--runroot={home / 'runroot'}", "--storage-driver=vfs"]
    network = "host" if settings.build_network else "none"
    for argv in (
        ["bud", "--isolation=chroot", f"--network={network}", "--layers=false", "--tag=built", str(place)],
        ["push", "--quiet", "built", f"dir:{home / 'pushed'}"],
    ):
        answer, ended = run(["buildah", *here, *argv], environ=environ, log=log, timeout=settings.timeout)
        if ended.code != 0:
            raise failures.of_dockerfile(answer + ended.words)
    return oci.take_directory(home / "pushed", root, limits)
