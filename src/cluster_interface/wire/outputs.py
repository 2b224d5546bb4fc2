"""Outputs: listed, browsed, previewed, shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from cluster_interface.model.base import Model
from cluster_interface.model.resources import Seconds

if TYPE_CHECKING:
    from cluster_interface.model.job import Link, OutputFile


class OutputView(Model):
    """One output."""

    path: str
    size: int
    sha256: str
    task: int
    partial: bool
    type: str = Field(default="", description="media type by content and name; empty: not known")
    executable: bool = Field(default=False, description="it is a program: who fetches it may execute it")
    place: str = Field(default="", description="its path among all outputs: in a sweep, below its task's number")

    @classmethod
    def of(cls, output: OutputFile, *, by_task: bool = False) -> OutputView:
        """Show an output."""
        return cls(**vars(output), place=output.place(by_task=by_task))


class OutputList(Model):
    """GET /jobs/{id}/outputs."""

    outputs: tuple[OutputView, ...]


class FolderEntry(Model):
    """A folder in a folder, with all that is below it."""

    name: str
    place: str
    files: int
    size: int = Field(description="bytes")


class FolderView(Model):
    """GET /jobs/{id}/browse?place=&start=&limit=: one page of a folder, folders first."""

    place: str
    folders: tuple[FolderEntry, ...]
    outputs: tuple[OutputView, ...]
    entries: int = Field(description="in this folder, on all pages")
    next: int | None = Field(description="pass it as ?start= for the following page")


class PreviewPart(Model):
    """A piece of a notebook, or a sheet of a workbook."""

    kind: Literal["markdown", "code", "output", "error", "image", "note", "sheet"]
    text: str = ""
    image: str = Field(default="", description="a data: URL of a PNG or JPEG")
    rows: tuple[tuple[str, ...], ...] = ()


class PreviewView(Model):
    """GET /jobs/{id}/preview/{path}: what can be looked at of an output, as text and rows: nothing in it is markup."""

    kind: Literal["text", "table", "image", "pdf", "parts", "none"]
    type: str
    size: int = Field(description="bytes of the whole file")
    text: str = ""
    offset: int = Field(default=0, description="where the text begins, in bytes")
    length: int = Field(default=0, description="bytes that the text is made of")
    rows: tuple[tuple[str, ...], ...] = ()
    parts: tuple[PreviewPart, ...] = ()
    note: str = Field(default="", description="what is not shown, and why")


class ShareRequest(Model):
    """POST /jobs/{id}/links."""

    path: str = Field(default="", description="a file or a folder among the outputs; empty: all of them")
    expires: Seconds = Field(default=7 * 86400, description="seconds from now, or a text such as 7d")
    most: int | None = Field(default=None, ge=1, le=1_000_000, description="downloads; null: any number")


class LinkView(Model):
    """One link. Its address is known only to whom it was given when it was made."""

    id: str
    job: str
    path: str
    created: float
    expires: float
    most: int | None
    downloads: int
    used: float | None
    url: str = Field(default="", description="the address, only in the answer that makes the link")

    @classmethod
    def of(cls, link: Link) -> LinkView:
        """Show a link."""
        return cls(**{name: value for name, value in vars(link).items() if name != "owner"})


class LinkList(Model):
    """GET /jobs/{id}/links: those that are still good, the newest first."""

    links: tuple[LinkView, ...]
