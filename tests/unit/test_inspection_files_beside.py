"""Requirements and pyproject at the top of a directory speak only of scripts that import what they name."""

import pytest

from cluster_interface.inspection import inspect

SCRIPT = "import pandas\nprint(pandas)\n"
TOPS = {
    "pyproject.toml": '[project]\nname = "x"\nrequires-python = ">=3.13"\ndependencies = ["{}"]\n',
    "requirements.txt": "{}>=1\n",
}


def environment_of(top, name, script="tools/report.py"):
    """Inspect a script in a folder below a file that names a package."""
    return inspect({script: SCRIPT, top: TOPS[top].format(name)}, script).environment.python


@pytest.mark.parametrize("top", TOPS)
def test_a_file_about_something_else_is_left_alone(top):
    """A project's file that names nothing the script imports does not decide its environment."""
    python = environment_of(top, "flask")
    assert (python.packages, python.requirements, python.version) == (("pandas",), None, None)


@pytest.mark.parametrize("top", TOPS)
def test_a_file_that_names_an_import_counts(top):
    """A project's file that names what the script imports is the script's, folders above or not."""
    python = environment_of(top, "pandas")
    assert python.requirements == top or any(package.startswith("pandas") for package in python.packages)
    if top == "pyproject.toml":
        assert python.version == "3.13"


@pytest.mark.parametrize("top", TOPS)
def test_a_file_beside_the_script_always_counts(top):
    """What lies beside the script is about it, whatever it names."""
    python = environment_of(top, "flask", "report.py")
    assert python.requirements == top or "flask" in python.packages
