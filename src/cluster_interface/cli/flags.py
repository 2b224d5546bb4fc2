"""The flags of `run`, `submit` and `describe`: what the spec says, in words of the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.client import Cluster, Draft

    Command = Callable[..., Any]


class ScriptCommand(click.Command):
    """A command whose unknown options were probably meant for the script."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and say where the script's own options go if one is not ours."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            message = f"{error.format_message()} The script's own options go after --"
            raise click.NoSuchOption(error.option_name, message, ctx=ctx) from None


_FLAGS = (
    click.option("--name", help="What the job is called."),
    click.option("--cpus", type=int, help="Processor cores."),
    click.option("--memory", help="Such as 4GiB or 500MiB."),
    click.option("--time", help="Most it may run: 30m, 1h30m, 02:00:00."),
    click.option("--gpus", type=int, help="Graphics processors."),
    click.option("--nodes", type=int, help="Nodes."),
    click.option("--queue", help="One of `clif queues`."),
    click.option("--runtime", help="One of the queue's runtimes."),
    click.option("--with", "packages", multiple=True, metavar="PACKAGE", help="A Python package it needs, too."),
    click.option("--system", multiple=True, metavar="PACKAGE", help="A distribution package it needs, too."),
    click.option(
        "--input", "inputs", multiple=True, metavar="PATH[=SOURCE]",
        help="A file or directory it reads; SOURCE: another path, https://… or file:/… on the server.",
    ),
    click.option("--output", "outputs", multiple=True, metavar="PATTERN", help="What to bring back."),
    click.option("--network", is_flag=True, default=None, help="Let it use the network."),
)  # fmt: skip


def job_flags(command: Command) -> Command:
    """Add SCRIPT, its arguments and the flags of a job to a command."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    command = click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARG…]")(command)
    return click.argument("script", metavar="SCRIPT")(command)


def as_json(command: Command) -> Command:
    """Add --json to a command."""
    return click.option("--json", "json_", is_flag=True, help="Print the API's own JSON.")(command)


def describe(cluster: Cluster, script: str, wishes: dict[str, Any]) -> Draft:
    """Have a draft made of what the flags say."""
    return cluster.describe(script, **wishes)
