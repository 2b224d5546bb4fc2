"""Fetching outputs: whole or not at all, and never outside the directory, whatever the server says."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.client_server import serving, spec

from cluster_interface.client.address import Address
from cluster_interface.client.job import Job
from cluster_interface.client.outputs import Fate, Output, fetch
from cluster_interface.client.transport import Transport
from cluster_interface.model.errors import Rejected, Transient

DATA = bytes(range(256)) * 5000


@pytest.fixture
def place(tmp_path):
    """A place with a running server."""
    with serving(tmp_path) as made:
        yield made


@pytest.fixture
def job(place):
    """A finished job without outputs as yet."""
    name = place.server.add(spec(files={"data.csv": {"content": "x"}}))
    place.server.finish(name)
    place.server.outputs[name] = {}
    transport = Transport(Address(socket=place.server.path))
    yield Job(transport, place.server.jobs[name])
    transport.close()


def test_outputs_come_with_their_directories(place, job):
    """Each lands under its own path, its bytes the same; nothing else is left."""
    place.server.outputs[job.id] = {"a.txt": b"a", "deep/er/b.bin": DATA, "empty": b""}
    fetched = job.fetch(place.directory)
    assert [one.fate for one in fetched] == [Fate.NEW] * 3
    found = [path for path in place.directory.rglob("*") if path.is_file()]
    contents = {path.relative_to(place.directory).as_posix(): path.read_bytes() for path in found}
    assert contents == {"a.txt": b"a", "deep/er/b.bin": DATA, "empty": b""}


def test_what_is_here_is_not_fetched_again(place, job):
    """Same size and checksum: left alone. Another content: replaced. An input: kept, the output beside it."""
    place.server.outputs[job.id] = {"same": b"s", "old": b"new", "data.csv": b"changed", "sub/data.csv": b"1"}
    place.write("same", b"s")
    place.write("old", b"OLD")
    place.write("data.csv", b"precious")
    fetched = {one.output.path: one for one in job.fetch(place.directory)}
    assert {path: one.fate for path, one in fetched.items()} == {
        "same": Fate.SAME, "old": Fate.REPLACED, "data.csv": Fate.BESIDE, "sub/data.csv": Fate.NEW,
    }  # fmt: skip
    assert not any(path.endswith("/outputs/same") for _, path in place.server.asked)
    assert (place.directory / "data.csv").read_bytes() == b"precious"
    assert fetched["data.csv"].path.read_bytes() == b"changed"
    assert (place.directory / "old").read_bytes() == b"new"


HOSTILE = ["../evil", "/etc/evil", "a/../../evil", "..", ".", "", "a//b", "./x", "a/./b", "nul\0byte", "a/.."]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_leads_out_is_refused(place, job, path):
    """The others are fetched, this one is named, nothing is written outside."""
    place.server.outputs[job.id] = {path: b"evil", "good": b"g"}
    before = sorted(place.directory.parent.rglob("*"))
    job.outputs[0].path = path
    with pytest.raises(Rejected, match="leads out"):
        job.fetch(place.directory)
    assert sorted(place.directory.parent.rglob("*")) == sorted([*before, place.directory / "good"])


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b", "link", "\0", "x\n", "é"]), max_size=6).map("/".join))
def test_no_path_at_all_writes_outside(tmp_path_factory, path):
    """Whatever the pieces, a canary beside the directory and behind a link in it stays as it was."""
    top = tmp_path_factory.mktemp("fetch")
    (top / "outside").mkdir()
    (top / "outside/canary").write_text("alive")
    (top / "in").mkdir()
    (top / "in/link").symlink_to(top / "outside")
    output = _Ready(path, b"evil")
    with contextlib.suppress(Rejected):
        fetch([output], top / "in")
    assert [p.name for p in (top / "outside").iterdir()] == ["canary"]
    assert (top / "outside/canary").read_text() == "alive"
    assert sorted(p.name for p in top.iterdir()) == ["in", "outside"]


class _Ready(Output):
    """An output whose bytes are here already."""

    def __init__(self, path, data):
        super().__init__(
            None, "job", path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest(), task=0, partial=False
        )
        self._data = data

    def chunks(self):
        yield self._data


def test_links_in_the_directory_are_not_followed(place, job):
    """A link to a file is replaced, not written through; a link to a directory is refused with advice."""
    canary = place.directory.parent / "canary"
    canary.write_text("alive")
    (place.directory / "file").symlink_to(canary)
    (place.directory / "dir").symlink_to(place.directory.parent)
    place.server.outputs[job.id] = {"file": b"new", "dir/canary": b"evil"}
    with pytest.raises(Rejected, match=r"dir/canary: cannot be written.*links are not followed"):
        job.fetch(place.directory)
    assert canary.read_text() == "alive"
    assert not (place.directory / "file").is_symlink()
    assert (place.directory / "file").read_bytes() == b"new"


def test_a_directory_of_the_same_name_is_in_the_way(place, job):
    """It stays, and the error names the output."""
    (place.directory / "a").mkdir()
    place.server.outputs[job.id] = {"a": b"x"}
    with pytest.raises(Rejected, match="a: cannot be written"):
        job.fetch(place.directory)
    assert (place.directory / "a").is_dir()


def test_a_broken_download_goes_on_where_it_was(place, job):
    """A body that is cut is asked for again from there, by its range."""

    def cut(handler, path):
        if not path.endswith("/outputs/big"):
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[:100_000])
        return True

    place.server.outputs[job.id] = {"big": DATA}
    place.server.troubles = [cut]
    assert job.outputs[0].read() == DATA


def test_a_damaged_output_is_no_output(place, job):
    """Bytes that are not what was listed leave no file and no rest behind."""
    place.server.outputs[job.id] = {"a": b"good"}
    assert job.outputs
    place.server.outputs[job.id] = {"a": b"evil"}
    with pytest.raises(Transient, match="not what was listed"):
        job.fetch(place.directory)
    assert list(place.directory.iterdir()) == []


def test_a_single_output_is_saved_and_read(place, job):
    """Output.save writes it under its path, Output.open reads from anywhere."""
    place.server.outputs[job.id] = {"r/x": b"0123456789"}
    (output,) = job.outputs
    assert output.save(place.directory).read_bytes() == b"0123456789"
    with output.open(7) as stream:
        assert stream.read() == b"789"
