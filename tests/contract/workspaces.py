"""A workspace whose jobs are one account's, and short words for what is done in it; imported by conftest."""

from __future__ import annotations

import io
import os

import pytest
from tests.accounts import ordinary

from cluster_interface.ports import Layout
from cluster_interface.settings import Staging
from cluster_interface.staging import UploadStore, Workspace

JOB = "job-1"


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
