"""What stays where it is, in every runtime: seen at its own path, read-only, never by way of a swapped link."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.contract.rig import Box, Node, account_of

from cluster_interface.adapters.runtimes import make
from cluster_interface.model.filetree import FileEntry
from cluster_interface.ports import Mount
from cluster_interface.settings import FileRules
from cluster_interface.staging import manifests
from cluster_interface.staging.directories import Directories

RUNTIMES = ("docker", "bubblewrap", "podman", "apptainer", "charliecloud")


@pytest.fixture
def data(ordinary):
    """A directory of an account below /srv, which images have too, with a space in its name; and a writable one."""
    top = Path(f"/srv/clif test {secrets.token_hex(4)}")
    (top / "raw/deep").mkdir(parents=True)
    (top / "out").mkdir()
    (top / "raw/deep/x").write_text("data\n")
    account = account_of(ordinary)
    for path in [top, *top.rglob("*")]:
        os.chown(path, account.uid, account.gid)
    yield top
    shutil.rmtree(top)


TRY = """
cat "{top}/raw/deep/x"
(echo no >"{top}/raw/deep/y") 2>/dev/null && echo written
(echo no >"{top}/raw/deep/x") 2>/dev/null && echo overwritten
echo yes >"{top}/out/y"
ls "{top}"
ls -A /srv | wc -l
ls -d /usr/bin/env /etc/passwd
cat in/deep/x
"""


@pytest.mark.parametrize("runtime", [*RUNTIMES, "docker, shared by tasks"])
def test_a_mounted_directory_is_seen_where_it_is(runtime, place, ordinary, data):
    """At the same absolute path, read-only unless it was granted otherwise, with nothing that lies beside it."""
    account = account_of(ordinary)
    os.chown(place, account.uid, account.gid)
    node = Node(place, account)
    mounts = (
        Mount(source=data / "out", target=data / "out", writable=True),
        Mount(source=data / "raw", target=data / "raw"),
    )
    (data / "beside").touch()
    runtime, _, shared = runtime.partition(", ")
    more = {"tasks": 2, "elements": [[0, 1]]} if shared else {}
    box = Box(node, make(runtime, account), TRY.format(top=data), mounts=mounts, **more)
    (box.dir / "tasks/0/in").symlink_to(data / "raw")
    if shared:
        with node:
            box.finish()
    else:
        box.execute()
    status = box.status()
    assert status["exit_code"] == 0, (status, box.err())
    assert box.out().split() == ["data", "out", "raw", "1", "/etc/passwd", "/usr/bin/env", "data"]
    assert (data / "out/y").read_text() == "yes\n"
    assert (data / "out/y").stat().st_uid == account.uid
    assert (data / "raw/deep/x").read_text() == "data\n"


@pytest.mark.parametrize("runtime", ["docker", "bubblewrap"])
def test_a_directory_that_was_swapped_is_not_mounted(runtime, place, ordinary, data):
    """A link in its place, or nothing: the task does not begin, and says which it was."""
    account = account_of(ordinary)
    os.chown(place, account.uid, account.gid)
    box = Box(
        Node(place, account), make(runtime, account), "true", mounts=(Mount(source=data / "raw", target=data / "raw"),)
    )
    (data / "raw").rename(data / "before")
    (data / "raw").symlink_to("/root")
    status = box.execute()
    assert status["exit_code"] is None
    assert "leads elsewhere by now" in status["reason"]
    assert f"{data}/raw is not there" in box.err()
    if runtime == "docker":
        listed = subprocess.run(
            ["docker", "ps", "-aq", "--filter", f"name={box.mark}"], capture_output=True, check=True
        )
        assert not listed.stdout


def listing_of(top):
    """What a plan knows of a directory that is to be mounted: the checksum that job.sh makes again."""
    rules = FileRules(mount_roots=(str(top.parent),))
    found = Directories(rules, Path("/nowhere")).measure("in/", FileEntry(source=f"file:{top}", mode="mount"))
    assert found.manifest
    return found.listing


@pytest.fixture
def described(place, ordinary, data):
    """A directory with names and kinds of every sort, and a box for a runtime that mounts it as it is now."""
    account = account_of(ordinary)
    os.chown(place, account.uid, account.gid)
    (data / "raw/deep/with space\nand line").write_text("1")
    Path(os.fsdecode(os.fsencode(data / "raw/deep") + b"/caf\xe9")).write_text("22")
    (data / "raw/deeper").mkdir()
    (data / "raw/away").symlink_to("/nowhere//at all")
    (data / "raw/deep/z").symlink_to("x")

    node = Node(place, account)

    def make_box(runtime):
        mount = Mount(source=data / "raw", target=data / "raw", listing=listing_of(data / "raw"))
        box = Box(node, make(runtime, account), "cat in/deep/x", mounts=(mount,))
        (box.dir / "tasks/0/in").symlink_to(data / "raw")
        return box

    return make_box


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_mounted_directory_that_changed_is_not_used(runtime, data, described):
    """What holds what it held is mounted; after a change the task does not begin, and the reason names the directory."""
    box = described(runtime)
    status = box.execute()
    assert (status["exit_code"], box.out()) == (0, "data\n"), (status, box.err())
    box = described(runtime)
    (data / "raw/deep/new").touch()
    status = box.execute()
    assert status["exit_code"] is None
    assert status["reason"] == (
        f"input_unavailable: the mounted directory {data}/raw changed since it was described: "
        "rerun the job to take it as it is now"
    )
    assert not box.out()


def later(path):
    """Give a file another time, and nothing else."""
    os.utime(path, (path.stat().st_mtime + 2,) * 2)


CHANGES = {
    "a size": lambda raw: (raw / "deep/x").write_text("more data\n"),
    "a time": lambda raw: later(raw / "deep/x"),
    "a name": lambda raw: (raw / "deep/x").rename(raw / "deep/y"),
    "an empty directory": lambda raw: (raw / "deeper").rmdir(),
    "where a link leads": lambda raw: [(raw / "deep/z").unlink(), (raw / "deep/z").symlink_to("y")],
    "a kind": lambda raw: [(raw / "deep/z").unlink(), os.link(raw / "deep/x", raw / "deep/z")],
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_mounted_directory_is_seen(change, data, described):
    """Each of the kinds of change that a listing can tell."""
    box = described("bubblewrap")
    CHANGES[change](data / "raw")
    assert "changed since it was described" in (box.execute()["reason"] or "")


def test_what_else_becomes_of_a_mounted_directory_is_no_change(data, described):
    """Being read, other permissions, or a new time of a directory that holds the same."""
    box = described("bubblewrap")
    (data / "raw/deep/x").read_text()
    (data / "raw/deep/x").chmod(0o640)
    (data / "raw/passing").touch()
    (data / "raw/passing").unlink()
    assert box.execute()["exit_code"] == 0, box.err()


def test_a_mounted_directory_too_large_to_look_through_has_no_listing(data, monkeypatch):
    """Nobody looks on the node then."""
    monkeypatch.setattr(manifests, "MOST_LISTED", 2)
    assert listing_of(data / "raw")
    (data / "raw/more").touch()
    assert listing_of(data / "raw") is None
