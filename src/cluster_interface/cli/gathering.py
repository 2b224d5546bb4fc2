"""`clif outputs --gather`: many tasks' tables as one, other files with the parameters in their names."""

from __future__ import annotations

import re
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cluster_interface.cli.ending import fetch_outputs
from cluster_interface.cli.talk import Sink, say
from cluster_interface.cli.terminal import plain
from cluster_interface.client.outputs import Written
from cluster_interface.model.errors import NotFound
from cluster_interface.model.patterns import matches

if TYPE_CHECKING:
    from cluster_interface.client import Job, Output

TABLES = (".csv", ".tsv")
LONGEST = 100  #: characters of parameters in a file's name


def gather(job: Job, pattern: str, directory: Path | None) -> None:
    """Gather the tables that match, to stdout or into a directory; fetch what is no table under names of its own."""
    chosen = [output for output in job.outputs if output.path == pattern or matches(pattern, output.path)]
    if not chosen:
        raise NotFound(f"job {job.id} has no output {pattern!r}; `clif outputs {job.id}` lists what it has")
    if not all(output.path.lower().endswith(TABLES) for output in chosen):
        parameters = {task["index"]: task["parameters"] for task in job.tasks()}
        fetch_outputs(job, directory or Path(), chosen, lambda output: renamed(output, parameters[output.task]))
        return
    if directory is not None:
        _into(job, pattern, chosen, directory)
        return
    sink = Sink(sys.stdout)
    for data in job.gather(pattern):
        sink.write(data)
    sink.end()


def _into(job: Job, pattern: str, chosen: list[Output], directory: Path) -> None:
    name = PurePosixPath(pattern if any(output.path == pattern for output in chosen) else chosen[0].path).name
    table = Written(job.id, name, b"".join(job.gather(pattern)))
    job.fetch(directory, [table])
    count = len({output.task for output in chosen})
    say(f"  gathered     {plain(str(directory / name))}: {count:,} {'task' if count == 1 else 'tasks'}")


def renamed(output: Output, parameters: dict[str, str]) -> str:
    """Name a task's file by its parameters: `plots/fit.png` becomes `plots/fit-7-n=3-lr=0.1.png`."""
    path = PurePosixPath(output.path)
    said = "-".join(f"{name}={re.sub(r'[^A-Za-z0-9.+_-]+', '_', value)}" for name, value in parameters.items())
    return str(path.with_name(f"{path.stem}-{output.task}-{said[:LONGEST]}{path.suffix}".replace("-.", ".")))
