"""Directories as sources, modes, permissions and links: staged as the account, bound by their manifest."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
import threading
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from tests.accounts import ordinary
from tests.contract.workspaces import JOB, stage

from cluster_interface.model.errors import Permanent, Transient
from cluster_interface.model.filetree import FileEntry, Mode
from cluster_interface.ports import Layout
from cluster_interface.settings import FileRules, SharedData, Staging
from cluster_interface.staging import UploadStore, Workspace, bringing, movement
from cluster_interface.trees.names import portable


@pytest.fixture
def tmp_path():
    """A directory that every account may pass through."""
    made = Path(tempfile.mkdtemp(prefix="clif-trees-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def data(tmp_path):
    """A directory of the account's, with a file, a program, a link and an empty directory."""
    root = tmp_path / "data"
    (root / "sub/empty").mkdir(parents=True)
    (root / "a.fastq.gz").write_bytes(b"reads" * 500)
    (root / "sub/run.sh").write_text("#!/bin/sh\n")
    (root / "sub/run.sh").chmod(0o750)
    (root / "latest").symlink_to("sub/run.sh")
    own(root)
    return root


def own(root):
    """Give all of it to the account."""
    for path in [root, *root.rglob("*")]:
        os.chown(path, ordinary().uid, ordinary().gid, follow_symlinks=False)


def workspace(tmp_path, **rules):
    """A workspace with rules of the site's."""
    uploads = UploadStore(tmp_path / "uploads", 2**30)
    return Workspace(tmp_path / "jobs", uploads, Staging(copy_below=1000), lambda job: ordinary(), FileRules(**rules))


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.COPY, Mode.LINK])
def test_a_directory_comes_whole(tmp_path, data, mode):
    """Files with their permissions, links as links, empty directories; large ones are linked, linked ones not copied."""
    stager = workspace(tmp_path)
    files = {"in/": FileEntry(source=f"file:{data}", mode=mode, require={"*.fastq.gz": 1})}
    stage(stager, files)
    home = stager.directory(JOB)
    task = home / "tasks/0/in"
    assert str((task / "latest").readlink()) == "sub/run.sh"
    assert (task / "sub/empty").is_dir()
    assert (home / "inputs/in/a.fastq.gz").read_bytes() == b"reads" * 500
    assert stat.S_IMODE((home / "inputs/in/sub/run.sh").stat().st_mode) == 0o750
    assert (task / "a.fastq.gz").is_symlink() == (mode is not Mode.COPY)
    assert (task / "sub/run.sh").is_symlink() == (mode is Mode.LINK)
    shared = (home / "inputs/in/a.fastq.gz").stat().st_nlink == 2
    assert shared == (mode is Mode.LINK)
    stager.remove(JOB)
    assert (data / "a.fastq.gz").read_bytes() == b"reads" * 500


def test_permissions_and_links_of_the_tree(tmp_path):
    """As the spec says, in inputs and in tasks."""
    stager = workspace(tmp_path)
    files = {
        "d/": FileEntry(permissions="0750"),
        "d/secret": FileEntry(content="x", permissions="0600"),
        "link": FileEntry(target="d/secret"),
    }
    stage(stager, files)
    task = stager.directory(JOB) / "tasks/0"
    assert stat.S_IMODE((task / "d").stat().st_mode) == 0o750
    assert stat.S_IMODE((task / "d/secret").stat().st_mode) == 0o600
    assert str((task / "link").readlink()) == "d/secret"


def test_names_that_are_no_utf8_arrive_as_they_were(tmp_path):
    """A tree has them in their portable form, and so have members of archives; the job sees their own bytes."""
    stager, odd = workspace(tmp_path), os.fsdecode(b"caf\xe9")
    (tmp_path / odd).write_bytes(b"old")
    (tmp_path / f"{odd}.d").mkdir()
    (tmp_path / f"{odd}.d" / odd).write_bytes(b"old")
    with tarfile.open(tmp_path / "x.tar", "w") as made:
        made.add(tmp_path / odd, f"d/{odd}")
    link = FileEntry(target="in/d/caf\N{SINGLE HIGH-REVERSED-9 QUOTATION MARK}E9")
    files = {
        "caf\N{SINGLE HIGH-REVERSED-9 QUOTATION MARK}E9": FileEntry(content="text"),
        "in/": FileEntry(source=f"file:{tmp_path}/x.tar!/"),
        "file": FileEntry(source=f"file:{portable(f'{tmp_path}/{odd}')}"),
        "there/": FileEntry(source=f"file:{portable(f'{tmp_path}/{odd}.d')}"),
        "link": link,
    }
    stage(stager, files)
    task = stager.directory(JOB) / "tasks/0"
    assert (task / odd).read_text() == "text"
    assert (task / "in/d" / odd).read_bytes() == b"old"
    for name in ("link", "file", f"there/{odd}"):
        assert (task / name).read_bytes() == b"old"


def change_size(data):
    (data / "a.fastq.gz").write_bytes(b"other")


def change_time(data):
    os.utime(data / "a.fastq.gz", (1, 1))


def add(data):
    (data / "new").write_text("")


def take(data):
    (data / "sub/run.sh").unlink()


def swap(data):
    shutil.move(data, f"{data}.old")
    Path(f"{data}.new").mkdir()
    data.symlink_to(f"{data}.new")


@pytest.mark.parametrize("change", [change_size, change_time, add, take, swap])
@pytest.mark.parametrize("mode", [Mode.COPY, Mode.MOUNT])
def test_what_changes_after_the_plan_is_not_used(tmp_path, data, change, mode):
    """Sizes, times, names, and the directory itself: a job never begins with other data than was planned."""
    stager = workspace(tmp_path) if mode is Mode.COPY else mounting(tmp_path)
    files = {"in/": FileEntry(source=f"file:{data}", mode=mode)}
    infos = stager.check(JOB, files)
    assert infos[0].pinned
    change(data)
    with pytest.raises(Permanent, match=r"files\.in/: .*(changed since|leads to .*new now)"):
        stager.stage_in(JOB, [(info, files[info.path]) for info in infos], Layout(tasks=1), lambda progress: None)
    assert not (stager.directory(JOB) / "tasks").exists()


def mounting(tmp_path):
    """A workspace that lets what is in `tmp_path` be mounted; the setting itself would not take /tmp."""
    rules = FileRules.model_construct(mount_roots=(tmp_path,), writable_roots=(), link=True, max_entries=1000)
    return Workspace(tmp_path / "jobs", UploadStore(tmp_path / "up", 2**20), Staging(), lambda job: ordinary(), rules)


def test_a_mounted_directory_stays_where_it_is(tmp_path, data):
    """Nothing is copied; the tree has a link to the same absolute path."""
    stager = mounting(tmp_path)
    files = {"in/": FileEntry(source=f"file:{data}/", mode=Mode.MOUNT, require={"*.gz": {"min": 1}})}
    [info] = stager.check(JOB, files)
    assert (info.mount, info.entries, info.size) == (str(data), 5, 2510)
    stage(stager, files)
    assert str((stager.directory(JOB) / "tasks/0/in").readlink()) == str(data)
    assert not list((stager.directory(JOB) / "inputs").iterdir())


def refused(stager, words, **entry):
    """Whether a directory is refused in these words, before anything is made."""
    with pytest.raises(Permanent, match=words) as caught:
        stager.check(JOB, {"in/": FileEntry(**entry)})
    assert caught.value.code == "input_unavailable"
    assert not stager.directory(JOB).exists()


def test_what_may_not_be_mounted_is_refused(tmp_path, data):
    """Outside the roots, through a link that leads out, over `..`, or where nothing may be."""
    refused(workspace(tmp_path), "lets nothing be mounted", source=f"file:{data}", mode="mount")
    stager = mounting(tmp_path)
    refused(stager, "/etc is not below what may be mounted", source="file:/etc", mode="mount")
    (data / "out").symlink_to("/etc")
    refused(stager, "out leads to /etc", source=f"file:{data}/out", mode="mount")
    refused(stager, "absolute path", source=f"file:{data}/../../etc", mode="mount")
    refused(stager, "lets nothing be mounted to be written", source=f"file:{data}", mode="mount", writable=True)
    for root in ("/", "/etc/x", "/usr/share", "relative", "/data/../etc", "/job/x", "/tmp/x"):
        with pytest.raises(ValueError, match="cannot be mounted"):
            FileRules(mount_roots=(root,))


def test_writable_places_must_be_the_account_s(tmp_path, data):
    """Under roots of their own, and only where the account may write; their content is not bound."""
    rules = FileRules.model_construct(mount_roots=(), writable_roots=(tmp_path,), link=True, max_entries=1000)
    stager = Workspace(tmp_path / "jobs", UploadStore(tmp_path / "up", 9), Staging(), lambda job: ordinary(), rules)
    entry = {"out/": FileEntry(source=f"file:{data}", mode="mount", writable=True)}
    [info] = stager.check(JOB, entry)
    add(data)
    stage(stager, entry)
    assert info.manifest is None
    if os.geteuid() == 0:
        os.chown(data, 0, 0)
        with pytest.raises(Permanent, match="cannot be written: permission denied"):
            stager.check(JOB, entry)


def test_odd_directories_are_refused(tmp_path, data):
    """Fifos, links that lead out, what is unreadable, what is too much, and the jobs' own directory."""
    stager, source = workspace(tmp_path), f"file:{data}"
    refused(stager, "no such file", source=f"file:{tmp_path}/nothing")
    refused(stager, "not a directory", source=f"file:{data}/a.fastq.gz")
    refused(stager, "the tree would hold itself", source=f"file:{tmp_path}")
    refused(stager, r"at least 2 \*\.gz, but there is one", source=source, require={"*.gz": 2})
    os.mkfifo(data / "fifo")
    refused(stager, "'fifo' in it is a fifo", source=source)
    (data / "fifo").unlink()
    (data / "out").symlink_to("../../etc")
    refused(stager, "outside of the tree", source=source)
    (data / "out").unlink()
    (data / "sub/up").symlink_to("../..")
    refused(stager, "outside of the tree", source=source)
    (data / "sub/up").unlink()
    (data / os.fsdecode(b"a\nb")).write_text("")
    refused(stager, "control character", source=source)
    (data / os.fsdecode(b"a\nb")).unlink()
    for number in range(1001):
        (data / "sub" / str(number)).touch()
    refused(mounting(tmp_path), "more than 1,000 entries", source=source, mode="mount")
    if os.geteuid() == 0:
        shutil.rmtree(data / "sub/empty")
        (data / "sub/empty").mkdir(mode=0o700)
        refused(stager, "'sub/empty' in it cannot be read", source=source)
        (data / "sub/empty").rmdir()
        (data / "theirs").write_text("")
        (data / "theirs").chmod(0o600)
        with pytest.raises(Permanent, match="permission denied"):
            stage(stager, {"in/": FileEntry(source=source)})


def test_names_that_are_no_text_are_staged(tmp_path, data, monkeypatch):
    """Bytes that are not UTF-8, in a directory that is copied; what is told of them is text."""
    monkeypatch.setattr(movement, "EVERY", 0)
    name = os.fsdecode(b"sub/the caf\xe9")  # the last, of which is told
    (data / name).write_bytes(b"x")
    own(data)
    stager = workspace(tmp_path)
    seen = stage(stager, {"in/": FileEntry(source=f"file:{data}", mode="copy")})
    assert (stager.directory(JOB) / "tasks/0/in" / name).read_bytes() == b"x"
    told = repr(seen)
    assert "caf" in told
    assert "udce9" not in told


def test_staging_goes_on_where_it_was_cut(tmp_path, data):
    """What is in place is not read again."""
    stager = workspace(tmp_path)
    files = {"in/": FileEntry(source=f"file:{data}")}
    stage(stager, files)
    before = (stager.directory(JOB) / "inputs/in/a.fastq.gz").stat().st_ino
    (stager.directory(JOB) / "inputs/in/sub/run.sh").unlink()
    stage(stager, files)
    assert (stager.directory(JOB) / "inputs/in/a.fastq.gz").stat().st_ino == before
    assert (stager.directory(JOB) / "inputs/in/sub/run.sh").read_text() == "#!/bin/sh\n"


@pytest.mark.parametrize("mode", [Mode.COPY, Mode.LINK])
def test_the_task_gets_its_files_while_others_are_brought(tmp_path, data, mode, monkeypatch):
    """When the first is told of it has both its places, and the task's directory has none yet."""
    monkeypatch.setattr(bringing, "BATCH", 1)
    stager = workspace(tmp_path)
    files = {"in/": FileEntry(source=f"file:{data}", mode=mode)}
    seen = []

    def look(progress):
        home = stager.directory(JOB)
        if progress.files == 1:
            seen.append((progress.note, os.path.lexists(home / "incoming/task-0" / progress.note)))
            assert (home / "inputs" / progress.note).exists()
            assert not (home / "tasks").exists()

    infos = stager.check(JOB, files)
    stager.stage_in(JOB, [(info, files[info.path]) for info in infos], Layout(tasks=1), look)
    assert seen[:1] == [("in/a.fastq.gz", True)]


def test_what_is_in_an_archive_makes_a_directory(tmp_path, data):
    """Any source that holds several files may be a directory's; it is bound by its listing."""
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("in/x.csv", "1")
        made.writestr("in/deep/y.csv", "22")
    stager = workspace(tmp_path)
    files = {"d/": FileEntry(source=f"file:{archive}!/in", require={"**/*.csv": 2})}
    infos = stager.check(JOB, files)
    assert (infos[0].entries, infos[0].size, infos[0].pinned) == (2, 3, True)
    stage(stager, files)
    assert (stager.directory(JOB) / "tasks/0/d/deep/y.csv").read_text() == "22"
    with zipfile.ZipFile(archive, "a") as made:
        made.writestr("in/z.csv", "3")
    with pytest.raises(Permanent, match=r"changed since this was planned \(2 files then, 3 now\)"):
        stager.stage_in("other", [(infos[0], files["d/"])], Layout(tasks=1), lambda progress: None)


def test_the_site_s_data_are_copied_or_mounted(tmp_path, data):
    """The catalogue says where they are: they may be mounted without a root of their own."""
    shared = SharedData.model_construct(path=data, readers=("*",))
    settings = Staging().model_copy(update={"site": {"genomes": shared}})
    stager = Workspace(tmp_path / "jobs", UploadStore(tmp_path / "up", 9), settings, lambda job: ordinary())
    files = {"g/": FileEntry(source="site:genomes/sub", mode="copy")}
    stage(stager, files)
    assert (stager.directory(JOB) / "tasks/0/g/run.sh").read_text() == "#!/bin/sh\n"
    mounted = {"g/": FileEntry(source="site:genomes", mode="mount")}
    with pytest.raises(Permanent, match="cannot be mounted"):  # what is below /tmp is a container's own
        stager.check(JOB, mounted)
    with pytest.raises(Permanent, match="not among the data"):
        stager.check(JOB, {"g/": FileEntry(source="site:other", mode="mount")})


def test_a_directory_swapped_while_it_is_walked_leads_nowhere(tmp_path, data):
    """A link that takes a directory's place for a moment is never followed, however often it is tried."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "run.sh").write_text("from elsewhere")
    own(other)
    stop = threading.Event()

    def swapping():
        while not stop.is_set():
            (data / "sub").rename(data / "real")
            (data / "sub").symlink_to(other)
            (data / "sub").unlink()
            (data / "real").rename(data / "sub")

    thread = threading.Thread(target=swapping)
    thread.start()
    stager = workspace(tmp_path)
    try:
        for number in range(40):
            with suppress(Permanent, Transient):
                stage(stager, {"in/": FileEntry(source=f"file:{data}", mode="copy")}, job=f"job-{number}")
    finally:
        stop.set()
        thread.join()
    found = [path.read_text() for path in (tmp_path / "jobs").glob("*/inputs/in/sub/run.sh")]
    assert set(found) <= {"#!/bin/sh\n"}


def test_one_file_is_linked_where_that_is_asked_for(tmp_path, data):
    """A second name instead of a copy; a wrong checksum leaves the original alone."""
    stager = workspace(tmp_path)
    source = f"file:{data}/a.fastq.gz"
    stage(stager, {"x": FileEntry(source=source, mode="link")})
    assert Path(stager.directory(JOB) / "inputs/x").samefile(data / "a.fastq.gz")
    files = {"x": FileEntry(source=source, mode="link")}
    [info] = stager.check("other", files)
    wrong = info.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(Permanent, match="SHA-256"):
        stager.stage_in("other", [(wrong, files["x"])], Layout(tasks=1), lambda progress: None)
    assert (data / "a.fastq.gz").exists()
