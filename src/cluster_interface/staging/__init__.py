"""Bring inputs to the job's directory and outputs from it; one guard for every network source."""

from __future__ import annotations

from cluster_interface.staging.acting import as_the_server
from cluster_interface.staging.sources import Keys
from cluster_interface.staging.uploads import UploadStore
from cluster_interface.staging.workspace import Workspace

__all__ = ["Keys", "UploadStore", "Workspace", "as_the_server"]
