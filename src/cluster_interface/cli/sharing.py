"""`clif share` and `clif unshare`: links for people without an account."""

from __future__ import annotations

import time

import click

from cluster_interface.cli.flags import as_json
from cluster_interface.cli.talk import ago, print_json, print_table, say
from cluster_interface.client import connect


@click.command("share")
@click.argument("job", default="last")
@click.argument("path", required=False)
@click.option("--expires", metavar="TIME", default="7d", show_default=True, help="How long it lives: 12h, 7d, …")
@click.option("--most", type=click.IntRange(1), help="How many downloads it is good for.")
@click.option("--list", "listed", is_flag=True, help="List JOB's links that are still good.")
@as_json
def share_command(job: str, path: str | None, *, expires: str, most: int | None, listed: bool, json_: bool) -> None:
    """Make a link by which somebody without an account fetches PATH (a file or a folder) of JOB's outputs, or all.

    The link is printed, once: the server keeps only its checksum. It opens a page with a button; nothing else can
    be reached by it.

    \b
      clif share last results/fit.png
      clif share last results --expires 2d --most 5
      clif share last --list
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    with connect() as cluster:
        found = cluster.job(job)
        if listed:
            links = found.links()
            if json_:
                print_json({"links": links})
            else:
                rows = [_row(link) for link in links]
                print_table(["link", "of", "expires", "downloads", "last"], rows, none="no links to this job")
            return
        link = found.share(path or "", expires, most)
    if json_:
        print_json(link)
        return
    click.echo(link["url"])
    say(f"  until {_clock(link['expires'])}; take it back with: clif unshare {found.id} {link['id']}", dim=True)


@click.command("unshare")
@click.argument("job")
@click.argument("link")
def unshare_command(job: str, link: str) -> None:
    """Take LINK (as `clif share JOB --list` names it) of JOB back, at once; `all` takes every one."""
    with connect() as cluster:
        found = cluster.job(job)
        for name in [one["id"] for one in found.links()] if link == "all" else [link]:
            found.unshare(name)


def _row(link: dict[str, object]) -> list[str]:
    most = f" of {link['most']}" if link["most"] else ""
    used = ago(float(str(link["used"]))) if link["used"] else ""
    name, expires = str(link["path"]) or "all outputs", _clock(float(str(link["expires"])))
    return [str(link["id"]), name, expires, f"{link['downloads']}{most}", used]


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
