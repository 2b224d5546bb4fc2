"""The options of a script's command line, read without running it."""

from __future__ import annotations

import pytest

from cluster_interface.inspection import inspect
from cluster_interface.model.proposal import Option

ARGPARSE = """
import argparse, pathlib
MODES = ["fast", "exact"]
parser = argparse.ArgumentParser()
parser.add_argument("path", type=pathlib.Path, help="where "
                    "it lies")
parser.add_argument("extra", nargs="*")
parser.add_argument("-n", "--top", type=int, default=-10)
parser.add_argument("--ratio", type=float, required=True)
parser.add_argument("--mode", choices=MODES, default="fast")
parser.add_argument("--level", choices=range(1, 4), type=int)
parser.add_argument("-v", "--verbose", action="store_true")
parser.add_argument("--tag", action="append")
parser.add_argument("--color", action=argparse.BooleanOptionalAction)
parser.add_argument("--outdir")
parser.add_argument("--version", action="version", version="1")
"""


def options(source, **more):
    """The options of one script, by name."""
    return {option.name: option for option in inspect({"a.py": source, **more}, "a.py").options}


def test_argparse():
    """Names, places, kinds, defaults, choices and help of every option, in their order."""
    found = options(ARGPARSE)
    assert list(found) == [
        "path", "extra", "--top", "--ratio", "--mode", "--level", "--verbose", "--tag", "--color", "--outdir",
    ]  # fmt: skip
    assert found["path"] == Option(name="path", positional=True, required=True, kind="path", help="where it lies")
    assert found["extra"] == Option(name="extra", positional=True, many=True)
    assert found["--top"] == Option(name="--top", aliases=("-n",), default="-10", kind="int")
    assert found["--ratio"] == Option(name="--ratio", required=True, kind="float")
    assert found["--mode"] == Option(name="--mode", default="fast", choices=("fast", "exact"))
    assert found["--level"] == Option(name="--level", choices=("1", "2", "3"), kind="int")
    assert found["--verbose"] == Option(name="--verbose", aliases=("-v",), flag=True)
    assert found["--tag"] == Option(name="--tag", many=True, repeat=True)
    assert found["--color"] == Option(name="--color", flag=True)
    assert found["--outdir"] == Option(name="--outdir", kind="path")


def test_subcommands():
    """The subcommand is a choice, and what only one of them needs is not required."""
    source = (
        "import argparse\np = argparse.ArgumentParser()\ns = p.add_subparsers(dest='what', required=True)\n"
        "a = s.add_parser('index')\na.add_argument('fasta')\nb = s.add_parser('align')\n"
        "b.add_argument('--fast', required=True)\n"
    )
    found = options(source)
    assert found["what"] == Option(name="what", positional=True, required=True, choices=("index", "align"))
    assert not found["fasta"].required
    assert not found["--fast"].required


def by_command(source, *arguments):
    """The options of one script by the subcommand that they belong to."""
    found = {}
    for option in inspect({"a.py": source}, "a.py", arguments).options:
        found.setdefault(option.command, []).append(option.name)
    return found


NESTED = """
import argparse
common = argparse.ArgumentParser(add_help=False)
common.add_argument("--verbose", action="store_true")
def shared(parser):
    parser.add_argument("--out", required=True)
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--level", type=int)
    sub = parser.add_subparsers(dest="what", required=True)
    p = sub.add_parser("index", parents=[common])
    p.add_argument("fasta")
    shared(p)
    p = sub.add_parser("align")
    p.add_argument_group("speed").add_argument("--fast")
    shared(p)
    remote = sub.add_parser("remote").add_subparsers(dest="which")
    remote.add_parser("add").add_argument("url")
    q = remote.add_parser("drop")
    for one in (p, q):
        one.add_argument("--force", action="store_true")
main()
"""


def test_each_subcommand_has_its_own_options():
    """Names given twice, groups, parents, loops, functions that are given a parser, and subcommands of subcommands."""
    assert by_command(NESTED) == {
        "": ["--level", "what"],
        "index": ["--verbose", "--out", "fasta"],
        "align": ["--out", "--fast", "--force"],
        "remote": ["which"],
        "remote add": ["url"],
        "remote drop": ["--force"],
    }
    found = {(option.command, option.name): option for option in inspect({"a.py": NESTED}, "a.py").options}
    assert found["", "what"].choices == ("index", "align", "remote")
    assert found["remote", "which"].choices == ("add", "drop")
    assert inspect({"a.py": NESTED}, "a.py").suggestions == (
        "python a.py index FASTA",
        "python a.py align",
        "python a.py remote add URL",
        "python a.py remote drop",
    )


def test_a_file_named_by_the_chosen_subcommand_is_read():
    """Where two subcommands have an option of one name, the default of the one that runs counts."""
    source = (
        "import argparse\np = argparse.ArgumentParser()\ns = p.add_subparsers()\n"
        "s.add_parser('one').add_argument('--table', default='one.csv')\n"
        "s.add_parser('two').add_argument('--table', default='two.csv')\n"
        "args = p.parse_args()\nopen(args.table)\n"
    )
    files = {"a.py": source, "one.csv": "1", "two.csv": "2"}
    assert inspect(files, "a.py", ["one"]).inputs == ("one.csv",)
    assert inspect(files, "a.py", ["two"]).inputs == ("two.csv",)


def test_groups_of_click_and_typer_hold_groups():
    """A group in a group, a command that is added later, an app in an app: their options are called by both words."""
    source = (
        "import click\n@click.group()\n@click.option('--debug')\ndef cli(): pass\n@cli.group()\ndef db(): pass\n"
        "@db.command('migrate')\n@click.option('--out')\ndef m(): pass\n"
        "@click.command()\n@click.option('--out')\ndef late(): pass\ncli.add_command(late)\n"
    )
    wanted = {"": ["command", "--debug"], "db": ["command"], "db migrate": ["--out"], "late": ["--out"]}
    assert by_command(source) == wanted
    source = (
        "import typer\napp, users = typer.Typer(), typer.Typer()\napp.add_typer(users, name='users')\n"
        "@users.command()\ndef create(name: str): pass\n@app.command()\ndef run(n: int = 3): pass\n"
    )
    assert by_command(source) == {
        "": ["command"], "users": ["command"], "users create": ["name"], "run": ["--n"],
    }  # fmt: skip


def test_optparse():
    """Its older sister is read alike."""
    found = options(
        "from optparse import OptionParser\np = OptionParser()\np.add_option('-f', '--file', type='string')\n"
    )
    assert found == {"--file": Option(name="--file", aliases=("-f",))}


def test_click():
    """Decorators, in the order in which they stand."""
    source = """
import click
@click.command()
@click.option("--count", "-c", default=1, show_default=True, help="How often.")
@click.option("--name", prompt="Your name", required=True)
@click.option("--shout/--no-shout", default=False)
@click.option("--mode", type=click.Choice(["a", "b"]))
@click.option("-t", "--tag", multiple=True, type=float)
@click.option("--dry", is_flag=True)
@click.argument("src", type=click.Path(exists=True))
@click.argument("rest", nargs=-1)
def hello(**kw): pass
"""
    found = options(source)
    assert list(found) == ["--count", "--name", "--shout", "--mode", "--tag", "--dry", "src", "rest"]
    assert found["--count"] == Option(name="--count", aliases=("-c",), default="1", kind="int", help="How often.")
    assert found["--name"] == Option(name="--name", required=True)
    assert found["--shout"] == Option(name="--shout", flag=True)  # --no-shout is no other name of it
    assert found["--dry"].flag
    assert found["--mode"].choices == ("a", "b")
    assert found["--tag"] == Option(name="--tag", aliases=("-t",), kind="float", many=True, repeat=True)
    assert found["src"] == Option(name="src", positional=True, required=True, kind="path")
    assert found["rest"] == Option(name="rest", positional=True, many=True)


def test_a_click_group_is_a_choice():
    """The commands of a group are what the first word may be."""
    source = (
        "import click\n@click.group()\ndef cli(): pass\n@cli.command()\n@click.option('--x')\ndef make_it(): pass\n"
        "@cli.command('other')\ndef f(): pass\n"
    )
    found = options(source)
    assert found["command"].choices == ("make-it", "other")
    assert "--x" in found


def test_typer():
    """Parameters with their annotations and defaults."""
    source = """
from pathlib import Path
from typing import Annotated, List, Optional
import typer
def main(name: str = typer.Argument(...), n: int = typer.Option(3, help="How many"), loud: bool = typer.Option(False),
         out: Optional[Path] = typer.Option(None), tags: List[str] = typer.Option([]),
         size: Annotated[float, typer.Option(help="x")] = 1.5): pass
typer.run(main)
"""
    found = options(source)
    assert found["name"] == Option(name="name", positional=True, required=True)
    assert found["--n"] == Option(name="--n", default="3", kind="int", help="How many")
    assert found["--loud"].flag
    assert found["--out"] == Option(name="--out", kind="path")
    assert found["--tags"].many
    assert found["--size"] == Option(name="--size", kind="float", default="1.5", help="x")


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("path = sys.argv[1]\nn = int(sys.argv[2])", [("path", True, "path"), ("n", True, "int")]),
        ("n = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0", [("n", False, "float")]),
        ("print(sys.argv[2])", [("arg2", True, "text")]),
        ("_, src, dst = sys.argv", [("src", True, "text"), ("dst", True, "text")]),
        ("src, dst = sys.argv[1:3]", [("src", True, "text"), ("dst", True, "text")]),
        ("a, b = sys.argv[1], sys.argv[2]", [("a", True, "text"), ("b", True, "text")]),
        ("for x in sys.argv[1:]:\n  print(x)", [("args", False, "text")]),
        ("print(sys.argv[0], len(sys.argv), sys.argv[-1], sys.argv[10**9])", []),
    ],
)
def test_plain_sys_argv(source, wanted):
    """Places become arguments, named after the variable that takes them."""
    found = options(f"import sys\n{source}\n").values()
    assert [(option.name, option.required, option.kind) for option in found] == wanted
    assert all(option.positional for option in found)


def test_options_of_a_local_module_are_found():
    """The parser often lives beside the script."""
    assert list(options("import cli\ncli.main()", **{"cli.py": "p.add_argument('--x')\n"})) == ["--x"]


@pytest.mark.parametrize(
    "source",
    [
        "p.add_argument()", "p.add_argument(*names, **words)", "p.add_argument('--x', choices=range(10**9), nargs=-3)",
        "p.add_argument('--x', choices=range(0, 5, 0))",
        "p.add_argument('--x', default=..., help=1 + 2, type=lambda x: x)",
        "p.add_argument('-')", "p.add_argument(b'x')", "p.add_argument('--x', choices=x.keys(), action=f())",
        "p.add_argument('--x', default='\\udc80', help='\\ud800')", "p.add_argument('--x', default=-'a', nargs=[])",
        "import click\n@click.option()\n@click.option('')\n@click.argument(name)\ndef f(): pass",
    ],
)  # fmt: skip
def test_strange_declarations_do_no_harm(source):
    """What cannot be read is left out, and what is said can be written as JSON."""
    inspect({"a.py": source}, "a.py").model_dump_json()


def test_the_value_of_an_option_is_no_subcommand():
    """`--mode fit` says how, `plot` what: only what `plot` reads and writes counts."""
    source = (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('-m', '--mode')\n"
        "p.add_argument('--quick', action='store_true')\ns = p.add_subparsers(dest='what')\n"
        "fit = s.add_parser('fit')\nfit.add_argument('--out', default='fit.csv')\n"
        "plot = s.add_parser('plot')\nplot.add_argument('--out', default='plot.png')\n"
        "args = p.parse_args()\nopen(args.out, 'w')\n"
    )
    for arguments in (["--mode", "fit", "plot"], ["-m", "fit", "plot"], ["--mode=fit", "plot"], ["--quick", "plot"]):
        assert inspect({"a.py": source}, "a.py", arguments).outputs == ("plot.png",)
    assert inspect({"a.py": source}, "a.py", ["--quick", "fit", "plot"]).outputs == ("fit.csv",)
