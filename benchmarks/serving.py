"""A server of a benchmark's own, as the settings in the environment say."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIF = Path(sys.executable).parent / "clif"


@contextmanager
def serving(environ: dict[str, str], log: Path) -> Iterator[psutil.Process]:
    """Serve until the end, with `environ` in our environment too; yield the server once it answers."""
    os.environ |= environ
    with log.open("wb") as file:
        server = subprocess.Popen([CLIF, "serve"], stdout=file, stderr=file, stdin=subprocess.DEVNULL)
    try:
        while not any(Path(environ["CLIF_SERVER__RUNTIME"]).glob("*.sock")):
            if server.poll() is not None:
                sys.exit(f"the server ended: {log.read_text()[-500:]}")
            time.sleep(0.1)  # a client that came now would start a server of its own
        yield psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(30)


def resident(process: psutil.Process) -> float:
    """Return the MiB that a process and those below it hold; pages that they share count in each."""
    every = (process, *process.children(recursive=True))
    return sum(one.memory_info().rss for one in every) / 2**20
