"""Long work, in processes of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.model.job import Progress


class WorkState(StrEnum):
    """Where a piece of long work is."""

    ABSENT = "absent"  #: never started, or died without a result: start it (again)
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Work:
    """A piece of long work as last seen."""

    state: WorkState
    result: Any = None
    error: Exception | None = None  #: Permanent, Rejected or Transient, as the work raised it
    progress: Progress | None = None
    deaths: int = 0  #: how often it died without a result


class Works(Protocol):
    """Detached processes with a mark, a pid + start time and a result file; a step starts one, then looks."""

    def start(self, mark: str, kind: str, request: Mapping[str, Any]) -> None:
        """Start the work unless a process with this mark runs or has a result."""

    def look(self, mark: str) -> Work:
        """See how it is getting on."""

    def stop(self, mark: str) -> None:
        """End the process if it runs and forget mark and result."""
