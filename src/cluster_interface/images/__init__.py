"""Environment -> lock -> base + layer -> image: the content-addressed store and its faces."""

from cluster_interface.images.store import Store

__all__ = ["Store"]
