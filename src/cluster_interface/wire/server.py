"""The server itself: queues, who asks, what is wrong."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from cluster_interface.model.base import Model


class QueueView(Model):
    """One queue. What is null is not known."""

    name: str
    scheduler: str = "local"
    cpus: int
    memory: int
    time: int | None
    default_cpus: int | None = None
    default_memory: int | None = None
    default_time: int | None = None
    gpus: int = 0
    gpu_types: tuple[str, ...] = ()
    nodes: int = 1
    features: tuple[str, ...] | None = None
    licenses: tuple[str, ...] | None = None
    accounts: tuple[str, ...] | None = None
    qos: tuple[str, ...] | None = None
    reservations: tuple[str, ...] | None = None
    runtimes: tuple[str, ...] = ()
    why_not: str = ""
    state: str = ""


class QueueList(Model):
    """GET /queues."""

    queues: tuple[QueueView, ...]


class Me(Model):
    """GET /me."""

    name: str
    account: str
    uid: int
    version: str
    used: int = Field(default=0, description="bytes that your jobs hold; of those that have not ended, what was staged")
    quota: int | None = Field(default=None, description="bytes that they may hold; null: any amount")
    kept_days: int | None = Field(default=None, description="after a job's end its files are kept; null: for good")


class Finding(Model):
    """One line of the doctor's report."""

    about: str
    good: bool
    says: str
    advice: str = ""


class Setting(Model):
    """One setting, and where its value came from."""

    name: str
    value: str
    origin: str


class DoctorReport(Model):
    """GET /admin/doctor."""

    findings: tuple[Finding, ...]
    settings: tuple[Setting, ...]


class UiLink(Model):
    """POST /ui-links: a link that opens the pages once, within a minute."""

    url: str


class ProblemField(Model):
    """One bad field."""

    field: str
    message: str


class ProblemDocument(Model):
    """RFC 9457: what every error answer looks like."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: tuple[ProblemField, ...] = ()
    extra: dict[str, Any] = {}
