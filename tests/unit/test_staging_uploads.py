"""Uploads: exact offsets, one at a time, nobody else's."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_interface.model.errors import Conflict, NotFound, Rejected
from cluster_interface.staging import UploadStore


@pytest.fixture
def store(tmp_path):
    """A store that takes a mebibyte."""
    return UploadStore(tmp_path / "uploads", 2**20)


class Breaking(io.RawIOBase):
    """A stream that gives some bytes and then fails as a lost client does."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data

    def read(self, size: int = -1) -> bytes:
        """Give what there is, then fail."""
        if not self.data:
            raise ConnectionResetError
        data, self.data = self.data[:size], self.data[size:]
        return data


def test_an_upload_comes_in_pieces(store):
    """Each piece is added where the last ended; the checksum is of the whole."""
    upload = store.create("ada", "book.txt", 10)
    assert (upload.offset, upload.complete, upload.name, upload.owner) == (0, False, "book.txt", "ada")
    store.append("ada", upload.id, 0, io.BytesIO(b"01234"))
    assert store.find("ada", upload.id).offset == 5
    assert store.append("ada", upload.id, 5, io.BytesIO(b"56789")).complete
    checksum = hashlib.sha256(b"0123456789").hexdigest()
    assert store.measure(upload.id) == (10, checksum)
    assert store.measure(upload.id) == (10, checksum)
    assert store.read("ada", upload.id, 10) == b"0123456789"
    assert store.read("ada", upload.id, 9) is None
    assert store.path("ada", upload.id).read_bytes() == b"0123456789"


def test_an_empty_upload_is_complete_at_once(store):
    """Nothing needs to be sent for no bytes."""
    upload = store.create("ada", "empty", 0)
    assert upload.complete
    assert store.measure(upload.id) == (0, hashlib.sha256(b"").hexdigest())


@pytest.mark.parametrize("offset", [0, 3, 5, 10, 10**15])
def test_only_the_end_can_be_added_to(store, offset):
    """Any other offset is a conflict that names the right one, and changes nothing."""
    upload = store.create("ada", "x", 10)
    store.append("ada", upload.id, 0, io.BytesIO(b"0123"))
    with pytest.raises(Conflict, match="byte 4"):
        store.append("ada", upload.id, offset, io.BytesIO(b"zz"))
    assert store.find("ada", upload.id).offset == 4


def test_more_than_announced_is_refused_whole(store):
    """A piece that goes beyond the length leaves nothing behind, however long it is."""
    upload = store.create("ada", "x", 100_000)
    store.append("ada", upload.id, 0, io.BytesIO(b"0" * 10))
    with pytest.raises(Rejected, match="100000"):
        store.append("ada", upload.id, 10, io.BytesIO(b"1" * 300_000))
    assert store.find("ada", upload.id).offset == 10
    store.append("ada", upload.id, 10, io.BytesIO(b"2" * 99_990))
    assert store.read("ada", upload.id, 10**6) == b"0" * 10 + b"2" * 99_990


def test_a_broken_stream_keeps_what_came(store):
    """After a cut the client goes on from where it was cut."""
    upload = store.create("ada", "x", 200_000)
    assert store.append("ada", upload.id, 0, Breaking(b"a" * 70_000)).offset == 70_000
    assert store.append("ada", upload.id, 70_000, io.BytesIO(b"b" * 130_000)).complete
    assert store.measure(upload.id)[1] == hashlib.sha256(b"a" * 70_000 + b"b" * 130_000).hexdigest()


def test_two_requests_do_not_write_at_once(store, tmp_path):
    """While one request adds, another is told so."""
    upload = store.create("ada", "x", 10)
    with (tmp_path / "uploads" / upload.id).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="another request"):
            store.append("ada", upload.id, 0, io.BytesIO(b"x"))
    assert store.append("ada", upload.id, 0, io.BytesIO(b"x")).offset == 1


@pytest.mark.parametrize(
    "upload", ["0" * 32, "../secret", "", "x", "0" * 31 + "/", "%2e%2e", "0" * 32 + "\n", "A" * 32]
)
def test_unknown_uploads_are_not_found(store, upload):
    """Whatever is not the id of an upload is not found, and never a path."""
    for act in (store.find, store.remove, store.path):
        with pytest.raises(NotFound, match="no such upload"):
            act("ada", upload)
    with pytest.raises(NotFound):
        store.open(upload)


def test_other_people_s_uploads_are_not_found(store):
    """Somebody else's upload answers in the same words as none."""
    upload = store.create("ada", "x", 1)
    with pytest.raises(NotFound) as others:
        store.find("eve", upload.id)
    with pytest.raises(NotFound) as nobodys:
        store.find("eve", "0" * 32)
    assert str(others.value) == str(nobodys.value)
    for act in (
        lambda: store.append("eve", upload.id, 0, io.BytesIO(b"x")),
        lambda: store.read("eve", upload.id, 10),
        lambda: store.remove("eve", upload.id),
    ):
        with pytest.raises(NotFound):
            act()
    assert store.find("ada", upload.id).offset == 0


@pytest.mark.parametrize(
    ("name", "length", "field"),
    [("x", 2**20 + 1, "length"), ("x", -1, "length"), ("a\nb", 1, "name"), ("é" * 600, 1, "name")],
)
def test_what_the_site_does_not_take_is_refused(store, name, length, field):
    """Too large, negative, or an odd name: refused, naming the field, with nothing made."""
    with pytest.raises(Rejected) as caught:
        store.create("ada", name, length)
    assert caught.value.problems[0].field == field
    assert store.sweep(-1) == 0


def test_a_full_disk_is_told_beforehand(tmp_path):
    """An upload that the disk has no room for is refused at the beginning."""
    store = UploadStore(tmp_path / "uploads", 2**62)
    with pytest.raises(Rejected, match="room for"):
        store.create("ada", "x", 2**60)


def test_an_incomplete_upload_is_not_used(store):
    """What is not all here can be neither staged nor read."""
    upload = store.create("ada", "x", 2)
    for act in (lambda: store.open(upload.id), lambda: store.measure(upload.id), lambda: store.path("ada", upload.id)):
        with pytest.raises(Conflict, match="0 of 2 bytes"):
            act()


def test_the_directory_is_the_server_s_alone(store, tmp_path):
    """Neither the directory nor a file in it can be read by others."""
    store.create("ada", "x", 0)
    paths = [tmp_path / "uploads", *(tmp_path / "uploads").iterdir()]
    assert len(paths) == 3
    assert not any(stat.S_IMODE(path.stat().st_mode) & 0o077 for path in paths)


def test_old_uploads_are_swept(store, tmp_path):
    """What nothing was added to for long is removed, unless a request is adding to it."""
    old, new, busy = (store.create("ada", name, 5) for name in ("old", "new", "busy"))
    for upload in (old, busy):
        for path in (tmp_path / "uploads").glob(f"{upload.id}*"):
            os.utime(path, (1, 1))
    with (tmp_path / "uploads" / busy.id).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert store.sweep(3600) == 1
    with pytest.raises(NotFound):
        store.find("ada", old.id)
    assert store.find("ada", new.id)
    assert store.find("ada", busy.id)
    store.remove("ada", new.id)
    assert store.sweep(3600) == 1
    assert list((tmp_path / "uploads").iterdir()) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=8))
def test_any_pieces_make_the_whole(tmp_path_factory, pieces):
    """However the bytes are cut, they end up as they were."""
    store = UploadStore(tmp_path_factory.mktemp("pieces"), 2**20)
    whole = b"".join(pieces)
    upload = store.create("ada", "x", len(whole))
    offset = 0
    for piece in pieces:
        offset = store.append("ada", upload.id, offset, io.BytesIO(piece)).offset
    assert store.read("ada", upload.id, 10**6) == whole
    assert store.measure(upload.id) == (len(whole), hashlib.sha256(whole).hexdigest())


def test_what_was_sent_before_is_known(tmp_path):
    """By its checksum, to its owner alone; in part, too, so that another command can go on."""
    store = UploadStore(tmp_path, 2**20)
    data = b"x" * 1000
    checksum = hashlib.sha256(data).hexdigest()
    assert store.known("ada", 1000, checksum) is None
    upload = store.create("ada", "a", 1000, checksum)
    store.append("ada", upload.id, 0, io.BytesIO(data[:400]))
    assert (store.known("ada", 1000, checksum).id, store.known("ada", 1000, checksum).offset) == (upload.id, 400)
    assert store.append("ada", upload.id, 400, io.BytesIO(data[400:])).complete
    assert store.known("ada", 1000, checksum).complete
    assert store.known("eve", 1000, checksum) is None
    assert store.known("ada", 999, checksum) is None
    store.remove("ada", upload.id)
    assert store.known("ada", 1000, checksum) is None


@pytest.mark.parametrize("pieces", [[b"other bytes"], [b"the sam", b"XXXXX"[:4]]])
def test_other_bytes_than_announced_are_noticed(tmp_path, pieces):
    """An upload that was resumed with another file, or whose file changed, is refused at its end, and gone."""
    store = UploadStore(tmp_path, 2**20)
    upload = store.create("ada", "a", 11, hashlib.sha256(b"the same 11").hexdigest())
    at = 0
    for piece in pieces[:-1]:
        at = store.append("ada", upload.id, at, io.BytesIO(piece)).offset
    with pytest.raises(Rejected, match="not those that were announced"):
        store.append("ada", upload.id, at, io.BytesIO(pieces[-1]))
    with pytest.raises(NotFound):
        store.find("ada", upload.id)


def test_old_uploads_are_swept_when_new_ones_come(tmp_path):
    """Once an hour what nobody used for long goes; what jobs still wait for stays."""
    waiting = []
    store = UploadStore(tmp_path, 2**20, keep=100, in_use=lambda: waiting)
    old, used = (store.create("ada", name, 1, hashlib.sha256(name.encode()).hexdigest()) for name in "ab")
    waiting.append(used.id)
    for path in tmp_path.iterdir():
        os.utime(path, (1, 1))
    store.create("ada", "c", 1)
    with pytest.raises(NotFound):
        store.find("ada", old.id)
    assert store.find("ada", used.id)
    assert len(list((tmp_path / "known").iterdir())) == 1
