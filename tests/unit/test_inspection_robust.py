"""Inspection reads what strangers wrote: it never raises anything but Rejected, and ends soon."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_interface.inspection import inspect
from cluster_interface.inspection.project import Project, simplify
from cluster_interface.inspection.python.argparse_commands import LONGEST, MOST
from cluster_interface.inspection.python.distributions import table
from cluster_interface.inspection.python.metadata import BLOCK, read_metadata
from cluster_interface.inspection.python.newer import in_older_words
from cluster_interface.inspection.python.requirements import read_requirements
from cluster_interface.inspection.shebang import read_shebang
from cluster_interface.model.errors import Rejected

DATA = Path(__file__).parent / "inspection_data"
SCRIPTS = sorted(path.name.removesuffix(".txt") for path in DATA.glob("*.txt"))
FRAGMENTS = [
    "import ", "from ", ".", "..", " as ", "numpy", "a", "\n", "    ", "try:\n", "except ImportError:\n", "pass\n",
    "if ", "x", ":", "open(", "'data.csv'", "'w'", ",", ")", "(", "f'{x}.png'", "+", "/", "%", "=", "sys.argv", "[1]",
    "[1:]", "p.add_argument(", "'--x'", "choices=", "default=", "type=int", "*", "**", "def f(", "class C:\n", "case ",
    "match x:\n", "lambda: ", "yield ", "# /// script\n", "# ///\n", "# dependencies = ['a']\n", "@click.option(",
    "async ", "await ", "__file__", ".parent", "'''", "\0", "\ufeff", "\udc80", "\t", "\x0c", "\\", "{", "}", "1",
    "print 'x'", "Path(", "os.path.join(", "glob(", ".format(",
]  # fmt: skip


def tolerant(files, script=None, arguments=()):
    """Inspect; a refusal is an answer too. What is answered can be sent."""
    try:
        return inspect(files, script, arguments).model_dump_json()
    except Rejected as error:
        return str(error).encode("utf-8", "replace").decode()


@given(st.text(max_size=200))
def test_any_text_is_answered(text):
    """As a Python script, a shell script, or with only a first line to go by."""
    for name in ("a.py", "a.sh", "a"):
        tolerant({name: text, "data.csv": ""}, name)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join), st.lists(st.text(max_size=8), max_size=3))
def test_any_mixture_of_python_is_answered(text, arguments):
    """Pieces of programs in any order, most of which do not parse."""
    tolerant({"a.py": text, "data.csv": "", "a/b.py": text, "requirements.txt": text}, "a.py", arguments)


@given(st.text(alphabet="f'\"{}\\#\n[]x rtype=", max_size=60))
def test_newer_syntax_keeps_its_lines(text):
    """Whatever is rewritten, lines keep their numbers; and most of what is parsed already is left alone."""
    assert in_older_words(text).count("\n") == text.count("\n")


@given(st.dictionaries(st.text(max_size=12), st.none() | st.text(max_size=30), max_size=5))
def test_any_set_of_files_is_answered(files):
    """Names that are no names, and no script among them."""
    tolerant(files)


AROUND = [
    "requirements.txt", "pyproject.toml", ".python-version", "setup.cfg", "setup.py", "Pipfile", "Pipfile.lock",
    "environment.yml", "uv.lock", "poetry.lock", "pdm.lock", "pylock.toml",
]  # fmt: skip
PIECES = [
    "[project]\n", "dependencies", "=", "[", "]", "'numpy>=1'", "\n", "{", "}", ":", "- ", "  ", "numpy", "^1.2", "~1",
    "[tool.poetry.dependencies]\n", "[[package]]\n", "name = 'a'\n", "version = '1'\n", "[package.dependencies]\n", "a",
    "dependencies:\n", "- pip:\n", "python=3.9", "=py_0", "[options]\n", "install_requires =\n", "setup(", ")", ",",
    "install_requires=", "+", "**", "[packages]\n", '{"default": {"a": {"version": "==1"}}}', "*", "||", "-r x", "-c y",
    "marker = \"python_version < '3'\"\n", "source = { editable = '.' }\n", "groups = ['main']\n", "&a ", "*a", "!!x",
]  # fmt: skip


@pytest.mark.parametrize("name", AROUND)
@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=120) | st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_file_around_the_script_is_answered(name, text):
    """A broken file beside a good script never stops it."""
    assert inspect({"a.py": "import numpy", name: text}, "a.py").command == "python a.py"


@given(st.text(alphabet="ab -#\\\n\r=.r$\t", max_size=60))
def test_requirements_lines_are_counted_as_pip_counts_them(text):
    """Every logical line begins on the line whose number it has, and none holds a line break or a comment."""
    physical = text.splitlines()
    for line in read_requirements(text):
        assert 1 <= line.number <= len(physical)
        assert not re.search(r"[\r\n]|(?:^|\s)#", line.text)
        assert line.text == line.text.strip() != ""


def test_requirements_continuations_and_comments():
    """As pip's own preprocessing does it."""
    lines = read_requirements("# x\nnumpy \\\n  >=2  # why\n\na#b\nscipy;python_version>'3' \\\n")
    assert [(line.number, line.text) for line in lines] == [
        (2, "numpy    >=2"),
        (5, "a#b"),
        (6, "scipy;python_version>'3'"),
    ]


@given(
    st.lists(st.sampled_from(["# /// script\n", "# ///\n", "#\n", "# a = 1\n", "#b\n", "\n", "x\n"]), max_size=12).map(
        "".join
    )
)
def test_metadata_is_what_the_reference_finds(text):
    """No block for us where the PEP's expression finds none, and one where it finds one."""
    blocks = [found for found in BLOCK.finditer(text) if found["type"] == "script"]
    try:
        assert (read_metadata("a.py", text) is not None) == bool(blocks)
    except Rejected:
        assert blocks


@given(st.text(max_size=60))
def test_any_first_line_is_read(text):
    """And its options are plain words."""
    found = read_shebang(f"#!{text}")
    assert found is None or all(not set(word) & set(" \n\t$`;|&<>'\"()") for word in found.options)


@given(st.text(alphabet="ab*/?.", max_size=20), st.text(alphabet="ab/.", min_size=1, max_size=12))
def test_a_file_matches_its_own_name_and_stars_fold(pattern, name):
    """Patterns never raise, and a name is a pattern for itself."""
    project = Project({name: ""})
    project.matching(pattern)
    assert project.matching(name) == list(project.files) or not project.files or name.startswith("./")
    assert simplify(simplify(pattern)) == simplify(pattern)


PARSER = "import argparse\np = argparse.ArgumentParser()\ns = p.add_subparsers()\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "x = " + " + ".join(["'a'"] * 900) + "\nopen(x, 'w')"),
        ("a.py", "x" + ".a()" * 400),
        ("a.py", "if x:\n  pass\n" + "elif x:\n  pass\n" * 800),
        ("a.py", "# /// script\n" * 50_000),
        ("a.py", "# /// script\n" + "# /// x\n" * 60_000),
        ("a.py", "open(f'{x}" + "*a" * 300 + "')\n" * 300),
        ("a.py", PARSER + "p" + ".add_parser('a')" * 1300 + ".add_argument('--x')"),
        ("a.py", PARSER + "s.add_parser('w')\n" * 50_000),
        ("a.sh", "a" * 900_000),
        ("a.sh", "'\n" * 50_000),
        ("a.sh", "$(" * 50_000),
        ("a.sh", 'echo "' + "$(a)" * 50_000 + '"'),
        ("a.sh", "cat <<A\n" * 10_000),
    ],
)
def test_hostile_texts_end_soon(name, text):
    """Deep, long and ambiguous texts are answered in seconds, not hours."""
    tolerant({name: text, **{f"{'a' * 200}{n}": None for n in range(500)}}, name)


def test_parsers_that_multiply_are_bounded():
    """Every line doubles the subcommands that the last name stands for."""
    doubling = "".join(f"a{n} = z{n}.add_parser('w{n}')\nfor z{n + 1} in (z{n}, a{n}):\n    pass\n" for n in range(14))
    found = inspect({"a.py": f"{PARSER}{doubling}z14.add_argument('--x')\n"}, "a.py")
    assert len([option for option in found.options if option.name == "--x"]) <= MOST
    assert all(len(option.command) <= LONGEST for option in found.options)
    assert {option.command for option in found.options} > {"", "w0", "w0 w1"}


def test_options_shared_by_many_subcommands_are_bounded():
    """Some lines times some subcommands stay a list that can be sent."""
    subcommands = ", ".join(f"s.add_parser('w{n}')" for n in range(100))
    shared = "".join(f"    one.add_argument('--x{n}')\n" for n in range(100))
    assert len(inspect({"a.py": f"{PARSER}for one in ({subcommands}):\n{shared}"}, "a.py").options) == 5_000


@pytest.mark.parametrize("script", SCRIPTS)
def test_realistic_scripts_are_read_without_a_question(script):
    """Everything in them is well known, or they are Python 2 and refused as that."""
    files = {
        script: (DATA / f"{script}.txt").read_text(),
        "count.py": "",
        "simulation/model.py": "",
        "simulation/io.py": "",
    }
    if script == "old.py":
        with pytest.raises(Rejected, match="Python 2"):
            inspect(files, script)
        return
    found = inspect(files, script)
    assert found.command
    assert not [guess for guess in found.guesses if guess.sure == "ask" and "packages" in guess.field]
    assert found == inspect(dict(reversed(files.items())), script)


def test_the_table_is_whole():
    """Every name in it is the name of a module, every value a package that the job spec takes."""
    from cluster_interface.model.jobspec import Environment, PythonEnvironment

    known = table()
    assert len(known.providers) > 250
    assert all(all(part.isidentifier() for part in name.split(".")) for name in known.providers)
    PythonEnvironment(packages=tuple(name for names in known.providers.values() for name in names))
    PythonEnvironment(packages=tuple(row.needs for row in known.companions))
    Environment(system=tuple(name for names in known.system.values() for name in names))


def test_importing_the_package_is_cheap():
    """Nothing of it is loaded before it is used."""
    import subprocess
    import sys

    code = "import cluster_interface.inspection, sys; print('pydantic' in sys.modules, 'ast' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False False\n"
    )
