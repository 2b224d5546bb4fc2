"""Images made elsewhere: an image of a registry, or what a Dockerfile made, as a base of this store.

Layers are applied in order, by our own checks (unpack.py): files, directories and links; whiteouts take away.
Formats: OCI Image Specification 1.1 (layer.md, config.md); skopeo's `dir:`; Docker Image Specification 1.2 (save).
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from cluster_interface.images import failures
from cluster_interface.images.commands import environment, run
from cluster_interface.images.tree import Tree, Unsafe, inside
from cluster_interface.images.unpack import Limits, opened, unpack
from cluster_interface.model.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from cluster_interface.settings import Images

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_DEFAULT = "docker.io"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def full(reference: str, settings: Images, field: str) -> str:
    """Write a reference out: host, path, and tag or digest; Rejected for a registry that the site does not allow."""
    reference = reference.removeprefix("docker://")
    host, slash, _ = reference.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        reference = f"{_DEFAULT}/{reference if slash else f'library/{reference}'}"
        host = _DEFAULT
    if host not in settings.registries:
        raise Rejected.field(
            field, f"images of {host} are not allowed here; the site allows {', '.join(settings.registries)}"
        )
    name, at, digest = reference.partition("@")
    if at:  # a tag beside a digest says nothing
        return f"{_untagged(name)}@{digest}"
    return reference if ":" in name.rpartition("/")[2] else f"{reference}:latest"


def pin(reference: str, registries: Registries) -> str:
    """Ask the registry which image a reference means now, and return it by digest; Permanent or Transient in words."""
    if "@" in reference:
        return reference
    answer = registries.inspect(reference).strip()
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", answer):
        raise failures.image_failed(f"the registry does not say which image {reference} is: {answer[:200]!r}")
    return f"{_untagged(reference)}@{answer}"


def pull(reference: str, root: Path, registries: Registries, limits: Limits) -> tuple[int, dict[str, str]]:
    """Bring an image by digest into `root`; return the bytes of its files and its variables."""
    place = registries.home / "pulled"
    registries.copy(reference, place)
    return take_directory(place, root, limits)


def take_directory(place: Path, root: Path, limits: Limits) -> tuple[int, dict[str, str]]:
    """Apply what skopeo wrote as `dir:`."""
    manifest = json.loads((place / "manifest.json").read_bytes())
    layers = [place / layer["digest"].partition(":")[2] for layer in manifest["layers"]]
    config = place / manifest["config"]["digest"].partition(":")[2]
    size = apply(layers, root, limits)
    return size, _variables(json.loads(config.read_bytes()))


def take_saved(place: Path, root: Path, limits: Limits) -> tuple[int, dict[str, str]]:
    """Apply what an engine wrote as `docker save`, unpacked in a directory."""
    (manifest,) = json.loads((place / "manifest.json").read_bytes())
    layers = [found for name in manifest["Layers"] if (found := inside(place, name))]
    config = inside(place, manifest["Config"])
    if len(layers) != len(manifest["Layers"]) or config is None:
        raise failures.image_failed("the engine's archive of the image is not whole")
    size = apply(layers, root, limits)
    return size, _variables(json.loads(config.read_bytes()))


def _is_not_kept(name: str) -> bool:
    return name.startswith("dev/") or name.rpartition("/")[2].startswith(_WHITEOUT)


def apply(layers: Iterable[Path], root: Path, limits: Limits, leave_out: Callable[[str], bool] = _is_not_kept) -> int:
    """Apply layers in order to a directory; return how many bytes were written. Rejected if one is unsafe."""
    size = 0
    for layer in layers:
        with opened(layer) as stream:
            _take_away(stream, root)
        with opened(layer) as stream:
            left = Limits(size=limits.size - size, entries=limits.entries)
            size += unpack(stream, root, left, leave_out=leave_out, through_links=True)
    return size


def _take_away(stream: IO[bytes], root: Path) -> None:
    """Remove what a layer says is gone, and the directories that it has files in place of."""
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive, Tree(root, through_links=True) as tree:
            for member in archive:
                archive.members.clear()  # type: ignore[attr-defined]  # as in unpack
                directory, _, last = member.name.removeprefix("./").rpartition("/")
                if last == _OPAQUE:
                    tree.remove(directory, content_only=True)
                elif last.startswith(_WHITEOUT):
                    gone = last.removeprefix(_WHITEOUT)
                    tree.remove(f"{directory}/{gone}" if directory else gone)
                elif not member.isdir() and member.name.strip("./"):
                    tree.remove(member.name, directories_only=True)
    except Unsafe as error:
        raise Rejected.field("environment.image", f"not taken: {error}") from None
    except tarfile.TarError as error:
        raise Rejected.field("environment.image", f"has a damaged layer: {error}") from None


def _variables(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of an image's configuration; strange ones are left out."""
    pairs = (entry.split("=", 1) for entry in (config.get("config") or {}).get("Env") or () if "=" in entry)
    return {name: value for name, value in pairs if _NAME.fullmatch(name) and not set("\0\r\n") & set(value)}


def _untagged(name: str) -> str:
    path, slash, last = name.rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}"


@dataclass(frozen=True)
class Registries:
    """How registries are spoken to while something is made."""

    settings: Images
    machine: str
    home: Path
    log: Path

    def inspect(self, reference: str) -> str:
        """Ask for an image's digest."""
        options = ["--tls-verify=false"] if self._insecure(reference) else []
        return self._skopeo(
            ["inspect", "--no-tags", "--format={{.Digest}}", *options, f"docker://{reference}"], reference
        )

    def copy(self, reference: str, place: Path) -> None:
        """Bring an image into a directory."""
        options = ["--src-tls-verify=false"] if self._insecure(reference) else []
        self._skopeo(["copy", "--quiet", *options, f"docker://{reference}", f"dir:{place}"], reference)

    def push(self, layout: Path, reference: str) -> str:
        """Push the one image of an OCI layout and return its digest; a layer that is there already is not read."""
        said = self.home / "digest"
        options = ["--dest-tls-verify=false"] if self._insecure(reference) else []
        words = ["copy", "--quiet", f"--digestfile={said}", *options, f"oci:{layout}", f"docker://{reference}"]
        self._skopeo(words, reference, failures.of_push)
        return said.read_text().strip()

    def _insecure(self, reference: str) -> bool:
        return reference.partition("/")[0] in self.settings.insecure_registries

    def _skopeo(
        self,
        words: list[str],
        reference: str,
        failed: Callable[[str, str], Exception] = failures.of_registry,
    ) -> str:
        which = ["--override-os=linux", f"--override-arch={_ARCHITECTURES.get(self.machine, self.machine)}"]
        login = [f"--authfile={self.settings.registry_auth}"] if self.settings.registry_auth else []
        argv = ["skopeo", "--insecure-policy", f"--tmpdir={self.home}", *which, words[0], *login, *words[1:]]
        environ = environment(self.settings, self.home)
        if shutil.which("skopeo") is None:
            raise failures.image_failed("images of registries need skopeo on the server: install skopeo")
        answer, ended = run(argv, environ=environ, log=self.log, timeout=self.settings.timeout)
        if ended.code != 0:
            raise failed(ended.words, reference)
        return answer
