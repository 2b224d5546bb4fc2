"""Inputs from the web: http and https, through the guard, taken up again where they were cut.

Redirects are followed by hand, so that every hop passes the guard; each connection goes to an address that was
judged, while the name stays in Host, SNI and the certificate's check. A connection is used again only for a request
whose name was resolved to its address and judged anew. No proxy is taken from the environment.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urljoin

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError, ProtocolError
from urllib3.util import Timeout, Url, parse_url

from cluster_interface.model.errors import Permanent
from cluster_interface.model.state import FailureCode
from cluster_interface.staging.acting import as_the_server
from cluster_interface.staging.guard import Guard, networks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3 import BaseHTTPResponse

    from cluster_interface.settings import Staging
    from cluster_interface.staging.parts import Part

T = TypeVar("T")

CHUNK = 256 * 1024
MOST_REDIRECTS = 10
TRIES = 5  #: in a row, without one byte more
PAUSE = 0.5  #: seconds before the second try; doubled for each further one
CONNECT = 20.0  #: seconds
MOST_IDLE = 8  #: connections to one address that are kept for the next request
LONGEST_ANSWER = 2**20  #: bytes of an answer to what was sent

_REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RFC 9110, 15.4
_PORTS = {"http": 80, "https": 443}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")  # RFC 9110, 14.4
_HEADERS = {"User-Agent": "cluster-interface", "Accept": "*/*", "Accept-Encoding": "identity"}


Sign = Callable[[str, str], Mapping[str, str]]  #: method and address -> headers that prove who asks


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a server says of something without sending it."""

    size: int | None
    validator: str | None  #: a strong ETag or a date: the same one means the same bytes


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A short answer to something that was sent."""

    status: int
    headers: Mapping[str, str]  #: names in any case
    body: bytes


def _unsigned(_method: str, _address: str) -> Mapping[str, str]:
    return {}


class _Trouble(Exception):
    """What may be better at the next try: no connection, a cut, an overloaded server."""


@dataclass(frozen=True)
class Web:
    """Measures and fetches what lies at an http or https address."""

    guard: Guard
    context: ssl.SSLContext
    timeout: float  #: seconds without a byte
    pause: float = PAUSE
    ca_bundle: str | None = None  #: for programs that connect themselves
    _pools: dict[tuple[str, ...], HTTPConnectionPool] = field(
        default_factory=dict, init=False, repr=False
    )  #: by who is spoken to

    def close(self) -> None:
        """Close the connections that nobody uses; others are closed after their use."""
        while self._pools:
            self._pools.popitem()[1].close()

    @classmethod
    def of(cls, settings: Staging) -> Self:
        """Set up as the site says."""
        context = ssl.create_default_context(cafile=str(settings.ca_bundle) if settings.ca_bundle else None)
        ca_bundle = str(settings.ca_bundle) if settings.ca_bundle else None
        guard = Guard(networks(settings.allowed_networks))
        return cls(guard, context, float(settings.timeout), ca_bundle=ca_bundle)

    def measure(self, address: str) -> int | None:
        """Return the size in bytes, None if the server does not tell; Permanent if there is nothing to fetch."""
        return self.look(address).size

    def look(self, address: str, sign: Sign = _unsigned) -> Seen:
        """Say what the server tells of the thing; Permanent if there is nothing to fetch."""
        return self._persistently(address, lambda: self._look(address, sign))

    def read(self, address: str, limit: int, sign: Sign = _unsigned) -> bytes:
        """Return a short answer; Permanent if it is longer than `limit` bytes."""
        return self._persistently(address, lambda: self._read(address, limit, sign))

    def send(self, method: str, address: str, body: bytes, sign: Sign = _unsigned) -> Answered:
        """Send a body and return the answer, whatever it is below 500; redirects are not followed."""

        def ask() -> Answered:
            url = parse(address)
            with self._ask(method, url, sign(method, url.url), body) as answer:
                if answer.status >= 500 or answer.status in (408, 425, 429):
                    raise _Trouble(f"it answered {answer.status}")
                return Answered(status=answer.status, headers=answer.headers, body=answer.read(LONGEST_ANSWER))

        return self._persistently(address, ask)

    def end(self, address: str, sign: Sign = _unsigned) -> str:
        """Return where the redirects of an address end."""

        def follow() -> str:
            with self._answer("GET", address, {}, sign) as answer:
                _must_be(answer, address, 200)
                return answer.url or address

        return self._persistently(address, follow)

    def _persistently(self, address: str, ask: Callable[[], T]) -> T:
        for _ in self.tries(lambda: 0):
            try:
                return ask()
            except _Trouble as trouble:
                reason = trouble
        raise _gone(f"{shown(address)} could not be reached: {reason}")

    def fetch(self, address: str, part: Part, sign: Sign = _unsigned) -> None:
        """Bring all bytes into `part`, going on from what is there if the server still has the same thing.

        `sign` is asked for every request, but never where a redirect leads to another server.
        """
        if part.note.get("address") == address:
            part.resume()
        else:
            part.restart()
        for _ in self.tries(lambda: part.size):
            try:
                self._fetch(address, part, sign)
            except _Trouble as trouble:
                reason = trouble
            else:
                return
        raise _gone(f"{shown(address)} could not be fetched: {reason} ({part.size} bytes had come)")

    def tries(self, reached: Callable[[], int]) -> Iterator[int]:
        """Yield until TRIES tries in a row came no farther than before, with a growing pause between them."""
        left, farthest = TRIES, reached()
        while left:
            yield left
            left = left - 1 if reached() <= farthest else TRIES - 1
            farthest = max(farthest, reached())
            if left:
                time.sleep(self.pause * 2 ** (TRIES - 1 - left))

    def _look(self, address: str, sign: Sign) -> Seen:
        with self._answer("HEAD", address, {}, sign) as answer:
            if answer.status == 200:
                return Seen(size=_length(answer), validator=_validator(answer).get("validator"))
        with self._answer("GET", address, {"Range": "bytes=0-0"}, sign) as answer:  # some servers refuse HEAD
            validator = _validator(answer).get("validator")
            if answer.status == 206 and (found := _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))):
                return Seen(size=None if found[3] == "*" else int(found[3]), validator=validator)
            _must_be(answer, address, 200, 206, 416)  # 416: empty
            return Seen(size=_length(answer) if answer.status == 200 else None, validator=validator)

    def _read(self, address: str, limit: int, sign: Sign) -> bytes:
        with self._answer("GET", address, {}, sign) as answer:
            _must_be(answer, address, 200)
            data = b""
            for piece in _body(answer):
                data += piece
                if len(data) > limit:
                    raise _gone(f"{shown(address)} answers with more than {limit} bytes")
            return data

    def _fetch(self, address: str, part: Part, sign: Sign) -> None:
        """One request for what is missing. Ends well only if the server says that this was all."""
        headers = _resumption(part)
        if part.size and not headers:
            part.restart()
        with self._answer("GET", address, headers, sign) as answer:
            if headers and answer.status == 416:
                part.restart()
                raise _Trouble("it has become shorter")
            _must_be(answer, address, 200, *([206] if headers else []))
            if answer.status == 200:
                part.restart()
            elif not _continues(answer, part.size):
                part.restart()
                raise _Trouble("it answered with another range than was asked for")
            part.check_limit(part.size + (_length(answer) or 0))
            part.note = {"address": address, **_validator(answer)}
            for data in _body(answer):
                part.write(data)

    @contextmanager
    def _answer(self, method: str, address: str, headers: Mapping[str, str], sign: Sign) -> Iterator[BaseHTTPResponse]:
        """Ask, following redirects; every hop passes the guard."""
        first = parse(address)
        for _ in range(MOST_REDIRECTS + 1):
            url = parse(address)
            proof = sign(method, url.url) if (url.scheme, url.netloc) == (first.scheme, first.netloc) else {}
            with self._ask(method, url, {**headers, **proof}) as answer:
                target = answer.headers.get("Location")
                if answer.status not in _REDIRECTS or not target:
                    answer.url = url.url
                    yield answer
                    return
            onward = parse(_joined(address, target))
            if url.scheme == "https" and onward.scheme != "https":
                raise _gone(f"{shown(address)} leads from https to {onward.scheme}, which is not followed")
            address = onward.url
        raise _gone(f"{shown(address)} is the end of more than {MOST_REDIRECTS} redirects")

    @contextmanager
    def _ask(
        self, method: str, url: Url, headers: Mapping[str, str], body: bytes | None = None
    ) -> Iterator[BaseHTTPResponse]:
        try:
            with as_the_server():  # name service and interpreter may need files that the account cannot read
                answer = self._connect(method, url, headers, body)
        except OSError as error:
            raise _Trouble(f"{url.host} cannot be resolved: {error.strerror or error}") from None
        except UnicodeError:
            raise _gone(f"{url.host} is not the name of a host") from None
        try:
            yield answer
        except HTTPError as error:
            raise _Trouble(f"the connection broke ({type(error).__name__})") from None
        finally:
            if answer.length_remaining == 0:
                answer.drain_conn()  # all has come: the next request may use the connection
            answer.close()

    def _connect(self, method: str, url: Url, headers: Mapping[str, str], body: bytes | None) -> BaseHTTPResponse:
        """Try the open addresses in turn until one takes the connection, or has one left from before."""
        host = (url.host or "").strip("[]")
        port = url.port or _PORTS[url.scheme or ""]
        sent = {**_HEADERS, "Host": url.netloc or "", **headers}
        trouble = _Trouble("it has no address")
        for address in self.guard.addresses(host, port):
            pool = self._pool(url.scheme or "", host, address, port)
            try:
                return _urlopen(pool, method, url.request_uri, body, sent)
            except NewConnectionError:
                trouble = _Trouble(f"{host} does not answer at {address} port {port}")
            except HTTPError as error:
                trouble = _Trouble(f"{host} at {address}: {_words(error)}")
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


def parse(address: str) -> Url:
    """Split an address; Permanent if it is none we fetch."""
    try:
        url = parse_url(address)
    except LocationParseError:
        raise _gone(f"{shown(address)} is not an address") from None
    if url.scheme not in _PORTS or not url.host:
        raise _gone(f"{shown(address)} is not an http or https address")
    if url.auth is not None:
        raise _gone(f"{shown(address)} has a user name in it; upload the file, or give a link that needs none")
    return url


def _joined(address: str, target: str) -> str:
    try:
        return urljoin(address, target)
    except ValueError:
        raise _gone(f"{shown(address)} leads to {target!r}, which is not an address") from None


def shown(address: str) -> str:
    """Return an address for messages: without a password, and without a query, which may be a secret too."""
    return re.sub(r"//[^/@]*@", "//", address.partition("?")[0].partition("#")[0])


def _gone(message: str) -> Permanent:
    return Permanent(message, code=FailureCode.INPUT_UNAVAILABLE)


def _must_be(answer: BaseHTTPResponse, address: str, *statuses: int) -> None:
    if answer.status in statuses:
        return
    said = f"{answer.status} {answer.reason or ''}".strip()
    if answer.status >= 500 or answer.status in (408, 425, 429):
        raise _Trouble(f"it answered {said}")
    raise _gone(f"{shown(address)} answered {said}")


def _length(answer: BaseHTTPResponse) -> int | None:
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _validator(answer: BaseHTTPResponse) -> dict[str, str]:
    """Note what tells whether the server still has the same thing: a strong ETag, else its date (RFC 9110, 13.1.5)."""
    tag = answer.headers.get("ETag", "")
    if tag.startswith('"'):
        return {"validator": tag}
    date = answer.headers.get("Last-Modified", "")
    return {"validator": date} if date else {}


def _resumption(part: Part) -> dict[str, str]:
    validator = part.note.get("validator")
    return {"Range": f"bytes={part.size}-", "If-Range": validator} if part.size and validator else {}


def _continues(answer: BaseHTTPResponse, offset: int) -> bool:
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return found is not None and int(found[1]) == offset


def _body(answer: BaseHTTPResponse) -> Iterator[bytes]:
    """Yield the bytes as they were sent; urllib3 raises if there are fewer than were announced."""
    while data := answer.read1(CHUNK, decode_content=False):
        yield data


def _words(error: HTTPError) -> str:
    """Say what went wrong without urllib3's object names."""
    cause = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    return str(cause).rpartition(": ")[2] or type(error).__name__
