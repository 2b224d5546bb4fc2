"""`clif outputs`."""

from __future__ import annotations

import fnmatch
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cluster_interface.cli.ending import fetch_outputs
from cluster_interface.cli.flags import as_json
from cluster_interface.cli.talk import Sink, print_json, print_table, say
from cluster_interface.client import connect
from cluster_interface.model.amounts import show_bytes
from cluster_interface.model.errors import NotFound

if TYPE_CHECKING:
    from cluster_interface.client import Job, Output


@click.command("outputs")
@click.argument("job", default="last")
@click.argument("path", required=False)
@click.option("--to", "directory", type=click.Path(path_type=Path), help="Fetch them into this directory.")
@as_json
def outputs_command(job: str, path: str | None, *, directory: Path | None, json_: bool) -> None:
    """List JOB's outputs; with PATH (a name or a pattern) print that one; with --to, fetch them.

    \b
      clif outputs last                     list
      clif outputs last results/top.txt     print one
      clif outputs last --to results        fetch all
      clif outputs last '*.png' --to .      fetch some
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    with connect() as cluster:
        found = cluster.job(job)
        chosen = _choose(found, path)
        if directory is not None:
            fetch_outputs(found, directory, chosen)
        if json_:
            print_json(found.output_list())
        elif directory is None and path is not None:
            _print(chosen, path)
        elif directory is None:
            _list(found, chosen)


def _choose(job: Job, path: str | None) -> list[Output]:
    chosen = [output for output in job.outputs if path in (None, output.path)]
    if path is not None and not chosen:
        chosen = [output for output in job.outputs if fnmatch.fnmatchcase(output.path, path)]
    if path is not None and not chosen:
        raise NotFound(f"job {job.id} has no output {path!r}; `clif outputs {job.id}` lists what it has")
    return chosen


def _print(chosen: list[Output], path: str) -> None:
    if len(chosen) > 1:
        raise NotFound(f"{path!r} matches {len(chosen)} outputs; name one, or fetch them with --to DIR")
    sink = Sink(sys.stdout)
    for data in chosen[0].chunks():
        sink.write(data)
    sink.end()


def _list(job: Job, outputs: list[Output]) -> None:
    if not outputs:
        say(f"job {job.id} ({job.state}) has no outputs")
        return
    many = len({output.task for output in outputs}) > 1
    rows = [
        [
            f"tasks/{output.task}/{output.path}" if many else output.path,
            show_bytes(output.size) if sys.stdout.isatty() else str(output.size),
            "partial" if output.partial else "",
        ]
        for output in outputs
    ]
    print_table(["output", "size", ""], rows)
