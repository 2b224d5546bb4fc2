"""The flags of `run`, `submit` and `describe`: what the spec says, in words of the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cluster_interface.client.patterns import read_values

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


_SOFTWARE = (
    click.option("--name", help="What the job is called."),
    click.option("--script", "program", metavar="PATH", help="Which file of a directory or a repository is run."),
    click.option("--with", "packages", multiple=True, metavar="PACKAGE", help="A Python package it needs, too."),
    click.option("--system", multiple=True, metavar="PACKAGE", help="A distribution package it needs, too."),
    click.option("--as-of", metavar="YYYY-MM-DD", help="Its packages as they were on that day."),
    click.option(
        "--input", "inputs", multiple=True, metavar="PATH[=SOURCE]",
        help="A file or directory it reads, also of an archive (data.zip!/raw/); SOURCE: another path, https://… or "
        "file:/… on the server.",
    ),
    click.option(
        "--files", type=click.Path(exists=True), metavar="TREE",
        help="A file tree of what it reads: JSON, YAML, or a BagIt bag; see `clif files`.",
    ),
    click.option("--output", "outputs", multiple=True, metavar="PATTERN", help="What to bring back."),
    click.option(
        "--deliver", multiple=True, metavar="PLACE",
        help="Where its outputs are also taken: file:/path on the server, s3://…, sftp://…, globus:…",
    ),
    click.option("--network", is_flag=True, default=None, help="Let it use the network."),
)  # fmt: skip

_RESOURCES = (
    click.option("--cpus", type=int, help="Processor cores."),
    click.option("--memory", help="Such as 4GiB or 500MiB."),
    click.option("--time", help="Most it may run: 30m, 1h30m, 02:00:00."),
    click.option("--gpus", metavar="[TYPE:]N", help="Graphics processors per node: 2, or a100:2."),
    click.option("--nodes", type=int, help="Nodes."),
    click.option("--tasks-per-node", type=int, help="Processes per node, of --cpus cores each."),
    click.option("--exclusive", is_flag=True, default=None, help="Whole nodes, shared with nobody."),
    click.option("--queue", help="One of `clif queues`."),
    click.option("--scheduler", help="One of the site's schedulers."),
    click.option("--runtime", help="One of the queue's runtimes."),
    click.option("--account", help="Whom the scheduler charges."),
    click.option("--qos", help="Quality of service, as the scheduler calls it."),
    click.option("--reservation", help="A reservation of the scheduler's."),
    click.option("--constraint", help="Features of the node, in the scheduler's own words."),
    click.option("--license", "licenses", multiple=True, metavar="NAME[:N]", help="A licence it takes."),
)

_TASKS = (
    click.option(
        "--sweep", multiple=True, metavar="NAME=VALUES",
        help="A task for each value: n=1,2,3 or n=1..10 or n=0..1..0.1; for each combination of several. "
        "Or a table: params.csv, .tsv, .xlsx.",
    ),
    click.option("--zip", is_flag=True, help="Go through the lists side by side instead."),
    click.option("--each", metavar="PATTERN", help="A task for each file: 'data/*.fastq'; {file} is its name."),
    click.option("--max-running", type=int, help="Most tasks at the same time."),
    click.option("--first-alone", is_flag=True, default=None, help="One task first; the rest if it succeeds."),
    click.option("--pack", type=int, help="Tasks that share one container start."),
    click.option("--after", multiple=True, metavar="JOB[:any|:failed]", help="Begin when JOB has ended (well)."),
    click.option(
        "--retry", multiple=True, metavar="WHAT=TIMES", callback=lambda _ctx, _option, given: parse_retry(given),
        help="Try again: node_failed=2, out_of_memory=1, exit_code=1; memory_factor=2.",
    ),
    click.option("--resume", is_flag=True, default=None, help="Keep /job between tries; go on past the time limit."),
    click.option("--signal-before", metavar="TIME", help="Send USR1 so long before the time limit."),
)  # fmt: skip

_PATTERN = (
    click.option("--pattern", metavar="NAME", help="Fill in a pattern: NAME=VALUE… instead of SCRIPT."),
    click.option("--example", is_flag=True, help="With --pattern: its example stands in for what is not given."),
)

_FLAGS = (*_PATTERN, *_SOFTWARE, *_RESOURCES, *_TASKS)


def parse_retry(given: tuple[str, ...]) -> dict[str, float]:
    """Read `node_failed=2` texts."""
    found: dict[str, float] = {}
    for text in given:
        name, _, times = text.partition("=")
        try:
            found[name.strip()] = float(times) if "." in times else int(times)
        except ValueError:
            raise click.BadParameter(f"{text!r}: write for example node_failed=2", param_hint="--retry") from None
    return found


def job_flags(command: Command) -> Command:
    """Add SCRIPT, its arguments and the flags of a job to a command."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    command = click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARG…]")(command)
    return click.argument("script", metavar="SCRIPT", required=False)(command)


def as_json(command: Command) -> Command:
    """Add --json to a command."""
    return click.option("--json", "json_", is_flag=True, help="Print the API's own JSON.")(command)


def describe(cluster: Cluster, script: str | None, wishes: dict[str, Any]) -> Draft:
    """Have a draft made of what the flags say."""
    pattern, example = wishes.pop("pattern"), wishes.pop("example")
    if pattern is not None:
        values = read_values(word for word in (script, *wishes.pop("args")) if word is not None)
        return cluster.describe(cluster.expand(pattern, values, example=example), **wishes)
    if example:
        raise click.UsageError("--example goes with --pattern NAME; `clif patterns list` names them")
    if script is None:
        raise click.UsageError("Missing argument 'SCRIPT'.")
    return cluster.describe(script, **wishes)
