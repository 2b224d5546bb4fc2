"""Extras, dependency groups and package indexes that files name."""

from __future__ import annotations

import json
import textwrap

import pytest

from cluster_interface.inspection import inspect
from cluster_interface.inspection.software import Software
from cluster_interface.model.proposal import Sureness

INDEX = "https://packages.example.org/simple"
ALLOWED = Software(indexes=frozenset({INDEX}))


def read(files, source="import matplotlib, numpy\n", software=None):
    """Inspect a script beside files."""
    beside = {name: textwrap.dedent(text) for name, text in files.items()}
    return inspect({"a.py": source, **beside}, "a.py", software=software)


def packages(proposal):
    """The requirements of a proposal."""
    return set(proposal.environment.python.packages)


GROUPS = {
    "pyproject.toml, extras": (
        "pyproject.toml",
        """
        [project]
        name = "x"
        dependencies = ["numpy>=1"]
        [project.optional-dependencies]
        plot = ["matplotlib<4", "seaborn"]
        """,
    ),
    "pyproject.toml, groups": (
        "pyproject.toml",
        """
        [project]
        name = "x"
        dependencies = ["numpy>=1"]
        [dependency-groups]
        plot = ["matplotlib<4"]
        dev = ["pytest", {include-group = "plot"}]
        """,
    ),
    "poetry": (
        "pyproject.toml",
        """
        [tool.poetry.dependencies]
        numpy = ">=1"
        [tool.poetry.group.plot.dependencies]
        matplotlib = "<4"
        """,
    ),
    "poetry, extras": (
        "pyproject.toml",
        """
        [tool.poetry.dependencies]
        numpy = ">=1"
        matplotlib = {version = "<4", optional = true}
        [tool.poetry.extras]
        plot = ["matplotlib"]
        """,
    ),
    "setup.cfg": (
        "setup.cfg",
        """
        [options]
        install_requires = numpy>=1
        [options.extras_require]
        plot =
            matplotlib<4
        """,
    ),
    "setup.py": ("setup.py", "setup(install_requires=['numpy>=1'], extras_require={'plot': ['matplotlib<4']})\n"),
    "Pipfile": ("Pipfile", '[packages]\nnumpy = ">=1"\n[dev-packages]\nmatplotlib = "<4"\n'),
}


@pytest.mark.parametrize("name", GROUPS)
def test_what_is_imported_is_taken_from_an_extra_or_a_group(name):
    """The version stated there counts; what is not imported (seaborn, pytest) is left alone."""
    file, text = GROUPS[name]
    found = read({file: text})
    assert packages(found) == {"numpy>=1", "matplotlib<4"}
    guess = next(one for one in found.guesses if one.value == "matplotlib<4")
    assert guess.sure is Sureness.STATED
    assert file in guess.rests_on


def test_extras_that_a_requirements_file_installs_count_whole():
    """`-e .[plot]` wants the project with that extra, imported or not."""
    beside = {
        "requirements.txt": "-e .[plot]\n",
        "pyproject.toml": '[project]\nname = "x"\ndependencies = ["numpy"]\n'
        '[project.optional-dependencies]\nplot = ["seaborn"]\ntest = ["pytest"]\n',
    }
    assert packages(read(beside, "import numpy\n")) == {"numpy", "seaborn"}


def test_a_lock_pins_what_is_imported_though_only_a_group_wants_it():
    """Of a lock, what running does not need is taken where it is imported."""
    lock = """
        [[package]]
        name = "x"
        source = { virtual = "." }
        dependencies = [{ name = "numpy" }]
        [[package]]
        name = "numpy"
        version = "2.0.1"
        [[package]]
        name = "matplotlib"
        version = "3.9.0"
        [[package]]
        name = "pytest"
        version = "8.0"
    """
    assert packages(read({"uv.lock": lock})) == {"numpy==2.0.1", "matplotlib==3.9.0"}


INDEXES = {
    "requirements.txt": f"--extra-index-url {INDEX}/\nnumpy\n",
    "requirements.txt, other form": f"--index-url={INDEX}\nnumpy\n",
    "pyproject.toml, uv": f'[project]\nname = "x"\ndependencies = ["numpy"]\n[[tool.uv.index]]\nurl = "{INDEX}"\n',
    "pyproject.toml, uv's older form": f'[project]\nname = "x"\n[tool.uv]\nextra-index-url = ["{INDEX}"]\n',
    "pyproject.toml, poetry": f'[tool.poetry.dependencies]\nnumpy = "*"\n[[tool.poetry.source]]\nurl = "{INDEX}"\n',
    "pyproject.toml, pdm": f'[project]\nname = "x"\n[[tool.pdm.source]]\nurl = "{INDEX}"\nname = "ours"\n',
    "Pipfile": f'[[source]]\nurl = "https://pypi.org/simple"\n[[source]]\nurl = "{INDEX}"\n[packages]\nnumpy = "*"\n',
    "uv.lock": f'[[package]]\nname = "numpy"\nversion = "2.0"\nsource = {{ registry = "{INDEX}" }}\n',
}


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_that_the_site_allows_is_asked(name):
    """It goes into the environment, and says where it is named; PyPI itself needs no mention."""
    found = read({name.partition(",")[0]: INDEXES[name]}, "import numpy\n", ALLOWED)
    assert found.environment.python.extra_index_urls == (INDEX,)
    assert any(one.value == INDEX and one.sure is Sureness.STATED for one in found.guesses)


@pytest.mark.parametrize(
    "source",
    [
        f"# /// script\n# dependencies = ['numpy']\n# [[tool.uv.index]]\n# url = '{INDEX}'\n# ///\nimport numpy\n",
        f"# /// script\n# dependencies = []\n# [tool.uv]\n# index-url = '{INDEX}'\n# ///\n",
    ],
)
def test_a_script_may_name_an_index_itself(source):
    """The table of uv in a script's own metadata."""
    assert read({}, source, ALLOWED).environment.python.extra_index_urls == (INDEX,)


def test_lines_that_install_may_name_an_index():
    """`pip install -i` in a shell script, `%pip install` in a notebook."""
    script = f"pip install -i {INDEX} ours\npython a.py\n"
    found = inspect({"run.sh": script, "a.py": ""}, "run.sh", software=ALLOWED)
    assert found.environment.python.extra_index_urls == (INDEX,)
    cell = {"cell_type": "code", "source": f"%pip install --extra-index-url={INDEX} ours", "metadata": {}}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    found = inspect({"a.ipynb": json.dumps(notebook)}, "a.ipynb", software=ALLOWED)
    assert found.environment.python.extra_index_urls == (INDEX,)


def test_an_index_that_the_site_does_not_allow_is_shown_and_asked_about():
    """Nothing is taken from it, and the warning names the setting."""
    found = read({"requirements.txt": f"--extra-index-url {INDEX}\nnumpy\n"}, "import numpy\n")
    assert found.environment.python.extra_index_urls == ()
    assert packages(found) == {"numpy"}
    assert next(one.sure for one in found.guesses if one.value == INDEX) is Sureness.ASK
    assert any("images.extra_index_urls" in warning for warning in found.warnings)


@pytest.mark.parametrize("name", INDEXES)
def test_passwords_in_addresses_are_never_kept(name):
    """Not in the environment, nor in a guess or warning; that they are left out is said."""
    text = INDEXES[name].replace("packages.example", "ada:s3cret@packages.example")
    found = read({name.partition(",")[0]: text}, "import numpy\n", ALLOWED)
    assert found.environment.python.extra_index_urls == (INDEX,)
    assert "s3cret" not in found.model_dump_json()
    assert any("is not kept" in warning for warning in found.warnings)


def test_passwords_in_other_addresses_are_not_repeated():
    """What is refused is quoted without them."""
    found = read({"requirements.txt": "git+https://ada:s3cret@example.org/x.git\nnumpy\n"}, "import numpy\n")
    assert "example.org/x.git" in found.model_dump_json()
    assert "s3cret" not in found.model_dump_json()


@pytest.mark.parametrize("pinned", ["torch==2.8.0+cu128", "torch == 2.8.0+cpu", "torch==2.8.0+rocm6.2 # or so"])
def test_the_build_of_pytorch_follows_from_the_gpus(pinned):
    """A label that PyPI does not know is dropped from the version, and only from that of PyTorch's packages."""
    found = read({"requirements.txt": f"{pinned}\nmine==1.0+local\n"}, "import torch\n")
    assert {text.replace(" ", "") for text in packages(found)} == {"torch==2.8.0", "mine==1.0+local"}
    assert found.environment.python.requirements is None
    assert any("resources.gpus" in warning for warning in found.warnings)


def test_the_index_of_pytorch_is_not_asked():
    """Which build of PyTorch is taken follows from the job's GPUs."""
    found = read({"requirements.txt": "--index-url https://download.pytorch.org/whl/cu121\ntorch\n"}, "import torch\n")
    assert found.environment.python.extra_index_urls == ()
    assert any("resources.gpus" in warning for warning in found.warnings)
