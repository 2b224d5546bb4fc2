"""What every Stager must do; run as root, everything happens as another account."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest
import zstandard

from cluster_interface.model.errors import NotFound, Permanent, Transient
from cluster_interface.model.filetree import FileEntry, Mode
from cluster_interface.model.job import Account, OutputFile
from cluster_interface.model.plan import SourceInfo
from cluster_interface.ports import Layout
from cluster_interface.settings import Staging
from cluster_interface.staging import UploadStore, Workspace

JOB = "job-1"


def ordinary() -> Account:
    """An account jobs may run under: nobody for root, else our own."""
    if os.geteuid() == 0:
        return Account(name="nobody", uid=65534, gid=65534)
    return Account(name="me", uid=os.geteuid(), gid=os.getegid())


@pytest.fixture
def uploads(tmp_path):
    """Uploads in a directory of their own."""
    return UploadStore(tmp_path / "uploads", 2**30)


@pytest.fixture
def stager(tmp_path, uploads):
    """A workspace whose jobs are all one account's."""
    return Workspace(tmp_path / "jobs", uploads, Staging(copy_below=1000), lambda job: ordinary())


def upload(uploads, data: bytes) -> str:
    """Send bytes whole; return their source."""
    made = uploads.create("ada", "x", len(data))
    uploads.append("ada", made.id, 0, io.BytesIO(data))
    return f"upload:{made.id}"


def stage(stager, files, tasks=1, attempt=1, job=JOB):
    """Check and stage; return what was reported."""
    seen = []
    infos = stager.check(job, files)
    stager.stage_in(
        job, [(info, files[info.path]) for info in infos], Layout(tasks=tasks, attempt=attempt), seen.append
    )
    return seen


def put(stager, name, data=b"x", task=0):
    """Leave a file as the task would: as the job's account."""
    path = stager.directory(JOB) / "tasks" / str(task) / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.chown(path, ordinary().uid, ordinary().gid)
    return path


def read(stager, path, task=0):
    """Read one output whole."""
    with stager.open_output(JOB, task, path) as file:
        return file.read()


def collect(stager, patterns, tasks=1):
    """Collect; return the outputs by task and path, and what matched nothing."""
    found, unmatched = stager.collect(JOB, tasks, patterns, lambda progress: None)
    return {(output.task, output.path): output for output in found}, unmatched


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
    assert not (home / "incoming").exists()


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


def test_an_attempt_is_written(stager):
    """Writing an attempt makes the directories that job.sh writes to, may be repeated, and replaces whole files."""
    first = stager.write_attempt(JOB, 2, "echo one\n", '{"a": 1}', {})
    inode = first.stat().st_ino
    assert stager.write_attempt(JOB, 2, "echo one\n", '{"a": 1}', {}) == first
    assert first.stat().st_ino == inode
    stager.write_attempt(JOB, 2, "echo two\n", '{"a": 2}', {})
    home = stager.directory(JOB)
    assert first == home / "attempts/2/job.sh"
    assert first.read_text() == "echo two\n"
    assert json.loads((home / "plan.json").read_text()) == {"a": 2}
    assert {"claim", "status", "log"} <= {path.name for path in first.parent.iterdir()}


def test_status_and_claim_are_read(stager):
    """A whole status file is returned; none, half a one, and one that is a link are None."""
    assert stager.status(JOB, 1, 0) is None
    assert stager.claimed(JOB, 1, 0) is None
    script = stager.write_attempt(JOB, 1, "", "", {})
    status = script.parent / "status/0.json"
    assert stager.status(JOB, 1, 0) is None
    for bad in (b"", b"{", b"[1]", b"\xff", b"[" * 60000, b'"' + b"x" * 10**6 + b'"'):
        status.write_bytes(bad)
        os.chown(status, ordinary().uid, ordinary().gid)
        assert stager.status(JOB, 1, 0) is None
    status.write_text('{"exit_code": 3}')
    assert stager.status(JOB, 1, 0) == {"exit_code": 3}
    status.rename(script.parent / "other.json")
    status.symlink_to("../other.json")
    assert stager.status(JOB, 1, 0) is None
    (script.parent / "claim/0").mkdir()
    assert stager.claimed(JOB, 1, 0) is not None
    assert stager.claimed(JOB, 1, 1) is None


def test_what_the_server_itself_wrote_is_read_too(stager):
    """A status file that a runtime left as the server's own (0600) is read; a hard link to another file is not."""
    script = stager.write_attempt(JOB, 1, "", "", {})
    status = script.parent / "status/0.json"
    status.write_text("{}")
    status.chmod(0o600)
    assert stager.status(JOB, 1, 0) == {}
    if os.geteuid() == 0:
        os.link(status, script.parent / "second-name")
        assert stager.status(JOB, 1, 0) is None


def test_logs_are_read_in_parts(stager):
    """A log comes in parts of at most 1 MiB, from an offset or counted from the end; a missing one is empty."""
    assert stager.log(JOB, 1, 0, "out", 0).size == 0
    script = stager.write_attempt(JOB, 1, "", "", {})
    assert stager.log(JOB, 1, 0, "out", 5).data == b""
    data = bytes(range(256)) * 8192
    log = script.parent / "log/0.out"
    log.write_bytes(data)
    log.chmod(0o644)
    part = stager.log(JOB, 1, 0, "out", 0)
    assert (len(part.data), part.offset, part.size) == (2**20, 0, len(data))
    part = stager.log(JOB, 1, 0, "out", -100)
    assert (part.data, part.offset) == (data[-100:], len(data) - 100)
    assert stager.log(JOB, 1, 0, "out", -(10**9)).offset == 0
    part = stager.log(JOB, 1, 0, "out", 10**9)
    assert (part.data, part.offset) == (b"", len(data))


def test_new_and_changed_files_are_outputs(stager):
    """Without patterns, what is new or written to is listed, with the same bytes too; the rest and noise are not."""
    stage(stager, {"same": FileEntry(content="s"), "edited": FileEntry(content="e"), "touched": FileEntry(content="t")})
    put(stager, "edited", b"E")
    put(stager, "touched", b"t")
    put(stager, "results/new.csv", b"1,2\n")
    put(stager, "pkg/__pycache__/x.pyc")
    put(stager, ".cache/thing")
    root = stager.directory(JOB) / "tasks/0"
    (root / "link").symlink_to("/etc/passwd")
    (root / "dirlink").symlink_to("/etc")
    os.mkfifo(root / "fifo")
    found, unmatched = collect(stager, None)
    assert set(found) == {(0, "edited"), (0, "touched"), (0, "results/new.csv")}
    assert unmatched == []
    assert found[0, "results/new.csv"] == OutputFile(
        path="results/new.csv", size=4, sha256=hashlib.sha256(b"1,2\n").hexdigest(), type="text/csv"
    )


def test_patterns_choose_outputs_over_all_tasks(stager):
    """Patterns apply to every task; only those that choose nothing anywhere are unmatched."""
    stage(stager, {"in.csv": FileEntry(content="1")}, tasks=2)
    put(stager, "a.csv", task=0)
    put(stager, "deep/er/b.csv", task=1)
    put(stager, "plots/p.png", task=1)
    found, unmatched = collect(stager, ["**/*.csv", "plots", "*.txt", "empty/"], tasks=2)
    assert set(found) == {(0, "a.csv"), (1, "deep/er/b.csv"), (1, "plots/p.png")}
    assert unmatched == ["*.txt", "empty/"]


def test_odd_names_are_outputs_too(stager):
    """Names with line breaks or without valid UTF-8 survive JSON and can be opened again."""
    stage(stager, {})
    names = [
        b"line\nbreak",
        b"not\xffutf8",
        "\N{SINGLE HIGH-REVERSED-9 QUOTATION MARK}FF".encode(),
        b"$(touch canary)",
        b"back\\slash",
        b"-rf",
    ]
    for number, name in enumerate(names):
        put(stager, name, str(number).encode())
    found, _ = collect(stager, None)
    listed = json.loads(json.dumps([path for _, path in found], ensure_ascii=False).encode().decode())
    assert {read(stager, path) for path in listed} == {str(number).encode() for number in range(len(names))}


@pytest.mark.parametrize(
    "path",
    [
        "..", "../0/a", "/etc/passwd", "", "a/", "a/..", "./a", "dir", "link", "dirlink/passwd", "fifo", "a\0", "\0",
        "..%2f", "a" * 300, "a/b", "x" * 5000, "\ud800", "%2e%2e/%2e%2e/etc/passwd", "..\\..\\x",
    ],
)  # fmt: skip
def test_only_regular_files_inside_are_opened(stager, path):
    """Whatever leads out, is odd, or is not a regular file is not there."""
    stage(stager, {"dir/": FileEntry()})
    put(stager, "a", b"inside")
    root = stager.directory(JOB) / "tasks/0"
    (root / "link").symlink_to("a")
    (root / "dirlink").symlink_to("/etc")
    os.mkfifo(root / "fifo")
    assert read(stager, "a") == b"inside"
    with pytest.raises(NotFound):
        stager.open_output(JOB, 0, path)


@pytest.mark.parametrize("job", ["..", "", "a/b", "../jobs", "\0", ".", "-x", "a" * 65])
def test_odd_job_ids_are_not_found(stager, job):
    """A job id is one plain word; nothing else becomes a path."""
    with pytest.raises(NotFound):
        stager.open_output(job, 0, "a")
    with pytest.raises(NotFound):
        stager.directory(job)
    with pytest.raises(NotFound):
        stager.remove(job)


FORMS = ["zip", "tar.gz", "tar.zst"]


def unpacked(data, form):
    """Read an archive whole: name -> bytes."""
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}
    if form == "tar.zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz" if form == "tar.gz" else "r:") as archive:
        assert {member.uid for member in archive} == {0}
        return {member.name: archive.extractfile(member).read() for member in archive}


def named(outputs, *, by_task=False):
    """Give each output its place as its name."""
    return [(output.place(by_task=by_task), output) for output in outputs.values()]


@pytest.mark.parametrize("form", FORMS)
def test_archives_hold_the_outputs(stager, form):
    """An archive holds every output below its task's number, unpacks with standard tools, and is the same twice."""
    stage(stager, {}, tasks=2)
    big = os.urandom(700_000)
    put(stager, "a.txt", b"one", task=0)
    put(stager, "sub/b.bin", big, task=1)
    put(stager, "lé\\n", b"", task=1)
    outputs = named(collect(stager, None, tasks=2)[0], by_task=True)
    data = b"".join(stager.archive(JOB, outputs, form))
    assert b"".join(stager.archive(JOB, outputs, form)) == data
    held = unpacked(data, form)
    assert held == {"0/a.txt": b"one", "1/sub/b.bin": big, "1/lé\N{FULLWIDTH REVERSE SOLIDUS}n": b""}


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_says_what_is_missing(stager, form):
    """An output that went away, or became a link while others were sent, is left out, and the archive says so."""
    stage(stager, {})
    put(stager, "a", os.urandom(8 * 2**20))
    put(stager, "b/c", b"goes")
    outputs = named(collect(stager, None)[0])
    chunks = stager.archive(JOB, outputs, form)
    data = next(chunks)
    path = stager.directory(JOB) / "tasks/0/b"
    path.rename(path.with_name("away"))
    path.symlink_to("/etc")
    data += b"".join(chunks)
    held = unpacked(data, form)
    assert set(held) == {"a", "LEFT-OUT.txt"}
    assert b"b/c: there is no output" in held["LEFT-OUT.txt"]


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_is_streamed(stager, form):
    """The first bytes come before the whole of a large output has been read."""
    stage(stager, {})
    put(stager, "big", os.urandom(16 * 2**20))
    outputs = named(collect(stager, None)[0])
    pieces = [len(piece) for piece in stager.archive(JOB, outputs, form)]
    assert len(pieces) > 5
    assert max(pieces) < 4 * 2**20


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


def test_many_files_are_listed_in_time(stager):
    """Ten thousand outputs are listed at a pace that makes 10^5 a matter of seconds."""
    stage(stager, {})
    root = stager.directory(JOB) / "tasks/0"
    for number in range(100):
        (root / f"d{number}").mkdir()
        for inner in range(100):
            (root / f"d{number}/{inner}").write_bytes(b"%d" % inner)
    begun = time.monotonic()
    found, _ = collect(stager, ["d*/*"])
    assert len(found) == 10_000
    assert time.monotonic() - begun < 30


def test_a_revoked_task_can_never_begin(stager):
    """Of the tasks of an attempt those are closed that nobody has begun; the others are named by who began them."""
    home = stager.write_attempt(JOB, 1, "", "", {}).parent
    (home / "claim/1").mkdir()
    (home / "claim/1/owner").write_text("host=n7\nnative_id=12\n")
    assert stager.begun(JOB, 1) == {1}
    assert stager.revoke(JOB, 1, [0, 1, 2]) == [0, 2]
    assert stager.revoke(JOB, 1, [0, 1, 2]) == [0, 2]  # whoever closed them
    with pytest.raises(FileExistsError):
        (home / "claim/0").mkdir()  # what job.sh does first
    assert stager.claimed(JOB, 1, 1)["host"] == "n7"
    assert stager.revoke(JOB, 9, [0]) == [0]  # an attempt that was never written


def test_a_closed_attempt_lets_nobody_begin(stager):
    """After closing no claim can be made; who had made one is still known, and closing again changes nothing."""
    home = stager.write_attempt(JOB, 1, "", "", {}).parent
    (home / "claim/0").mkdir()
    (home / "claim/0/owner").write_text("host=n7\n")
    for _ in range(2):
        stager.close(JOB, 1)
        with pytest.raises(FileNotFoundError):
            (home / "claim/1").mkdir()
        assert (stager.begun(JOB, 1), stager.claimed(JOB, 1, 0)) == ({0}, {"host": "n7"})
    stager.close("nosuch", 1)


def test_an_order_is_declared_once(stager):
    """Only the first who declares an order is told so, also after a restart."""
    stager.write_attempt(JOB, 1, "", "", {})
    assert stager.declare(JOB, 1, "ci-x-1")
    assert not stager.declare(JOB, 1, "ci-x-1")
    assert stager.declare(JOB, 1, "ci-x-1.1")
