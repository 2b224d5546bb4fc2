"""Hand a script to a cluster and get its outputs back.

`connect()` opens the Python API; everything else is imported only when it is used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster_interface.client import Cluster, Job, connect, files
    from cluster_interface.model.errors import ClusterError, Permanent, Rejected, Transient

__version__ = "0.1.0"

__all__ = ["Cluster", "ClusterError", "Job", "Permanent", "Rejected", "Transient", "connect", "files"]

_HOMES = {
    "Cluster": "cluster_interface.client",
    "Job": "cluster_interface.client",
    "connect": "cluster_interface.client",
    "files": "cluster_interface.client",
    "ClusterError": "cluster_interface.model.errors",
    "Permanent": "cluster_interface.model.errors",
    "Rejected": "cluster_interface.model.errors",
    "Transient": "cluster_interface.model.errors",
}


def __getattr__(name: str) -> object:
    """Import the public names on first use, so that `import cluster_interface` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - lazy on purpose

    return getattr(import_module(_HOMES[name]), name)
