"""Connections to servers of the web, each to an address that the guard has judged, and kept for the next request.

A connection goes to the address itself, while the name stays in Host, SNI and the certificate's check. It is used
again only for a request whose name was resolved to its address and judged anew. No proxy is taken from the environment.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError
from urllib3.util import Timeout

from cluster_interface.staging.acting import as_the_server
from cluster_interface.staging.addresses import PORTS, gone

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

    from urllib3 import BaseHTTPResponse
    from urllib3.util import Url

    from cluster_interface.staging.guard import Guard

CONNECT = 20.0  #: seconds
MOST_IDLE = 8  #: connections to one address that are kept for the next request
HEADERS = {"User-Agent": "cluster-interface", "Accept": "*/*", "Accept-Encoding": "identity"}


class Trouble(Exception):
    """What may be better at the next try: no connection, a cut, an overloaded server."""


@dataclass(frozen=True)
class Connections:
    """Asks servers, through the guard."""

    guard: Guard
    context: ssl.SSLContext
    timeout: float  #: seconds without a byte
    _pools: dict[tuple[str, ...], HTTPConnectionPool] = field(
        default_factory=dict, init=False, repr=False
    )  #: by who is spoken to

    def close(self) -> None:
        """Close the connections that nobody uses; others are closed after their use."""
        while self._pools:
            self._pools.popitem()[1].close()

    @contextmanager
    def ask(
        self, method: str, url: Url, headers: Mapping[str, str], body: bytes | None = None
    ) -> Iterator[BaseHTTPResponse]:
        """Give the answer to one request, its body not read yet; Trouble or Permanent in words."""
        try:
            with as_the_server():  # name service and interpreter may need files that the account cannot read
                answer = self._connect(method, url, headers, body)
        except OSError as error:
            raise Trouble(f"{url.host} cannot be resolved: {error.strerror or error}") from None
        except UnicodeError:
            raise gone(f"{url.host} is not the name of a host") from None
        try:
            yield answer
        except HTTPError as error:
            raise Trouble(f"the connection broke ({type(error).__name__})") from None
        finally:
            if answer.length_remaining == 0:
                answer.drain_conn()  # all has come: the next request may use the connection
            answer.close()

    def _connect(self, method: str, url: Url, headers: Mapping[str, str], body: bytes | None) -> BaseHTTPResponse:
        """Try the open addresses in turn until one takes the connection, or has one left from before."""
        host = (url.host or "").strip("[]")
        port = url.port or PORTS[url.scheme or ""]
        sent = {**HEADERS, "Host": url.netloc or "", **headers}
        trouble = Trouble("it has no address")
        for address in self.guard.addresses(host, port):
            pool = self._pool(url.scheme or "", host, address, port)
            try:
                return _urlopen(pool, method, url.request_uri, body, sent)
            except NewConnectionError:
                trouble = Trouble(f"{host} does not answer at {address} port {port}")
            except HTTPError as error:
                trouble = Trouble(f"{host} at {address}: {_words(error)}")
        raise trouble

    def _pool(self, scheme: str, host: str, address: str, port: int) -> HTTPConnectionPool:
        """Return the connections to one judged address; those of another name, or address, are others."""
        key = (scheme, host, address, str(port))
        pool = self._pools.get(key)
        if pool is None:
            timeout = Timeout(connect=min(CONNECT, self.timeout), read=self.timeout)
            if scheme == "http":
                pool = HTTPConnectionPool(address, port, timeout=timeout, maxsize=MOST_IDLE)
            else:
                pool = HTTPSConnectionPool(
                    address, port, timeout=timeout, maxsize=MOST_IDLE, ssl_context=self.context,
                    server_hostname=host, assert_hostname=host,
                )  # fmt: skip
            pool = self._pools.setdefault(key, pool)
        return pool


def _urlopen(
    pool: HTTPConnectionPool, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
) -> BaseHTTPResponse:
    """Send a request; once more where it went to a connection that the other side was just closing."""
    while True:
        made = pool.num_connections
        try:
            return pool.urlopen(
                method,
                path,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
            )
        except ProtocolError:
            if pool.num_connections != made or method not in ("GET", "HEAD"):
                raise


def _words(error: HTTPError) -> str:
    """Say what went wrong without urllib3's object names."""
    cause = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    return str(cause).rpartition(": ")[2] or type(error).__name__
