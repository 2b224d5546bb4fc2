"""`clif queues`, `clif ui` and `clif doctor`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from cluster_interface.cli.failing import DONE, FAILED, UNREACHABLE
from cluster_interface.cli.flags import as_json
from cluster_interface.cli.talk import print_json, print_table, say
from cluster_interface.cli.terminal import plain
from cluster_interface.client import connect
from cluster_interface.locations import config_file
from cluster_interface.model.amounts import show_bytes, show_time, spell_bytes, spell_time
from cluster_interface.model.errors import Rejected, Transient

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.wire import DoctorReport, QueueView

_BYTES = (".memory", ".disk", "_bytes", ".quota", ".copy_below")  #: how the settings are called that are amounts
_SECONDS = (".time", ".timeout", ".grace", ".git_time", ".keep_uploads", ".longest")


@click.command("queues")
@as_json
def queues_command(*, json_: bool) -> None:
    """List the queues and the most that a job may ask of each."""
    with connect() as cluster:
        queues = cluster.queues()
    if json_:
        print_json({"queues": [queue.model_dump(mode="json") for queue in queues]})
        return
    many = len({queue.scheduler for queue in queues}) > 1
    rows = [_queue_row(queue, default=_is_default(queue, queues), named=many) for queue in queues]
    print_table(["queue", "scheduler", "nodes", "cores", "memory", "time", "GPUs", "runtimes", ""], rows)


def _is_default(queue: QueueView, queues: list[QueueView]) -> bool:
    """A scheduler's first queue is where its jobs go unless one is named."""
    return queue is next(other for other in queues if other.scheduler == queue.scheduler)


def _queue_row(queue: QueueView, *, default: bool, named: bool) -> list[str]:
    kinds = f" ({', '.join(queue.gpu_types)})" if queue.gpu_types else ""
    return [
        queue.name,
        queue.scheduler,
        str(queue.nodes),
        str(queue.cpus),
        show_bytes(queue.memory),
        show_time(queue.time) if queue.time else "no limit",
        f"{queue.gpus}{kinds}",
        ", ".join(queue.runtimes) or queue.why_not or "none works: clif doctor",
        ", ".join(filter(None, [("its default" if named else "default") if default else "", queue.state])),
    ]


@click.command("ui")
@click.option("--print", "print_", is_flag=True, help="Print the link instead of opening it.")
@as_json
def ui_command(*, print_: bool, json_: bool) -> None:
    """Open the pages in the browser, with a link that works once, within a minute."""
    with connect() as cluster:
        url = cluster.page_link()
    if json_:
        print_json({"url": url})
    elif print_ or not _open(url):
        click.echo(url)


def _open(url: str) -> bool:
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False  # a text browser would take this terminal over
    import webbrowser  # noqa: PLC0415 - only where there is a screen

    return webbrowser.open(url)


@click.command("doctor")
@click.option("--site", is_flag=True, help="Also what was found on the nodes of each queue.")
@as_json
def doctor_command(*, site: bool, json_: bool) -> None:
    """Examine the server and its settings; say what is wrong and what to do about it."""
    try:
        with connect() as cluster:
            report = cluster.doctor(site=site)
    except Transient as error:
        _local_settings(error)
        click.get_current_context().exit(UNREACHABLE)
    except Rejected as error:
        report = _of_wrong_settings(error)
    if json_:
        print_json(report.model_dump(mode="json"))
    else:
        for finding in report.findings:
            mark, colour = ("✓", "green") if finding.good else ("✗", "red")
            click.echo(f"{click.style(mark, fg=colour)} {plain(finding.about)}: {plain(finding.says)}")
            if finding.advice and not finding.good:
                click.echo(f"  → {plain(finding.advice)}")
        if report.settings:
            click.echo()
            _settings((setting.name, setting.value, setting.origin) for setting in report.settings)
    click.get_current_context().exit(DONE if all(finding.good for finding in report.findings) else FAILED)


def _of_wrong_settings(error: Rejected) -> DoctorReport:
    """Report what no server can start with; raise the error again if it is about anything else."""
    from cluster_interface.settings import load  # noqa: PLC0415 - 200 ms, only where something is wrong
    from cluster_interface.wire import DoctorReport, Finding  # noqa: PLC0415

    try:
        load()
    except Rejected as wrong:
        advice = f"settings are read from {config_file(os.environ)} and from CLIF_<SECTION>__<NAME> of the environment"
        findings = (
            Finding(about=f"setting {problem.field}", good=False, says=problem.message, advice=advice)
            for problem in wrong.problems
        )
        return DoctorReport(findings=tuple(findings), settings=())
    raise error


def _local_settings(error: Transient) -> None:
    """Show what is known without a server: why there is none, and what it would be started with."""
    say(f"✗ server: {plain(str(error))}", colour="red")
    from cluster_interface.settings import load  # noqa: PLC0415 - 200 ms, only where the server is silent

    settings, origins = load()
    values = settings.model_dump(mode="json")
    _settings((name, _value(values, name), origin) for name, origin in sorted(origins.items()))


def _value(values: Any, dotted: str) -> str:
    for part in dotted.split("."):
        values = values[part]
    return "" if values is None else str(values)


def _settings(rows: Iterable[tuple[str, str, str]]) -> None:
    print_table(["setting", "value", "from"], [[name, _spelled(name, value), origin] for name, value, origin in rows])


def _spelled(name: str, value: str) -> str:
    """Write an amount as one would in the settings: `2GiB` and `1h`, not bytes and seconds."""
    if not value.isdigit():
        return value
    if name.endswith(_BYTES):
        return spell_bytes(int(value))
    return spell_time(int(value)) if name.endswith(_SECONDS) else value
