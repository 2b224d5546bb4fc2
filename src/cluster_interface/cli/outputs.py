"""`clif outputs`."""

from __future__ import annotations

import fnmatch
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cluster_interface.cli.ending import fetch_outputs
from cluster_interface.cli.flags import as_json
from cluster_interface.cli.gathering import gather
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
@click.option("--task", type=click.IntRange(0), help="Only those of this task of a sweep.")
@click.option("--gather", "gathered", metavar="PATTERN", help="All tasks' tables (CSV, TSV) of this name as one.")
@as_json
def outputs_command(
    job: str, path: str | None, *, directory: Path | None, task: int | None, gathered: str | None, json_: bool
) -> None:
    """List JOB's outputs; with PATH (a name or a pattern) print that one; with --to, fetch them.

    With --to, those of a sweep go into DIR/<task>/, and DIR/tasks.csv says what each task was. With --gather, the
    tables of all tasks that completed become one, with the parameters as its first columns; files that are no
    tables are fetched with the parameters in their names.

    \b
      clif outputs last                     list
      clif outputs last results/top.txt     print one
      clif outputs last --to results        fetch all
      clif outputs last '*.png' --to .      fetch some
      clif outputs last --gather result.csv > all.csv
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    with connect() as cluster:
        found = cluster.job(job)
        if gathered is not None:
            gather(found, gathered, directory)
            return
        chosen = _choose(found, path, task)
        if directory is not None:
            fetch_outputs(found, directory, chosen if path or task is not None else None)
        if json_:
            print_json(found.output_list())
        elif directory is None and path is not None:
            _print(chosen, path)
        elif directory is None:
            _list(found, chosen)


def _choose(job: Job, path: str | None, task: int | None = None) -> list[Output]:
    outputs = [output for output in job.outputs if task in (None, output.task)]
    chosen = [output for output in outputs if path in (None, output.path)]
    if path is not None and not chosen:
        chosen = [output for output in outputs if fnmatch.fnmatchcase(output.path, path)]
    if path is not None and not chosen:
        raise NotFound(f"job {job.id} has no output {path!r}; `clif outputs {job.id}` lists what it has")
    return chosen


def _print(chosen: list[Output], path: str) -> None:
    if len(chosen) > 1:
        raise NotFound(
            f"{path!r} matches {len(chosen)} outputs; name one (--task N of a sweep), or fetch them with --to DIR"
        )
    sink = Sink(sys.stdout)
    for data in chosen[0].chunks():
        sink.write(data)
    sink.end()


def _list(job: Job, outputs: list[Output]) -> None:
    if not outputs:
        say(f"job {job.id} ({job.state}) has no outputs")
        return
    rows = [
        [
            f"{output.task}/{output.path}" if job.is_sweep else output.path,
            show_bytes(output.size) if sys.stdout.isatty() else str(output.size),
            "partial" if output.partial else "",
        ]
        for output in outputs
    ]
    print_table(["output", "size", ""], rows)
