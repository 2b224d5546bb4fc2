"""Entry point and composition root: configuration -> adapters -> engine and web.

`clif serve` is a supervisor of three processes, forked from it: the engine, the web server, and the local scheduler's
dispatcher, which owns the slots of this machine.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from cluster_interface.cli import app

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster_interface.composition import Parts
    from cluster_interface.settings import Settings


def main() -> None:
    """Run the command line."""
    app.add_command(serve)
    app(prog_name="clif")


@click.command()
@click.option("--stop", is_flag=True, help="End the server that runs on this state directory.")
def serve(stop: bool) -> None:  # noqa: FBT001 - click passes by name
    """Run the server in the foreground; alone, `run` and the others start it by themselves."""
    from cluster_interface.model.errors import ClusterError  # noqa: PLC0415
    from cluster_interface.settings import load  # noqa: PLC0415

    try:
        settings, _ = load()
        if stop:
            return _stop(settings)
        return _supervise(settings)
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
    from cluster_interface.composition import Parts  # noqa: PLC0415 - the outside world, only where it is served

    _log_to_stderr()
    state, runtime = settings.server.state, settings.server.runtime
    for directory in (state, runtime):
        supervisor.make_private(directory)
        supervisor.refuse_network_filesystem(directory)
    lock = supervisor.StateLock(state)
    parts = Parts(settings)
    parts.prepare()
    structlog.get_logger().info("database", found=parts.store.title())
    parts.store.close()  # a connection is no good in two processes
    alone = "local" in settings.schedulers
    if alone:
        structlog.get_logger().info("runtime", why=parts.choice.why)
    unix = supervisor.unix_listener(settings.socket)
    pages = supervisor.loopback_listener(settings.server.listen, state / "pages.port")

    def behind(run: Callable[[Parts], None]) -> None:
        """What a part starts may outlive the server: neither the lock nor the sockets may stay open in it."""
        lock.forget()
        for listener in (unix, pages):
            listener.close()
        run(parts)

    def web() -> None:
        lock.forget()
        _web(parts, [unix.detach(), pages.detach()])

    children = [supervisor.Child("engine", partial(behind, _engine)), supervisor.Child("web", web)]
    if alone:
        children.insert(0, supervisor.Child("dispatcher", partial(behind, _dispatcher)))
    supervisor.supervise(children)


def _engine(parts: Parts) -> None:
    from cluster_interface.composition import WAKE  # noqa: PLC0415
    from cluster_interface.engine import Engine  # noqa: PLC0415
    from cluster_interface.store import claims  # noqa: PLC0415

    settings = parts.settings
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
    stopping = _until_terminated(lambda: wake(""))  # a signal by itself does not end a select: PEP 475
    Engine(parts.store, parts.tools(wake), [from_others, from_works]).run(stopping.is_set)


def _web(parts: Parts, listeners: list[int]) -> None:
    from cluster_interface.api import application  # noqa: PLC0415
    from cluster_interface.api.gunicorn import serve_forever  # noqa: PLC0415
    from cluster_interface.web import blueprint, shared_blueprint  # noqa: PLC0415

    with socket.socket(fileno=os.dup(listeners[1])) as pages:
        host, port = pages.getsockname()

    def make() -> Any:
        service = parts.service()
        made = application(service, parts.uploads, owner=parts.owner, page_address=f"{host}:{port}")
        made.register_blueprint(blueprint(service))
        made.register_blueprint(shared_blueprint(service))
        return made

    server = parts.settings.server
    serve_forever(make, listeners, threads=server.threads, scratch=server.runtime)


def _dispatcher(parts: Parts) -> None:
    parts.dispatcher().run(_until_terminated())


def _until_terminated(wake: Callable[[], None] = lambda: None) -> threading.Event:
    """Return what a signal to end sets, after which it calls `wake` to end a wait of the main thread."""
    stopping = threading.Event()

    def stop(_received: int, _frame: Any) -> None:
        stopping.set()
        wake()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
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
