"""The web server: gunicorn's gthread worker on listeners made by the supervisor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

FIRST_FD = 3  # sd_listen_fds(3): inherited listeners begin here


def serve_forever(make: Callable[[], Any], listeners: Sequence[int], *, threads: int, scratch: Path) -> None:
    """Serve what `make` returns on these listening sockets until SIGTERM.

    They are handed over as systemd would (LISTEN_FDS), so that gunicorn neither makes nor unlinks them.
    """
    safe = [os.dup(fd) for fd in listeners]
    for position, fd in enumerate(safe):
        os.dup2(fd, FIRST_FD + position)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(safe))}
    _Server(make, threads, scratch).run()


class _Server(BaseApplication):  # type: ignore[misc]  # without types
    def __init__(self, make: Callable[[], Any], threads: int, scratch: Path) -> None:
        self._make, self._threads, self._scratch = make, threads, scratch
        super().__init__()

    def load_config(self) -> None:
        options = {
            "worker_class": "gthread",
            "workers": 1,
            "threads": self._threads,
            "timeout": 120,
            "graceful_timeout": 5,
            "keepalive": 30,
            "limit_request_line": 8190,  # the most that gunicorn has; a long path with many escapes takes thousands
            "control_socket_disable": True,
            "worker_tmp_dir": str(self._scratch),
            "loglevel": "warning",
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self._make()
