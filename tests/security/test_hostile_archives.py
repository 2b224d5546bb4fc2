"""Archives that people hand in as sources: whatever is in them, only plain files arrive, below the inputs."""

from __future__ import annotations

import gzip
import io
import shutil
import stat
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from tests.accounts import ordinary

from cluster_interface.model.errors import Permanent
from cluster_interface.model.filetree import FileEntry
from cluster_interface.ports import Layout
from cluster_interface.settings import Staging
from cluster_interface.staging import UploadStore, Workspace
from cluster_interface.staging.sources import archives

JOB = "job"
FINE = {"fine": b"1", "d/deep": b"2"}
EVIL = b"evil"


@pytest.fixture
def top():
    """A directory that every account may pass through, with a canary in it."""
    made = Path(tempfile.mkdtemp(prefix="clif-hostile-", dir="/var/tmp"))
    made.chmod(0o755)
    (made / "canary").write_text("alive")
    (made / "canary").chmod(0o666)
    yield made
    shutil.rmtree(made)


def workspace(top, **settings):
    return Workspace(top / "jobs", UploadStore(top / "uploads", 2**20), Staging(**settings), lambda _job: ordinary())


def stage(stager, source, name="in/"):
    """Look and stage, as a job does."""
    files = {name: FileEntry(source=source)}
    pairs = [(info, files[info.path]) for info in stager.check(JOB, files)]
    stager.stage_in(JOB, pairs, Layout(tasks=1), lambda _progress: None)
    inside = stager.directory(JOB) / "inputs" / name
    return {path.relative_to(inside).as_posix(): path for path in inside.rglob("*") if not path.is_dir()}


def odd_names(top):
    return [
        "../evil",
        "../../../../evil",
        f"{top}/evil",
        "/evil",
        "d/../../evil",
        "a\\..\\..\\evil",
        "x/./y",
        "n\n/evil",
        "",
    ]


def hostile_tar(top, path):
    """Names that lead out, links to write through, hard links, a fifo, a device, setuid."""
    with tarfile.open(path, "w:gz") as made:

        def add(name, data=EVIL, **more):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in more.items():
                setattr(info, field, value)
            made.addfile(info, io.BytesIO(data))

        for name in odd_names(top):
            add(name)
        for name, kind, target in (
            ("way", tarfile.SYMTYPE, str(top)),
            ("second", tarfile.LNKTYPE, "/etc/passwd"),
            ("third", tarfile.LNKTYPE, f"{top}/canary"),
            ("fifo", tarfile.FIFOTYPE, ""),
            ("disk", tarfile.BLKTYPE, ""),
        ):
            add(name, b"", type=kind, linkname=target, devmajor=8)
        add("way/canary")
        for name, data in FINE.items():
            add(name, data, mode=0o6777, uid=0)


def hostile_zip(top, path):
    """The same, as far as a zip has it."""
    with zipfile.ZipFile(path, "w") as made:
        for name in odd_names(top):
            made.writestr(name or "/", EVIL)
        link = zipfile.ZipInfo("way")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, str(top))
        made.writestr("way/canary", EVIL)
        for name, data in FINE.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | 0o6777) << 16
            made.writestr(info, data)


@pytest.mark.parametrize(("form", "make"), [("tar.gz", hostile_tar), ("zip", hostile_zip)])
def test_only_plain_files_arrive(top, form, make):
    """Nothing outside is touched, no link, fifo or device is made, nobody's id is taken on."""
    make(top, top / f"x.{form}")
    staged = stage(workspace(top), f"file:{top}/x.{form}!/")
    assert {name: path.read_bytes() for name, path in staged.items()} == {**FINE, "way/canary": EVIL}
    for path in staged.values():
        mode = path.lstat().st_mode
        assert (stat.S_ISREG(mode), mode & 0o7000) == (True, 0)
    assert (top / "canary").read_text() == "alive"
    assert not list(top.rglob("*evil*"))
    assert not Path("/evil").exists()


def test_one_odd_member_cannot_be_asked_for(top):
    """A member of such a name, a link, a device: there is no such file in the archive."""
    hostile_tar(top, top / "x.tar.gz")
    for member in ("../evil", "/evil", "way", "second", "third", "fifo", "disk"):
        with pytest.raises(Permanent, match=r"has no file|not allowed|relative|write"):
            stage(workspace(top), f"file:{top}/x.tar.gz!/{member}", "in")


def zeros(top, form, size):
    """Write an archive of one file of zeros, which is a thousand times smaller."""
    path = top / f"bomb.{form}"
    if form == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("zeros", bytes(size))
        return path
    info = tarfile.TarInfo("zeros")
    info.size = size
    with gzip.open(path, "wb") as made:
        made.write(info.tobuf() + bytes(size) + bytes(1024))
    return path


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_a_bomb_stops_at_the_limit(top, form):
    """64 MiB of zeros in 65 kB are no more welcome than 64 MiB are, and leave nothing."""
    bomb = zeros(top, form, 64 * 2**20)
    assert bomb.stat().st_size < 100_000
    stager = workspace(top, max_bytes=2**20)
    with pytest.raises(Permanent, match=r"more than|larger than"):
        stage(stager, f"file:{bomb}!/zeros", "in")
    left = (
        [path for path in stager.directory(JOB).rglob("*") if path.is_file()] if stager.directory(JOB).exists() else []
    )
    assert sum(path.stat().st_size for path in left) < 2**20 + 10_000


def test_a_lie_about_the_size_is_found_out(top):
    """A zip that says less than it holds gives no more than it said, and fails."""
    path = zeros(top, "zip", 2**20)
    data = path.read_bytes()
    path.write_bytes(data.replace((2**20).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(Permanent, match=r"cannot be read|has not the 10 bytes"):
        stage(workspace(top), f"file:{path}!/zeros", "in")


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_more_files_than_are_taken_are_refused(top, form, monkeypatch):
    """They are counted while they are listed."""
    monkeypatch.setattr(archives, "MOST_MEMBERS", 100)
    names = [f"{number:03}" for number in range(101)]
    if form == "zip":
        with zipfile.ZipFile(top / "x.zip", "w") as made:
            for name in names:
                made.writestr(name, b"")
    else:
        with tarfile.open(top / "x.tar", "w") as made:
            for name in names:
                made.addfile(tarfile.TarInfo(name))
    with pytest.raises(Permanent, match="has more than 100 files"):
        stage(workspace(top), f"file:{top}/x.{form}!/")
