"""The files a job expects, as a mapping from relative names to where their bytes come from."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from pydantic import Field, field_validator, model_validator

from cluster_interface.model.base import Model

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_NAME = 255  #: bytes of one path component: NAME_MAX of ext4, XFS and NFS
LONGEST_PATH = 1024  #: bytes of a relative path, well below PATH_MAX once a workspace stands before it
SCHEMES = ("upload", "file", "http", "https", "site", "job", "doi", "git", "s3", "sftp")

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Mode(StrEnum):
    """How a staged file appears in the task's directory."""

    AUTO = "auto"  #: copied where that is small, else linked
    COPY = "copy"
    LINK = "link"


class FileEntry(Model):
    """One entry: a file with a source or inline content, or (name ending in `/`) a directory."""

    source: str | None = Field(default=None, description="upload:ID, file:/path, https://…, http://…")
    content: str | None = Field(default=None, description="the file's text itself")
    sha256: str | None = None
    size: int | None = Field(default=None, ge=0)
    mode: Mode = Mode.AUTO
    executable: bool = False

    @field_validator("source")
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if any(ord(c) < 32 for c in value):
            raise ValueError("has a control character in it")
        scheme, _, rest = value.partition(":")
        if scheme not in SCHEMES or not rest:
            raise ValueError(f"{value!r} is not a source; write {', '.join(f'{s}:…' for s in SCHEMES)}")
        return value

    @field_validator("sha256")
    @classmethod
    def _hex(cls, value: str | None) -> str | None:
        if value is not None and not _SHA256.fullmatch(value):
            raise ValueError("is not a SHA-256: 64 lower-case hexadecimal digits")
        return value

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.source is not None and self.content is not None:
            raise ValueError("has both a source and content; give one")
        return self


def check_name(name: str) -> str:
    """Return `name` if it is a safe relative path (a directory ends in `/`); raise ValueError otherwise."""
    path = name.removesuffix("/")
    if not path or path.startswith("/"):
        raise ValueError(f"{name!r}: write a path relative to the job's directory")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name) or "\\" in name:
        raise ValueError(f"{name!r} has a control character or a backslash in it")
    if len(name.encode()) > LONGEST_PATH:
        raise ValueError(f"{name[:40]!r}… is longer than {LONGEST_PATH} bytes")
    for part in path.split("/"):
        if part in ("", ".", ".."):
            raise ValueError(f"{name!r}: `{part or '//'}` is not allowed in a path")
        if len(part.encode()) > LONGEST_NAME:
            raise ValueError(f"{part[:40]!r}… is longer than {LONGEST_NAME} bytes")
    return name


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError where two names collide: a file that is also a directory, or alike but for case or form."""
    seen: dict[str, str] = {}
    files: set[str] = set()
    for name in names:
        check_name(name)
        alike = unicodedata.normalize("NFC", name.removesuffix("/")).casefold()
        if alike in seen:
            raise ValueError(f"{name!r} and {seen[alike]!r} are the same name on some filesystems; rename one")
        seen[alike] = name
        if not name.endswith("/"):
            files.add(name)
    for name in seen.values():
        parts = name.removesuffix("/").split("/")
        for depth in range(1, len(parts)):
            if (above := "/".join(parts[:depth])) in files:
                raise ValueError(f"{above!r} is a file and also the directory of {name!r}")
