"""Fetching from servers that stall, cut, lie and redirect; all of them on this machine's loopback."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import socket
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest
from tests.contract.remotes import certify, running

from cluster_interface.model.errors import Permanent
from cluster_interface.settings import Staging
from cluster_interface.staging.addresses import shown
from cluster_interface.staging.guard import Guard, networks
from cluster_interface.staging.parts import part
from cluster_interface.staging.web import TRIES, Web

DATA = bytes(range(256)) * 4096  # 1 MiB
SUM = hashlib.sha256(DATA).hexdigest()
LOOPBACK = networks(["127.0.0.0/8"])


class Handler(BaseHTTPRequestHandler):
    """Answers as the test's `play` says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Note the request and play."""
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        self.server.peers.add(self.client_address)
        self.server.play(self)
        self.close_connection = not self.server.keeps

    do_HEAD = do_GET  # noqa: N815 - named by http.server

    def log_message(self, *_):
        """Keep quiet."""

    def answer(self, status, body=b"", length=None, **headers):
        """Send an answer; `length` may lie."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is None:
            length = len(body)
        if length >= 0:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(socketserver.ThreadingTCPServer):
    """A server on a free port of the loopback."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, play):
        super().__init__(("127.0.0.1", 0), Handler)
        self.play = play
        self.seen = []
        self.keeps, self.peers = False, set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/data.bin"

    def handle_error(self, request, client_address):
        """Clients that go away are part of the play."""


def serving(play):
    """Run a server while the test lasts."""
    return running(Server(play))


@pytest.fixture
def web():
    """Fetches as the site would, but with short pauses, and from the loopback."""
    made = Web.of(Staging(timeout=1, allowed_networks=("127.0.0.0/8",)))
    return dataclasses.replace(made, pause=0.001)


@pytest.fixture
def home(tmp_path):
    """A job's directory, opened."""
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def fetch(web, home, url, limit=2**30):
    """Fetch into a part; return size and checksum, checked against what is on disk."""
    with part(home, "incoming/x", limit, lambda n: None) as incoming:
        web.fetch(url, incoming)
        with open(f"/proc/self/fd/{home}/incoming/x", "rb") as file:
            assert hashlib.sha256(file.read()).hexdigest() == incoming.sha256
        return incoming.size, incoming.sha256


def test_a_connection_is_kept_and_its_address_judged_anew(web, home):
    """Many requests share a connection; none goes to it any more once the name leads to a blocked address."""
    answers = ["127.0.0.1"]

    def lookup(_host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers[-1], port))]

    judging = dataclasses.replace(web, guard=Guard(LOOPBACK, lookup))
    with serving(lambda h: h.answer(200, DATA)) as server:
        server.keeps = True
        url = server.url.replace("127.0.0.1", "data.example")
        for _ in range(3):
            judging.look(url)
            assert fetch(judging, home, url) == (len(DATA), SUM)
        assert (len(server.seen), len(server.peers)) == (6, 1)
        answers.append("169.254.169.254")
        with pytest.raises(Permanent, match="metadata"):
            judging.look(url)
        assert len(server.seen) == 6
        answers.append("127.0.0.1")
        judging.close()
        judging.look(url)
        assert len(server.peers) == 2
        judging.close()


def test_a_whole_file_comes(web, home):
    """The bytes arrive, and the request says no more than needed."""
    with serving(lambda h: h.answer(200, DATA)) as server:
        assert fetch(web, home, server.url) == (len(DATA), SUM)
    [(method, path, headers)] = server.seen
    assert (method, path) == ("GET", "/data.bin")
    assert headers["Host"] == server.url.split("/")[2]
    assert headers["Accept-Encoding"] == "identity"


def test_a_cut_is_taken_up_where_it_was(web, home):
    """After a cut only the rest is asked for, provided it is still the same thing."""

    def play(h):
        if "Range" in h.headers:
            begin = int(h.headers["Range"][6:-1])
            assert h.headers["If-Range"] == '"v1"'
            h.answer(206, DATA[begin:], Content_Range=f"bytes {begin}-{len(DATA) - 1}/{len(DATA)}", ETag='"v1"')
        else:
            h.answer(200, DATA[:300_000], length=len(DATA), ETag='"v1"')

    with serving(play) as server:
        assert fetch(web, home, server.url) == (len(DATA), SUM)
    assert [headers.get("Range") for _, _, headers in server.seen] == [None, "bytes=300000-"]


def test_a_killed_fetch_is_taken_up_by_the_next(web, home):
    """What an earlier process fetched is not fetched again."""
    with serving(lambda h: h.answer(200, DATA[:500_000], length=len(DATA), ETag='"v1"')) as server:
        port = server.server_address[1]
        with pytest.raises(Permanent, match="could not be fetched"):
            fetch(dataclasses.replace(web), home, server.url)

    def rest(h):
        begin = int(h.headers["Range"][6:-1])
        h.answer(206, DATA[begin:], Content_Range=f"bytes {begin}-{len(DATA) - 1}/{len(DATA)}", ETag='"v1"')

    with serving(rest) as server:
        server.url = server.url.replace(str(server.server_address[1]), str(server.server_address[1]))
        with part(home, "incoming/x", 2**30, lambda n: None) as incoming:
            incoming.note = {"address": server.url, "validator": '"v1"'}  # another port than the first: same file
        assert fetch(web, home, server.url) == (len(DATA), SUM)
    assert port
    assert [headers["Range"] for _, _, headers in server.seen] == ["bytes=500000-"]


def test_another_version_is_fetched_from_the_start(web, home):
    """If the thing changed between two tries, nothing of the old one remains."""
    other = DATA[::-1]

    def play(h):
        if "Range" in h.headers:
            h.answer(200, other, ETag='"v2"')
        else:
            h.answer(200, DATA[:300_000], length=len(DATA), ETag='"v1"')

    with serving(play) as server:
        assert fetch(web, home, server.url) == (len(other), hashlib.sha256(other).hexdigest())


def test_a_server_that_answers_another_range_is_not_believed(web, home):
    """A 206 that begins elsewhere is thrown away, and everything asked for again."""
    answers = iter([0, 1, 2])

    def play(h):
        turn = next(answers)
        if turn == 0:
            h.answer(200, DATA[:300_000], length=len(DATA), ETag='"v1"')
        elif turn == 1:
            h.answer(206, DATA[:10], Content_Range=f"bytes 0-9/{len(DATA)}", ETag='"v1"')
        else:
            assert "Range" not in h.headers
            h.answer(200, DATA, ETag='"v1"')

    with serving(play) as server:
        assert fetch(web, home, server.url) == (len(DATA), SUM)


def test_ranges_that_are_ignored_cost_only_time(web, home):
    """A server that sends everything again is understood."""
    count = iter(range(10))
    with serving(
        lambda h: h.answer(200, DATA if next(count) else DATA[:9], length=len(DATA), Last_Modified="x")
    ) as server:
        assert fetch(web, home, server.url) == (len(DATA), SUM)
    assert len(server.seen) == 2


@pytest.mark.parametrize("chunked", [False, True])
def test_a_truncated_answer_is_never_taken_for_whole(web, home, chunked):
    """Without a validator nothing can be taken up; after some tries it fails in words."""

    def play(h):
        if chunked:
            h.send_response(200)
            h.send_header("Transfer-Encoding", "chunked")
            h.end_headers()
            h.wfile.write(b"400\r\n" + DATA[:1024] + b"\r\n400\r\nabc")
        else:
            h.answer(200, DATA[:5000], length=len(DATA))

    with (
        serving(play) as server,
        pytest.raises(Permanent, match="could not be fetched: the connection broke") as caught,
    ):
        fetch(web, home, server.url)
    assert caught.value.code == "input_unavailable"
    assert TRIES <= len(server.seen) <= TRIES + 1


def test_a_stalled_server_is_left(web, home):
    """No byte for the time-out is a broken connection."""
    release = threading.Event()

    def play(h):
        h.answer(200, b"begin", length=100)
        release.wait(20)

    quick = dataclasses.replace(web, timeout=0.5)
    try:
        with serving(play) as server, pytest.raises(Permanent, match="connection broke") as caught:
            fetch(quick, home, server.url)
    finally:
        release.set()
    assert "5 bytes had come" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "words"), [(404, "404 Not Found"), (403, "403 Forbidden"), (410, "410 Gone"), (204, "204")]
)
def test_a_refusal_is_final_and_told(web, home, status, words):
    """What will not get better is not tried again."""
    with serving(lambda h: h.answer(status)) as server:
        with pytest.raises(Permanent, match=f"http://127.0.0.1:.*/data.bin answered {words}"):
            fetch(web, home, server.url)
        with pytest.raises(Permanent, match=words):
            web.measure(server.url)
    assert len(server.seen) <= 3


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_trouble_is_tried_again(web, home, status):
    """An overloaded server is asked again, a few times."""
    count = iter(range(100))
    with serving(lambda h: h.answer(status) if next(count) < 2 else h.answer(200, DATA)) as server:
        assert fetch(web, home, server.url) == (len(DATA), SUM)
    with serving(lambda h: h.answer(status)) as server, pytest.raises(Permanent, match=str(status)):
        fetch(web, home, server.url)
    assert len(server.seen) == TRIES


def test_nobody_there_is_told(web, home):
    """A closed port fails after some tries, naming host and port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Permanent, match=f"127.0.0.1 port {port}"):
            fetch(web, home, f"http://127.0.0.1:{port}/x")


def test_too_much_is_refused_by_announcement_and_by_count(web, home):
    """A size beyond the limit is refused before the body, and a body without a size as soon as it is too long."""
    with serving(lambda h: h.answer(200, b"x", length=10**9)) as server, pytest.raises(Permanent, match="larger than"):
        fetch(web, home, server.url, limit=2**20)
    sent = []

    def endless(h):
        h.answer(200, length=-1)
        for _ in range(10_000):
            h.wfile.write(bytes(2**16))
            sent.append(2**16)

    with serving(endless) as server, pytest.raises(Permanent, match="larger than"):
        fetch(web, home, server.url, limit=2**20)
    assert sum(sent) < 2**26


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(web, home, status):
    """A redirect, relative or absolute, leads on."""
    with serving(lambda h: h.answer(200, DATA)) as goal:

        def play(h):
            h.answer(status, Location="/other" if h.path == "/data.bin" else goal.url)

        with serving(play) as server:
            assert fetch(web, home, server.url) == (len(DATA), SUM)
            assert web.measure(server.url) == len(DATA)


def test_a_circle_of_redirects_ends(web, home):
    """Redirects without an end are given up."""
    with serving(lambda h: h.answer(302, Location="/again")) as server, pytest.raises(Permanent, match="10 redirects"):
        fetch(web, home, server.url)
    assert len(server.seen) == 11


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://example.org/x",
        "gopher://x",
        "http://[::1]:x/",
        "http://" + "a" * 80 + "/",
        "data:,x",
        "http://u:p@127.0.0.1/",
        "http://[::1",
    ],
)
def test_redirects_lead_to_the_web_only(web, home, target):
    """A redirect to another scheme, to nothing, or with a password in it is refused."""
    with serving(lambda h: h.answer(302, Location=target)) as server, pytest.raises(Permanent):
        fetch(web, home, server.url)
    assert len(server.seen) == 1


@pytest.mark.parametrize("heads", [200, 405, 501, 403])
def test_sizes_are_measured_without_fetching(web, heads):
    """HEAD tells the size; where it is refused, a range of one byte does."""

    def play(h):
        if h.command == "HEAD":
            h.answer(heads, length=len(DATA))
        else:
            h.answer(206, b"x", Content_Range=f"bytes 0-0/{len(DATA)}")

    with serving(play) as server:
        assert web.measure(server.url) == len(DATA)


def test_a_size_that_is_not_told_is_unknown(web):
    """A server that does not say how much there is gives None."""
    with serving(lambda h: h.answer(200, length=-1)) as server:
        assert web.measure(server.url) is None


def test_an_empty_file_is_a_file(web, home):
    """No bytes at all are fetched as no bytes."""
    with serving(lambda h: h.answer(200)) as server:
        assert fetch(web, home, server.url) == (0, hashlib.sha256(b"").hexdigest())
        assert web.measure(server.url) == 0


def test_the_environment_s_proxy_is_not_asked(web, home, monkeypatch):
    """A proxy in the environment sees nothing."""
    with serving(lambda h: h.answer(500)) as proxy, serving(lambda h: h.answer(200, DATA)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert fetch(web, home, server.url) == (len(DATA), SUM)
    assert proxy.seen == []


def test_a_name_is_resolved_once_and_that_answer_used(web, home):
    """A name service that changes its answer after the check does not lead the connection elsewhere."""
    asked = []

    def changing(host, port, **_):
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1" if len(asked) == 1 else "10.0.0.1", port))]

    with serving(lambda h: h.answer(200, DATA)) as server:
        guarded = dataclasses.replace(web, guard=Guard(LOOPBACK, changing))
        url = server.url.replace("127.0.0.1", "data.example")
        assert fetch(guarded, home, url)[1] == SUM
        assert asked == ["data.example"]
        assert server.seen[0][2]["Host"] == url.split("/")[2]
        with pytest.raises(Permanent, match=r"data.example is at 10.0.0.1, a private network"):
            fetch(guarded, home, f"{url}?second")
    assert len(server.seen) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for data.example alone, which is its own authority."""
    return certify(tmp_path_factory.mktemp("tls"), "DNS:data.example")


@contextmanager
def serving_tls(play, certificate):
    """Run a server that speaks TLS and notes the name it was asked for."""
    _, context = certificate
    names = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with serving(play) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.names = names
        server.url = server.url.replace("http://127.0.0.1", "https://data.example")
        yield server


def trusting(certificate, web):
    """Fetch with that authority, and a name service that finds every name on the loopback."""
    made = Web.of(Staging(timeout=5, ca_bundle=certificate[0]))
    there = Guard(LOOPBACK, lambda host, port, **_: [(2, 1, 6, "", ("127.0.0.1", port))])
    return dataclasses.replace(made, guard=there, pause=web.pause)


def test_the_certificate_is_checked_against_the_name(web, home, certificate):
    """Though an address is connected to, name indication and certificate are the name's."""
    with serving_tls(lambda h: h.answer(200, DATA), certificate) as server:
        trusted = trusting(certificate, web)
        assert fetch(trusted, home, server.url) == (len(DATA), SUM)
        assert set(server.names) == {"data.example"}
        with pytest.raises(Permanent, match=r"(?i)hostname|match"):
            fetch(trusted, home, server.url.replace("data.example", "other.example"))
        stranger = dataclasses.replace(trusted, context=web.context)
        with pytest.raises(Permanent, match=r"(?i)certificate"):
            fetch(stranger, home, server.url)
    assert len(server.seen) == 1


def test_https_does_not_lead_to_http(web, home, certificate):
    """A redirect that gives up encryption is not followed; one that gains it is."""
    with serving(lambda h: h.answer(200, DATA)) as plain:
        down = lambda h: h.answer(302, Location=plain.url)  # noqa: E731 - one line of a play
        with serving_tls(down, certificate) as server, pytest.raises(Permanent, match="from https to http"):
            fetch(trusting(certificate, web), home, server.url)
        assert plain.seen == []
    gain = lambda h: h.answer(302, Location=goal.url)  # noqa: E731 - one line of a play
    with serving_tls(lambda h: h.answer(200, DATA), certificate) as goal, serving(gain) as server:
        assert fetch(trusting(certificate, web), home, server.url) == (len(DATA), SUM)


def test_secrets_in_addresses_are_not_shown():
    """Messages hold neither passwords nor queries."""
    assert shown("https://u:p@host/x?token=1#f") == "https://host/x"
