"""The real application over the sample service, on a loopback port; and a browser to look at it.

`python -m tests.browser.serving` serves it until interrupted, for whoever works on the pages.
"""

from __future__ import annotations

import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import werkzeug.serving
from tests.browser.sample import OWNER, SampleService, SampleUploads

from cluster_interface.api.application import application
from cluster_interface.store import Store, Vault, sessions
from cluster_interface.web import blueprint, shared_blueprint

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


class Site:
    """A running server, and what is behind it."""

    def __init__(self, directory: Path) -> None:
        self.store = Store(f"sqlite:///{directory / 'sample.db'}")
        self.store.migrate()
        vault = Vault(directory / "credentials.key")
        vault.prepare()
        self.uploads = SampleUploads()
        self.service = SampleService(self.store, self.uploads, vault)
        self.server = werkzeug.serving.make_server("127.0.0.1", 0, self._app, threaded=True)
        self.address = f"127.0.0.1:{self.server.port}"
        self.url = f"http://{self.address}"
        self.app = application(self.service, self.uploads, owner=OWNER, page_address=self.address)
        self.app.register_blueprint(blueprint(self.service))
        self.app.register_blueprint(shared_blueprint(self.service))

    def reset(self) -> None:
        """Put the samples back as they were; who is signed in stays so."""
        self.service.reset()
        self.uploads.reset()

    def _app(self, environ: dict, start: object) -> object:
        return self.app(environ, start)

    def link(self) -> str:
        """Make a one-time link."""
        with self.store.write() as db:
            return f"{self.url}/enter?token={sessions.open_session(db, OWNER, 'link')}"


class _Silent(werkzeug.serving.WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Site]:
    """Serve the sample for the length of a block."""
    with tempfile.TemporaryDirectory() as directory:
        site = Site(Path(directory))
        site.server.RequestHandlerClass = _Silent
        thread = threading.Thread(target=site.server.serve_forever, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            site.server.shutdown()
            thread.join()
            site.server.server_close()
            site.store.engine.dispose()


if __name__ == "__main__":
    with serving() as running:
        print(running.link())  # noqa: T201 - a script for people
        threading.Event().wait()
