"""What every Stager writes for an attempt and reads of it; run as root, everything happens as another account."""

from __future__ import annotations

import json
import os

import pytest
from tests.accounts import ordinary
from tests.contract.workspaces import JOB


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
