"""Which worker runs which file when pytest-xdist runs several at once; imported by conftest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

#: what is in these fails where it must wait for a core
AGAINST_TIME = (
    "tests/browser/", "tests/contract/", "tests/integration/test_adapters_local.py", "tests/integration/test_jobs.py",
    "tests/integration/test_testbed.py", "tests/integration/test_rest.py",
)  # fmt: skip
SPARE = 2  #: of the workers from this one on none takes such files, and each gives way to the others
NICENESS = 10


def is_spare(worker: str) -> bool:
    """Say whether a worker (`gw0`, `gw1` …) only fills the time in which the others wait."""
    return int(worker.removeprefix("gw")) >= SPARE


def pytest_sessionstart() -> None:
    """Let spare workers, and all that they start, give way."""
    if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and is_spare(worker):
        os.nice(NICENESS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Hand out whole files in their order: what takes long comes before the many short files of unit tests."""
    from xdist.scheduler import LoadFileScheduling

    class InOrder(LoadFileScheduling):
        def _fitting(self, node: WorkerController) -> list[str]:
            spare = is_spare(node.gateway.id)
            return [file for file in self.workqueue if not (spare and file.startswith(AGAINST_TIME))]

        def _assign_work_unit(self, node: WorkerController) -> None:
            if fitting := self._fitting(node):
                self.workqueue.move_to_end(fitting[0], last=False)
                super()._assign_work_unit(node)

        def _reschedule(self, node: WorkerController) -> None:
            if node.shutting_down or self._fitting(node):
                super()._reschedule(node)
            else:
                node.shutdown()

    config.option.loadscopereorder = False
    return InOrder(config, log) if config.option.dist == "loadfile" else None
