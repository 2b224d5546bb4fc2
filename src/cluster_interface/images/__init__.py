"""Environment -> lock -> base + layer -> image: the content-addressed store and its faces."""

from cluster_interface.images.dockerfiles import LARGEST_CONTEXT
from cluster_interface.images.store import Store

__all__ = ["LARGEST_CONTEXT", "Store"]
