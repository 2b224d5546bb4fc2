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
from cluster_interface.model.patterns import matches

if TYPE_CHECKING:
    from cluster_interface.client import Job, Output

FORMS = ("zip", "tar.gz", "tar.zst")


@click.command("outputs")
@click.argument("job", default="last")
@click.argument("path", required=False)
@click.option("--to", "directory", type=click.Path(path_type=Path), help="Fetch them into this directory.")
@click.option("--task", type=click.IntRange(0), help="Only those of this task of a sweep.")
@click.option("--gather", "gathered", metavar="PATTERN", help="All tasks' tables (CSV, TSV) of this name as one.")
@click.option(
    "--archive", "archive", metavar="FILE", help="Fetch PATH, or all, as one FILE.zip, .tar.gz or .tar.zst; -: zip."
)
@as_json
def outputs_command(
    job: str,
    path: str | None,
    *,
    directory: Path | None,
    task: int | None,
    gathered: str | None,
    archive: str | None,
    json_: bool,
) -> None:
    """List JOB's outputs; with PATH (a name, a folder or a pattern) print that one; with --to, fetch them.

    What is in DIR already, byte for byte, is not fetched again, and what broke off goes on where it was. Those of a
    sweep go into DIR/<task>/, and DIR/tasks.csv says what each task was. With --gather, the tables of all tasks that
    completed become one, with the parameters as its first columns; files that are no tables are fetched with the
    parameters in their names.

    \b
      clif outputs last                     list
      clif outputs last results/top.txt     print one
      clif outputs last --to results        fetch all
      clif outputs last '*.png' --to .      fetch some
      clif outputs last plots --archive plots.tar.zst
      clif outputs last --gather result.csv > all.csv
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    with connect() as cluster:
        found = cluster.job(job)
        if gathered is not None:
            gather(found, gathered, directory)
            return
        if archive is not None:
            _archive(found, path or "", archive)
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
    chosen = [output for output in outputs if path in (None, output.path, output.place)]
    if path is not None and not chosen:
        chosen = [output for output in outputs if _matches(path, output)]
    if path is not None and not chosen:
        raise NotFound(f"job {job.id} has no output {path!r}; `clif outputs {job.id}` lists what it has")
    return chosen


def _matches(path: str, output: Output) -> bool:
    """Say whether a folder or a pattern names an output; a lone `*` stands for what is in folders, too."""
    return matches(path, output.path) or matches(path, output.place) or fnmatch.fnmatchcase(output.path, path)


def _archive(job: Job, path: str, target: str) -> None:
    form = next((form for form in FORMS if target.endswith(f".{form}")), "zip" if target == "-" else None)
    if form is None:
        raise click.BadParameter(f"{target!r} ends in none of {', '.join(FORMS)}", param_hint="--archive")
    if target == "-":
        sink = Sink(sys.stdout)
        for data in job.archive(path, form):
            sink.write(data)
        sink.end()
        return
    fresh = Path(f"{target}.part")
    with fresh.open("wb") as file:
        for data in job.archive(path, form):
            file.write(data)
    fresh.rename(target)
    say(f"  archive      {target}  {show_bytes(Path(target).stat().st_size)}")


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
    screen = sys.stdout.isatty()
    rows = [
        [
            f"{output.task}/{output.path}" if job.is_sweep else output.path,
            show_bytes(output.size) if screen else str(output.size),
            "partial" if output.partial else "",
            output.type,
            output.sha256[:12] if screen else output.sha256,
        ]
        for output in outputs
    ]
    print_table(["output", "size", "", "type", "sha256"], rows)
