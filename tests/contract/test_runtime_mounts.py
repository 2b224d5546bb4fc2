"""What stays where it is, in every runtime: seen at its own path, read-only, never by way of a swapped link."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.contract.rig import Box, Node, account_of

from cluster_interface.adapters.runtimes import make
from cluster_interface.ports import Mount

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
