"""The log of a build that failed, as a page shows it: its end, and the lines that say why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.errors import ClusterError

if TYPE_CHECKING:
    from cluster_interface.service import Service
    from cluster_interface.wire import JobView

MOST_LINES = 400
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_TELLING = re.compile(
    r"\b(?:error|fatal|failed|cannot|could not|not found|no such|undefined|unable|missing)\b", re.IGNORECASE
)
SHORTEST = 8  #: characters of a line that may be found again in the reason


@dataclass(frozen=True, kw_only=True)
class BuildLog:
    """The end of a log."""

    key: str
    lines: tuple[tuple[str, bool], ...]  #: each with whether it says why
    cut: int  #: lines before these
    first: str  #: the line that says why, before all others


def build_log_of(service: Service, job: JobView) -> BuildLog | None:
    """Read the log of the build that a job failed by; None where there is none any more."""
    if not job.build_log:
        return None
    try:
        text = _COLOUR.sub("", service.images.log(job.build_log))
    except ClusterError:
        return None
    lines = [line.rstrip() for line in text.splitlines() if not line.startswith("$ ")]  # our own commands are not shown
    shown = lines[-MOST_LINES:]
    quoted = [len(line) >= SHORTEST and line.strip() in job.reason for line in shown]
    telling = quoted if any(quoted) else [bool(_TELLING.search(line)) for line in shown]
    first = next((line for line, tells in zip(shown, telling, strict=True) if tells), "")
    return BuildLog(
        key=job.build_log, lines=tuple(zip(shown, telling, strict=True)), cut=len(lines) - len(shown), first=first
    )
