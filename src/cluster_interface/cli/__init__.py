"""The command line, over the Python API: one file per command group, each imported when its command is called."""

from cluster_interface.cli.app import app

__all__ = ["app"]
