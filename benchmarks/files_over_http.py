"""Files that a benchmark serves over HTTP on the loopback."""

from __future__ import annotations

import http.server
import multiprocessing
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends files with an ETag, by sendfile(2), and counts."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a kept connection waits 40 ms for every file
    root: Path
    sent: Any  #: a number that processes share

    def do_GET(self) -> None:
        """Answer."""
        with (self.root / self.path[1:]).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.send_header("ETag", f'"{self.path}-{size}"')
            self.end_headers()
            if self.command == "GET":
                with self.sent.get_lock():
                    self.sent.value += 1
                self.wfile.flush()
                offset = 0
                while offset < size:
                    offset += os.sendfile(self.connection.fileno(), file.fileno(), offset, size - offset)

    do_HEAD = do_GET  # noqa: N815 - named by http.server

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def serving(root: Path) -> Iterator[tuple[str, type[Handler]]]:
    """Serve a directory, from a process of its own, so that it takes nothing from who fetches."""
    handler = type("Served", (Handler,), {"root": root, "sent": multiprocessing.Value("l", 0)})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket.listen(512)
    process = multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        process.terminate()
        process.join()
        server.server_close()
