"""REST under /api/v1."""

from cluster_interface.api.application import application

__all__ = ["application"]
