"""HTTP to the server: kept connections, answers with an error turned into the error tree.

http.client rather than a library above it: it is imported in 20 ms where urllib3 takes 75, which a person waits
for at every command, and of such a library's gifts only the pool of kept connections is needed here.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Self, TypedDict, Unpack
from urllib.parse import quote, urlencode

from cluster_interface import __version__
from cluster_interface.client.problems import error_of
from cluster_interface.model.errors import Transient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from cluster_interface.client.address import Address

PREFIX = "/api/v1"
TIMEOUT = 60.0  #: seconds without a byte
BLOCK = 256 * 1024  #: bytes sent or read at once

_STALE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
_ABSENT = (FileNotFoundError, ConnectionRefusedError)
CROWDED = 10.0  #: seconds to try to get in where many call at once


class Sent(TypedDict, total=False):
    """What may go along with a request."""

    query: Mapping[str, object] | None  #: None as a value: left out
    document: Any  #: sent as JSON
    body: bytes | IO[bytes] | None  #: sent as it is
    headers: Mapping[str, str] | None
    timeout: float  #: seconds without a byte; TIMEOUT where it is left out


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout, blocksize=BLOCK)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        end = time.monotonic() + CROWDED
        while True:
            try:
                return self.sock.connect(str(self._path))
            except BlockingIOError:  # the server's queue of callers is full: on a Unix socket that is EAGAIN, at once
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]  #: names in any case
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON; Transient if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise Transient("the server's answer is not JSON; is this address cluster-interface's?") from None


class Stream:
    """An answer whose body is still coming in; close it when done. Reading raises Transient where it breaks off."""

    def __init__(
        self, transport: Transport, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
    ) -> None:
        self._transport, self._connection, self._answer = transport, connection, answer
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers  # type: ignore[assignment]  # Message.get is a mapping's

    def read(self, amount: int = BLOCK) -> bytes:
        """Read at most `amount` bytes; empty at the end."""
        try:
            data = self._answer.read(amount)
        except (OSError, http.client.HTTPException) as error:
            raise Transient(f"the connection to the server broke off: {_words(error)}") from None
        if not data and self._answer.length:  # http.client keeps silent about a body that is cut
            raise Transient("the connection to the server broke off before the end")
        return data

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read():
            yield data

    def whole(self) -> Answer:
        """Read the rest."""
        return Answer(status=self.status, headers=self.headers, body=b"".join(self))

    def close(self) -> None:
        """Keep the connection for the next request if this answer was read to its end, else close it."""
        if self._answer.isclosed():
            self._transport.keep(self._connection)
        else:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Transport:
    """Connections to one server, for any number of threads.

    `revive` is called when nothing answers at the address, or what did goes away; then the request is sent again, once.
    """

    def __init__(self, address: Address, revive: Callable[[], None] | None = None) -> None:
        self.address = address
        self._revive = revive
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def request(self, method: str, path: str, **sent: Unpack[Sent]) -> Answer:
        """Send a request below /api/v1 and return its answer; raises what an answer with an error stands for.

        A request whose kept connection turns out to be dead goes out again, unless its body is a file: those who send
        files know where to go on.
        """
        with self.stream(method, path, **sent) as stream:
            return stream.whole()

    def stream(self, method: str, path: str, **sent: Unpack[Sent]) -> Stream:
        """Like `request`, with the body still to be read."""
        headers = {"User-Agent": f"clif/{__version__}", "Accept": "application/json", **(sent.get("headers") or {})}
        body = sent.get("body")
        if (document := sent.get("document")) is not None:
            body = json.dumps(document).encode()
            headers["Content-Type"] = "application/json"
        target = f"{self.address.prefix}{PREFIX}{path}"
        if query := sent.get("query"):
            target += f"?{urlencode({name: value for name, value in query.items() if value is not None})}"
        connection, answer = self._exchange(method, target, body, headers, sent.get("timeout", TIMEOUT))
        opened = Stream(self, connection, answer)
        if answer.status >= 400:
            with opened:
                raise error_of(opened.whole())
        return opened

    def keep(self, connection: http.client.HTTPConnection) -> None:
        """Take a connection back for the next request."""
        with self._lock:
            self._idle.append(connection)

    def close(self) -> None:
        """Close the kept connections; the transport can still be used."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(
        self, method: str, target: str, body: bytes | IO[bytes] | None, headers: Mapping[str, str], timeout: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        kept = self._take_kept(timeout)
        if kept is not None:
            try:
                return kept, _send(kept, method, target, body, headers)
            except _STALE as error:  # the server closes connections that are idle
                if body is not None and not isinstance(body, bytes):
                    raise Transient(f"the connection to the server broke off: {_words(error)}") from None
            except (OSError, http.client.HTTPException) as error:
                raise self._trouble(error) from None
        connection = self._connected(timeout)
        try:
            try:
                return connection, _send(connection, method, target, body, headers)
            except _STALE:  # it waited to be let in at a server that ended
                if self._revive is None or not isinstance(body, bytes | None):
                    raise
            self._revive()
            connection = self._connected(timeout)
            return connection, _send(connection, method, target, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise self._trouble(error) from None

    def _take_kept(self, timeout: float) -> http.client.HTTPConnection | None:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is not None and connection.sock is not None:
            connection.sock.settimeout(timeout)
        return connection

    def _connected(self, timeout: float) -> http.client.HTTPConnection:
        connection = self._new(timeout)
        try:
            try:
                connection.connect()
            except _ABSENT:
                if self._revive is None:
                    raise
                self._revive()
                connection.connect()
        except OSError as error:
            connection.close()
            raise self._trouble(error) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _new(self, timeout: float) -> http.client.HTTPConnection:
        address = self.address
        if address.socket is not None:
            return _UnixConnection(address.socket, timeout)
        kind = http.client.HTTPSConnection if address.secure else http.client.HTTPConnection
        return kind(address.host, address.port, timeout=timeout, blocksize=BLOCK)

    def _trouble(self, error: Exception) -> Transient:
        if isinstance(error, TimeoutError):
            return Transient(f"the server at {self.address} does not answer in time")
        return Transient(f"cannot reach the server at {self.address}: {_words(error)}")


def segment(text: str) -> str:
    """Quote a piece of text as one segment of a path."""
    return quote(text, safe="")


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes | IO[bytes] | None,
    headers: Mapping[str, str],
) -> http.client.HTTPResponse:
    try:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, target, body=body, headers=dict(headers))
        # A server that refuses a body may answer and close before it has read it all: its words count.
        return connection.getresponse()
    except BaseException:
        connection.close()
        raise


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
