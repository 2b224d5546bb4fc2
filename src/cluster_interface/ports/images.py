"""Images and where they are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

from cluster_interface.model.job import nobody_hears

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from cluster_interface.model.jobspec import Environment
    from cluster_interface.model.plan import Lock
    from cluster_interface.ports.files import Report


class Face(StrEnum):
    """The forms in which runtimes take an image."""

    DIRECTORY = "directory"
    DOCKER = "docker"
    ARCHIVE = "archive"
    REGISTRY = "registry"
    SQUASHFS = "squashfs"


@dataclass(frozen=True, kw_only=True)
class ImageRef:
    """An image a runtime can start.

    directory: `rootfs` is the base's directory and `layer` (or None) is mounted read-only at /opt/env.
    docker: `tag` names an image that the server's own engine has, base and layer together.
    archive: `archives` are what a node's engine loads, in this order, to have `tag`: each what is new to the last.
    registry: `pulled` names, by digest, what a node's engine pulls to have `tag`.
    squashfs: `file` is one file with base and layer.
    """

    key: str
    face: Face
    rootfs: Path | None = None
    layer: Path | None = None
    tag: str | None = None
    archives: tuple[Path, ...] = ()
    pulled: str | None = None
    file: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)  #: what the image sets in its programs' environment


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """One image or base of the store, for people."""

    key: str
    kind: Literal["base", "image"]
    name: str
    created: float
    size: int  #: bytes on disk, of its own layer
    packages: tuple[str, ...] = ()
    base: str | None = None
    faces: tuple[str, ...] = ()
    used: float = 0.0  #: when last, to the hour
    imported: bool = False  #: a base that cannot be made again here


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What made room, and what did not."""

    images: tuple[ImageInfo, ...]
    packages: int = 0  #: installed ones, which no image had any more
    wheels: int = 0  #: made of sources, which no image or job names
    left: tuple[str, ...] = ()  #: what could not go now, and why
    unfinished: bool = False  #: time was over


@dataclass(frozen=True, kw_only=True)
class ImageDetail:
    """All that is known of one image or base."""

    info: ImageInfo
    lock: Lock
    sizes: Mapping[str, int] = field(default_factory=dict)  #: face or base -> bytes on disk


@dataclass(frozen=True, kw_only=True)
class Baked:
    """What is put into an image over its layers: a file, a link, or (name ending in `/`) a directory."""

    path: str  #: below the image's root
    size: int = 0
    mode: int = 0o644
    open: Callable[[], BinaryIO] | None = None
    target: str | None = None  #: of a symbolic link


class ImageStore(Protocol):
    """Content-addressed images; what is there is never rewritten, and all of it can be rebuilt."""

    def find_lock(
        self,
        environment: Environment,
        requirements: str,
        files: Mapping[str, bytes] | None = None,
        *,
        gpus: bool = True,
    ) -> Lock | None:
        """Return the lock of an environment resolved before, at once and without the network; None if never."""

    def resolve(
        self,
        environment: Environment,
        requirements: str,
        files: Mapping[str, bytes] | None = None,
        *,
        gpus: bool = True,
        report: Report = nobody_hears,
    ) -> Lock:
        """Resolve and keep the lock; `files` are the job's small files where its environment wants them.

        May take long and use the network. Permanent(image_failed) in words.
        """

    def find(self, lock: Lock, face: Face, *, unchecked: bool = False) -> ImageRef | None:
        """Return the image if it is ready in this face, at once; None if it must be built.

        A registry may lose what was pushed to it: after an hour `build` looks, unless `unchecked` will do.
        """

    def build(self, lock: Lock, face: Face, report: Report) -> ImageRef:
        """Build what is missing, once however many ask at the same moment. Permanent(image_failed) in words."""

    def capsule(
        self, lock: Lock, baked: Sequence[Baked], config: Mapping[str, Any], name: str
    ) -> Iterator[bytes] | None:
        """Stream an image that is there as `docker load` takes it, more baked into it; None if it must be built.

        `config` is what its configuration says beside the usual, `name` what an engine will call it.
        """

    def images(self) -> list[ImageInfo]:
        """List bases and images, newest first."""

    def detail(self, key: str) -> ImageDetail:
        """Describe one image or base by its key, or how that begins; NotFound."""

    def sbom(self, key: str) -> dict[str, Any]:
        """Return its bill of materials (CycloneDX 1.6); NotFound."""

    def export(self, key: str, form: str) -> Iterator[bytes]:
        """Stream it for elsewhere: docker, oci, apptainer or dockerfile, as one tar. NotFound, Rejected."""

    def prune(self, used: Collection[str], *, older_than: float, larger_than: int, keep: int, dry_run: bool) -> Pruned:
        """Remove images that are not among the `used` keys, and say what went (or would go) and what could not.

        Waits for nobody, and ends after about a minute: `unfinished` then.
        """

    def keys(self, lock: Lock) -> set[str]:
        """Name every image and base that a lock needs."""

    def import_base(self, archive: Path, name: str) -> ImageInfo:
        """Take a root filesystem made elsewhere as a base; Rejected if it is none."""

    def log(self, key: str) -> str:
        """Return the log of the last build of an image or base by its key, or how that begins; NotFound."""
