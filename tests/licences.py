"""A licence server as licensed programs ask one."""

import socketserver
import threading

import pytest


class Licences(socketserver.BaseRequestHandler):
    """Lends one to everybody."""

    def handle(self):
        """Say so."""
        self.request.sendall(b"licensed\n")


@pytest.fixture(scope="module")
def licences():
    """A licence server on every address of this machine, docker's network among them; its port."""
    with socketserver.ThreadingTCPServer(("0.0.0.0", 0), Licences) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
