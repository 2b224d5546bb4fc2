"""Many small files of the web: one request each, plain answers alone, and never more than one by one would allow."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.accounts import ordinary
from tests.contract.remotes import certify, running

from cluster_interface.model.errors import Permanent
from cluster_interface.model.filetree import FileEntry
from cluster_interface.ports import Layout
from cluster_interface.settings import Staging
from cluster_interface.staging import UploadStore, Workspace
from cluster_interface.staging.cache import SMALL
from cluster_interface.staging.guard import Guard, networks
from cluster_interface.staging.many import take
from cluster_interface.staging.web import Web
from cluster_interface.staging.workspace import MANY

LOOPBACK = networks(["127.0.0.0/8"])


class Handler(BaseHTTPRequestHandler):
    """Answers as the test's `play` says, on a connection that is kept."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        """Note the request and play."""
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        self.server.peers.add(self.client_address)
        self.server.play(self)

    do_HEAD = do_GET  # noqa: N815 - named by http.server

    def log_message(self, *_):
        """Keep quiet."""

    def answer(self, status, body=b"", length=None, **headers):
        """Send an answer; `length` may lie."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD" and status != 304:
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A server on a free port of the loopback."""

    daemon_threads = True

    def __init__(self, play):
        super().__init__(("127.0.0.1", 0), Handler)
        self.play, self.seen, self.peers = play, [], set()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        """Clients that go away are part of the play."""

    def methods(self):
        """Say how often each method was asked for."""
        return {method: [one[0] for one in self.seen].count(method) for method in {one[0] for one in self.seen}}


def serving(play):
    """Run a server while the test lasts."""
    return running(Server(play))


def unsigned(_method, _address):
    """Prove nothing."""
    return {}


@pytest.fixture
def web():
    """Asks as the site would, from the loopback."""
    made = Web.of(Staging(timeout=30, allowed_networks=("127.0.0.0/8",)))
    return dataclasses.replace(made, pause=0.001)


def ask(web, urls, longest=1000, known=None, sign=unsigned):
    """Ask for many; return what was told plainly."""
    return dict(take(web, dict.fromkeys(urls, (sign, known)), longest, 3))


@pytest.fixture
def make(tmp_path):
    """Make a workspace; all have one cache."""

    def made(name="jobs", **settings):
        tmp_path.chmod(0o755)
        staging = Staging(allowed_networks=("127.0.0.0/8",), cache=tmp_path / "cache", timeout=30, **settings)
        uploads = UploadStore(tmp_path / "uploads", 2**20)
        return Workspace(
            tmp_path / name, uploads, staging, lambda _job: ordinary(), owner_of=lambda job: job.split("-")[0]
        )

    return made


def play_of(contents, versions=None):
    """Serve bytes by path, each with its ETag, and say when it is still the same."""

    def play(h):
        name = h.path[1:].partition("?")[0]
        tag = f'"{(versions or {}).get(name, name)}"'
        if name not in contents:
            h.answer(404)
        elif h.headers.get("If-None-Match") == tag:
            h.answer(304, ETag=tag)
        else:
            h.answer(200, contents[name], ETag=tag)

    return play


def many(number=MANY + 8):
    """Make small files, no two alike."""
    return {f"{n:03}": os.urandom(200 + n) for n in range(number)}


def stage(workspace, files, job="ada-1"):
    """Check and stage; return what is in the inputs."""
    pairs = [(info, files[info.path]) for info in workspace.check(job, files)]
    workspace.stage_in(job, pairs, Layout(tasks=1), lambda _progress: None)
    inputs = workspace.directory(job) / "inputs"
    return {str(path.relative_to(inputs)): path.read_bytes() for path in inputs.rglob("*") if path.is_file()}


def test_many_small_files_are_asked_for_once_each(make):
    """The check fetches what is small, so staging asks for nothing; the second job hears that all is the same."""
    contents = many()
    with serving(play_of(contents)) as server:
        files = {f"in/{name}": FileEntry(source=f"{server.url}/{name}") for name in contents}
        whole = {f"in/{name}": data for name, data in contents.items()}
        workspace = make()
        infos = workspace.check("ada-1", files)
        assert {info.path: info.sha256 for info in infos} == {
            path: hashlib.sha256(data).hexdigest() for path, data in whole.items()
        }
        assert stage(workspace, files) == whole
        assert server.methods() == {"GET": 2 * len(contents)}  # of the check alone, and again while staging
        assert [one[2].get("If-None-Match") for one in server.seen[len(contents) :]].count(None) == 0
        server.seen.clear()
        assert stage(workspace, files, "eve-1") == whole
        assert server.methods() == {"GET": len(contents)}
    one, other = (workspace.directory(job) / "inputs/in/000" for job in ("ada-1", "eve-1"))
    assert one.stat().st_ino == other.stat().st_ino
    assert len(server.peers) < 20  # connections are kept


def test_a_new_version_is_noticed(make):
    """What changed comes anew, though what was there before is kept."""
    contents, versions = many(), {}
    with serving(play_of(contents, versions)) as server:
        files = {name: FileEntry(source=f"{server.url}/{name}") for name in contents}
        workspace = make()
        assert stage(workspace, files) == contents
        contents["003"], versions["003"] = b"new", "v2"
        assert stage(workspace, files, "ada-2") == contents


def test_what_was_planned_is_what_is_staged(make):
    """A change between the check and the staging changes nothing; where the bytes are gone, it is told."""
    contents = many()
    before = dict(contents)
    with serving(play_of(contents)) as server:
        files = {name: FileEntry(source=f"{server.url}/{name}") for name in contents}
        workspace = make()
        pairs = [(info, files[info.path]) for info in workspace.check("ada-1", files)]
        contents["003"] = b"new"
        workspace.stage_in("ada-1", pairs, Layout(tasks=1), lambda _progress: None)
        assert (workspace.directory("ada-1") / "inputs/003").read_bytes() == before["003"]
        for path in (workspace.directory("ada-1").parents[0].parent / "cache/public/data").iterdir():
            path.unlink()
        with pytest.raises(Permanent, match=r"files\.003: .*/003 has the SHA-256 .* as planned"):
            workspace.stage_in("ada-2", pairs, Layout(tasks=1), lambda _progress: None)
        assert not (workspace.directory("ada-2") / "tasks").exists()


def test_what_is_fetched_before_the_plan_is_in_the_cache_alone(make, tmp_path):
    """A job that somebody has to approve has no directory yet, and its large files were only asked for."""
    contents = many() | {"large": os.urandom(SMALL + 1)}
    with serving(play_of(contents)) as server:
        files = {name: FileEntry(source=f"{server.url}/{name}") for name in contents}
        workspace = make()
        found = {info.path: info for info in workspace.check("ada-1", files)}
        assert not workspace.directory("ada-1").exists()
        kept = {path.name for path in tmp_path.glob("cache/*/data/*")}
    assert found["large"].sha256 is None
    assert {name: hashlib.sha256(data).hexdigest() for name, data in contents.items() if name != "large"} == {
        name: info.sha256 for name, info in found.items() if name != "large"
    }
    assert kept == {info.sha256 for info in found.values() if info.sha256}


def test_owners_never_learn_of_each_other(make):
    """What has a query is its owner's: the same address of another owner is fetched as if it had never been."""
    contents = many()
    with serving(play_of(contents)) as server:
        files = {name: FileEntry(source=f"{server.url}/{name}?token=x") for name in contents}
        workspace = make()
        stage(workspace, files, "ada-1")
        server.seen.clear()
        assert stage(workspace, files, "eve-1") == contents
        assert [one[2].get("If-None-Match") for one in server.seen] == [None] * len(contents)
    staged = [workspace.directory(job) / "inputs/000" for job in ("ada-1", "eve-1")]
    assert len({path.stat().st_ino for path in staged}) == 2


def test_what_is_not_plain_is_brought_one_by_one(make):
    """Redirects, chunks and large files among the small ones come as ever."""
    contents = many() | {"large": os.urandom(SMALL + 1)}

    def play(h):
        name = h.path.rpartition("/")[2]
        if name == "001" and not h.path.startswith("/moved"):
            h.answer(302, Location="/moved/001")
        elif name == "002":
            h.send_response(200)
            h.send_header("Transfer-Encoding", "chunked")
            h.end_headers()
            if h.command == "GET":
                h.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(contents[name]), contents[name]))
        else:
            h.answer(200, contents[name], ETag=f'"{name}"')

    with serving(play) as server:
        files = {name: FileEntry(source=f"{server.url}/{name}") for name in contents}
        assert stage(make(), files) == contents


def test_a_file_that_is_missing_among_many_is_named(make):
    """A refusal says which file, which source and why."""
    contents = many()
    with serving(play_of(contents)) as server:
        files = {name: FileEntry(source=f"{server.url}/{name}") for name in [*contents, "none"]}
        with pytest.raises(Permanent, match=r"files\.none: http://127.*/none answered 404"):
            make().check("ada-1", files)
        wrong = {name: FileEntry(source=f"{server.url}/{name}") for name in contents}
        wrong["005"] = FileEntry(source=f"{server.url}/005", sha256="0" * 64)
        with pytest.raises(Permanent, match=r"files\.005: has the SHA-256"):
            make().check("ada-1", wrong)


def test_programs_and_a_cache_elsewhere_get_copies(make):
    """Other permissions than a kept file has are no reason to change them for all."""
    contents = many()
    with serving(play_of(contents)) as server:
        files = {name: FileEntry(source=f"{server.url}/{name}", executable=name == "000") for name in contents}
        workspace = make()
        assert stage(workspace, files) == contents
        modes = {(workspace.directory("ada-1") / f"inputs/{name}").stat().st_mode & 0o777 for name in ("000", "001")}
        assert modes == {0o755, 0o644}


def test_killed_among_many_it_is_mended(make):
    """Killed at random while many are fetched and staged, the next start finishes, the bytes identical."""
    contents, random_ = many(300), random.Random(3)
    kills = int(os.environ.get("CLIF_TEST_KILLS", "8"))
    with serving(play_of(contents)) as server:
        files = {f"in/{name}": FileEntry(source=f"{server.url}/{name}") for name in contents}
        whole = {f"in/{name}": data for name, data in contents.items()}
        for turn in range(kills):
            workspace = make(f"jobs{turn // 4}")
            if child := os.fork():
                time.sleep(random_.uniform(0.0, 0.5))
                os.kill(child, 9)
                os.waitpid(child, 0)
            else:
                stage(workspace, files)
                os._exit(0)
            inputs = workspace.directory("ada-1") / "inputs"
            for path in inputs.rglob("*"):
                assert path.is_dir() or path.read_bytes() == whole[str(path.relative_to(inputs))]
            if turn % 4 == 3:
                assert stage(workspace, files) == whole


# --- the answers of servers that play tricks


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n Content-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n\r\nabc",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_is_not_plain_is_no_answer(web, answer):
    """Whatever could be read in two ways is left to the library that asks one by one."""

    def play(h):
        h.wfile.write(answer)
        h.close_connection = True

    with serving(play) as server:
        assert ask(web, [f"{server.url}/{n}" for n in range(9)]) == {}
        assert len(server.seen) <= 3  # no more is asked of it


def test_a_length_is_enough_to_know_that_it_is_too_long(web):
    """Of a long file its size is told and nothing waited for; other files of the server are still asked for."""

    def play(h):
        if h.path == "/long":
            h.answer(200, b"x", length=10**9)
            h.wfile.flush()
            time.sleep(0.2)
        else:
            h.answer(200, b"abc")

    with serving(play) as server:
        found = ask(web, [f"{server.url}/{name}" for name in ("long", "a", "b", "c", "d")])
    assert (found[f"{server.url}/long"].size, found[f"{server.url}/long"].content) == (10**9, None)
    assert {found[f"{server.url}/{name}"].content for name in "abcd"} == {b"abc"}


def test_a_connection_that_ends_between_two_answers_is_made_again(web):
    """A server may close after any answer, announced or not."""

    def play(h):
        announced = {"Connection": "close"} if h.path.endswith("1") else {}
        h.answer(200, h.path.encode(), **announced)
        h.close_connection = h.path.endswith(("1", "2"))

    with serving(play) as server:
        urls = [f"{server.url}/{n}" for n in range(40)]
        assert {url: taken.content.decode() for url, taken in ask(web, urls).items()} == {
            url: url.removeprefix(server.url) for url in urls
        }


def test_a_server_that_stalls_is_left_alone(web):
    """No byte for the time-out: it is not waited for, and others are asked all the same."""
    release = threading.Event()

    def stall(h):
        h.send_response(200)
        release.wait(20)

    try:
        with serving(stall) as slow, serving(lambda h: h.answer(200, b"abc")) as quick:
            urls = [f"{slow.url}/{n}" for n in range(5)] + [f"{quick.url}/{n}" for n in range(20)]
            found = ask(dataclasses.replace(web, timeout=3), urls)
            assert set(found) == {f"{quick.url}/{n}" for n in range(20)}
            release.set()
    finally:
        release.set()


def test_no_more_is_fetched_than_the_bound(make, monkeypatch):
    """What the check may fetch is bounded; the rest is measured, and fetched when it is staged."""
    monkeypatch.setattr("cluster_interface.staging.workspace.EARLY", 1000)
    contents = many()
    with serving(play_of(contents)) as server:
        files = {name: FileEntry(source=f"{server.url}/{name}") for name in contents}
        infos = make().check("ada-1", files)
        assert 0 < sum(info.sha256 is not None for info in infos) < 10
        assert [info.size for info in infos] == [len(data) for data in contents.values()]
        assert stage(make(), files) == contents


def test_a_name_that_turns_inward_is_not_followed(web):
    """A connection goes to the address that was judged, and a blocked one is never asked."""
    asked = []

    def lookup(host, port, **_):
        asked.append(host)
        inner = host == "inner.example" or len(asked) > 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1" if inner else "127.0.0.1", port))]

    judging = dataclasses.replace(web, guard=Guard(LOOPBACK, lookup))
    with serving(lambda h: h.answer(200, b"abc")) as server:
        url = server.url.replace("127.0.0.1", "data.example")
        inner = server.url.replace("127.0.0.1", "inner.example")
        found = ask(judging, [f"{url}/1", f"{url}/2", f"{inner}/3"])
        assert set(found) == {f"{url}/1", f"{url}/2"}
        assert asked == ["data.example", "inner.example"]
        assert server.seen[0][2]["Host"] == url.split("/")[2]
        assert ask(judging, [f"{url}/1"]) == {}
        assert len(server.seen) == 2


def test_a_line_break_in_a_header_is_not_sent(web):
    """What would be a second header, or a second request, is no question at all."""
    with serving(lambda h: h.answer(200, b"abc")) as server:
        headers = {"Authorization": "Bearer x\r\nX-Evil: 1"}
        assert ask(web, [f"{server.url}/1"], sign=lambda *_: headers) == {}
        assert ask(web, [f"{server.url}/1"], known='"a"\r\n\r\n') == {}
        assert server.seen == []
        assert ask(web, [f"{server.url}/1"], sign=lambda *_: {"Authorization": "Bearer x"})
        assert server.seen[0][2]["Authorization"] == "Bearer x"


def test_the_certificate_is_checked_against_the_name(web, tmp_path):
    """Many come over TLS, too, where name and authority are right, and nothing is asked where they are not."""
    authority, context = certify(tmp_path, "DNS:data.example")
    there = Guard(LOOPBACK, lambda host, port, **_: [(2, 1, 6, "", ("127.0.0.1", port))])
    trusting = dataclasses.replace(Web.of(Staging(timeout=30, ca_bundle=authority)), guard=there)
    data = os.urandom(900_000)
    with serving(lambda h: h.answer(200, data)) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        url = server.url.replace("http://127.0.0.1", "https://data.example")
        found = ask(trusting, [f"{url}/{n}" for n in range(12)], longest=SMALL)
        assert [taken.content for taken in found.values()] == [data] * 12
        assert len(server.peers) <= 3
        assert ask(trusting, [url.replace("data.example", "other.example") + "/1"]) == {}
        assert ask(dataclasses.replace(trusting, context=web.context), [f"{url}/1"]) == {}
        assert len(server.seen) == 12
