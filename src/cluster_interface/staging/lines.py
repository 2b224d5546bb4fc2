"""A connection to a web server that many small files are asked for on, and plain answers (RFC 9112) read from it."""

from __future__ import annotations

import re
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

CHUNK = 64 * 1024
LONGEST_HEAD = 64 * 1024  #: bytes of an answer before its content

_STATUS = re.compile(r"HTTP/1\.1 (200|304)(?: |$)")
_ODD = re.compile(r"[^ -~]")  #: what no line of a request has

Server = tuple[str, str, int]  #: scheme, host, port


@dataclass(frozen=True, kw_only=True)
class Question:
    """Something to ask for."""

    name: str  #: what the asker calls it
    server: Server
    path: str
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A plain answer: status 200 or 304."""

    status: int
    headers: Mapping[str, str]  #: by name in small letters
    size: int
    content: bytes | None  #: None: it is longer than was wanted


class Odd(Exception):
    """The answer is not a plain one, or none comes."""


class Line:
    """A connection, and what has come of the answer to the last question."""

    question: Question

    def __init__(self, server: Server, address: str, connection: socket.socket) -> None:
        self.server, self.address, self.connection = server, address, connection
        self.answers = 0  #: that came on it
        self.got = bytearray()
        self.heard = 0.0  #: when something came last
        self.lasting = True  #: it may be used again
        self._head: tuple[int, Mapping[str, str], int, int] | None = None  #: status, headers, size, where it begins

    def ask(self, question: Question) -> None:
        """Send a question; Odd where it is none for here, or is not taken at once."""
        self.question, self.heard, self._head = question, time.monotonic(), None
        self.got.clear()
        lines = [f"GET {question.path} HTTP/1.1", *(f"{name}: {value}" for name, value in question.headers.items())]
        request = "\r\n".join([*lines, "", ""]).encode("ascii", "replace")
        if any(map(_ODD.search, lines)) or self.connection.send(request) < len(request):
            raise Odd

    def hear(self, longest: int) -> Reply | None:
        """Take in what has come; return the answer once it is whole, or known to be too long."""
        while True:
            try:
                data = self.connection.recv(CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return None
            if not data:
                raise Odd
            self.got += data
            self.heard = time.monotonic()
            if (reply := self._reply(longest)) is not None:
                return reply

    def _reply(self, longest: int) -> Reply | None:
        if self._head is None:
            end = self.got.find(b"\r\n\r\n", 0, LONGEST_HEAD)
            if end < 0 and len(self.got) < LONGEST_HEAD:
                return None
            self._head = *_plain(self.got[: max(end, 0)].decode("latin-1")), end + 4
        status, headers, size, begin = self._head
        self.lasting = "close" not in headers.get("connection", "").lower() and size <= longest
        if size > longest:
            return Reply(status=status, headers=headers, size=size, content=None)
        if len(self.got) < begin + size:
            return None
        if len(self.got) > begin + size:
            raise Odd
        self.answers += 1
        return Reply(status=status, headers=headers, size=size, content=bytes(self.got[begin:]))


def _plain(head: str) -> tuple[int, Mapping[str, str], int]:
    """Read the head of an answer (RFC 9112): its status, headers, and the size of what follows."""
    first, *lines = head.split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or name != name.strip() or (name == "content-length" and name in headers):
            raise Odd
        headers[name] = value.strip()
    status, length = _STATUS.match(first), headers.get("content-length", "")
    if status is None or "transfer-encoding" in headers:
        raise Odd
    if status[1] == "304":
        return 304, headers, 0
    if not (length.isascii() and length.isdigit()):
        raise Odd
    return 200, headers, int(length)
