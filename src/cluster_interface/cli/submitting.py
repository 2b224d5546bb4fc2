"""`clif submit` and `clif describe`."""

from __future__ import annotations

from typing import Any

import click

from cluster_interface.cli.bars import Bars
from cluster_interface.cli.drafts import print_spec, show_draft, show_options
from cluster_interface.cli.flags import ScriptCommand, as_json, describe, job_flags
from cluster_interface.cli.talk import print_json
from cluster_interface.client import connect


@click.command("submit", cls=ScriptCommand)
@job_flags
@click.option("--dry-run", is_flag=True, help="Only show what would be submitted.")
@click.option("--key", help="The same key again is the same job.")
@as_json
def submit_command(script: str | None, *, dry_run: bool, key: str | None, json_: bool, **wishes: Any) -> None:
    """Submit SCRIPT, print the job's id and return.

    SCRIPT is a script, a batch script, a directory with one, a repository (https://host/path[@REVISION]), or a job
    spec (YAML or JSON).
    """
    with connect() as cluster:
        draft = describe(cluster, script, wishes)
        show_draft(draft)
        if dry_run:
            print_spec(draft, json_=json_)
            return
        with Bars() as bars:
            job = cluster.submit(draft, key=key, progress=bars.file)
        if json_:
            print_json(job.data)
        else:
            click.echo(job.id)


@click.command("describe", cls=ScriptCommand)
@job_flags
@as_json
def describe_command(script: str | None, *, json_: bool, **wishes: Any) -> None:
    """Show the job that SCRIPT would make and what each guess rests on. Nothing is changed or sent.

    The spec goes to stdout: keep it, edit it, submit it.
    """
    with connect() as cluster:
        draft = describe(cluster, script, wishes)
    show_draft(draft)
    show_options(draft)
    print_spec(draft, json_=json_)
