"""Which directory above the person's own a program needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster_interface.client.above import project_of


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project two directories deep, with data and a module at its top."""
    top = tmp_path / "project"
    (top / "code" / "figures").mkdir(parents=True)
    (top / "data").mkdir()
    (top / "data" / "runs.csv").write_text("1\n")
    return top


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("open('../data/runs.csv')", 1),
        ("open('../../data/runs.csv')", 2),
        ('pd.read_csv(f"../../data/{name}.csv")', 2),
        ("sys.path.append('..')", 1),
        ("Path('..') / 'data'", 1),
        ("open('../nothing/there.csv')", 0),
        ("HERE = Path(__file__).resolve().parent.parent", 1),
        ("HERE = Path(__file__).resolve().parents[2]", 2),
        ("HERE = Path(__file__).parent\nDATA = HERE.parent / 'data'", 1),
        ("HERE = Path(__file__).parent\nout.parent.mkdir()", 0),
        ("HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))", 1),
        ("x = node.parent.parent", 0),
        ("print('...')", 0),
        ("open('../../../../../etc/passwd')", 0),
    ],
)
def test_the_directory_that_a_program_leads_to_is_found(project: Path, text: str, levels: int) -> None:
    """What is named above counts where it is there, and what a program derives from its own place."""
    script = project / "code" / "figures" / "plot.py"
    (project / "code" / "data").symlink_to("../data")
    expected = [script.parent, *script.parent.parents][levels]
    assert project_of(script, text) == expected


def test_home_and_what_is_not_ones_own_are_never_taken(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script right below the home directory does not send what else is there."""
    monkeypatch.setenv("HOME", str(project))
    script = project / "code" / "plot.py"
    assert project_of(script, "open('../data/runs.csv')") == script.parent
    assert project_of(Path("/tmp/plot.py"), "sys.path.append('..')") == Path("/tmp")


def test_a_program_of_another_language_stays_where_it_is(project: Path) -> None:
    """Only programs of Python are started elsewhere than at the top of the job."""
    script = project / "code" / "plot.R"
    assert project_of(script, "read.csv('../data/runs.csv')") == script.parent
    assert project_of(project / "code" / "plot.py", None) == project / "code"


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("from tools.fitting import fit", 2),
        ("from tools import fitting, plots", 2),
        ("import tools.fitting as t", 2),
        ("from tools.fitting import *", 2),
        ("from tools.fitting import (\n    fit,\n)", 2),
        ("x = 1\nimport os, shared", 1),
        ("from package import thing", 2),
        ('{"source": ["from tools.fitting import fit\\n"]}', 2),
        ("import tools", 0),
        ("from tools import nothing", 0),
        ("from own import shared", 0),
        ("import numpy", 0),
        ("import json.tools", 0),
        ("print('from tools.fitting')", 0),
    ],
)
def test_the_directory_with_a_module_that_is_imported_is_found(project: Path, text: str, levels: int) -> None:
    """A module that lies above counts, as itself or below `src`, not one that is well known or of Python itself."""
    for name in ("tools/fitting.py", "src/package/__init__.py", "numpy/__init__.py", "json/tools.py", "code/shared.py"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    script = project / "code" / "figures" / "plot.py"
    (script.parent / "own").mkdir()
    assert project_of(script, text) == [script.parent, *script.parent.parents][levels]


@pytest.mark.parametrize(
    ("text", "package", "levels"),
    [
        ("from .tools import fitting", (), 1),
        ("from . import tools", ("code/figures",), 1),
        ("from ..tools import fitting", (), 2),
        ("from .tools import fitting", ("code/figures", "code"), 2),
        ("    from .tools import fitting", (), 1),
    ],
)
def test_the_directory_above_a_package_is_found_for_its_parts(
    project: Path, text: str, package: tuple[str, ...], levels: int
) -> None:
    """A program that imports relative to its package runs only from above that."""
    for directory in package:
        (project / directory / "__init__.py").touch()
    script = project / "code" / "figures" / "plot.py"
    assert project_of(script, text) == [script.parent, *script.parent.parents][levels]


def test_a_module_is_looked_for_in_the_clone_alone(project: Path) -> None:
    """What lies above a clone is not of its project; a module of the clone is found wherever it lies, if only once."""
    (project / ".git").mkdir()
    (project.parent / "above.py").touch()
    (project / "models").mkdir()
    (project / "models" / "growth.py").touch()
    script = project / "code" / "figures" / "plot.py"
    assert project_of(script, "import above") == script.parent
    assert project_of(script, "from ....simulation import run") == project
    assert project_of(script, "import growth") == project
    (project / "code" / "growth.py").touch()
    assert project_of(script, "import growth") == project / "code"
    (project / "code" / "growth.py").rename(project / "data" / "growth.py")
    assert project_of(script, "import growth") == script.parent


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("import settings", 1),
        ("from parts import inner", 1),
        ("import importlib\nSTEPS = ['settings']\nimportlib.import_module(STEPS[0])", 1),
        ("STEPS = ['settings']", 0),
        ("import other", 0),
    ],
)
def test_what_a_module_leads_to_counts_too(project: Path, text: str, levels: int) -> None:
    """Many projects say once, in a module that all import, where their top is."""
    home = project / "code"
    (home / "parts").mkdir()
    (home / "parts" / "__init__.py").touch()
    (home / "parts" / "inner.py").write_text("from pathlib import Path\nTOP = Path(__file__).parents[2]\n")
    (home / "settings.py").write_text("import settings\nfrom pathlib import Path\nTOP = Path(__file__).parents[1]\n")
    (home / "other.py").write_text("from pathlib import Path\nHERE = Path(__file__).parent\n")
    assert project_of(home / "run.py", text) == [home, project][levels]
