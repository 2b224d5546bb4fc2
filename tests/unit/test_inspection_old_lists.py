"""Lists of all that was installed on somebody's machine, and what is written for Pythons that no image has."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import pytest

from cluster_interface.inspection import inspect
from cluster_interface.trees.listing import listing

if TYPE_CHECKING:
    from pathlib import Path

    from cluster_interface.model.proposal import Proposal

SCRIPT = "import numpy\nimport sklearn\nimport empiricaldist\n"


def read(**files: str) -> Proposal:
    """Inspect the script beside some files; `__` in a name stands for a dot."""
    return inspect({"a.py": SCRIPT, **{name.replace("__", "."): text for name, text in files.items()}}, "a.py")


def packages(found: Proposal) -> set[str]:
    """Return the packages that are proposed."""
    assert found.environment.python is not None
    return set(found.environment.python.packages)


def test_what_conda_lists_is_taken_where_it_is_imported() -> None:
    """`conda list --export` names everything, with builds of one system: only what is imported counts."""
    lines = ["# platform: linux-64", "@EXPLICIT", "_libgcc_mutex=0.1=main", "numpy=1.24.3=py311h08b1b3b_1"]
    lines += [
        "scikit-learn=1.2.2=py311_0",
        "spyder=5.4.3=py311_1",
        "anaconda=custom=py311_1",
        "python=3.11.4=h1",
        "ipython=8.1=pypi_0",
    ]
    lines += ["empiricaldist=0.7.1=pypi_0"]
    found = read(requirements__txt="\n".join(lines))
    assert packages(found) == {"numpy==1.24.3", "scikit-learn==1.2.2", "empiricaldist==0.7.1"}
    assert found.environment.python is not None
    assert found.environment.python.version == "3.11"
    assert not found.warnings


def test_places_on_another_machine_are_no_packages_but_name_what_is_imported() -> None:
    """`pip freeze` in an environment of conda writes where each package was built."""
    lines = [
        "numpy @ file:///C:/ci/numpy_1",
        "empiricaldist @ file:///tmp/b",
        "spyder @ file:///C:/s",
        "scikit-learn==1.2.2",
    ]
    found = read(requirements__txt="\n".join(lines))
    assert packages(found) == {"numpy", "empiricaldist", "scikit-learn==1.2.2"}
    assert [warning for warning in found.warnings if "3 of its lines name places on another machine" in warning]


def test_of_a_list_that_was_frozen_on_windows_what_is_imported_is_taken() -> None:
    """As a whole it can be had on no other system; the versions that it names count."""
    lines = ["numpy==1.26.4", "scikit-learn==1.5.2", "empiricaldist==0.7.1", "spyder==6.0.1", "pywin32==308"]
    found = read(requirements__txt="\n".join(lines))
    assert packages(found) == {"numpy==1.26.4", "scikit-learn==1.5.2", "empiricaldist==0.7.1"}


def test_what_only_windows_has_is_left_out() -> None:
    """A list that somebody wrote runs elsewhere without Windows' own packages."""
    found = read(
        requirements__txt="numpy==1.26.4\nscikit-learn\nempiricaldist\npywin32==308\ntensorflow_intel==2.15.1\n"
    )
    assert packages(found) == {"numpy==1.26.4", "scikit-learn", "empiricaldist"}
    assert [warning for warning in found.warnings if "pywin32, tensorflow-intel: left out" in warning]


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_a_list_that_powershell_wrote_is_read(tmp_path: Path, mark: bytes) -> None:
    """It is UTF-16, so its packages are copied out: the file as it is would not be understood."""
    (tmp_path / "a.py").write_text(SCRIPT)
    text = "numpy==1.26.4\r\nscikit-learn\r\nempiricaldist\r\n"
    encoding = "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be"
    (tmp_path / "requirements.txt").write_bytes(mark + text.encode(encoding))
    found = inspect(listing(tmp_path), "a.py")
    assert packages(found) == {"numpy==1.26.4", "scikit-learn", "empiricaldist"}
    assert found.environment.python is not None
    assert found.environment.python.requirements is None


def test_what_is_written_for_an_old_python_is_taken_for_the_oldest_there_is() -> None:
    """Exact versions were made for that Python alone; what says a series only stays."""
    text = "dependencies:\n- python=3.7\n- numpy=1.17.2\n- scikit-learn=0.*\n- pip:\n  - empiricaldist==0.3.9\n"
    found = read(environment__yml=text)
    assert found.environment.python is not None
    assert found.environment.python.version == "3.9"
    assert packages(found) == {"numpy>=1.17.2", "scikit-learn==0.*", "empiricaldist>=0.3.9"}
    assert [warning for warning in found.warnings if "Python 3.7 is in no image; 3.9 is taken" in warning]
    assert [warning for warning in found.warnings if "taken as the oldest that will do" in warning]


def test_what_is_written_for_a_python_between_two_keeps_its_versions() -> None:
    """Packages of these years are there for the next Python too."""
    found = read(environment__yml="dependencies:\n- python=3.10\n- numpy=1.24.2\n- scikit-learn\n- empiricaldist\n")
    assert found.environment.python is not None
    assert found.environment.python.version == "3.11"
    assert "numpy==1.24.2.*" in packages(found)


def test_exact_versions_of_before_any_python_there_is_are_taken_as_the_oldest() -> None:
    """A list of 2018 cannot be had as it is for the Pythons of today; the file itself is not handed on."""
    found = read(requirements__txt="numpy==1.14.3\nscikit-learn==0.19.1\nempiricaldist==0.7.1\njupyter==1.0.0\n")
    assert packages(found) == {"numpy>=1.14.3", "scikit-learn>=0.19.1", "empiricaldist>=0.7.1", "jupyter>=1.0.0"}
    assert found.environment.python is not None
    assert found.environment.python.requirements is None
    assert [warning for warning in found.warnings if "before Python 3.9 (numpy==1.14.3)" in warning]


def test_exact_versions_choose_the_python_that_they_are_there_for() -> None:
    """A list of 2021 is for Python 3.9; one of 2023 for the image's own; a stated Python stays."""
    old, new = "numpy==1.21.2\nscikit-learn\nempiricaldist\n", "numpy==1.24.2\nscikit-learn\nempiricaldist\n"
    found = read(requirements__txt=old)
    assert found.environment.python is not None
    assert (found.environment.python.version, found.environment.python.requirements) == ("3.9", "requirements.txt")
    assert any("numpy==1.21.2 is of before Python 3.11" in guess.rests_on for guess in found.guesses)
    found = read(requirements__txt=new)
    assert found.environment.python is not None
    assert found.environment.python.version is None
    found = read(requirements__txt=old, pyproject__toml="[project]\nname='x'\nrequires-python='==3.11.*'\n")
    assert found.environment.python is not None
    assert found.environment.python.version == "3.11"


@pytest.mark.parametrize(
    ("bound", "version"),
    [
        ("~=1.22.1", "3.9"),
        ("~=1.22", None),
        ("==1.22.*", "3.9"),
        ("==1.23.*", None),
        ("<1.23", "3.9"),
        ("<=1.23.1,>=1.20", "3.9"),
        ("<=1.23.2", None),
        ("<2", None),
        (">=1.19,!=1.20.0", None),
    ],
)
def test_a_bound_chooses_the_python_that_it_leaves(bound: str, version: str | None) -> None:
    """What lets pass only releases from before a Python has none that is ready-made for it."""
    found = read(requirements__txt=f"numpy{bound}\nscikit-learn\nempiricaldist\n")
    assert found.environment.python is not None
    assert found.environment.python.version == version


def test_what_is_taken_of_a_list_chooses_the_python():
    """A list of `pip freeze` on a Mac, with ~=: what is imported is taken of it, and the Python that has its wheels."""
    listed = "appnope~=0.1.2\nnumpy~=1.20.3\nortools~=8.0.8283\npandas~=1.2.4\n"
    found = inspect({"a.py": "import numpy as np\nimport pandas\nnp.float\n", "requirements.txt": listed}, "a.py")
    assert set(found.environment.python.packages) == {"numpy~=1.20.3", "pandas~=1.2.4"}
    assert found.environment.python.version == "3.9"
