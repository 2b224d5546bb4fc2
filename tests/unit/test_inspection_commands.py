"""Command lines of typer, fire, docopt and absl; ready ones; packages and projects that have commands."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_interface.inspection import inspect
from cluster_interface.model.proposal import Option


def options(source):
    """The options of one script, by name."""
    return {option.name: option for option in inspect({"a.py": source}, "a.py").options}


def test_typer_commands_need_no_declarations():
    """A parameter without a default is an argument, one with a default an option; types say the rest."""
    source = """
import typer
from typing import Annotated, Literal, Optional
from pathlib import Path
app = typer.Typer()
@app.command()
def make(ctx: typer.Context, name: str, count: int = 3, mode: Literal["fast", "exact"] = "fast", loud: bool = False,
         out_dir: Optional[Path] = None, ratio: Annotated[float, typer.Option("--share", help="Of it.")] = 0.5):
    ...
if __name__ == "__main__":
    app()
"""
    assert options(source) == {
        "name": Option(name="name", positional=True, required=True),
        "--count": Option(name="--count", default="3", kind="int"),
        "--mode": Option(name="--mode", default="fast", choices=("fast", "exact")),
        "--loud": Option(name="--loud", flag=True),
        "--out-dir": Option(name="--out-dir", kind="directory"),
        "--share": Option(name="--share", default="0.5", kind="float", help="Of it."),
    }


def test_several_typer_commands_are_a_choice():
    """Each option says which command it belongs to."""
    found = options(
        "import typer\napp = typer.Typer()\n@app.command()\ndef make(name: str): ...\n"
        "@app.command('drop')\ndef remove(force: bool = False): ...\napp()\n"
    )
    assert found["command"].choices == ("make", "drop")
    assert found["name"] == Option(name="name", positional=True, command="make")
    assert found["--force"].command == "drop"


def test_fire_takes_functions_and_classes():
    """Parameters are options, methods are commands."""
    source = "import fire\ndef main(path, n=3, fast=False, *rest): ...\nfire.Fire(main)\n"
    assert options(source) == {
        "path": Option(name="path", positional=True, required=True, kind="path"),
        "--n": Option(name="--n", default="3", kind="int"),
        "--fast": Option(name="--fast", flag=True),
        "rest": Option(name="rest", positional=True, many=True),
    }
    source = "import fire\nclass Tool:\n  def __init__(self, level=1): ...\n  def run(self, x): ...\n  def _no(self): ...\nfire.Fire(Tool)\n"
    found = options(source)
    assert found["command"].choices == ("run",)
    assert found["--level"].default == "1"
    assert found["x"].command == "run"


def test_docopt_reads_its_usage():
    """Commands, arguments and options, with defaults and help."""
    source = '''"""Ships.

Usage:
  ship new <name>... [--speed=<kn>]
  ship move <name> <x> <y> [options]

Options:
  -h --help        Show this.
  --speed=<kn>     Speed in knots [default: 10].
  -o FILE --output-file=FILE  Where it
                   is written.
  --moored         At rest.
"""
from docopt import docopt
docopt(__doc__)
'''
    found = inspect({"a.py": source}, "a.py")
    assert [(o.command, o.name, o.many) for o in found.options if o.name == "name"] == [
        ("new", "name", True), ("move", "name", False),
    ]  # fmt: skip
    assert {name: option for name, option in options(source).items() if name != "name"} == {
        "command": Option(name="command", positional=True, required=True, choices=("new", "move")),
        "x": Option(name="x", positional=True, command="move"),
        "y": Option(name="y", positional=True, command="move"),
        "--speed": Option(name="--speed", default="10", help="Speed in knots."),
        "--output-file": Option(name="--output-file", aliases=("-o",), help="Where it is written.", kind="path"),
        "--moored": Option(name="--moored", flag=True, help="At rest."),
    }


def test_absl_flags():
    """What DEFINE_… defines, by its kind."""
    source = (
        "from absl import app, flags\nflags.DEFINE_string('data_dir', None, 'Where.')\n"
        "flags.DEFINE_integer('steps', 10, 'How many.')\nflags.DEFINE_bool('fast', False, 'Haste.')\n"
        "flags.DEFINE_enum('mode', 'a', ['a', 'b'], 'Which.')\n"
    )
    assert options(source) == {
        "--data_dir": Option(name="--data_dir", help="Where.", kind="directory"),
        "--steps": Option(name="--steps", default="10", help="How many.", kind="int"),
        "--fast": Option(name="--fast", flag=True, help="Haste."),
        "--mode": Option(name="--mode", default="a", choices=("a", "b"), help="Which."),
    }


# --- ready command lines

SUBCOMMANDS = """
import argparse
p = argparse.ArgumentParser()
p.add_argument("--level", required=True, type=int)
s = p.add_subparsers(dest="what", required=True)
a = s.add_parser("index")
a.add_argument("fasta")
b = s.add_parser("align")
b.add_argument("--fast")
"""


def test_ready_command_lines_have_what_is_required():
    """One for each subcommand, with placeholders where only a person knows."""
    found = inspect({"a.py": SUBCOMMANDS}, "a.py")
    assert found.suggestions == ("python a.py --level LEVEL index FASTA", "python a.py --level LEVEL align")
    assert found.missing.names == ("what", "--level")


def test_the_only_data_file_is_what_a_path_may_be():
    """What lies beside the script is likely meant."""
    source = "import argparse\np = argparse.ArgumentParser()\np.add_argument('input_file')\n"
    found = inspect({"a.py": source, "book.txt": "", "README.md": ""}, "a.py")
    assert found.suggestions == ("python a.py book.txt",)
    assert inspect({"a.py": source}, "a.py", ["x"]).missing is None


@pytest.mark.parametrize(
    ("source", "needed"),
    [
        ("import sys\nname = sys.argv[1]\n", True),
        ("import sys\nif len(sys.argv) > 1:\n    name = sys.argv[1]\n", False),
        ("import sys\nname = sys.argv[1] if len(sys.argv) > 1 else 'x'\n", False),
        ("import sys\ntry:\n    name = sys.argv[1]\nexcept IndexError:\n    name = 'x'\n", False),
    ],
)
def test_arguments_that_are_looked_for_are_not_missing(source, needed):
    """Only what the script cannot do without is said to be needed."""
    missing = inspect({"a.py": source}, "a.py").missing
    assert (missing is not None and missing.names == ("name",)) == needed


# --- packages and projects

PROJECT = {
    "pyproject.toml": "[project]\nname = 'tool'\ndependencies = ['rich']\n[project.scripts]\ntool = 'tool.cli:app.main'\n",
    "src/tool/__init__.py": "",
    "src/tool/cli.py": "import rich\nfrom tool.core import x\nclass app:\n    def main(): ...\n",
    "src/tool/core.py": "import scipy",
    "src/tool/data.csv": "",
    "tests/test_tool.py": "import pytest\n",
    "docs/conf.py": "",
}


def test_the_command_of_a_project_is_what_is_run():
    """Nobody names a script: the metadata does, and the package is found where it lies."""
    found = inspect(PROJECT, None, ["--x"])
    assert found.script == "src/tool/cli.py"
    assert found.command == "python -c 'import sys; from tool.cli import app; sys.exit(app.main())' --x"
    assert found.environment.variables == {"PYTHONPATH": "/job/src"}
    assert {"src/tool/__init__.py", "src/tool/core.py", "src/tool/data.csv"} <= set(found.inputs)
    assert {"rich", "scipy"} == set(found.environment.python.packages)


@pytest.mark.parametrize(
    "metadata",
    [
        {"setup.cfg": "[options.entry_points]\nconsole_scripts =\n    tool = tool.cli:main\n"},
        {
            "setup.py": "from setuptools import setup\nsetup(entry_points={'console_scripts': ['tool = tool.cli:main']})\n"
        },
        {"pyproject.toml": "[tool.poetry.scripts]\ntool = 'tool.cli:main'\n"},
    ],
)
def test_commands_are_declared_in_several_ways(metadata):
    """Wherever it stands, it is the same."""
    files = {**metadata, "tool/__init__.py": "", "tool/cli.py": "def main(): ...\n", "tool/other.py": ""}
    assert inspect(files).command == "python -c 'import sys; from tool.cli import main; sys.exit(main())'"


def test_a_directory_with_a_main_module_is_run_as_a_package():
    """As `python -m` runs it, with all of it there."""
    files = {
        "tool/__init__.py": "",
        "tool/__main__.py": "from tool import core",
        "tool/core.py": "import scipy",
        "tool/d.txt": "",
    }
    found = inspect(files)
    assert found.command == "python -m tool"
    assert set(found.inputs) == {"tool/__init__.py", "tool/core.py", "tool/d.txt"}


def test_a_module_below_src_is_called_by_its_own_name():
    """Not src.tool.cli, which would make it another module than the one that others import."""
    files = {"src/tool/__init__.py": "", "src/tool/cli.py": "from . import core", "src/tool/core.py": ""}
    found = inspect(files, "src/tool/cli.py")
    assert found.command == "python -m tool.cli"
    assert found.environment.variables == {"PYTHONPATH": "/job/src"}


CLI = "import sys\nfrom .core import x\nfrom t.core import x as y\ndef main():\n    print(x, y, sys.argv[1:])\n"


@pytest.mark.parametrize(
    ("files", "script", "arguments", "shown"),
    [
        (
            {
                "pyproject.toml": "[project]\nname='t'\n[project.scripts]\nt='t.cli:main'\n",
                "src/t/__init__.py": "",
                "src/t/cli.py": CLI,
                "src/t/core.py": "x = 1",
            },
            None,
            ["--a", "it's"],
            """1 1 ['--a', "it's"]""",
        ),
        ({"t/__init__.py": "", "t/__main__.py": "from t.core import x\nprint(x)", "t/core.py": "x = 2"}, None, [], "2"),
        ({"t/__main__.py": "from core import x\nprint(x)", "t/core.py": "x = 3"}, None, [], "3"),
        (
            {"src/t/__init__.py": "", "src/t/a.py": "from . import b\nprint(b.x)", "src/t/b.py": "x = 4"},
            "src/t/a.py",
            [],
            "4",
        ),
        (
            {"scripts/a.py": "import t.b\nprint(t.b.x)", "src/t/__init__.py": "", "src/t/b.py": "x = 5"},
            "scripts/a.py",
            [],
            "5",
        ),
        (
            {
                "setup.py": 'setup(entry_points="""\n    [console_scripts]\n    t = t.cli:main\n    """)',
                "t/__init__.py": "",
                "t/cli.py": "def main(): print(6)",
            },
            None,
            [],
            "6",
        ),
    ],
)
def test_what_is_proposed_really_runs(tmp_path, files, script, arguments, shown):
    """With the files that are proposed as inputs alone, in the job's directory, with the proposed variables."""
    found = inspect(files, script, arguments)
    for name in [*found.inputs, found.script]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(files[name])
    environ = {name: value.replace("/job", str(tmp_path)) for name, value in found.environment.variables.items()}
    done = subprocess.run(
        ["sh", "-c", found.command], cwd=tmp_path, env={**os.environ, **environ}, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == (shown, "")


USAGE = st.lists(
    st.sampled_from(["Usage:", "usage: ", "  prog ", "<a>", "...", "[", "]", "(", ")", "|", "--x=<y>", "-o FILE", "NAME", "\n",
                     "\n\n", "Options:", "  --z  Help [default: 1]", "new", "[options]", " "]), max_size=20
).map("".join)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(USAGE)
def test_any_usage_is_answered(text):
    """Broken usages are read as far as they go."""
    inspect({"a.py": f"from docopt import docopt\ndocopt({text!r})\n"}, "a.py")
