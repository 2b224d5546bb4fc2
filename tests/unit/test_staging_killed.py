"""Staging that is killed at any moment leaves nothing partial, and the next try makes it whole."""

from __future__ import annotations

import http.server
import io
import os
import random
import signal
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.contract.workspaces import ordinary

from cluster_interface.model.errors import Transient
from cluster_interface.model.filetree import FileEntry
from cluster_interface.ports import Layout
from cluster_interface.settings import Staging
from cluster_interface.staging import UploadStore, Workspace, bringing, sharing
from cluster_interface.staging import workspace as workspaces

JOB = "job"
SMALL, LARGE = b"small", b"large" * 500
ACTS = ("open", "os.mkdir", "os.rename", "os.symlink", "os.remove", "os.rmdir", "os.utime", "os.chown", "os.truncate")


@pytest.fixture
def open_path():
    """A directory that every account may pass through."""
    with tempfile.TemporaryDirectory(prefix="clif-killed-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def stage_and_die(workspace, pairs, attempt, moment):
    """Stage in a child that kills itself at its n-th act on the filesystem; say whether it came to the end."""
    child = os.fork()
    if child == 0:
        left = [moment]

        def count(event, _arguments):
            if event in ACTS:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            workspace.stage_in(JOB, pairs, Layout(tasks=1, attempt=attempt), lambda progress: None)
        except BaseException:  # noqa: BLE001 - a child of the test must never return into it
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL)
    return status == 0


def check(home: Path, *, complete: bool) -> None:
    """Whatever can be seen is whole; once staging has ended, everything is there."""
    whole = {"small": SMALL, "sub/large": LARGE}
    inputs = {str(path.relative_to(home / "inputs")): path.read_bytes() for path in (home / "inputs").rglob("*[!b]")}
    assert inputs.items() <= whole.items()
    task = home / "tasks/0"
    if complete or task.exists():
        assert inputs == whole
        assert (task / "small").read_bytes() == SMALL
        assert str((task / "sub/large").readlink()) == "/inputs/sub/large"
        assert (task / "out").is_dir()
        assert not (task / "left").exists()


def test_a_kill_at_any_moment_is_mended(tmp_path):
    """Killed at its first, second, third … act, and tried again: the job's directory is always right."""
    uploads = UploadStore(tmp_path / "uploads", 2**20)
    upload = uploads.create("ada", "x", len(LARGE))
    uploads.append("ada", upload.id, 0, io.BytesIO(LARGE))
    files = {
        "small": FileEntry(content=SMALL.decode()),
        "sub/large": FileEntry(source=f"upload:{upload.id}"),
        "out/": FileEntry(),
    }
    moment, ended = 0, False
    while not ended:
        moment += 1
        workspace = Workspace(tmp_path / f"jobs{moment}", uploads, Staging(copy_below=100), lambda job: ordinary())
        home = workspace.directory(JOB)
        pairs = [(info, files[info.path]) for info in workspace.check(JOB, files)]
        ended = stage_and_die(workspace, pairs, 1, moment)
        check(home, complete=ended)
        workspace.stage_in(JOB, pairs, Layout(tasks=1), lambda progress: None)
        check(home, complete=True)
        assert {path.lstat().st_uid for path in home.rglob("*")} == {ordinary().uid}
    assert moment > 40


def test_a_kill_while_a_new_attempt_is_made_is_mended(tmp_path):
    """The tasks' directories of an attempt are fresh, whenever the making of them was cut."""
    uploads = UploadStore(tmp_path / "uploads", 2**20)
    files = {
        "small": FileEntry(content=SMALL.decode()),
        "sub/large": FileEntry(content=LARGE.decode()),
        "out/": FileEntry(),
    }
    moment, ended = 0, False
    while not ended:
        moment += 1
        workspace = Workspace(tmp_path / f"jobs{moment}", uploads, Staging(copy_below=100), lambda job: ordinary())
        home = workspace.directory(JOB)
        pairs = [(info, files[info.path]) for info in workspace.check(JOB, files)]
        workspace.stage_in(JOB, pairs, Layout(tasks=1), lambda progress: None)
        left = home / "tasks/0/left"
        left.write_text("by the first attempt")
        (home / "tasks/0/small").write_text("by the first attempt")
        ended = stage_and_die(workspace, pairs, 2, moment)
        workspace.stage_in(JOB, pairs, Layout(tasks=1, attempt=2), lambda progress: None)
        check(home, complete=True)
    assert moment > 20


def test_a_kill_while_processes_share_a_directory_is_mended(tmp_path, open_path, monkeypatch):
    """Whichever of them is killed, whatever was copied: the rest is brought, here or by the next start."""
    monkeypatch.setattr(sharing, "processors", lambda most: 3)
    for using in (bringing, workspaces):
        monkeypatch.setattr(using, "processors", sharing.processors)
    data = open_path / "data"
    for directory in ("", "sub", "sub/deep"):
        (data / directory).mkdir()
        for number in range(400):
            (data / directory / f"{number}.txt").write_text(f"{directory} {number}")
    uploads = UploadStore(tmp_path / "uploads", 2**20)
    files = {"in/": FileEntry(source=f"file:{data}")}
    whole = {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*.txt")}
    for turn, moment in enumerate((1, 300, 1100, 1900, 2900, 10**9)):
        workspace = Workspace(tmp_path / f"jobs{turn}", uploads, Staging(), lambda job: ordinary())
        home = workspace.directory(JOB)
        pairs = [(info, files[info.path]) for info in workspace.check(JOB, files)]
        ended = stage_and_die(workspace, pairs, 1, moment)
        deadline = time.monotonic() + 60
        while not ended:
            try:
                workspace.stage_in(JOB, pairs, Layout(tasks=1), lambda progress: None)
                break
            except Transient:  # those that were forked hold the lock until they saw that they are alone
                assert time.monotonic() < deadline
        for place in ("inputs/in", "tasks/0/in"):
            root = home / place
            assert {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.txt")} == whole
        assert {staged.path for staged in workspace.inputs(JOB)} == {f"in/{name}" for name in whole}


def test_a_kill_at_random_while_staging_from_elsewhere_is_mended(tmp_path):
    """Killed at random, over and over, while many files are fetched: the next start finishes, the bytes identical.

    `CLIF_TEST_KILLS` says how often; a measured run takes fifty.
    """
    kills = int(os.environ.get("CLIF_TEST_KILLS", "8"))
    contents = {f"in/{n}": os.urandom(200_000 + n) for n in range(12)}
    random_ = random.Random(5)
    with serving(contents) as url:
        settings = Staging(allowed_networks=("127.0.0.0/8",), copy_below=100, parallel=3)
        uploads = UploadStore(tmp_path / "uploads", 2**20)
        files = {name: FileEntry(source=f"{url}/{name}") for name in contents}
        died = 0
        for turn in range(1000):
            workspace = Workspace(tmp_path / f"jobs{turn}", uploads, settings, lambda job: ordinary())
            pairs = [(info, files[info.path]) for info in workspace.check(JOB, files)]
            while died < kills and not stage_and_die_in(workspace, pairs, random_.uniform(0.0, 0.4)):
                died += 1
                inputs = workspace.directory(JOB) / "inputs"
                for path in inputs.rglob("*"):
                    assert path.is_dir() or path.read_bytes() == contents[str(path.relative_to(inputs))]
                assert not (workspace.directory(JOB) / "tasks/0").exists() or len(list(inputs.rglob("*"))) == 13
            workspace.stage_in(JOB, pairs, Layout(tasks=1), lambda progress: None)
            staged = workspace.directory(JOB) / "inputs"
            assert {name: (staged / name).read_bytes() for name in contents} == contents
            if died >= kills:
                return
    raise AssertionError("it was never killed often enough")


def stage_and_die_in(workspace, pairs, seconds):
    """Stage in a child that is killed after so many seconds; say whether it came to the end."""
    child = os.fork()
    if child == 0:
        try:
            workspace.stage_in(JOB, pairs, Layout(tasks=1), lambda progress: None)
        except BaseException:  # noqa: BLE001 - a child of the test must never return into it
            os._exit(1)
        os._exit(0)

    def kill():
        with suppress(ProcessLookupError):  # it has come to the end just now
            os.kill(child, signal.SIGKILL)

    killer = threading.Timer(seconds, kill)
    killer.start()
    status = os.waitpid(child, 0)[1]
    killer.cancel()
    killer.join()
    assert status in (0, signal.SIGKILL)
    return status == 0


@contextmanager
def serving(contents):
    """Serve these bytes with an ETag and ranges, slowly enough to be caught at it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            data = contents[self.path[1:]]
            begin = int(self.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
            self.send_response(206 if "Range" in self.headers else 200)
            self.send_header("ETag", f'"{len(data)}"')
            self.send_header("Content-Length", str(len(data) - begin))
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            with suppress(OSError):
                for at in range(begin, len(data) if self.command == "GET" else 0, 50_000):
                    self.wfile.write(data[at : at + 50_000])
                    time.sleep(0.005)

        do_HEAD = do_GET  # noqa: N815 - named by http.server

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
