"""`clif run`: describe, submit, follow, fetch the outputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cluster_interface.cli.bars import Bars
from cluster_interface.cli.drafts import print_spec, show_draft
from cluster_interface.cli.ending import fetch_outputs, say_failure, status_of_job
from cluster_interface.cli.failing import FAILED, INTERRUPTED
from cluster_interface.cli.flags import ScriptCommand, as_json, describe, job_flags
from cluster_interface.cli.following import Left, follow
from cluster_interface.cli.sweeping import say_failed_tasks, show_counts
from cluster_interface.cli.talk import print_json, say
from cluster_interface.cli.terminal import plain
from cluster_interface.cli.words import show_use
from cluster_interface.client import connect
from cluster_interface.model.state import JobState

if TYPE_CHECKING:
    from cluster_interface.client import Job

MOST_AGAIN = 5  #: packages that a program may turn out to lack


@click.command("run", cls=ScriptCommand)
@job_flags
@click.option("--to", "directory", type=click.Path(path_type=Path), help="Where outputs go: here, or JOB/ for a sweep.")
@click.option("--dry-run", is_flag=True, help="Only show what would be run.")
@click.option(
    "--with-missing", is_flag=True, help="Where a package turns out to be missing, run again with it, unasked."
)
@as_json
def run_command(
    script: str | None, *, directory: Path | None, dry_run: bool, with_missing: bool, json_: bool, **wishes: Any
) -> None:
    """Run SCRIPT on the cluster, show what it prints, and bring its outputs to this directory.

    SCRIPT is a script, a directory with one, a repository (https://host/path[@REVISION]), or a job spec (YAML or
    JSON). What it prints goes to stdout and stderr as it comes; all else goes to stderr. Of many tasks (--sweep,
    --each) only the counts are shown. Ctrl-C cancels the job. On a terminal you are asked whether to run again with a
    package that turned out missing.

    \b
      clif run count.py -- --top 10
      clif run train.py --cpus 4 --memory 8GiB --input data/
      clif run fit.py --sweep n=1..100 --max-running 10
      clif run https://git.example.edu/lab/tools.git@v1.2 --script bin/fit.py
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    with connect() as cluster:
        draft = describe(cluster, script, wishes)
        show_draft(draft)
        if dry_run:
            print_spec(draft, json_=json_)
            return
        with Bars() as bars:
            job = cluster.submit(draft, progress=bars.file)
        say(f"  job          {job.id}")
        status = _to_the_end(job, directory, draft.place, json_=json_)
        for _ in range(MOST_AGAIN):
            if status != FAILED or not _again(job, unasked=with_missing):
                break
            job = job.rerun(with_missing=True)
            say(f"  job          {job.id}")
            status = _to_the_end(job, directory, draft.place, json_=json_)
        if json_ and status != INTERRUPTED:
            print_json(job.data)
        click.get_current_context().exit(status)


def _to_the_end(job: Job, directory: Path | None, place: Path, *, json_: bool) -> int:
    try:
        follow(job, output_to_stderr=json_)
    except Left:
        say(f"left job {job.id}, which was asked to end; look after it with: clif status {job.id}")
        return INTERRUPTED
    _say_end(job)
    if job.state in (JobState.COMPLETED, JobState.FAILED):
        fetch_outputs(job, directory or (Path(job.id) if job.is_sweep else place))
    return status_of_job(job)


def _again(job: Job, *, unasked: bool) -> bool:
    """Say whether it is to be run once more with a package that it lacked: asked of whoever is there."""
    missing = job.data.get("missing")
    if not missing or unasked:
        return bool(missing)
    there = sys.stdin.isatty() and sys.stderr.isatty()
    return there and click.confirm(f"Run it again with {plain(missing['package'])}?", default=True, err=True)


def _say_end(job: Job) -> None:
    if job.state is not JobState.COMPLETED:
        say_failure(job)
    if job.is_sweep:
        say(f"           {show_counts(job.counts)}", dim=True)
        say_failed_tasks(job)
    elif job.state is JobState.COMPLETED and (used := show_use(job.data["tasks"][0])):
        say(f"           {used}", dim=True)
