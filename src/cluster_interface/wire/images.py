"""Images and their builds."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from cluster_interface.model.base import Model
from cluster_interface.model.jobspec import Environment
from cluster_interface.model.plan import Lock
from cluster_interface.model.resources import Seconds

_BASE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class ImageView(Model):
    """One image or base."""

    key: str
    kind: str
    name: str
    created: float
    size: int
    packages: tuple[str, ...]
    base: str | None
    faces: tuple[str, ...]
    used: float = 0.0
    imported: bool = False


class ImageShow(Model):
    """GET /images/{key}."""

    image: ImageView
    lock: Lock
    sizes: dict[str, int]  #: base, layer and the files made of them -> bytes
    jobs: tuple[str, ...]  #: those that have not ended and need it


class PruneRequest(Model):
    """POST /images/prune: what goes; what a job needs that has not ended never does."""

    older_than: Seconds = Field(default=30 * 86400, description="not used for so long")
    larger_than: int = Field(default=0, ge=0, description="bytes")
    keep: int = Field(default=0, ge=0, description="how many of those that were used last stay in any case")
    dry_run: bool = False


class PruneView(Model):
    """What went (with `dry_run`: would go), and what could not."""

    images: tuple[ImageView, ...]
    packages: int = 0  #: installed packages that no image had any more
    wheels: int = 0  #: wheels made of sources, which nothing needs any more
    left: tuple[str, ...] = ()  #: what could not go now, and why
    unfinished: bool = False  #: time was over: ask again


class BuildRequest(Model):
    """POST /images/builds: an environment that is built before a job asks for it."""

    environment: Environment
    files: dict[str, str] = Field(default={}, description="the texts of files that it names")


class BuildView(Model):
    """A build that was asked for."""

    id: str
    state: Literal["running", "done", "failed"]
    note: str = ""
    image: str | None = None  #: its key
    error: str | None = None


class ImageList(Model):
    """GET /images."""

    images: tuple[ImageView, ...]


class ImportBaseRequest(Model):
    """POST /images/bases: an upload that holds a root filesystem (tar, perhaps compressed)."""

    upload: str
    name: str = Field(description="small letters, digits, `.`, `_` and `-`, at most 64")

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not _BASE_NAME.fullmatch(value):
            raise ValueError(f"{value[:80]!r}: write small letters, digits, `.`, `_` and `-`, such as rocky-9")
        return value
