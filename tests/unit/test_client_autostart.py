"""The server that starts by itself: once, however many ask, and in its own words when it does not."""

import contextlib
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from tests.unit.client_server import Place

from cluster_interface.client import autostart
from cluster_interface.client.address import Address
from cluster_interface.client.transport import Transport
from cluster_interface.model.errors import Transient
from cluster_interface.settings import load

PROJECT = Path(__file__).parent.parent.parent
SERVER = """
    import os, signal, sys
    sys.path.insert(0, sys.argv[1])
    from pathlib import Path
    from tests.unit.client_server import FakeServer
    runtime = Path(os.environ["CLIF_SERVER__RUNTIME"])
    with (runtime / "started").open("a") as file:
        file.write(f"{os.getpid()} {os.getsid(0)}\\n")
    server = FakeServer(runtime / "api.sock")
    signal.pause()
"""
STARTER = """
    import sys
    from cluster_interface.client.autostart import start
    from cluster_interface.settings import load
    start(load()[0], sys.argv[1:])
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A place without a server; what a test starts there ends with it."""
    made = Place(tmp_path)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    yield made
    started = made.runtime / "started"
    for line in started.read_text().splitlines() if started.exists() else ():
        pid = int(line.split()[0])
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    made.close()


@pytest.fixture
def command(place):
    """The command line of a small server."""
    script = place.write("server.py", textwrap.dedent(SERVER))
    return [sys.executable, str(script), str(PROJECT)]


def test_many_commands_at_once_start_one_server(place, command):
    """Four processes ask at the same moment; one server is started, in a session of its own, and all four find it."""
    argv = [sys.executable, "-c", textwrap.dedent(STARTER), *command]
    asking = [subprocess.Popen(argv) for _ in range(4)]
    assert [process.wait(60) for process in asking] == [0] * 4
    (line,) = (place.runtime / "started").read_text().splitlines()
    pid, session = line.split()
    assert pid == session != str(os.getpid())
    os.kill(int(pid), 0)


def test_a_server_that_runs_is_left_alone(place):
    """Where something answers, nothing is started."""
    place.start()
    autostart.start(load()[0], ["/bin/false"])


def test_a_refusal_comes_in_the_servers_own_words(place):
    """The last line `clif: …` of its log is the reason; lines of an earlier start do not count."""
    log = Path(place.env["CLIF_SERVER__STATE"]) / "server.log"
    log.parent.mkdir()
    log.write_text("clif: an old story\n")
    refuse = ["/bin/sh", "-c", "echo starting; echo 'clif: the disk is full' >&2; echo; exit 2"]
    with pytest.raises(Transient, match=r"^the server did not start: the disk is full$"):
        autostart.start(load()[0], refuse)
    with pytest.raises(Transient, match=r"^the server did not start: it said nothing"):
        autostart.start(load()[0], ["/bin/false"])
    with pytest.raises(Transient, match=r"^the server did not start: Trouble .*server\.log\)$"):
        autostart.start(load()[0], ["/bin/sh", "-c", "echo Trouble; exit 3"])


def test_a_runtime_directory_of_others_is_refused(place, tmp_path, monkeypatch):
    """A link, a directory that others can write in, or (as root) somebody else's: nothing is started there."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    places = [("link", "not a directory of your own"), ("open", "can be written by others")]
    if os.geteuid() == 0:
        (tmp_path / "theirs").mkdir()
        os.chown(tmp_path / "theirs", 4242, 4242)
        places.append(("theirs", "not a directory of your own"))
    for name, words in places:
        monkeypatch.setenv("CLIF_SERVER__RUNTIME", str(tmp_path / name))
        with pytest.raises(Transient, match=words):
            autostart.start(load()[0], ["/bin/touch", str(tmp_path / "canary")])
    assert not (tmp_path / "canary").exists()


def test_the_runtime_directory_is_made_private(place, tmp_path, monkeypatch, command):
    """It is made 0700, and the log 0600."""
    monkeypatch.setenv("CLIF_SERVER__RUNTIME", str(place.runtime / "r"))
    with pytest.raises(Transient):
        autostart.start(load()[0], ["/bin/false"])
    assert (place.runtime / "r").stat().st_mode & 0o777 == 0o700
    assert (Path(place.env["CLIF_SERVER__STATE"]) / "server.log").stat().st_mode & 0o777 == 0o600


def test_what_waited_at_a_server_that_ended_goes_to_the_next(tmp_path):
    """A connection that nobody took before the server went away is cut; the request is sent again, to a new server."""
    path = tmp_path / "api.sock"
    ending = socket.socket(socket.AF_UNIX)
    ending.bind(str(path))
    ending.listen()
    servers = []

    def revive():
        path.unlink()
        serving = socketserver.UnixStreamServer(str(path), Answering)
        servers.append(serving)
        threading.Thread(target=serving.handle_request).start()

    threading.Timer(0.2, ending.close).start()
    transport = Transport(Address(socket=path), revive)
    try:
        assert transport.request("POST", "/jobs", document={}).json() == {"sent": "{}"}
    finally:
        transport.close()
        servers[0].server_close()


class Answering(socketserver.StreamRequestHandler):
    """Answers with what it was sent."""

    def handle(self):
        """Read one request and answer it."""
        head = iter(self.rfile.readline, b"\r\n")
        length = next(int(line.split(b":")[1]) for line in list(head) if line.lower().startswith(b"content-length"))
        body = json.dumps({"sent": self.rfile.read(length).decode()}).encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
