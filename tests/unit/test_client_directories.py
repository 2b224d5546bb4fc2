"""Directories here: those that a script writes into are in the job too, and one that is run is so with all its files."""

from __future__ import annotations

import pytest
from tests.unit.client_server import standing

import cluster_interface as ci
from cluster_interface.client import drafts
from cluster_interface.client.completing import with_directories
from cluster_interface.client.local_files import parse_inputs
from cluster_interface.inspection import inspect
from cluster_interface.model.errors import Rejected
from cluster_interface.trees.listing import MAX_FILES


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("open('results/x.txt', 'w')", ["results/"]),
        ("for n in range(3):\n    open(f'results/{n}.txt', 'w')", ["results/"]),
        ("open('results/deep/x.txt', 'w')", ["results/deep/"]),
        ("import os\nos.mkdir('results')\nopen('results/x.txt', 'w')", []),
        ("import os\nos.mkdir('results/deep')\nopen('results/deep/x.txt', 'w')", ["results/"]),
        ("open('elsewhere/x.txt', 'w')", []),
        ("open('x.txt', 'w')", []),
        ("print(open('results/old.txt').read())\nopen('results/x.txt', 'w')", []),
    ],
)
def test_what_is_written_into_is_there(tmp_path, script, wanted):
    """Where it is here, no input lies in it, and the script does not make it: that would fail in the job."""
    (tmp_path / "results" / "deep").mkdir(parents=True)
    proposal = inspect({"a.py": script, "results/old.txt": "1"}, "a.py").model_dump(mode="json")
    document = {"files": {name: {} for name in ("a.py", *proposal["inputs"])}}
    files = with_directories(document, proposal, tmp_path)["files"]
    assert [name for name in files if name.endswith("/")] == wanted


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"a.py": "plt.savefig('figures/new/a.png')"}, ["figures/new/"]),
        ({"a.R": "pdf('figures/a.pdf')"}, ["figures/"]),
        ({"a.py": "for n in '12':\n    np.save(f'runs/{n}.npy', n)"}, ["runs/"]),
        ({"a.py": "import os\nos.mkdir(name)\nplt.savefig('figures/a.png')"}, []),
        ({"a.py": "import b\nplt.savefig('figures/a.png')", "b.py": "import os\nos.makedirs(name)"}, []),
        ({"a.py": "plt.savefig('../figures/a.png')"}, []),
        ({"a.py": "open(f'{name}/a.txt', 'w')"}, []),
    ],
)
def test_a_directory_that_is_nowhere_is_made_unless_the_program_makes_any(tmp_path, files, wanted):
    """A fresh clone has no directory that was empty or left out of it; a program that makes its own is left to it."""
    proposal = inspect(files, next(iter(files))).model_dump(mode="json")
    document = {"files": {name: {} for name in (next(iter(files)), *proposal["inputs"])}}
    found = with_directories(document, proposal, tmp_path, files)["files"]
    assert [name for name in found if name.endswith("/")] == wanted


def test_all_files_of_a_directory_are_run(tmp_path, monkeypatch):
    """More than inspection reads the texts of are there all the same; too many are refused, none left out unsaid."""
    with standing(tmp_path, monkeypatch) as place, ci.connect() as cluster:
        for number in range(MAX_FILES + 1):
            place.write(f"d/{number:05}", "")
        place.write("d/run.sh", "true")
        assert len(cluster.describe("d", program="run.sh").document["files"]) == MAX_FILES + 2
        monkeypatch.setattr(drafts, "MOST_FILES", 100)
        with pytest.raises(Rejected, match=r"script: .*d holds more than 100 files"):
            cluster.describe("d")


def test_a_file_goes_into_a_directory(tmp_path):
    """`d/=x.csv` is that file in d."""
    (tmp_path / "x.csv").write_text("")
    assert parse_inputs(["d/=x.csv"], tmp_path) == {"d/x.csv": tmp_path / "x.csv"}
