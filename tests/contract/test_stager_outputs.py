"""How every Stager finds, opens and packs outputs; run as root, everything happens as another account."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zipfile

import pytest
import zstandard
from tests.accounts import ordinary
from tests.contract.workspaces import JOB, collect, put, read, stage
from tests.counting import processor

from cluster_interface.model.errors import NotFound
from cluster_interface.model.filetree import FileEntry
from cluster_interface.model.job import OutputFile


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


def test_what_a_program_shut_is_an_output_all_the_same(stager):
    """A file and a directory that even their owner may not read are listed, and opened; links are left as they are."""
    stage(stager, {})
    for name in ("plain", "d/e/deep", "d/file"):
        put(stager, name, b"shut")
    root = stager.directory(JOB) / "tasks/0"
    (root / "link").symlink_to("/etc/shadow")
    for name in ("plain", "d/file", "d/e", "d"):
        os.chown(root / name, ordinary().uid, ordinary().gid)
        (root / name).chmod(0)
    found, _ = collect(stager, None)
    assert {path for _, path in found} == {"plain", "d/e/deep", "d/file"}
    assert all(read(stager, path) == b"shut" for _, path in found)
    assert (root / "plain").stat().st_mode & 0o777 == 0o400


def test_a_job_that_never_had_a_directory_holds_nothing(stager):
    """It failed before anything was staged: nothing is measured, and nothing is missing."""
    assert (stager.holds_little("never", 1, 1, 1), stager.size("never")) == (True, 0)


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


def test_many_files_are_listed_at_the_pace_of_few(stager):
    """Eight thousand outputs take about eight times the processor that one thousand take."""
    stage(stager, {})
    root = stager.directory(JOB) / "tasks/0"

    def listed(directories):
        for number in range(directories):
            (root / f"d{number}").mkdir(exist_ok=True)
            for inner in range(100):
                (root / f"d{number}/{inner}").write_bytes(b"%d" % inner)
        assert len(collect(stager, ["d*/*"])[0]) == 100 * directories
        return processor(lambda: collect(stager, ["d*/*"]), 2)

    few = listed(10)
    assert listed(80) < 30 * few  # a quadratic listing takes 64 times as much


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
    """The first bytes come before the whole of a large output has been read; what threads pack at once comes together."""
    stage(stager, {})
    put(stager, "big", os.urandom(64 * 2**20))
    outputs = named(collect(stager, None)[0])
    pieces = [len(piece) for piece in stager.archive(JOB, outputs, form)]
    assert len(pieces) > 5
    assert max(pieces) < 16 * 2**20
