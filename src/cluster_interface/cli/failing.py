"""Errors as a person at a shell reads them, and as a shell script does."""

from __future__ import annotations

import click

from cluster_interface.cli.terminal import plain
from cluster_interface.model.errors import ClusterError, Forbidden, Rejected, Transient

DONE, FAILED, USAGE, REFUSED, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4, 130

#: the spec's fields as the flags that fill them
FLAGS = {
    "name": "--name",
    "resources.cpus": "--cpus",
    "resources.memory": "--memory",
    "resources.time": "--time",
    "resources.gpus": "--gpus",
    "resources.nodes": "--nodes",
    "resources.tasks_per_node": "--tasks-per-node",
    "resources.queue": "--queue",
    "resources.scheduler": "--scheduler",
    "resources.runtime": "--runtime",
    "resources.account": "--account",
    "resources.qos": "--qos",
    "resources.reservation": "--reservation",
    "resources.constraint": "--constraint",
    "resources.licenses": "--license",
    "resources.gpu_type": "--gpus",
    "sweep.max_running": "--max-running",
    "sweep.pack": "--pack",
    "sweep.files": "--each",
    "sweep.table": "--sweep",
    "sweep": "--sweep",
    "after": "--after",
    "retry": "--retry",
    "checkpoint.signal_before": "--signal-before",
    "environment.python.packages": "--with",
    "environment.system": "--system",
    "seconds": "--for",
    "outputs": "--output",
    "network": "--network",
}


def status_of(error: ClusterError) -> int:
    """Return the exit status of an error."""
    if isinstance(error, Forbidden):
        return REFUSED
    if isinstance(error, Transient):
        return UNREACHABLE
    return USAGE if isinstance(error, Rejected) else FAILED


def say_error(error: ClusterError) -> None:
    """Print an error to stderr: one line for each thing that is wrong."""
    problems = error.problems if isinstance(error, Rejected) else ()
    for problem in problems:
        click.echo(f"clif: {_flag(plain(problem.field))}: {plain(problem.message)}", err=True)
    if not problems:
        click.echo(f"clif: {plain(str(error))}", err=True)


def _flag(field: str) -> str:
    field = field.removeprefix("spec.")
    for known, flag in FLAGS.items():
        if field == known or (field.startswith(f"{known}.") and field[len(known) + 1 :].isdigit()):
            return f"{flag} ({field})"
    return field
