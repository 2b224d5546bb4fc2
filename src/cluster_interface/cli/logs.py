"""`clif logs`."""

from __future__ import annotations

import sys
from typing import Literal

import click

from cluster_interface.cli.talk import Sink
from cluster_interface.client import connect


@click.command("logs")
@click.argument("job", default="last")
@click.option("-f", "--follow", is_flag=True, help="Go on until the task has ended.")
@click.option("--task", type=click.IntRange(0), default=0, help="Which task of a sweep.")
@click.option("--err", is_flag=True, help="What it wrote to stderr.")
def logs_command(job: str, *, follow: bool, task: int, err: bool) -> None:
    """Show what JOB has printed, byte for byte in a pipe. Without JOB, the newest."""
    sink = Sink(sys.stdout)
    with connect() as cluster:
        found = cluster.job(job)
        stream: Literal["out", "err"] = "err" if err else "out"
        for data in found.follow(stream, task) if follow else found.printed(stream, task):
            sink.write(data)
            if sink.gone:
                break
    sink.end()
