"""The doctor says what would keep jobs from running, and what to do about it."""

import shutil
import tempfile
from pathlib import Path

import pytest

from cluster_interface.doctor import reach
from cluster_interface.model.job import Account
from cluster_interface.settings import Settings

SOMEBODY = Account(name="jobs", uid=54321, gid=54321)


@pytest.fixture
def top():
    """A directory that everybody passes through."""
    made = Path(tempfile.mkdtemp(dir="/var/tmp"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def found(top, account=SOMEBODY):
    return [finding.says for finding in reach(Settings(server={"workspace": top / "state/jobs"}), account)]


def test_a_way_that_is_open_is_no_finding(top):
    """Directories that the account may pass through, and those that are not there yet."""
    assert found(top) == []
    (top / "state").mkdir(mode=0o711)
    assert found(top) == []


def test_the_directory_that_is_in_the_way_is_named(top):
    """The highest one is, with what to do; its owner passes."""
    (top / "state").mkdir(mode=0o700)
    (top / "state/jobs").mkdir(mode=0o700)
    assert found(top) == [f"jobs cannot pass through {top}/state to {top}/state/jobs: its jobs cannot begin"]
    owner = (top / "state").stat()
    assert found(top, Account(name="own", uid=owner.st_uid, gid=54321)) == []
