"""Whether a node's NVIDIA driver is new enough for the CUDA that an environment's packages are built for.

Since CUDA 11 what counts is the major version: NVIDIA, CUDA Compatibility, Minor Version Compatibility, table 1
(https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent
from cluster_interface.model.state import FailureCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.model.plan import Ask, Lock
    from cluster_interface.model.queue import Queue

LEAST_DRIVER = {11: 450, 12: 525, 13: 580}  #: CUDA's major version -> the driver's

#: Names and versions that tell of CUDA's: of a package index (name==version), and of conda's channels (name=version)
_SAYS = tuple(
    re.compile(pattern)
    for pattern in (
        r"nvidia-cuda-runtime(?:-cu\d+)?==(\d+)\.",
        r"[^=]+==[^+]+\+cu(\d+)\d",  # 2.4.0+cu121
        r"(?:jax-cuda|cupy-cuda|jaxlib-cuda)(\d+)\w*(?:-\w+)?==",
        r"(?:cuda-version|cuda-cudart|cudatoolkit)=(\d+)\.",
    )
)


def wanted(packages: Iterable[str]) -> tuple[int, str] | None:
    """Return the newest CUDA that packages are built for, and which package says so; None if none does."""
    found = ((int(said[1]), package) for package in packages for rule in _SAYS if (said := rule.match(package)))
    return max(found, default=None)


def check(lock: Lock | None, ask: Ask, queue: Queue | None) -> None:
    """Raise Permanent if a job's packages want a newer driver than the queue's nodes have; what is not known is not."""
    if not ask.gpus or lock is None or queue is None or queue.driver is None:
        return
    needs = wanted(lock.packages)
    has = int(re.match(r"\d*", queue.driver)[0] or 0)  # type: ignore[index]  # it matches everything
    if needs is None or has >= LEAST_DRIVER.get(needs[0], 0):
        return
    cuda, package = needs
    fitting = max((version for version, least in LEAST_DRIVER.items() if least <= has), default=None)
    advice = f"ask for versions that are built for CUDA {fitting}" if fitting else "ask for a queue with newer drivers"
    raise Permanent(
        f"environment: {package} is built for CUDA {cuda}, which wants NVIDIA driver {LEAST_DRIVER[cuda]} or newer; "
        f"the nodes of queue {queue.name} have {queue.driver}: {advice}",
        code=FailureCode.IMAGE_FAILED,
    )
