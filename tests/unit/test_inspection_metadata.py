"""The files around a script that state its environment: which counts, and what is taken from each."""

from __future__ import annotations

import textwrap

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from cluster_interface.inspection import inspect
from cluster_interface.inspection.python.stated import version_range
from cluster_interface.model.proposal import Sureness

PACKAGES = "environment.python.packages"


def read(source="import numpy\n", script="a.py", **files):
    """Inspect a script beside files, which are named with two underscores where a dot stands."""
    beside = {name.replace("__", "."): textwrap.dedent(text) for name, text in files.items()}
    return inspect({script: source, **beside}, script)


def packages(proposal):
    """The Python packages of a proposal, written alike."""
    return {str(Requirement(text)) for text in proposal.environment.python.packages}


PIPFILE = """
    [packages]
    numpy = "*"
    requests = {version = ">=2,<3", extras = ["socks"]}
    mine = {path = "./mine"}
    [dev-packages]
    pytest = "*"
    [requires]
    python_version = "3.13"
"""
PIPFILE_LOCK = """{"_meta": {"requires": {"python_version": "3.11"}},
    "default": {"numpy": {"version": "==2.0", "hashes": [], "markers": "python_version > '3'"}},
    "develop": {"pytest": {"version": "==8"}}}"""
POETRY = """
    [tool.poetry.dependencies]
    python = "^3.12"
    numpy = "^1.26"
    pandas = { version = "~2.1", extras = ["excel"] }
    scipy = { version = "1.*", optional = true }
    torch = [{ version = "2.0", python = "<3.10" }, { version = "2.1", markers = "python_version >= '3.10'" }]
    mine = { git = "https://e.org/x" }
    [tool.poetry.group.dev.dependencies]
    pytest = "*"
"""
CONDA = """
    name: mine
    channels: [conda-forge]
    dependencies:
      - python=3.9.7
      - numpy=1.21
      - conda-forge::pandas=1.3.5=py39_0
      - scikit-learn>=1.0,<2
      - pytorch
      - cudatoolkit=11.3
      - libgcc-ng=9.3.0
      - samtools
      - somethingodd
      - pip
      - pip:
        - rich==13.0
"""
SETUP_CFG = """
    [options]
    python_requires = ==3.10.*
    install_requires =
        numpy>=1  # why
        rich
    [options.extras_require]
    dev = pytest
"""
SETUP_PY = """
    from setuptools import setup
    BASE = ["numpy>=1"]
    settings = {"python_requires": "==3.10.*"}
    setup(name="x", install_requires=BASE + ["rich"], **settings)
"""


@pytest.mark.parametrize(
    ("file", "text", "wanted", "version"),
    [
        ("Pipfile", PIPFILE, {"numpy", "requests[socks]<3,>=2"}, "3.13"),
        ("Pipfile.lock", PIPFILE_LOCK, {'numpy==2.0; python_version > "3"'}, "3.11"),
        (
            "pyproject.toml",
            POETRY,
            {
                "numpy<2,>=1.26",
                "pandas[excel]<2.2,>=2.1",
                'torch==2.0; python_version < "3.10"',
                'torch==2.1; python_version >= "3.10"',
            },
            "3.13",
        ),
        (
            "environment.yml",
            CONDA,
            {"numpy==1.21.*", "pandas==1.3.5", "scikit-learn<2,>=1.0", "torch", "rich==13.0"},
            "3.9",
        ),
        ("setup.cfg", SETUP_CFG, {"numpy>=1", "rich"}, "3.11"),
        ("setup.py", SETUP_PY, {"numpy>=1", "rich"}, "3.11"),
    ],
)
def test_what_a_file_states_is_taken(file, text, wanted, version):
    """Packages for running and the Python, by the file's own rules, each with where it is written."""
    found = read(**{file.replace(".", "__"): text})
    assert packages(found) == wanted
    assert found.environment.python.version == version
    stated = [g for g in found.guesses if g.field == PACKAGES]
    assert {g.sure for g in stated} == {Sureness.STATED}
    assert all(g.rests_on.startswith(f"{file}, ") for g in stated)


def test_conda_packages_go_by_the_names_of_pypi_and_debian():
    """Tools come from Debian, parts of conda from nowhere, and what is unknown is asked about."""
    found = read(environment__yml=CONDA)
    assert found.environment.system == ("samtools",)
    assert [g.value for g in found.guesses if g.sure is Sureness.ASK] == ["somethingodd"]
    assert any("somethingodd" in warning and "--system" in warning for warning in found.warnings)


def test_what_does_not_come_from_an_index_is_said():
    """Links and paths are refused by the builder, so they are left out with a word."""
    warnings = " ".join([*read(pyproject__toml=POETRY).warnings, *read(Pipfile=PIPFILE).warnings])
    assert "mine: comes by git" in warnings
    assert "mine: comes by path" in warnings


UV_LOCK = """
    version = 1
    requires-python = ">=3.12"
    [[package]]
    name = "mine"
    version = "0.1"
    source = { editable = "." }
    dependencies = [
      { name = "pandas" },
      { name = "httpx", extra = ["socks"] },
      { name = "colorama", marker = "sys_platform == 'win32'" },
      { name = "numpy", version = "1.26.4", marker = "python_full_version < '3.12'" },
      { name = "numpy", version = "2.1.0", marker = "python_full_version >= '3.12'" },
    ]
    [package.dev-dependencies]
    dev = [{ name = "pytest" }]
    [[package]]
    name = "pandas"
    version = "2.2.3"
    source = { registry = "https://e.org/simple" }
    dependencies = [{ name = "six" }]
    [[package]]
    name = "httpx"
    version = "0.28"
    source = { registry = "https://e.org/simple" }
    [package.optional-dependencies]
    socks = [{ name = "socksio" }]
    [[package]]
    name = "socksio"
    version = "1.0"
    source = { registry = "https://e.org/simple" }
    [[package]]
    name = "six"
    version = "1.17"
    source = { registry = "https://e.org/simple" }
    dependencies = [{ name = "pandas" }]
    [[package]]
    name = "colorama"
    version = "0.4"
    source = { registry = "https://e.org/simple" }
    [[package]]
    name = "numpy"
    version = "1.26.4"
    source = { registry = "https://e.org/simple" }
    [[package]]
    name = "numpy"
    version = "2.1.0"
    source = { registry = "https://e.org/simple" }
    [[package]]
    name = "pytest"
    version = "8"
    source = { registry = "https://e.org/simple" }
"""
POETRY_LOCK = """
    [[package]]
    name = "numpy"
    version = "1.26.4"
    optional = false
    [package.dependencies]
    six = {version = "*", markers = "python_version < '3.13'"}
    [[package]]
    name = "six"
    version = "1.17"
    [[package]]
    name = "pandas"
    version = "2.1.4"
    [package.dependencies]
    six = "*"
    [[package]]
    name = "pytest"
    version = "8.0"
"""
PDM = "[project]\nname='x'\ndependencies=['numpy>=1']\n"
PDM_LOCK = """
    [metadata]
    requires_python = "==3.11.*"
    [[package]]
    name = "numpy"
    version = "2.0"
    dependencies = ["six>=1; python_version > '3'"]
    [[package]]
    name = "six"
    version = "1.17"
    [[package]]
    name = "pytest"
    version = "8.0"
"""
PYLOCK = """
    lock-version = "1.0"
    requires-python = "==3.11.*"
    [[packages]]
    name = "numpy"
    version = "2.0"
    marker = "sys_platform == 'linux'"
    [[packages]]
    name = "mine"
    directory = { path = "." }
"""


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (
            {"uv__lock": UV_LOCK, "pyproject__toml": "[project]\nname='mine'\ndependencies=['pandas']\n"},
            {
                "pandas==2.2.3",
                "six==1.17",
                "httpx==0.28",
                "socksio==1.0",
                'colorama==0.4; sys_platform == "win32"',
                'numpy==1.26.4; python_full_version < "3.12"',
                'numpy==2.1.0; python_full_version >= "3.12"',
            },
        ),
        (
            {"poetry__lock": POETRY_LOCK, "pyproject__toml": POETRY},
            {"numpy==1.26.4", "pandas==2.1.4", "six==1.17"},
        ),
        (
            {"pdm__lock": PDM_LOCK, "pyproject__toml": PDM},
            {"numpy==2.0", 'six==1.17; python_version > "3"'},
        ),
        ({"pylock__toml": PYLOCK}, {'numpy==2.0; sys_platform == "linux"'}),
    ],
)
def test_a_lock_gives_the_versions_that_running_needs(files, wanted):
    """What is locked for tests is left out; conditions are those of the ways to a package."""
    assert (
        packages(read("import numpy, pandas, httpx\n" if "uv__lock" in files else "import numpy\n", **files)) == wanted
    )


def test_a_requirements_file_that_installs_the_project_brings_what_that_needs():
    """`-e .` stands for the project itself: its own dependencies count too."""
    found = read(requirements__txt="-e .\nrich\n", pyproject__toml="[project]\nname='x'\ndependencies=['scipy>=1']\n")
    assert packages(found) == {"rich", "scipy>=1", "numpy"}


def test_constraints_bound_what_is_named():
    """`-c` says which versions, not which packages."""
    found = read(requirements__txt="-c limits.txt\nnumpy>=1\n", limits__txt="numpy<2\nscipy<1\n")
    assert packages(found) == {"numpy<2,>=1"}


def test_what_only_another_file_names_is_said():
    """One file is taken; nobody has to wonder what became of the other."""
    found = read(requirements__txt="numpy\n", environment__yml="dependencies: [numpy, rich]\n")
    assert found.environment.python.requirements == "requirements.txt"
    assert any("environment.yml names besides: rich" in warning for warning in found.warnings)


def test_a_setup_script_that_computes_is_not_run():
    """What is not written out is taken from the imports, and that is said."""
    found = read(setup__py="import os\nopen('canary', 'w')\nsetup(install_requires=open('r.txt').read().split())\n")
    assert packages(found) == {"numpy"}
    assert any("setup.py" in warning and "computed" in warning for warning in found.warnings)


def test_the_nearest_directory_counts():
    """A project below the top has files of its own."""
    files = {
        "tools/one/a.py": "import numpy\n",
        "tools/one/requirements.txt": "numpy==2.0\n",
        "requirements.txt": "numpy==1.0\n",
        "tools/two/a.py": "import numpy\n",
        "tools/pyproject.toml": "[project]\nname='x'\ndependencies=['numpy>1']\n",
    }
    assert inspect(files, "tools/one/a.py").environment.python.requirements == "tools/one/requirements.txt"
    assert packages(inspect(files, "tools/two/a.py")) == {"numpy>1"}


@pytest.mark.parametrize(
    ("text", "fits", "fits_not"),
    [
        ("^1.2.3", ["1.2.3", "1.9"], ["2.0", "1.2.2"]),
        ("^0.3.1", ["0.3.5"], ["0.4"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("~1.2", ["1.2.9"], ["1.3"]),
        ("~1", ["1.9"], ["2.0"]),
        ("1.*", ["1.5"], ["2.0"]),
        (">=1.0 <2.0", ["1.5"], ["2.0"]),
        ("=1.5", ["1.5"], ["1.6"]),
        ("*", ["7"], []),
    ],
)
def test_ranges_of_poetry_mean_what_poetry_says(text, fits, fits_not):
    """Carets and tildes as its documentation gives them."""
    specifier = SpecifierSet(version_range(text))
    assert all(specifier.contains(version) for version in fits)
    assert not any(specifier.contains(version) for version in fits_not)


@pytest.mark.parametrize("line", ["./model", "-e ./model", "-e model", "--editable=./model[plots]"])
@pytest.mark.parametrize("package", ["model/forces", "model/src/forces"])
def test_a_package_that_a_requirements_file_installs_from_a_directory_comes_along(line: str, package: str) -> None:
    """Its directory is put on the path; nothing is said of a line that was followed."""
    files = {
        "run.py": "from forces import exits\n",
        "requirements.txt": f"numpy==1.26.4\n{line}\n",
        "model/setup.py": "",
        f"{package}/__init__.py": "",
        f"{package}/exits.py": "",
    }
    found = inspect(files, "run.py")
    assert {f"{package}/__init__.py", f"{package}/exits.py"} <= set(found.inputs)
    assert found.environment.variables == {"PYTHONPATH": f"/job/{package.rpartition('/')[0]}"}
    assert found.environment.python is not None
    assert found.environment.python.packages == ("numpy==1.26.4",)
    assert not found.warnings
