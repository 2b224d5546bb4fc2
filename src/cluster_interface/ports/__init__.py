"""What the inside asks of the outside world: one Protocol per kind of thing.

Adapters raise Transient where the outcome is unknown, Permanent where it can never work, Rejected where
the caller asked for something wrong. Nothing here writes to the database.
"""

from __future__ import annotations

from cluster_interface.ports.files import (
    Form,
    Layout,
    Listed,
    LogPart,
    Report,
    Repository,
    StagedFile,
    Stager,
    Upload,
    Uploads,
)
from cluster_interface.ports.images import Baked, Face, ImageDetail, ImageInfo, ImageRef, ImageStore, Pruned
from cluster_interface.ports.people import Clock, Identity
from cluster_interface.ports.runtimes import Mount, Run, Runtime
from cluster_interface.ports.schedulers import UNSEEN, Handle, NativeState, Observation, Order, Scheduler, Site, Waiting
from cluster_interface.ports.works import Work, Works, WorkState

__all__ = [
    "UNSEEN",
    "Baked",
    "Clock",
    "Face",
    "Form",
    "Handle",
    "Identity",
    "ImageDetail",
    "ImageInfo",
    "ImageRef",
    "ImageStore",
    "Layout",
    "Listed",
    "LogPart",
    "Mount",
    "NativeState",
    "Observation",
    "Order",
    "Pruned",
    "Report",
    "Repository",
    "Run",
    "Runtime",
    "Scheduler",
    "Site",
    "StagedFile",
    "Stager",
    "Upload",
    "Uploads",
    "Waiting",
    "Work",
    "WorkState",
    "Works",
]
