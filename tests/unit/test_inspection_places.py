"""Which directory a script of Python is started in."""

from __future__ import annotations

import pytest

from cluster_interface.inspection import inspect

READS = "import pandas\npandas.read_csv('runs.csv').to_csv('mean.csv')\n"


def test_a_script_is_started_where_alone_it_finds_its_files() -> None:
    """Named from the top, it runs in its own directory, and what it writes lies there."""
    found = inspect({"fits/mean.py": READS, "fits/runs.csv": "1"}, "fits/mean.py")
    assert found.command == "cd fits && python mean.py"
    assert found.inputs == ("fits/runs.csv",)
    assert found.outputs == ("fits/mean.csv",)
    assert any("found from there" in guess.rests_on for guess in found.guesses)


def test_a_script_whose_files_are_found_from_the_top_is_started_there() -> None:
    """Where both places fit, or neither does, it is where the person stands."""
    script = "open('fits/runs.csv')\n"
    assert inspect({"fits/x.py": script, "fits/runs.csv": "1"}, "fits/x.py").command == "python fits/x.py"
    both = {"fits/mean.py": READS, "fits/runs.csv": "1", "runs.csv": "2"}
    assert inspect(both, "fits/mean.py").command == "python fits/mean.py"
    assert inspect({"fits/mean.py": READS}, "fits/mean.py").command == "python fits/mean.py"


def test_a_directory_between_counts_too() -> None:
    """A script of a project in a directory of its own may go by that."""
    files = {"fits/code/x.py": "open('./code/data/a.csv')\n", "fits/code/data/a.csv": "1"}
    assert inspect(files, "fits/code/x.py").command == "cd fits && python code/x.py"


def test_arguments_count_from_where_the_person_stands() -> None:
    """A file that is given from the top speaks for the top."""
    files = {"fits/x.py": "import sys\nopen(sys.argv[1])\n", "runs.csv": "1"}
    found = inspect(files, "fits/x.py", ["runs.csv"])
    assert found.command == "python fits/x.py runs.csv"
    assert found.inputs == ("runs.csv",)


def test_what_lies_above_is_found_from_the_directory_that_was_asked_for() -> None:
    """`../data` and modules above are inputs; what is written above is an output."""
    script = "import sys\nsys.path.append('..')\nimport tools\nopen('../data/a.csv')\nopen('../out.txt', 'w')\n"
    files = {"code/x.py": script, "tools.py": "", "data/a.csv": "1"}
    found = inspect(files, "code/x.py", start="code")
    assert found.command == "cd code && python x.py"
    assert set(found.inputs) == {"tools.py", "data/a.csv"}
    assert found.outputs == ("out.txt",)
    assert found.environment.variables == {"PYTHONPATH": "/job"}


@pytest.mark.parametrize(
    ("text", "start", "command"),
    [
        ("open('data/a.csv')", "code", "python code/x.py"),
        ("open('data/a.csv')\nopen('b.csv')", "code", "cd code && python x.py"),
        ("open('nothing.csv')", "code", "cd code && python x.py"),
        ("", "code", "cd code && python x.py"),
        ("open('b.csv')", "", "python code/x.py"),
    ],
)
def test_a_program_that_finds_nothing_where_one_stands_is_started_where_it_does(
    text: str, start: str, command: str
) -> None:
    """A program of a project is often written to be started from its top; one that finds a file stays."""
    found = inspect({"code/x.py": text, "code/b.csv": "1", "data/a.csv": "1"}, "code/x.py", start=start)
    assert found.command == command


@pytest.mark.parametrize("start", [None, "code"])
def test_a_program_that_goes_by_its_own_place_finds_its_files_anywhere(start: str | None) -> None:
    """What is derived from `__file__` is the same wherever the program is started."""
    script = (
        "from pathlib import Path\nhere = Path(__file__).parent\nopen(here / 'a.txt')\nopen(here.parent / 'b.txt')\n"
    )
    found = inspect({"code/x.py": script, "code/a.txt": "", "b.txt": ""}, "code/x.py", start=start)
    assert found.inputs == ("code/a.txt", "b.txt")
    assert not found.warnings


def test_a_package_is_found_from_the_directory_it_is_started_in() -> None:
    """A module of a package that is started below gets the way to the package."""
    files = {"p/__init__.py": "", "p/x.py": "from .y import z\nopen('d.txt')\n", "p/y.py": "z = 1\n", "p/d.txt": ""}
    found = inspect(files, "p/x.py")
    assert found.command == "cd p && python -m p.x"
    assert found.environment.variables == {"PYTHONPATH": "/job"}


def test_directories_of_modules_with_one_name_are_looked_through_for_the_one_that_is_meant() -> None:
    """Examples of a directory `fits` often lie in `examples/fits`: Python, too, takes such directories together."""
    files = {"examples/fits/x.py": "from fits.line import fit\n", "fits/line.py": "", "fits/curve.py": ""}
    found = inspect(files, "examples/fits/x.py", start="examples/fits")
    assert found.inputs == ("fits/line.py", "fits/curve.py")
    assert found.environment.variables == {"PYTHONPATH": "/job"}
    assert not found.warnings
