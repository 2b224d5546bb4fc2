"""What a node can do, as it says itself."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003

from cluster_interface.model.base import Model
from cluster_interface.model.plan import Bounds


class NodeReport(Model):
    """What the probe found on a node of a queue."""

    host: str
    runtimes: tuple[str, ...]
    refused: dict[str, str]
    bounds: dict[str, Bounds]

    def joined(self, other: NodeReport, name: str) -> NodeReport:
        """Return this report with what the other says of one runtime."""
        del other, name
        return self


def probe_script(out: Path) -> str:
    """Write the probe."""
    raise NotImplementedError(out)


def read_report(text: str) -> NodeReport:
    """Read a report."""
    return NodeReport.model_validate_json(text)
