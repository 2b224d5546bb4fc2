"""`clif wait`, `clif cancel`, `clif rerun` and `clif deliver`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from cluster_interface.cli.ending import say_failure, status_of_job
from cluster_interface.cli.failing import DONE, FAILED, say_error, status_of
from cluster_interface.cli.flags import as_json
from cluster_interface.cli.talk import print_json, say
from cluster_interface.cli.terminal import plain
from cluster_interface.client import connect
from cluster_interface.model.errors import Rejected
from cluster_interface.model.state import JobState

if TYPE_CHECKING:
    from cluster_interface.client import Job

PAUSE = 0.5  #: seconds between looks at a delivery


@click.command("wait")
@click.argument("jobs", metavar="JOB…", nargs=-1, required=True)
@as_json
def wait_command(jobs: tuple[str, ...], *, json_: bool) -> None:
    """Wait until each JOB has ended; the exit status is 1 if one of them did not complete."""
    with connect() as cluster:
        found = [cluster.job(job) for job in jobs]
        for job in found:
            job.wait()
            if not json_:
                click.echo(f"{job.id} {job.state}")
                if job.state is not JobState.COMPLETED:
                    say_failure(job)
    if json_:
        print_json([job.data for job in found])
    click.get_current_context().exit(max(map(status_of_job, found)))


@click.command("cancel")
@click.argument("jobs", metavar="JOB…", nargs=-1, required=True)
@as_json
def cancel_command(jobs: tuple[str, ...], *, json_: bool) -> None:
    """Cancel each JOB."""
    canceled: list[Job] = []
    status = DONE
    with connect() as cluster:
        for job in jobs:
            try:
                canceled.append(cluster.job(job).cancel())
            except Rejected as error:  # the others are still to be canceled
                say_error(error)
                status = max(status, status_of(error))
            else:
                say(f"canceling {canceled[-1].id}")
    if json_:
        print_json([job.data for job in canceled])
    click.get_current_context().exit(status)


@click.command("rerun")
@click.argument("job")
@click.option("--failed", is_flag=True, help="Only the tasks that did not complete.")
@click.option("--with-missing", is_flag=True, help="With the package that it lacked, as its advice says.")
@as_json
def rerun_command(job: str, *, failed: bool, with_missing: bool, json_: bool) -> None:
    """Submit JOB again as a new job with the same spec; print its id."""
    with connect() as cluster:
        again = cluster.job(job).rerun(failed=failed, with_missing=with_missing)
    if json_:
        print_json(again.data)
    else:
        click.echo(again.id)


@click.command("deliver")
@click.argument("job")
@as_json
def deliver_command(job: str, *, json_: bool) -> None:
    """Take the outputs of JOB once more to where they could not be delivered; nothing is run again.

    Waits until that is over. The exit status is 1 if they still did not arrive.
    """
    with connect() as cluster:
        found = cluster.job(job).deliver()
        if not json_:
            say(f"delivering the outputs of {found.id} again …")
        while found.data["delivering"]:
            time.sleep(PAUSE)
            found.refresh()
    lost = [one for one in found.data["deliveries"] if one["trouble"]]
    if json_:
        print_json(found.data)
    else:
        for one in found.data["deliveries"]:
            words = f"not delivered to {one['to']}: {one['trouble']}" if one["trouble"] else f"delivered to {one['to']}"
            click.echo(plain(words))
    click.get_current_context().exit(FAILED if lost else DONE)
