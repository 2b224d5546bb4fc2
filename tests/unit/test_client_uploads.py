"""Sending files: resumed where a connection broke, hashed once, refused by name."""

import hashlib
import os

import pytest
from tests.unit.client_server import serving

from cluster_interface.client import uploads
from cluster_interface.client.address import Address
from cluster_interface.client.transport import Transport
from cluster_interface.model.errors import Rejected, Transient

LARGE = os.urandom(3 * 2**20)


@pytest.fixture
def place(tmp_path):
    """A place with a running server."""
    with serving(tmp_path) as made:
        yield made


@pytest.fixture
def transport(place):
    """Connections to it."""
    made = Transport(Address(socket=place.server.path))
    yield made
    made.close()


def cut_after(amount):
    """A trouble: the server takes `amount` bytes of a PATCH and hangs up."""

    def trouble(handler, path):
        if handler.command != "PATCH":
            return False
        name = path.rpartition("/")[2]
        length, data = handler.server.uploads[name]
        handler.server.uploads[name] = (length, data + handler.rfile.read(amount))
        return True

    return trouble


@pytest.mark.parametrize("size", [0, 1, uploads.SMALL, uploads.SMALL + 1, len(LARGE)])
def test_a_file_arrives_whole(place, transport, size):
    """Every size arrives, with its checksum; a small one in a single request."""
    path = place.write("f.bin", LARGE[:size])
    sent = uploads.send(transport, path, "f.bin")
    assert place.server.uploads[sent.source.removeprefix("upload:")] == (size, LARGE[:size])
    assert (sent.size, sent.sha256) == (size, hashlib.sha256(LARGE[:size]).hexdigest())
    assert len(place.server.asked) == (1 if size <= uploads.SMALL else 2)


def test_a_broken_upload_goes_on_where_it_was(place, transport):
    """Three cuts: nothing is lost, nothing sent twice, and the checksum is the file's."""
    path = place.write("f.bin", LARGE)
    place.server.troubles = [cut_after(300_000), cut_after(0), cut_after(1_000_000)]
    seen = []
    sent = uploads.send(transport, path, "f.bin", lambda *progress: seen.append(progress))
    assert place.server.uploads["up0"] == (len(LARGE), LARGE)
    assert sent.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert seen[-1] == ("f.bin", len(LARGE), len(LARGE))


def test_a_server_that_takes_nothing_is_given_up_in_words(place, transport, monkeypatch):
    """After several tries without a byte the error says how far it came."""
    monkeypatch.setattr(uploads, "TRIES", 3)
    place.server.troubles = [cut_after(5), *[cut_after(0)] * 9]
    with pytest.raises(Transient, match=f"sent 5 of {len(LARGE)} bytes"):
        uploads.send(transport, place.write("f.bin", LARGE), "f.bin")


def test_what_cannot_be_sent_is_named(place, transport):
    """A directory, a missing file, and one that shrinks meanwhile."""
    with pytest.raises(Rejected, match=r"files\.d: "):
        uploads.send(transport, place.directory, "d")
    with pytest.raises(Rejected, match=r"files\.gone: .*No such file"):
        uploads.send(transport, place.directory / "gone", "gone")
    path = place.write("f.bin", LARGE)
    with pytest.raises(Rejected, match="became shorter"):
        uploads.send(transport, path, "f.bin", lambda *_: os.truncate(path, 10))


def test_a_refused_upload_says_why(place, transport):
    """The server's words arrive though it closed before it had read the bytes."""

    def refuse(handler, path):
        if handler.command == "PATCH":
            handler.problem(413, "the disk is full")
            return True
        return False

    place.server.troubles = [refuse]
    with pytest.raises(Rejected, match="the disk is full"):
        uploads.send(transport, place.write("f.bin", LARGE), "f.bin")
