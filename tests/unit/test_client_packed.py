"""Members of archives on one's own machine: found, named, sent once, and made by `clif files create`."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from tests.unit.client_server import standing

import cluster_interface as ci
from cluster_interface.client.local_files import parse_inputs
from cluster_interface.client.packed import Packed
from cluster_interface.model.errors import Rejected

FILES = {"table.csv": b"a,b\n", "raw/1.txt": b"one", "raw/deep/2.txt": b"two", "run.sh": b"#!/bin/sh\n"}


def make(path: Path) -> Path:
    """Write an archive of FILES, as its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip" or path.suffix == ".bin":
        with zipfile.ZipFile(path, "w") as made:
            for name, data in FILES.items():
                info = zipfile.ZipInfo(name)
                info.external_attr = (0o100755 if name.endswith(".sh") else 0o100644) << 16
                made.writestr(info, data)
        return path
    for name, data in FILES.items():
        file = path.parent / "unpacked" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(0o755 if name.endswith(".sh") else 0o644)
    with tarfile.open(path, "w:gz") as made:
        made.add(path.parent / "unpacked", ".")
    return path


@pytest.mark.parametrize("archive", ["data.zip", "data.tar.gz", "data.bin"])
@pytest.mark.parametrize(
    ("given", "name", "member", "directory"),
    [
        ("{}!/table.csv", "table.csv", "table.csv", False),
        ("{}!/raw/1.txt", "raw/1.txt", "raw/1.txt", False),
        ("{}!/raw", "raw/", "raw/", True),
        ("{}!/raw/deep/", "raw/deep/", "raw/deep/", True),
        ("{}!/", "data/", "", True),
        ("t.csv={}!/table.csv", "t.csv", "table.csv", False),
        ("in={}!/raw/", "in/", "raw/", True),
        ("in/={}!/", "in/", "", True),
        ("in/={}!/raw/1.txt", "in/1.txt", "raw/1.txt", False),
    ],
)
def test_a_member_is_found_and_named(tmp_path, monkeypatch, archive, given, name, member, directory):
    """As if the archive were unpacked where it lies; a directory's name ends in a slash, whoever writes it."""
    monkeypatch.chdir(tmp_path)
    path = make(tmp_path / archive)
    [(found, packed)] = parse_inputs([given.format(archive)], tmp_path).items()
    assert (found, packed.archive, packed.member, packed.directory) == (name, path, member, directory)


def test_where_the_archive_lies_counts(tmp_path, monkeypatch):
    """Below here its directory stands before the names; elsewhere only the last part is taken."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    make(tmp_path / "here/sub/a.zip")
    make(tmp_path / "b.zip")
    base = tmp_path / "here"
    assert list(parse_inputs(["sub/a.zip!/raw/1.txt", "../b.zip!/raw/deep"], base)) == ["sub/raw/1.txt", "deep/"]
    assert list(parse_inputs({"x/": tmp_path / "b.zip!"}, base)) == ["x/"]


def test_a_file_of_such_a_name_is_a_file(tmp_path, monkeypatch):
    """What is there by the whole name is meant; and a program in an archive is one in the job."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "data.zip")
    (tmp_path / "data.zip!").mkdir()
    (tmp_path / "data.zip!/table.csv").write_text("mine")
    assert parse_inputs(["data.zip!/table.csv"], tmp_path) == {"data.zip!/table.csv": tmp_path / "data.zip!/table.csv"}
    [packed] = parse_inputs(["data.zip!/run.sh"], tmp_path).values()
    assert isinstance(packed, Packed)
    assert packed.executable


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("data.zip!/none", r"files\.data\.zip!/none: .*data\.zip has no file 'none' in it; it has raw/1\.txt, "),
        ("x=data.zip!/rawr/", r"files\.x: .*no file 'rawr'"),
        ("x=bad.zip!/a", r"files\.x: .*bad\.zip cannot be read as a zip or a tar"),
        ("x=none.zip!/a", r"files\.x: there is no file "),
    ],
)
def test_what_is_not_in_it_is_said_here(tmp_path, monkeypatch, given, words):
    """Before anything is sent, with the field and what there is instead."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "data.zip")
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(Rejected, match=words):
        parse_inputs([given], tmp_path)


def test_the_archive_is_sent_once(tmp_path, monkeypatch):
    """However many of its members are wanted; the job has members of the upload, as of archives elsewhere."""
    with standing(tmp_path, monkeypatch) as place, ci.connect() as cluster:
        make(place.directory / "data.zip")
        place.write("a.py", "print(1)")
        inputs = ["data.zip!/table.csv", "all/=data.zip!/", "data.zip!/run.sh"]
        job = cluster.submit("a.py", inputs=inputs)
        files = job.data["spec"]["files"]
        source, mark, member = files["table.csv"]["source"].partition("!/")
        assert (source.partition(":")[0], mark, member) == ("upload", "!/", "table.csv")
        assert files["all/"]["source"] == f"{source}!/"
        assert files["run.sh"]["executable"]
        assert (files["table.csv"]["sha256"], files["table.csv"]["size"]) == (None, None)
        assert len(place.server.uploads) == 2  # the script and the archive
        spec = {"apiVersion": 1, "command": "true", "files": {"t": {"source": "data.zip!/raw/1.txt"}}}
        place.write("job.yaml", yaml.safe_dump(spec))
        again = cluster.submit("job.yaml").data["spec"]["files"]["t"]["source"]
        assert again.startswith("upload:")
        assert again.endswith("!/raw/1.txt")


def test_a_tree_takes_members_here(tmp_path, monkeypatch):
    """`clif files create` makes files and whole directories of archives, with their links and programs."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "data.tar.gz")
    ci.files.create({"files": {"t": {"source": "data.tar.gz!/table.csv"}, "in/": {"source": "data.tar.gz!/"}}}, "made")
    assert (tmp_path / "made/t").read_bytes() == FILES["table.csv"]
    made = {p.relative_to("made/in").as_posix(): p.read_bytes() for p in Path("made/in").rglob("*") if p.is_file()}
    assert made == FILES
    assert (tmp_path / "made/in/run.sh").stat().st_mode & 0o100
    with pytest.raises(Rejected, match=r"^x: .*has no file 'none'"):
        ci.files.create({"files": {"x": {"source": "data.tar.gz!/none"}}}, "other")
