"""File trees, uploads, credentials and shared data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from cluster_interface.model.base import Model
from cluster_interface.model.filetree import IN_ARCHIVE, FileEntry
from cluster_interface.wire.server import ProblemField

if TYPE_CHECKING:
    from cluster_interface.model.credential import Credential
    from cluster_interface.model.plan import SourceInfo
    from cluster_interface.ports import Listed


class ConvertRequest(Model):
    """POST /files/convert: a tree in any form: a document, its text, or the texts of a BagIt bag."""

    document: Any = Field(default=None, description="the JSON itself")
    text: str | None = Field(default=None, description="JSON or YAML")
    manifest: str | None = Field(default=None, description="manifest-sha256.txt of a BagIt bag")
    fetch: str | None = Field(default=None, description="fetch.txt of a BagIt bag")


class SourceView(Model):
    """What is known of one input."""

    path: str
    source: str
    size: int | None = Field(description="bytes")
    sha256: str | None
    entries: int | None = Field(description="of a directory")
    pinned: bool

    @classmethod
    def of(cls, info: SourceInfo) -> SourceView:
        """Show what a plan would hold."""
        names = ("path", "source", "size", "sha256", "entries", "pinned")
        return cls(**{name: getattr(info, name) for name in names})


class RepositoryRequest(Model):
    """POST /files/repository."""

    source: str = Field(max_length=2048, description="git:URL, or git:URL@REVISION: a branch, a tag or a commit")

    @field_validator("source")
    @classmethod
    def _git(cls, value: str) -> str:
        if not value.startswith("git:") or IN_ARCHIVE in value:
            raise ValueError("write git:https://host/path or git:https://host/path@revision")
        return value


class RepositoryView(Model):
    """The tree of one commit: as a job would have it, and its texts for POST /inspect."""

    source: str = Field(description="git:URL@COMMIT")
    files: dict[str, FileEntry]
    texts: dict[str, str | None] = Field(description="of the files; null: not text, or too large")
    left_out: dict[str, str] = Field(description="what no job can have, and why")


class TreeReport(Model):
    """POST /files/check: the sources on this server, and what is wrong with any entry."""

    sources: tuple[SourceView, ...]
    problems: tuple[ProblemField, ...]
    complete: bool = Field(description="false: to look at all of them would have taken too long")


class DirectoryEntry(Model):
    """One entry of a directory of the server's filesystem."""

    name: str
    kind: str = Field(description="file, directory, link or other")
    size: int = Field(description="bytes")
    modified: float

    @classmethod
    def of(cls, entry: Listed) -> DirectoryEntry:
        """Show an entry."""
        return cls(**vars(entry))


class DirectoryPage(Model):
    """GET /files/list: a part of a directory; `next` is what the following part comes after."""

    entries: tuple[DirectoryEntry, ...]
    next: str | None


class KnownFile(Model):
    """A file that may have been sent before."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class KnownRequest(Model):
    """POST /uploads/known."""

    files: tuple[KnownFile, ...] = Field(max_length=10_000)


class KnownUpload(Model):
    """An earlier upload of yours with these bytes; go on from `offset` where that is less than its size."""

    sha256: str
    upload: str
    offset: int


class KnownUploads(Model):
    """Those that there are."""

    uploads: tuple[KnownUpload, ...]


class CredentialView(Model):
    """A credential, without what is secret in it."""

    name: str
    kind: str
    match: str
    shown: dict[str, str] = Field(description="its parts that are no secret, such as the user name")
    created: float

    @classmethod
    def of(cls, credential: Credential, created: float) -> CredentialView:
        """Show a credential."""
        parts = {name: getattr(credential, name) for name in ("name", "kind", "match", "shown")}
        return cls(**parts, created=created)


class CredentialList(Model):
    """All of a person's."""

    credentials: tuple[CredentialView, ...]


class SiteDataView(Model):
    """One data set that the site shares."""

    name: str
    source: str = Field(description="what a file entry says to have it, or a file in it below")
    path: str = Field(description="where it is on the cluster")
    version: str
    license: str
    description: str


class SiteDataList(Model):
    """What a person may read of it."""

    data: tuple[SiteDataView, ...]
