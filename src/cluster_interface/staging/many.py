"""Ask for many small files of the web in one thread, over a few connections to addresses that were judged.

Threads that each wait for an answer of their own spend more on waking each other than on the files. Only what is plain
is done here: a status of 200 or 304, a length that is told and not too great, no coding. All else, such as redirects,
refusals and broken connections, is left to who asks one by one (see web.py), and so is whatever else the same server
has. What the guard said of a name holds for a second; connections are to the addresses that it let pass alone.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent
from cluster_interface.staging.addresses import PORTS, parse
from cluster_interface.staging.connections import HEADERS
from cluster_interface.staging.lines import Line, Odd, Question
from cluster_interface.staging.web import validator

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator, Mapping

    from cluster_interface.staging.guard import Guard
    from cluster_interface.staging.lines import Reply, Server
    from cluster_interface.staging.web import Sign, Web


CONNECT = 10.0  #: seconds
JUDGED = 1.0  #: seconds for which what the guard said of a name holds


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a server sent when it was asked for something that may be short."""

    content: bytes | None  #: None: it is longer than was wanted, or still the same
    size: int | None  #: None: it is still the same
    validator: str | None


def take(
    web: Web, asked: Mapping[str, tuple[Sign, str | None]], longest: int, connections: int
) -> Iterator[tuple[str, Taken]]:
    """Ask for many addresses, each with what tells that it is still the same; yield those that are told plainly.

    Of what is longer than `longest` bytes only the size is taken. What is left out is to be asked for one by one.
    """
    many = Many(web.guard, web.context, web.timeout, connections)
    for question, reply in many.ask(_questions(asked), longest):
        version = validator(reply.headers).get("validator")
        known = asked[question.name][1]
        if reply.status == 200:
            yield question.name, Taken(content=reply.content, size=reply.size, validator=version)
        elif known:
            yield question.name, Taken(content=None, size=None, validator=known)


def _questions(asked: Mapping[str, tuple[Sign, str | None]]) -> Iterator[Question]:
    for address, (sign, known) in asked.items():
        try:
            url = parse(address)
        except Permanent:
            continue  # whoever asks one by one says what is wrong
        scheme = url.scheme or ""
        condition = {"If-None-Match" if known.startswith('"') else "If-Modified-Since": known} if known else {}
        yield Question(
            name=address,
            server=(scheme, (url.host or "").strip("[]"), url.port or PORTS[scheme]),
            path=url.request_uri,
            headers={"Host": url.netloc or "", **HEADERS, **condition, **sign("GET", url.url)},
        )


class Many:
    """Asks, over at most so many connections at once; for one series of questions."""

    def __init__(self, guard: Guard, context: ssl.SSLContext, timeout: float, connections: int) -> None:
        self._guard, self._context, self._timeout, self._most = guard, context, timeout, connections
        self._selector = selectors.DefaultSelector()
        self._busy: set[Line] = set()
        self._idle: list[Line] = []
        self._again: deque[Question] = deque()  #: to be asked on a fresh connection
        self._left: set[Server] = set()  #: that are left to others
        self._judged: dict[Server, tuple[float, list[str]]] = {}  #: until when, and what the guard said

    def ask(self, questions: Iterable[Question], longest: int) -> Iterator[tuple[Question, Reply]]:
        """Yield answers of at most `longest` bytes as they come; what is left to others has none."""
        waiting = iter(questions)
        try:
            while True:
                while len(self._busy) < self._most:
                    question = self._again.popleft() if self._again else next(waiting, None)
                    if question is None:
                        break
                    if question.server not in self._left:
                        self._begin(question)
                if not self._busy:
                    return
                yield from self._listen(longest)
        finally:
            for line in (*self._busy, *self._idle):
                line.connection.close()
            self._selector.close()

    def _begin(self, question: Question) -> None:
        try:
            line = self._line(question.server)
        except (OSError, UnicodeError, Permanent):  # whoever asks one by one says it in words
            self._left.add(question.server)
            return
        self._busy.add(line)
        try:
            line.ask(question)
        except (OSError, Odd):
            self._give_up(line)

    def _listen(self, longest: int) -> Iterator[tuple[Question, Reply]]:
        """Wait until something comes, and yield what is complete."""
        for key, _ in self._selector.select(self._timeout):
            line: Line = key.data
            if line not in self._busy:
                self._idle.remove(line)  # it was ended, or tells what nobody asked
                self._close(line)
                continue
            try:
                reply = line.hear(longest)
            except (OSError, Odd):
                self._give_up(line)
                continue
            if reply is not None:
                self._release(line, lasting=line.lasting)
                yield line.question, reply
        late = time.monotonic() - self._timeout
        for line in [one for one in self._busy if one.heard < late]:
            self._give_up(line)

    def _release(self, line: Line, *, lasting: bool) -> None:
        self._busy.discard(line)
        if lasting:
            self._idle.append(line)
        else:
            self._close(line)

    def _close(self, line: Line) -> None:
        self._selector.unregister(line.connection)
        line.connection.close()

    def _give_up(self, line: Line) -> None:
        """Close a connection, and leave the server alone unless it only ended one that it had answered on before."""
        self._release(line, lasting=False)
        if line.answers and not line.got:
            self._again.append(line.question)
        else:
            self._left.add(line.question.server)

    def _line(self, server: Server) -> Line:
        """Return a connection to an address that is judged, one that is there or a new one."""
        addresses = self._addresses(server)
        for line in self._idle:
            if line.server == server and line.address in addresses:
                self._idle.remove(line)
                return line
        if len(self._idle) + len(self._busy) >= self._most:
            self._close(self._idle.pop(0))
        trouble = OSError("there is no address")
        for address in addresses:
            try:
                line = Line(server, address, self._connect(server, address))
            except OSError as error:
                trouble = error
            else:
                self._selector.register(line.connection, selectors.EVENT_READ, line)
                return line
        raise trouble

    def _addresses(self, server: Server) -> list[str]:
        until, found = self._judged.get(server, (0.0, []))
        if time.monotonic() > until:
            found = self._guard.addresses(*server[1:])
            self._judged[server] = time.monotonic() + JUDGED, found
        return found

    def _connect(self, server: Server, address: str) -> socket.socket:
        scheme, host, port = server
        made = socket.create_connection((address, port), min(CONNECT, self._timeout))
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if scheme == "https":
                made = self._context.wrap_socket(made, server_hostname=host)
            made.setblocking(False)
        except BaseException:
            made.close()
            raise
        return made
