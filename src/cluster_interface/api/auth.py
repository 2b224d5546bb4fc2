"""Who is calling: the account at the other end of the Unix socket, or a browser with a session of its own.

The Unix socket is for the server's own account (and root): the kernel names the peer (SO_PEERCRED, unix(7)).
The loopback listener is open to every account of the machine, so it asks for a cookie, checks the Host header
against rebinding, and on every change a CSRF token.
"""

from __future__ import annotations

import hmac
import os
import socket
import struct
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Response, g, redirect, request

from cluster_interface.api.problems import for_rest, problem
from cluster_interface.store import sessions

if TYPE_CHECKING:
    from apiflask import APIFlask
    from werkzeug.wrappers import Response as BaseResponse

    from cluster_interface.store import Store

COOKIE = "clif_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


def register(app: APIFlask, store: Store, *, owner: str, page_address: str) -> None:
    """Check every request before its view, and put the security headers on every answer."""
    hosts = _hosts(page_address)

    @app.before_request
    def check() -> Response | None:
        g.user = g.csrf = None
        if _through_unix_socket():
            if _peer() not in (os.geteuid(), 0):
                return problem(403, "Refused", "this socket is for the account that runs the server")
            g.user = owner
            return None
        if request.host not in hosts:
            return problem(421, "Wrong host", "this address is not served here; open the pages with `clif ui`")
        return _check_browser(store)

    @app.after_request
    def harden(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        if g.get("user") and request.endpoint != "pages.static":
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.get("/enter")
    @app.doc(hide=True)
    def enter() -> BaseResponse:
        """Open the pages with a one-time link."""
        with store.write() as db:
            token = sessions.use_link(db, request.args.get("token", ""))
        response = redirect("/", 303)
        if token is not None:
            response.set_cookie(COOKIE, token, httponly=True, samesite="Strict", path="/")
        return response


def _check_browser(store: Store) -> Response | None:
    token = request.cookies.get(COOKIE, "")
    if token:
        with store.read() as db:
            session = sessions.find_session(db, token, "cookie")
        if session:
            g.user, g.csrf = session.owner, session.csrf
    if g.user is None:
        return problem(401, "Not signed in", "open the pages with `clif ui`") if for_rest() else None
    if request.method not in SAFE and not _same_page():
        return problem(403, "Refused", "the request does not come from a page of this server; load the page again")
    return None


def _same_page() -> bool:
    sent = request.headers.get("X-CSRF-Token") or (
        request.form.get("csrf", "") if request.mimetype == "application/x-www-form-urlencoded" else ""
    )
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return False
    return hmac.compare_digest(sent.encode(), g.csrf.encode())


def _hosts(address: str) -> frozenset[str]:
    host, _, port = address.rpartition(":")
    return frozenset({address, f"localhost:{port}", f"127.0.0.1:{port}", host and f"{host}:{port}"})


def _through_unix_socket() -> bool:
    connection = request.environ.get("gunicorn.socket")
    return connection is not None and connection.family == socket.AF_UNIX


def _peer() -> int:
    """Return the uid at the other end (SO_PEERCRED; asked of Unix sockets only: on TCP it answers -1)."""
    credentials = request.environ["gunicorn.socket"].getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
    )
    _pid, uid, _gid = struct.unpack("3i", credentials)
    return int(uid)
