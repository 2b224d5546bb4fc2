"""What an environment is made from is read wherever it is on this machine, as the job's account."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.contract.workspaces import ordinary

from cluster_interface.model.errors import Permanent, Rejected
from cluster_interface.settings import SharedData, Staging
from cluster_interface.staging import UploadStore, Workspace
from cluster_interface.works import Kinds

DOCKERFILE = "FROM scratch\nCOPY a.txt /\n"


@pytest.fixture
def open_path():
    """A directory that every account may pass through, with a Dockerfile."""
    with tempfile.TemporaryDirectory(prefix="clif-texts-") as made:
        Path(made).chmod(0o755)
        (Path(made) / "Dockerfile").write_text(DOCKERFILE)
        yield Path(made)


@pytest.fixture
def asked(open_path):
    """Resolve a spec; return what the images were asked for."""
    uploads = UploadStore(open_path / "uploads", 2**20)
    upload = uploads.create("ada", "a.txt", 3)
    uploads.append("ada", upload.id, 0, io.BytesIO(b"abc"))
    shared = SharedData.model_construct(path=open_path, readers=("*",))
    staging = Staging().model_copy(update={"site": {"tools": shared}})
    seen = []
    answer = SimpleNamespace(model_dump=lambda mode: {})
    resolve = lambda *args, gpus, report: seen.append(args) or answer  # noqa: E731
    stager = Workspace(open_path / "jobs", uploads, staging, lambda job: ordinary(), owner_of=lambda job: "ada")
    kinds = Kinds(SimpleNamespace(resolve=resolve), stager).each()

    def ask(environment, files):
        files = {
            name: {**entry, **({"source": f"upload:{upload.id}"} if entry == {} else {})}
            for name, entry in files.items()
        }
        spec = {"apiVersion": 1, "command": "true", "environment": environment, "files": files}
        kinds["resolve"]({"job": "a", "spec": spec, "host": False}, lambda progress: None)
        return seen[-1]

    return ask


@pytest.mark.parametrize("source", ["file:{}/Dockerfile", "site:tools/Dockerfile"])
def test_a_dockerfile_of_this_machine(asked, open_path, source):
    """Read where it is; it may copy what was handed over with it, but takes nothing else in."""
    (open_path / "data.bin").write_bytes(b"much")
    files = {
        "Dockerfile": {"source": source.format(open_path)},
        "a.txt": {},
        "b.txt": {"content": "b"},
        "data.bin": {"source": f"file:{open_path}/data.bin"},
    }
    _, requirements, found = asked({"dockerfile": "Dockerfile"}, files)
    assert requirements == ""
    assert found == {"Dockerfile": DOCKERFILE.encode(), "a.txt": b"abc", "b.txt": b"b"}


def test_requirements_of_this_machine(asked, open_path):
    """Likewise; but not more than a list of packages has."""
    (open_path / "r.txt").write_text("numpy\n")
    files = {"r.txt": {"source": f"file:{open_path}/r.txt"}}
    assert asked({"python": {"requirements": "r.txt"}}, files)[1] == "numpy\n"
    (open_path / "r.txt").write_text("#" * 2**20 + "\n")
    with pytest.raises(Rejected, match=r"r\.txt is read before staging: .* of at most 1048576 bytes"):
        asked({"python": {"requirements": "r.txt"}}, files)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read what the account may not")
def test_what_the_account_may_not_read_is_not_read_for_it(asked, open_path):
    """It is the account that reads, not the server."""
    (open_path / "Dockerfile").chmod(0o600)
    with pytest.raises(Permanent, match="permission denied"):
        asked({"dockerfile": "Dockerfile"}, {"Dockerfile": {"source": f"file:{open_path}/Dockerfile"}})
