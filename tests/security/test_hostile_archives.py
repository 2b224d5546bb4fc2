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
from cluster_interface.trees import archives, opening

JOB = "job"
FINE = {"fine": b"1", "e/deep": b"2"}
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
def test_what_cannot_arrive_is_said(top, form, make):
    """An archive with something that no job can have is not taken whole: what and why is named; nothing is touched."""
    make(top, top / f"x.{form}")
    with pytest.raises(Permanent) as refused:
        stage(workspace(top), f"file:{top}/x.{form}!/")
    said = str(refused.value)
    assert said.startswith(f"files.in/: file:{top}/x.{form} cannot be taken whole: '../evil' has `..` in its name; ")
    assert f"{top}/evil' has an absolute name" in said
    assert "more. Name the files that are wanted, or a directory" in said
    untouched(top)


@pytest.mark.parametrize(("form", "make"), [("tar.gz", hostile_tar), ("zip", hostile_zip)])
def test_the_rest_can_be_named(top, form, make):
    """Single files of it, and directories in which nothing is odd, arrive; nobody's id or setuid is taken on."""
    make(top, top / f"x.{form}")
    stager = workspace(top)
    for source, name in (("fine", "one/fine"), ("e/", "two/"), ("way/canary", "three")):
        stage(stager, f"file:{top}/x.{form}!/{source}", name)
    inside = stager.directory(JOB) / "inputs"
    staged = {path.relative_to(inside).as_posix(): path for path in inside.rglob("*") if not path.is_dir()}
    assert {name: path.read_bytes() for name, path in staged.items()} == {
        "one/fine": b"1", "two/deep": b"2", "three": EVIL,
    }  # fmt: skip
    for path in staged.values():
        mode = path.lstat().st_mode
        assert (stat.S_ISREG(mode), mode & 0o7000) == (True, 0)
    untouched(top)


def untouched(top):
    """Nothing outside was written to."""
    assert (top / "canary").read_text() == "alive"
    assert not list(top.rglob("*evil*"))
    assert not Path("/evil").exists()


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (tarfile.FIFOTYPE, "is a fifo"),
        (tarfile.BLKTYPE, "is a device"),
        (tarfile.CHRTYPE, "is a device"),
        (tarfile.LNKTYPE, "is a second name of '/etc/passwd'"),
    ],
)
def test_each_odd_kind_has_its_reason(top, kind, why):
    """Fifos, devices, second names of what is not there."""
    with tarfile.open(top / "x.tar", "w") as made:
        odd = tarfile.TarInfo("odd")
        odd.type, odd.linkname = kind, "/etc/passwd"
        made.addfile(odd)
    for source, name in (("", "in/"), ("odd", "in")):
        with pytest.raises(Permanent, match=f"'odd'( in it)? {why}"):
            stage(workspace(top), f"file:{top}/x.tar!/{source}", name)


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_links_stay_inside(top, form):
    """A link within the directory that is taken is one there; one that leads out of it is refused."""
    links = {"d/near": "deep", "d/up": "../fine", "d/sub/round": "../deep"}
    if form == "zip":
        with zipfile.ZipFile(top / "x.zip", "w") as made:
            for name, data in {"fine": b"1", "d/deep": b"2", "d/empty/": b""}.items():
                made.writestr(name, data)
            for name, target in links.items():
                link = zipfile.ZipInfo(name)
                link.external_attr = (stat.S_IFLNK | 0o777) << 16
                made.writestr(link, target)
    else:
        (top / "t/d/sub").mkdir(parents=True)
        (top / "t/d/empty").mkdir()
        (top / "t/fine").write_bytes(b"1")
        (top / "t/d/deep").write_bytes(b"2")
        for name, target in links.items():
            (top / "t" / name).symlink_to(target)
        shutil.make_archive(str(top / "x"), "gztar", top / "t")
    stager = workspace(top)
    stage(stager, f"file:{top}/x.{form}!/")
    made = stager.directory(JOB) / "tasks/0/in"
    assert {name: (made / name).readlink().as_posix() for name in links} == links
    assert (made / "d/empty").is_dir()
    assert (made / "d/up").read_bytes() == b"1"
    with pytest.raises(Permanent, match=r"'up' is a link to '../fine', which is outside"):
        stage(stager, f"file:{top}/x.{form}!/d/", "other/")


def test_a_link_that_leads_out_is_refused(top):
    """Also through another, and to an absolute path."""
    for target in ("/etc/passwd", "../../etc/passwd", "."):
        with tarfile.open(top / "x.tar", "w") as made:
            for name, to in (("a", target), ("b", "a/../../x")):
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, to
                made.addfile(link)
        with pytest.raises(Permanent, match=r"files\.in/: .* cannot be copied: '[ab]' is a link"):
            stage(workspace(top), f"file:{top}/x.tar!/")


def test_one_odd_member_cannot_be_asked_for(top):
    """A member of such a name, a link, a device: it is said what it is."""
    hostile_tar(top, top / "x.tar.gz")
    reasons = {
        "../evil": "has `..` in its name", "/evil": "has an absolute name", "way": "is a link to",
        "second": "is a second name", "third": "is a second name", "fifo": "is a fifo", "disk": "is a device",
        "e": "is a directory; it needs a name that ends in /", "none": "has no file 'none' in it",
    }  # fmt: skip
    for member, why in reasons.items():
        with pytest.raises(Permanent, match=why):
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


def test_many_large_files_stop_at_the_limit(top):
    """A directory of an archive may hold no more than one input may, however small it is packed."""
    with zipfile.ZipFile(top / "x.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(4):
            made.writestr(f"{number}", bytes(300_000))
    with pytest.raises(Permanent, match=r"x.zip!/ holds more than this site takes for one input, 1 MiB"):
        stage(workspace(top, max_bytes=2**20), f"file:{top}/x.zip!/")


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


def test_what_a_zip_says_of_itself_is_looked_at_first(top, monkeypatch):
    """A million entries are not read to be counted; one that says that it has few is stopped by its list's size."""
    with zipfile.ZipFile(top / "x.zip", "w") as made:
        for number in range(101):
            made.writestr(f"{number}", b"")
    monkeypatch.setattr(zipfile, "ZipFile", lambda _file: pytest.fail("it was read"))
    with monkeypatch.context() as few:
        few.setattr(opening, "MOST_MEMBERS", 100)
        with pytest.raises(Permanent, match="has more than 100 files"):
            stage(workspace(top), f"file:{top}/x.zip!/")
    data = bytearray((top / "x.zip").read_bytes())
    end = data.rfind(b"PK\x05\x06")
    data[end + 8 : end + 12] = bytes((1, 0, 1, 0))
    (top / "x.zip").write_bytes(data)
    monkeypatch.setattr(opening, "LONGEST_LIST", 1000)
    with pytest.raises(Permanent, match="has more than 200,000 files"):
        stage(workspace(top), f"file:{top}/x.zip!/")
