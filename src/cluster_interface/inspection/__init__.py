"""Reads a script or a project, never running it, and proposes environment, command and files.

`inspect(files, script, arguments)` is the way in; it is imported on first use.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster_interface.inspection.propose import inspect

__all__ = ["inspect"]


def __getattr__(name: str) -> object:
    """Import the readers on first use, so that importing the package costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cluster_interface.inspection.propose import inspect  # noqa: PLC0415 - lazy on purpose

    return inspect
