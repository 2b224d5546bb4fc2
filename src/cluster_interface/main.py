"""Entry point and composition root: configuration -> adapters -> engine and web.

`clif serve` is a supervisor of three processes, each of which is this module again with `--part`: the engine,
the web server, and the local scheduler's dispatcher, which owns the slots of this machine.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from cluster_interface.cli import app

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.settings import Settings


def main() -> None:
    """Run the command line."""
    app.add_command(serve)
    app(prog_name="clif")


@click.command()
@click.option("--stop", is_flag=True, help="End the server that runs on this state directory.")
@click.option("--part", type=click.Choice(["engine", "web", "dispatcher"]), hidden=True)
def serve(stop: bool, part: str | None) -> None:  # noqa: FBT001 - click passes by name
    """Run the server in the foreground; alone, `run` and the others start it by themselves."""
    from cluster_interface.model.errors import ClusterError  # noqa: PLC0415
    from cluster_interface.settings import load  # noqa: PLC0415

    try:
        settings, _ = load()
        if stop:
            return _stop(settings)
        return _PARTS[part](settings) if part else _supervise(settings)
    except ClusterError as error:
        click.echo(f"clif: {error}", err=True)
        sys.exit(2)


def _stop(settings: Settings) -> None:
    from cluster_interface.supervisor import StateLock  # noqa: PLC0415

    pid = StateLock.pid(settings.server.state)
    if pid is None:
        click.echo("no server runs here")
        return
    os.kill(pid, signal.SIGTERM)
    click.echo(f"asked process {pid} to end; running jobs go on, and the next server finds them")


def _supervise(settings: Settings) -> None:
    import structlog  # noqa: PLC0415

    from cluster_interface import supervisor  # noqa: PLC0415

    _log_to_stderr()
    state, runtime = settings.server.state, settings.server.runtime
    for directory in (state, runtime):
        supervisor.make_private(directory)
        supervisor.refuse_network_filesystem(directory)
    lock = supervisor.StateLock(state)
    parts = _compose(settings)
    parts.prepare()
    structlog.get_logger().info("database", found=parts.store.title())
    alone = "local" in settings.schedulers
    if alone:
        structlog.get_logger().info("runtime", why=parts.choice.why)
    unix = supervisor.unix_listener(settings.socket)
    pages = supervisor.loopback_listener(settings.server.listen, state / "pages.port")
    argv = [sys.executable, "-m", "cluster_interface.main", "serve", "--part"]
    fds = (unix.fileno(), pages.fileno())
    web = {"pass_fds": fds, "env": {**os.environ, "CLIF_LISTENERS": ",".join(map(str, fds))}}
    supervisor.supervise(
        [
            *([supervisor.Child("dispatcher", [*argv, "dispatcher"])] if alone else []),
            supervisor.Child("engine", [*argv, "engine"]),
            supervisor.Child("web", [*argv, "web"], **web),
        ]
    )
    del lock


def _engine(settings: Settings) -> None:
    from cluster_interface.composition import WAKE  # noqa: PLC0415
    from cluster_interface.engine import Engine  # noqa: PLC0415
    from cluster_interface.store import claims  # noqa: PLC0415

    _log_to_stderr()
    parts = _compose(settings)
    path = settings.server.runtime / WAKE
    path.unlink(missing_ok=True)
    from_others = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    from_others.bind(str(path))
    from_works, to_us = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def wake(mark: str) -> None:  # called in the works' own processes
        with contextlib.suppress(OSError):
            to_us.send(mark.encode(), socket.MSG_DONTWAIT)

    if settings.database.startswith("sqlite"):  # one machine, and the state directory's lock: no other engine lives
        with parts.store.write() as db:
            claims.release(db)
    Engine(parts.store, parts.tools(wake), [from_others, from_works]).run(_until_terminated().is_set)


def _web(settings: Settings) -> None:
    from cluster_interface.api import application  # noqa: PLC0415
    from cluster_interface.api.gunicorn import serve_forever  # noqa: PLC0415
    from cluster_interface.web import blueprint, shared_blueprint  # noqa: PLC0415

    _log_to_stderr()
    fds = [int(fd) for fd in os.environ.pop("CLIF_LISTENERS").split(",")]
    host, port = socket.socket(fileno=os.dup(fds[1])).getsockname()

    def make() -> Any:
        parts = _compose(settings)
        service = parts.service()
        made = application(service, parts.uploads, owner=parts.owner, page_address=f"{host}:{port}")
        made.register_blueprint(blueprint(service))
        made.register_blueprint(shared_blueprint(service))
        return made

    serve_forever(make, fds, threads=settings.server.threads, scratch=settings.server.runtime)


def _dispatcher(settings: Settings) -> None:
    _log_to_stderr()
    _compose(settings).dispatcher().run(_until_terminated())


_PARTS: dict[str, Callable[[Settings], None]] = {"engine": _engine, "web": _web, "dispatcher": _dispatcher}


def _compose(settings: Settings) -> Any:
    from cluster_interface.composition import Parts  # noqa: PLC0415 - the outside world, only where it is served

    return Parts(settings)


def _until_terminated() -> threading.Event:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _received, _frame: stopping.set())
    return stopping


def _log_to_stderr() -> None:
    import logging  # noqa: PLC0415

    import structlog  # noqa: PLC0415

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    main()
