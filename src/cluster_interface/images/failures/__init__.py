"""What tools and the disk say, in one sentence for a person; the whole text stays in the log.

The patterns are taken from real output of uv 0.13, apt 2.6 and mmdebstrap 1.3.
"""

from cluster_interface.images.failures.debian import of_bootstrap
from cluster_interface.images.failures.images import of_dockerfile, of_push, of_registry, of_setup
from cluster_interface.images.failures.packages import (
    PYTORCH,
    no_r_package,
    of_conda,
    of_r,
    of_r_repository,
    of_source,
    of_uv,
)
from cluster_interface.images.failures.words import disk_full, image_failed, without_secrets

__all__ = [
    "PYTORCH",
    "disk_full",
    "image_failed",
    "no_r_package",
    "of_bootstrap",
    "of_conda",
    "of_dockerfile",
    "of_push",
    "of_r",
    "of_r_repository",
    "of_registry",
    "of_setup",
    "of_source",
    "of_uv",
    "without_secrets",
]
