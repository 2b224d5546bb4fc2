"""`clif shell`."""

from __future__ import annotations

import os
import pwd
import sys

import click

from cluster_interface.cli.flags import as_json
from cluster_interface.cli.talk import print_json, say
from cluster_interface.client import connect
from cluster_interface.model.errors import Rejected


@click.command("shell")
@click.argument("job", default="last")
@click.option("--task", type=click.IntRange(0), default=0, show_default=True, help="Which task of a sweep.")
@as_json
def shell_command(job: str, *, task: int, json_: bool) -> None:
    """Open a shell where JOB runs or ran: in the same image and directory, on a node of its queue.

    What you change below /job stays. Without JOB, the newest.
    """
    with connect() as cluster:
        found = cluster.job(job)
        opening = found.shell(task)
    if json_:
        print_json(opening)
        return
    if not sys.stdin.isatty():
        raise Rejected("a shell wants a terminal; run clif shell from one")
    say(f"  shell        task {task} of {found.id}; `exit` ends it", dim=True)
    sys.stdout.flush()
    _become(opening["account"])
    try:
        os.execvp(opening["argv"][0], opening["argv"])  # noqa: S606 - the server is ours
    except OSError as error:
        raise Rejected(f"{opening['argv'][0]} cannot be run here: {error.strerror}") from None


def _become(name: str) -> None:
    """Become the job's account, where we are root and it is another."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise Rejected(f"there is no account {name} on this machine: run clif shell where the server runs") from None
    if os.geteuid() == account.pw_uid:
        return
    if os.geteuid() != 0:
        raise Rejected(f"this shell runs as {name}, which your account may not become")
    os.initgroups(name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
