"""Where files come from: one module for each kind of source, and the registry of all."""

from __future__ import annotations

from cluster_interface.staging.sources.keys import Keys
from cluster_interface.staging.sources.outputs import OutputsOf
from cluster_interface.staging.sources.registry import CONTENT, DIRECTORY, LINK, Sources, naming, no_jobs

__all__ = ["CONTENT", "DIRECTORY", "LINK", "Keys", "OutputsOf", "Sources", "naming", "no_jobs"]
