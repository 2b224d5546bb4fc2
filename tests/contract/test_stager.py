"""What every Stager must do; run as root, everything happens as another account."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from pathlib import Path

import pytest
from tests.accounts import ordinary
from tests.contract.workspaces import JOB, put, stage, upload

from cluster_interface.model.errors import NotFound, Permanent, Transient
from cluster_interface.model.filetree import FileEntry, Mode
from cluster_interface.model.plan import SourceInfo
from cluster_interface.ports import Layout


def test_every_source_is_measured(stager, uploads):
    """Checking tells size and checksum of text, uploads and small files, and names directories."""
    files = {
        "a.txt": FileEntry(content="hé"),
        "b.bin": FileEntry(source=upload(uploads, b"123")),
        "c": FileEntry(source="file:/etc/hosts"),
        "out/": FileEntry(),
    }
    infos = {info.path: info for info in stager.check(JOB, files)}
    assert infos["a.txt"].sha256 == hashlib.sha256("hé".encode()).hexdigest()
    assert (infos["b.bin"].size, infos["b.bin"].sha256) == (3, hashlib.sha256(b"123").hexdigest())
    assert infos["c"].sha256 == hashlib.sha256(Path("/etc/hosts").read_bytes()).hexdigest()
    assert infos["a.txt"].source == "content"
    assert infos["out/"].pinned


def test_the_tree_is_made(stager, uploads):
    """Small files are copied, large ones linked to /inputs, directories real, and the program executable."""
    large = b"l" * 5000
    files = {
        "run.sh": FileEntry(content="#!/bin/sh\n", executable=True),
        "data/large.bin": FileEntry(source=upload(uploads, large)),
        "data/linked": FileEntry(content="small", mode=Mode.LINK),
        "results/": FileEntry(),
    }
    progress = stage(stager, files)
    home = stager.directory(JOB)
    task = home / "tasks/0"
    assert (task / "run.sh").read_text() == "#!/bin/sh\n"
    assert not (task / "run.sh").is_symlink()
    assert stat.S_IMODE((task / "run.sh").stat().st_mode) == 0o755
    assert str((task / "data/large.bin").readlink()) == "/inputs/data/large.bin"
    assert str((task / "data/linked").readlink()) == "/inputs/data/linked"
    assert (home / "inputs/data/large.bin").read_bytes() == large
    assert (task / "results").is_dir()
    assert progress[-1].done == progress[-1].total == len("#!/bin/sh\n") + 5000 + 5
    assert not list((home / "incoming").iterdir())


def test_the_directory_is_the_account_s_alone(stager):
    """Everything staged belongs to the job's account, and the directory is closed to others."""
    stage(stager, {"a/b.txt": FileEntry(content="x"), "big": FileEntry(content="y" * 2000)})
    stager.write_attempt(JOB, 1, "true\n", "{}", {})
    home = stager.directory(JOB)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert {path.lstat().st_uid for path in [home, *home.rglob("*")]} == {ordinary().uid}
    assert {path.lstat().st_gid for path in [home, *home.rglob("*")]} == {ordinary().gid}


def test_a_sweep_links_its_inputs(stager):
    """With several tasks even small files are links, except where a copy is asked for."""
    stage(stager, {"a": FileEntry(content="x"), "b": FileEntry(content="y", mode=Mode.COPY)}, tasks=3)
    for task in range(3):
        assert (stager.directory(JOB) / f"tasks/{task}/a").is_symlink()
        assert (stager.directory(JOB) / f"tasks/{task}/b").read_text() == "y"


def test_staging_again_keeps_what_is_there(stager, uploads):
    """A second stage_in fetches nothing again and leaves the tasks' directories alone."""
    source = upload(uploads, b"once")
    files = {"in": FileEntry(source=source)}
    infos = stager.check(JOB, files)
    pairs = [(info, files[info.path]) for info in infos]
    stager.stage_in(JOB, pairs, Layout(tasks=1), lambda progress: None)
    before = (stager.directory(JOB) / "inputs/in").stat()
    put(stager, "made", b"by the task")
    uploads.remove("ada", source.removeprefix("upload:"))
    stager.stage_in(JOB, pairs, Layout(tasks=1), lambda progress: None)
    assert (stager.directory(JOB) / "inputs/in").stat() == before
    assert (stager.directory(JOB) / "tasks/0/made").exists()


def test_a_new_attempt_finds_fresh_tasks(stager):
    """Another attempt's number makes the tasks' directories anew, once."""
    files = {"in": FileEntry(content="as staged")}
    stage(stager, files)
    put(stager, "in", b"changed by the task")
    put(stager, "half", b"done")
    stage(stager, files, attempt=2)
    assert (stager.directory(JOB) / "tasks/0/in").read_text() == "as staged"
    assert not (stager.directory(JOB) / "tasks/0/half").exists()
    put(stager, "second", b"try")
    stage(stager, files, attempt=2)
    assert (stager.directory(JOB) / "tasks/0/second").exists()


def test_an_input_that_was_tampered_with_is_brought_again(stager):
    """A staged input that no longer is as it was verified is fetched and verified again."""
    files = {"in": FileEntry(content="right")}
    stage(stager, files)
    (stager.directory(JOB) / "inputs/in").write_bytes(b"wrong")
    stage(stager, files)
    assert (stager.directory(JOB) / "inputs/in").read_bytes() == b"right"


def test_other_bytes_than_planned_are_refused(stager, tmp_path):
    """A file that changed since the plan was made fails with both checksums, and nothing of it is visible."""
    source = Path("/tmp") / f"clif-stager-{os.getpid()}"
    source.write_bytes(b"first")
    source.chmod(0o644)
    try:
        files = {"in": FileEntry(source=f"file:{source}")}
        [info] = stager.check(JOB, files)
        source.write_bytes(b"other")
        with pytest.raises(Permanent) as caught:
            stager.stage_in(JOB, [(info, files["in"])], Layout(tasks=1), lambda progress: None)
    finally:
        source.unlink()
    assert caught.value.code == "input_unavailable"
    assert str(caught.value).startswith("files.in: ")
    assert hashlib.sha256(b"first").hexdigest() in str(caught.value)
    assert hashlib.sha256(b"other").hexdigest() in str(caught.value)
    assert not (stager.directory(JOB) / "inputs/in").exists()
    assert not (stager.directory(JOB) / "tasks").exists()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (FileEntry(source="upload:" + "0" * 32), "no such upload"),
        (FileEntry(source="file:/no/such"), "no such file"),
        (FileEntry(source="file:/etc"), "not a regular file"),
        (FileEntry(source="file:/dev/zero"), "not a regular file"),
        (FileEntry(source="file:relative"), "absolute"),
        (FileEntry(source="file://host/etc/passwd"), "absolute"),
        (FileEntry(content="x", size=2), "1 bytes, not the 2"),
        (FileEntry(content="x", sha256="0" * 64), "SHA-256"),
        (FileEntry(source="http://127.0.0.1/x"), "loopback"),
    ],
)
def test_what_cannot_be_had_is_known_early(stager, entry, words):
    """Checking fails in words that name the entry and the source's trouble."""
    with pytest.raises(Permanent, match=words) as caught:
        stager.check(JOB, {"data.csv": entry})
    assert str(caught.value).startswith("files.data.csv: ")
    assert caught.value.code == "input_unavailable"


def test_a_source_that_grows_is_refused(stager):
    """A file that is written to while it is staged fails in words, rather than being half of something."""
    source = Path("/tmp") / f"clif-grows-{os.getpid()}"
    source.write_bytes(b"x" * 2**24)
    source.chmod(0o644)
    grown = threading.Event()

    def report(progress):
        if not grown.is_set() and progress.done:
            with source.open("ab") as file:
                file.write(b"more")
            grown.set()

    entry = FileEntry(source=f"file:{source}")
    info = SourceInfo(path="in", source=entry.source or "")
    try:
        with pytest.raises(Permanent, match="changed while it was read"):
            stager.stage_in(JOB, [(info, entry)], Layout(tasks=1), report)
    finally:
        source.unlink()
    assert not (stager.directory(JOB) / "inputs/in").exists()


def test_one_process_stages_at_a_time(stager):
    """While one stage_in runs, another says so and changes nothing."""
    files = {"in": FileEntry(content="x")}
    [info] = stager.check(JOB, files)
    refused = []

    def report(progress):
        if not refused:
            refused.append(True)
            with pytest.raises(Transient, match="another process"):
                stager.stage_in(JOB, [(info, files["in"])], Layout(tasks=1), lambda progress: None)

    stager.stage_in(JOB, [(info, files["in"])], Layout(tasks=1), report)
    assert refused


def test_the_directory_is_removed(stager):
    """Removing takes everything away, locked and deep directories too, follows no link, and may be repeated."""
    stage(stager, {"a": FileEntry(content="x")})
    root = stager.directory(JOB) / "tasks/0"
    locked = root / "locked"
    (locked / "inner").mkdir(parents=True)
    (locked / "inner/file").write_text("x")
    (locked / "inner").chmod(0o000)
    locked.chmod(0o000)
    outside = stager.directory(JOB).parent.parent / "outside"
    outside.mkdir()
    (outside / "canary").write_text("alive")
    (root / "link").symlink_to(outside)
    here = os.open(root, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    for path in (locked, root):
        os.chown(path, ordinary().uid, ordinary().gid)
    stager.remove(JOB)
    stager.remove(JOB)
    assert not stager.directory(JOB).exists()
    assert (outside / "canary").read_text() == "alive"


def test_the_thread_is_the_server_again_afterwards(stager):
    """Nothing of the account's identity stays with the thread, whether the work ends well or not."""

    def identity():
        lines = Path("/proc/thread-self/status").read_text().splitlines()
        return [line for line in lines if line.split(":")[0] in ("Uid", "Gid", "Groups", "CapEff")]

    before = identity()
    stage(stager, {"a": FileEntry(content="x")})
    with pytest.raises(Permanent):
        stager.check(JOB, {"b": FileEntry(source="file:/no/such")})
    with pytest.raises(NotFound):
        stager.open_output(JOB, 0, "nothing")
    assert identity() == before
