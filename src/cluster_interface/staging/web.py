"""Inputs from the web: http and https, taken up again where they were cut.

Redirects are followed by hand, so that every hop passes the guard.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from cluster_interface.staging.addresses import gone, joined, parse, shown
from cluster_interface.staging.connections import Connections, Trouble
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
LONGEST_ANSWER = 2**20  #: bytes of an answer to what was sent

_REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RFC 9110, 15.4
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")  # RFC 9110, 14.4

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


@dataclass(frozen=True)
class Web(Connections):
    """Measures and fetches what lies at an http or https address."""

    pause: float = PAUSE
    ca_bundle: str | None = None  #: for programs that connect themselves

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
            with self.ask(method, url, sign(method, url.url), body) as answer:
                if answer.status >= 500 or answer.status in (408, 425, 429):
                    raise Trouble(f"it answered {answer.status}")
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
            except Trouble as trouble:
                reason = trouble
        raise gone(f"{shown(address)} could not be reached: {reason}")

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
            except Trouble as trouble:
                reason = trouble
            else:
                return
        raise gone(f"{shown(address)} could not be fetched: {reason} ({part.size} bytes had come)")

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
                return Seen(size=_length(answer), validator=validator(answer.headers).get("validator"))
        with self._answer("GET", address, {"Range": "bytes=0-0"}, sign) as answer:  # some servers refuse HEAD
            version = validator(answer.headers).get("validator")
            if answer.status == 206 and (found := _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))):
                return Seen(size=None if found[3] == "*" else int(found[3]), validator=version)
            _must_be(answer, address, 200, 206, 416)  # 416: empty
            return Seen(size=_length(answer) if answer.status == 200 else None, validator=version)

    def _read(self, address: str, limit: int, sign: Sign) -> bytes:
        with self._answer("GET", address, {}, sign) as answer:
            _must_be(answer, address, 200)
            data = b""
            for piece in _body(answer):
                data += piece
                if len(data) > limit:
                    raise gone(f"{shown(address)} answers with more than {limit} bytes")
            return data

    def _fetch(self, address: str, part: Part, sign: Sign) -> None:
        """One request for what is missing. Ends well only if the server says that this was all."""
        headers = _resumption(part)
        if part.size and not headers:
            part.restart()
        with self._answer("GET", address, headers, sign) as answer:
            if headers and answer.status == 416:
                part.restart()
                raise Trouble("it has become shorter")
            _must_be(answer, address, 200, *([206] if headers else []))
            if answer.status == 200:
                part.restart()
            elif not _continues(answer, part.size):
                part.restart()
                raise Trouble("it answered with another range than was asked for")
            part.check_limit(part.size + (_length(answer) or 0))
            part.note = {"address": address, **validator(answer.headers)}
            for data in _body(answer):
                part.write(data)

    @contextmanager
    def _answer(self, method: str, address: str, headers: Mapping[str, str], sign: Sign) -> Iterator[BaseHTTPResponse]:
        """Ask, following redirects; every hop passes the guard."""
        first = parse(address)
        for _ in range(MOST_REDIRECTS + 1):
            url = parse(address)
            proof = sign(method, url.url) if (url.scheme, url.netloc) == (first.scheme, first.netloc) else {}
            with self.ask(method, url, {**headers, **proof}) as answer:
                target = answer.headers.get("Location")
                if answer.status not in _REDIRECTS or not target:
                    answer.url = url.url
                    yield answer
                    return
            onward = parse(joined(address, target))
            if url.scheme == "https" and onward.scheme != "https":
                raise gone(f"{shown(address)} leads from https to {onward.scheme}, which is not followed")
            address = onward.url
        raise gone(f"{shown(address)} is the end of more than {MOST_REDIRECTS} redirects")


def _must_be(answer: BaseHTTPResponse, address: str, *statuses: int) -> None:
    if answer.status in statuses:
        return
    said = f"{answer.status} {answer.reason or ''}".strip()
    if answer.status >= 500 or answer.status in (408, 425, 429):
        raise Trouble(f"it answered {said}")
    raise gone(f"{shown(address)} answered {said}")


def _length(answer: BaseHTTPResponse) -> int | None:
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def validator(headers: Mapping[str, str]) -> dict[str, str]:
    """Return, under that name, what tells one version from another: a strong ETag, else its date (RFC 9110, 13.1.5)."""
    tag = headers.get("ETag") or headers.get("etag", "")
    if tag.startswith('"'):
        return {"validator": tag}
    date = headers.get("Last-Modified") or headers.get("last-modified", "")
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
