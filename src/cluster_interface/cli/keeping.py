"""`clif keep`, `clif remove` and `clif me`: how long files stay, and how much of them there is."""

from __future__ import annotations

import click

from cluster_interface.cli.flags import as_json
from cluster_interface.cli.talk import print_json, say
from cluster_interface.cli.terminal import plain
from cluster_interface.client import connect
from cluster_interface.model.amounts import show_bytes, show_day


@click.command("keep")
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@click.option("--for", "seconds", metavar="TIME", help="From now: 30d, 12h, …; without it, the site's usual time.")
def keep_command(jobs: tuple[str, ...], *, seconds: str | None) -> None:
    """Keep the files of jobs that have ended for longer, as far as the site allows."""
    with connect() as cluster:
        for name in jobs:
            found = cluster.job(name).keep(seconds)
            say(f"job {found.id}: kept until {show_day(found.data['keep_until'])}")


@click.command("remove")
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
def remove_command(jobs: tuple[str, ...]) -> None:
    """Remove the files of jobs that have ended, inputs and outputs, now. What is known of a job, and its logs, stay."""
    with connect() as cluster:
        for name in jobs:
            found = cluster.job(name).remove()
            say(f"job {found.id}: its files are being removed")


@click.command("me")
@as_json
def me_command(*, json_: bool) -> None:
    """Show who you are for the server, how much your jobs hold, and how long that is kept."""
    with connect() as cluster:
        me = cluster.me()
    if json_:
        print_json(me.model_dump(mode="json"))
        return
    most = f" of {show_bytes(me.quota)}" if me.quota is not None else ""
    kept = "until somebody removes them" if me.kept_days is None else f"{me.kept_days} days after a job's end"
    _line("name", plain(me.name))
    _line("runs as", f"{plain(me.account)} ({me.uid})")
    _line("files", f"{show_bytes(me.used)}{most}, kept {kept}")


def _line(title: str, text: str) -> None:
    click.echo(f"{click.style(f'{title:<10}', dim=True)} {text}")
