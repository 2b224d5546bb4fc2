"""A job's files never open a way to anybody else's."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import pytest
from tests.accounts import ordinary

from cluster_interface.model.errors import NotFound, Permanent, Rejected
from cluster_interface.model.filetree import FileEntry
from cluster_interface.model.job import Account, OutputFile
from cluster_interface.model.plan import SourceInfo
from cluster_interface.ports import Layout
from cluster_interface.settings import Staging
from cluster_interface.staging import UploadStore, Workspace
from cluster_interface.staging.acting import acting_as, as_the_server

JOB = "job"
SECRET = b"secret of the server"


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only a server that runs as root acts as other accounts")


@pytest.fixture
def workspace(tmp_path):
    """A workspace with one staged job."""
    made = Workspace(tmp_path / "jobs", UploadStore(tmp_path / "uploads", 2**20), Staging(), lambda job: ordinary())
    made.stage_in(JOB, [], Layout(tasks=1), lambda progress: None)
    return made


def stage_anyway(workspace, source):
    """Stage a source without the early check."""
    info = SourceInfo(path="in", source=source)
    workspace.stage_in(JOB, [(info, FileEntry(source=source))], Layout(tasks=1), lambda progress: None)


def test_the_shadow_file_is_not_read(workspace):
    """file:/etc/shadow is opened as the user: permission denied, early and late."""
    with pytest.raises(Permanent, match="/etc/shadow: permission denied") as caught:
        workspace.check(JOB, {"in": FileEntry(source="file:/etc/shadow")})
    assert caught.value.code == "input_unavailable"
    with pytest.raises(Permanent, match="/etc/shadow: permission denied"):
        stage_anyway(workspace, "file:/etc/shadow")
    assert not list((workspace.directory(JOB) / "inputs").iterdir())


@needs_root
def test_what_the_server_has_open_is_not_read(workspace, tmp_path):
    """/proc leads past the directories that keep others out: its links count by what they say, its files not at all."""
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "private/open").write_bytes(SECRET)
    (tmp_path / "private/open").chmod(0o644)
    with (tmp_path / "private/open").open("rb") as file:
        for place in ("self", "thread-self", str(os.getpid())):
            with pytest.raises(Permanent, match="permission denied"):
                workspace.check(JOB, {"in": FileEntry(source=f"file:/proc/{place}/fd/{file.fileno()}")})
    inside = os.open(tmp_path / "private", os.O_RDONLY)
    try:
        with pytest.raises(Permanent, match="permission denied"):
            workspace.check(JOB, {"in/": FileEntry(source=f"file:/proc/self/fd/{inside}")})
        with pytest.raises(Rejected, match="permission denied"):
            workspace.list_directory(ordinary(), f"/proc/self/fd/{inside}", "", 10)
    finally:
        os.close(inside)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as open_to_all:
        Path(open_to_all).chmod(0o755)
        Path(open_to_all, "link").symlink_to("/proc/self/maps")
        for source in ("/proc/self/maps", "/proc/self/../self/maps", f"{open_to_all}/link", "/sys/kernel/notes"):
            with pytest.raises(Permanent, match="not data"):
                workspace.check(JOB, {"in": FileEntry(source=f"file:{source}")})
    with pytest.raises(Rejected, match="not data"):
        workspace.list_directory(ordinary(), "/proc/self/fd", "", 10)


@needs_root
def test_another_account_s_file_is_not_read(workspace, tmp_path):
    """A 0600 file of somebody else, a file in a closed directory, and one through a link are denied."""
    tmp_path.chmod(0o755)
    theirs = Path("/tmp") / f"clif-theirs-{os.getpid()}"
    theirs.mkdir(mode=0o755)
    try:
        (theirs / "file").write_bytes(SECRET)
        (theirs / "file").chmod(0o600)
        os.chown(theirs / "file", 1, 1)
        (theirs / "group").write_bytes(SECRET)
        (theirs / "group").chmod(0o640)  # root's group: the server's own groups must not count
        (theirs / "closed").mkdir(mode=0o700)
        (theirs / "closed/file").write_bytes(SECRET)
        (theirs / "link").symlink_to("file")
        for name in ("file", "group", "closed/file", "link"):
            with pytest.raises(Permanent, match="permission denied"):
                workspace.check(JOB, {"in": FileEntry(source=f"file:{theirs / name}")})
            with pytest.raises(Permanent, match="permission denied"):
                stage_anyway(workspace, f"file:{theirs / name}")
    finally:
        for path in ("file", "group", "closed/file", "link"):
            (theirs / path).unlink()
        (theirs / "closed").rmdir()
        theirs.rmdir()


def test_a_name_cannot_lead_out_of_the_inputs(workspace, tmp_path):
    """Even a name that nobody checked before writes nothing outside."""
    for path in ("../evil", "/tmp/evil", "a/../../evil", "..", ""):
        with pytest.raises((Permanent, ValueError)):
            workspace.stage_in(
                JOB,
                [(SourceInfo(path=path, source="content"), FileEntry(content="x"))],
                Layout(tasks=1, attempt=2),
                lambda progress: None,
            )
    assert not list(tmp_path.rglob("evil"))
    assert not Path("/tmp/evil").exists()


def test_staging_through_a_planted_link_writes_nothing_outside(workspace, tmp_path):
    """A link that stands where a directory of the tree should be is not written through."""
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    (workspace.directory(JOB) / "inputs/sub").symlink_to(outside)
    entry = FileEntry(content="x")
    with pytest.raises(Exception, match=r"sub|directory|links"):
        workspace.stage_in(
            JOB, [(SourceInfo(path="sub/f", source="content"), entry)], Layout(tasks=1), lambda progress: None
        )
    assert not list(outside.iterdir())


def test_links_are_neither_listed_nor_served(workspace):
    """Out -> /etc/shadow is no output by any route: pattern, default, direct, archive."""
    root = workspace.directory(JOB) / "tasks/0"
    (root / "out").symlink_to("/etc/shadow")
    (root / "dir").symlink_to("/etc")
    for patterns in (None, ["out"], ["**"], ["dir/passwd"], ["dir/"]):
        assert workspace.collect(JOB, 1, patterns, lambda progress: None)[0] == []
    for path in ("out", "dir/passwd", "dir/shadow"):
        with pytest.raises(NotFound):
            workspace.open_output(JOB, 0, path)
        output = OutputFile(path=path, size=1, sha256="0" * 64)
        data = b"".join(workspace.archive(JOB, [(path, output)], "zip"))
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.namelist() == ["LEFT-OUT.txt"]


def test_a_link_swapped_in_while_streaming_is_never_served(workspace):
    """While a file and a link to a secret change places, no archive and no listing holds the secret."""
    secret = workspace.directory(JOB) / "secret"  # where the account itself may go: only the links protect it
    secret.write_bytes(SECRET)
    hidden = workspace.directory(JOB) / "hidden"
    hidden.mkdir()
    (hidden / "f").write_bytes(SECRET)
    root = workspace.directory(JOB) / "tasks/0"
    (root / "d").mkdir()
    (root / "d/f").write_bytes(b"fine")
    for path in (root / "d", root / "d/f"):
        os.chown(path, ordinary().uid, ordinary().gid)
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            (root / "d/f").rename(root / "d/kept")
            (root / "d/f").symlink_to(secret)
            (root / "d/f").unlink()
            (root / "d/kept").rename(root / "d/f")
            (root / "d").rename(root / "away")
            (root / "d").symlink_to(hidden)
            (root / "d").unlink()
            (root / "away").rename(root / "d")

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        deadline = time.monotonic() + 60
        for turn in itertools.count():
            if (turn >= 300 and ("d/f", b"fine") in seen) or time.monotonic() > deadline:
                break
            outputs = [OutputFile(path="d/f", size=4, sha256="0" * 64)]
            form = "zip" if turn % 2 else "tar.gz"
            seen.update(
                unpack(
                    b"".join(workspace.archive(JOB, [(output.path, output) for output in outputs], form)), form
                ).items()
            )
            for output in workspace.collect(JOB, 1, ["**"], lambda progress: None)[0]:
                assert output.size == 4
    finally:
        stop.set()
        thread.join()
    assert {name for name, _ in seen} <= {"d/f", "LEFT-OUT.txt"}
    assert {data for name, data in seen if name == "d/f"} == {b"fine"}
    assert not any(SECRET in data for _, data in seen)


def unpack(data, form):
    """Return an archive's members."""
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def test_archive_names_stay_inside(workspace):
    """No member's name is absolute, has `..` as a component, or a backslash, whatever the task called its files."""
    root = workspace.directory(JOB) / "tasks/0"
    for name in ("..\\..\\evil", "C:\\x", "...", "..a", "a\nb", "-rf", "~"):
        (root / name).write_text("x")
    outputs, _ = workspace.collect(JOB, 1, ["**"], lambda progress: None)
    assert len(outputs) == 7
    for form in ("zip", "tar.gz"):
        names = unpack(b"".join(workspace.archive(JOB, [(output.path, output) for output in outputs], form)), form)
        assert len(names) == 7
        for name in names:
            assert not name.startswith("/")
            assert ".." not in name.split("/")
            assert "\\" not in name


def test_a_forged_status_is_not_followed(workspace, tmp_path):
    """A status file or a log that is a link to elsewhere says nothing."""
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text('{"exit_code": 0}')
    elsewhere.chmod(0o644)
    home = workspace.write_attempt(JOB, 1, "", "", {}).parent
    (home / "status/0.json").symlink_to(elsewhere)
    (home / "log/0.out").symlink_to("/etc/passwd")
    assert workspace.status(JOB, 1, 0) is None
    assert workspace.log(JOB, 1, 0, "out", 0).data == b""


@needs_root
def test_acting_takes_root_s_powers_away(tmp_path):
    """While it acts as an account, the thread cannot pass by permissions; stepping back it can."""
    closed = tmp_path / "closed"
    closed.write_bytes(SECRET)
    closed.chmod(0o600)
    with acting_as(ordinary()):
        with pytest.raises(PermissionError):
            closed.read_bytes()
        with as_the_server():
            assert closed.read_bytes() == SECRET
        with pytest.raises(PermissionError):
            closed.read_bytes()
    assert closed.read_bytes() == SECRET


@needs_root
def test_threads_do_not_mix():
    """Threads that act as different accounts at the same time do so each by itself, and a third stays the server."""
    barrier = threading.Barrier(3)
    seen = {}

    def act(uid):
        with acting_as(Account(name=str(uid), uid=uid, gid=uid, groups=(uid + 1,))):
            barrier.wait(10)
            seen[uid] = identity()
            barrier.wait(10)

    threads = [threading.Thread(target=act, args=(uid,)) for uid in (60001, 60010)]
    for thread in threads:
        thread.start()
    barrier.wait(10)
    mine = identity()
    barrier.wait(10)
    for thread in threads:
        thread.join()
    assert mine[0] == 0
    assert seen == {60001: (60001, 60001, {60001, 60002}), 60010: (60010, 60010, {60010, 60011})}


def identity():
    """Return this thread's file system uid, gid and groups."""
    lines = dict(line.split(":", 1) for line in Path("/proc/thread-self/status").read_text().splitlines())
    return int(lines["Uid"].split()[3]), int(lines["Gid"].split()[3]), {int(g) for g in lines["Groups"].split()}


def test_nothing_is_done_as_root():
    """An account with uid 0 or gid 0 is refused."""
    for account in (Account(name="root", uid=0, gid=0), Account(name="x", uid=1000, gid=0)):
        with pytest.raises(Permanent, match="ordinary account"), acting_as(account):
            pass


@needs_root
def test_a_full_disk_is_told_in_words(tmp_path):
    """On a filesystem without room staging fails naming the directory, and nothing partial is visible."""
    program = """
    import os, subprocess, sys
    from pathlib import Path
    from cluster_interface.model.errors import Permanent
    from cluster_interface.model.filetree import FileEntry
    from cluster_interface.model.job import Account
    from cluster_interface.model.plan import SourceInfo
    from cluster_interface.ports import Layout
    from cluster_interface.settings import Staging
    from cluster_interface.staging import UploadStore, Workspace
    root = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(root)], check=True)
    uploads = UploadStore(root.parent / "uploads", 2**30)
    workspace = Workspace(root, uploads, Staging(), lambda job: Account(name="nobody", uid=65534, gid=65534))
    entry = FileEntry(content="x" * 3_000_000)
    try:
        workspace.stage_in("job", [(SourceInfo(path="in", source="content"), entry)], Layout(tasks=1), lambda progress: None)
    except Permanent as error:
        print(error, "|", error.code, "|", list((root / "job/inputs").iterdir()))
    """
    root = tmp_path / "full"
    root.mkdir()
    argv = ["unshare", "-m", sys.executable, "-c", textwrap.dedent(program), str(root)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done
    words, code, left = done.stdout.strip().split(" | ")
    assert str(root / "job") in words
    assert "is full" in words
    assert (code, left) == ("input_unavailable", "[]")
