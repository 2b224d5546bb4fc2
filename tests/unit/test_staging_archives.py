"""Archives of outputs: what a plain way of making them would give, made in a quick one."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.accounts import ordinary

from cluster_interface.model.errors import Transient
from cluster_interface.model.job import OutputFile
from cluster_interface.ports import Layout
from cluster_interface.settings import Staging
from cluster_interface.staging import UploadStore, Workspace, archives
from cluster_interface.staging.reading import SMALL

JOB = "job"


#: what os.listdir gives: text, and bytes that are none (os.fsdecode)
NAMES = st.characters(codec="utf-8", exclude_characters="\0") | st.characters(
    min_codepoint=0xDC80, max_codepoint=0xDCFF
)


@given(
    name=st.text(NAMES, min_size=1, max_size=120),
    mode=st.sampled_from([0o644, 0o755]),
    mtime=st.integers(-(2**33), 2**36),
    size=st.integers(0, 2**36),
)
def test_a_header_is_the_one_that_tarfile_makes(name, mode, mtime, size):
    """Names, times and sizes of every kind give byte for byte what the standard library gives."""
    info = tarfile.TarInfo(name)
    info.mode, info.mtime, info.size = mode, mtime, size
    assert archives._header(name, mode, mtime, size) == info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


@pytest.fixture
def place(tmp_path):
    """A workspace with a job that has a task."""
    tmp_path.chmod(0o755)
    workspace = Workspace(tmp_path / "jobs", UploadStore(tmp_path / "up", 2**20), Staging(), lambda _job: ordinary())
    workspace.stage_in(JOB, [], Layout(tasks=1), lambda _progress: None)
    return workspace, workspace.directory(JOB) / "tasks/0"


def listed(root, sizes):
    """Write files, and list each with the size it was listed with, whatever it has now."""
    pairs = []
    for name, (size, now) in sizes.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(now))
        pairs.append((name, OutputFile(path=name, size=size, sha256="0" * 64)))
    return pairs


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_small_and_large_ones_keep_their_order(place, form):
    """Whatever was read together and what alone, grown and shrunk since it was listed: all there, in the given order."""
    workspace, root = place
    sizes = {f"many/{number:03}": (100, 100) for number in range(150)}
    sizes |= {"large": (SMALL * 3, SMALL * 3), "grown": (5, SMALL * 2), "shrunk": (SMALL * 2, 5), "gone": (5, 0)}
    sizes |= {"edge": (SMALL, SMALL), "over": (SMALL + 1, SMALL + 1)}
    pairs = listed(root, sizes)
    data = b"".join(workspace.archive(JOB, pairs, form))
    assert unpacked(data, form) == {name: (root / name).read_bytes() for name, _ in pairs}
    assert list(unpacked(data, form)) == list(sizes)


def unpacked(data, form):
    """Return an archive's members, in its order."""
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def test_small_ones_of_odd_kinds_are_left_out(place):
    """Links, fifos, directories, and what is gone or not readable, among small files: named in LEFT-OUT.txt."""
    workspace, root = place
    pairs = listed(root, dict.fromkeys(("a", "link", "fifo", "dir", "gone", "closed", "z"), (3, 3)))
    for name in ("link", "fifo", "dir", "gone"):
        (root / name).unlink()
    (root / "link").symlink_to("a")
    os.mkfifo(root / "fifo")
    (root / "dir").mkdir()
    (root / "closed").chmod(0)
    pairs.append(("up", OutputFile(path="../0/a", size=3, sha256="0" * 64)))
    held = unpacked(b"".join(workspace.archive(JOB, pairs, "zip")), "zip")
    assert list(held) == ["a", "z", "LEFT-OUT.txt"]
    said = held["LEFT-OUT.txt"].decode()
    assert [line.partition(":")[0] for line in said.splitlines()] == ["link", "fifo", "dir", "gone", "closed", "up"]


def test_one_that_shrinks_while_it_is_sent_cuts_the_stream(place):
    """Nobody takes for whole what is not: a large file cut short ends the stream with an error."""
    workspace, root = place
    pairs = listed(root, {"large": (2**22, 2**22), "z": (1, 1)})
    chunks = workspace.archive(JOB, pairs, "tar.gz")
    next(chunks)
    os.truncate(root / "large", 2**20)
    with pytest.raises(Transient, match="large became shorter"):
        list(chunks)


def test_files_of_several_tasks(place):
    """Files of one task after another's, and back: each comes from its own."""
    workspace, root = place
    pairs = []
    for number, task in enumerate((0, 1, 0, 2, 1)):
        path = root.parent / str(task) / f"{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{task}:{number}")
        pairs.append((f"{task}/{number}", OutputFile(path=f"{number}", size=3, sha256="0" * 64, task=task)))
    held = unpacked(b"".join(workspace.archive(JOB, pairs, "tar.gz")), "tar.gz")
    assert held == {f"{task}/{n}": f"{task}:{n}".encode() for n, task in enumerate((0, 1, 0, 2, 1))}
