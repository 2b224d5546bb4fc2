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
parser.add_argument("--span", nargs=2, type=float)
parser.add_argument("--pair", nargs=2, action="append")
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
        "path", "extra", "--top", "--ratio", "--mode", "--level", "--verbose", "--tag",
        "--span", "--pair", "--color", "--outdir",
    ]  # fmt: skip
    assert found["path"] == Option(name="path", positional=True, required=True, kind="path", help="where it lies")
    assert found["extra"] == Option(name="extra", positional=True, many=True)
    assert found["--top"] == Option(name="--top", aliases=("-n",), default="-10", kind="int")
    assert found["--ratio"] == Option(name="--ratio", required=True, kind="float")
    assert found["--mode"] == Option(name="--mode", default="fast", choices=("fast", "exact"))
    assert found["--level"] == Option(name="--level", choices=("1", "2", "3"), kind="int")
    assert found["--verbose"] == Option(name="--verbose", aliases=("-v",), flag=True)
    assert found["--tag"] == Option(name="--tag", many=True, repeat=True)
    assert found["--span"] == Option(name="--span", kind="float", many=True, count=2)
    assert found["--pair"] == Option(name="--pair", many=True, repeat=True, count=2)
    assert found["--color"] == Option(name="--color", flag=True)
    assert found["--outdir"] == Option(name="--outdir", kind="directory")


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
@click.option("--span", nargs=2, type=float)
@click.argument("src", type=click.Path(exists=True))
@click.argument("rest", nargs=-1)
def hello(**kw): pass
"""
    found = options(source)
    assert list(found) == ["--count", "--name", "--shout", "--mode", "--tag", "--dry", "--span", "src", "rest"]
    assert found["--count"] == Option(name="--count", aliases=("-c",), default="1", kind="int", help="How often.")
    assert found["--name"] == Option(name="--name", required=True)
    assert found["--shout"] == Option(name="--shout", flag=True)  # --no-shout is no other name of it
    assert found["--dry"].flag
    assert found["--mode"].choices == ("a", "b")
    assert found["--tag"] == Option(name="--tag", aliases=("-t",), kind="float", many=True, repeat=True)
    assert found["--span"] == Option(name="--span", kind="float", many=True, count=2)
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


ENUMERATED = """
import argparse, typer
from enum import Enum
class Mode(str, Enum):
    fast = "fast"
    exact = "very-exact"
parser = argparse.ArgumentParser()
parser.add_argument("--mode", choices=list(Mode), default=Mode.exact)
parser.add_argument("--how", choices=[mode.value for mode in Mode], default=Mode.fast.value)
"""


def test_an_enumeration_gives_its_values():
    """As choices and as the default, for argparse as well as typer, whose short names count too."""
    found = options(ENUMERATED)
    assert (found["--mode"].choices, found["--mode"].default) == (("fast", "very-exact"), "very-exact")
    assert (found["--how"].choices, found["--how"].default) == (("fast", "very-exact"), "fast")
    source = (
        "import typer\nfrom enum import StrEnum\nclass F(StrEnum):\n    csv = 'csv'\n    tsv = 'tsv'\n"
        "def main(f: F = typer.Option(F.tsv, '--format', '-f'), n: int = typer.Option(3, '-n')): pass\ntyper.run(main)\n"
    )
    found = options(source)
    assert found["--format"] == Option(name="--format", aliases=("-f",), choices=("csv", "tsv"), default="tsv")
    assert found["-n"].default == "3"


def test_what_is_converted_in_a_tuple_has_its_name():
    """`a, b = sys.argv[1], float(sys.argv[2])`."""
    found = options("import sys\nname, least = sys.argv[1], float(sys.argv[2])\n")
    assert [(option.name, option.kind) for option in found.values()] == [("name", "text"), ("least", "float")]


DOCOPT = """
Usage:
  fleet ship new <name>...
  fleet ship move <name> <x> <y> [--speed=<kn>]
  fleet mine [options] <file>
  fleet list
  fleet (-h | --help)

Options:
  -h --help     Show this screen.
  --speed=<kn>  Speed in knots [default: 10].
"""


def test_docopt_commands_hold_commands():
    """Each has its own arguments, and a ready command line that the program takes."""
    found = inspect({"a.py": f"from docopt import docopt\ndocopt({DOCOPT!r})\n"}, "a.py")
    assert set(found.suggestions) == {
        "python a.py ship new NAME", "python a.py ship move NAME X Y", "python a.py mine FILE",
        "python a.py list",
    }  # fmt: skip
    speed = next(option for option in found.options if option.name == "--speed")
    assert (speed.default, speed.help) == ("10", "Speed in knots.")


def test_docopt_commands_stand_behind_arguments():
    """A command behind an argument has its own arguments; where patterns cannot be told apart they are one list."""
    source = '"""Usage:\n  x.py <file> add <item>...\n  x.py <file> remove <item> [--force]\n"""\nfrom docopt import docopt\ndocopt(__doc__)\n'
    found = inspect({"a.py": source}, "a.py")
    assert [(one.command, one.name) for one in found.options][:4] == [
        ("", "file"), ("", "command"), ("add", "item"), ("remove", "item"),
    ]  # fmt: skip
    assert found.suggestions == ("python a.py FILE add ITEM", "python a.py FILE remove ITEM")
    naval = (
        '"""Usage:\n  x.py ship new <name>...\n  x.py ship <name> move <x> <y> [--speed=<kn>]\n'
        '  x.py mine (set|remove) <x> <y>\n"""\nfrom docopt import docopt\ndocopt(__doc__)\n'
    )
    assert inspect({"a.py": naval}, "a.py").suggestions == (
        "python a.py ship ARGS", "python a.py mine set X Y", "python a.py mine remove X Y",
    )  # fmt: skip


ARGH = """
import argh
@argh.arg('path', help='the file')
@argh.arg('-n', '--rounds', help='how many', type=int)
def fit(path, rounds=10, verbose=False): pass
def draw(title, *columns, mode='fast'): pass
argh.dispatch_commands([fit, draw])
"""
PLAC = """
import plac
@plac.annotations(model=("its name", "option", "m", str), n_iter=("how many", "option", "n", int), quiet=("hush", "flag", "q"))
def main(table, model=None, n_iter=100, quiet=False, out="x.csv"): pass
plac.call(main)
"""
DECORATED = """
import plac
@plac.pos('model', "its name", choices=['A', 'B'])
@plac.opt('n_iter', "how many", type=int)
@plac.flg('debug', "say more")
def main(model, n_iter=100, debug=False): pass
plac.call(main)
"""


def test_argh():
    """Parameters with a default are options, several functions are commands."""
    found = options(ARGH)
    assert found["command"].choices == ("fit", "draw")
    assert found["path"] == Option(name="path", positional=True, kind="path", help="the file", command="fit")
    assert found["--rounds"].model_dump(include={"aliases", "default", "kind"}) == {
        "aliases": ("-n",), "default": "10", "kind": "int",
    }  # fmt: skip
    assert found["--verbose"].flag
    assert found["columns"].many


def test_plac():
    """Parameters have places but where an annotation or a decorator says otherwise."""
    found = options(PLAC)
    assert found["table"].required
    assert found["--n-iter"] == Option(name="--n-iter", aliases=("-n",), default="100", kind="int", help="how many")
    assert found["--quiet"].flag
    assert found["out"] == Option(name="out", positional=True, default="x.csv")
    decorated = options(DECORATED)
    assert decorated["model"] == Option(
        name="model", positional=True, required=True, choices=("A", "B"), help="its name"
    )
    assert decorated["--n-iter"].kind == "int"
    assert decorated["--debug"].flag


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ('"--data-dir"', "directory"),
        ('"--workdir"', "directory"),
        ('"folders", nargs="+"', "directory"),
        ('"--dir-path"', "directory"),
        ('"--dir-list-file"', "path"),
        ('"images", type=Path, help="the directory with the images"', "directory"),
        ('"images", type=Path, help="a file of the directory"', "path"),
        ('"images", type=Path, help="a directory or file"', "path"),
        ('"-i", metavar="DIR"', "directory"),
        ('"--dir", choices=["up", "down"]', "text"),
        ('"--direction"', "text"),
    ],
)
def test_what_is_a_directory(declared, kind):
    """By its name or placeholder, else by what its help speaks of first."""
    found = options(f"import argparse\np = argparse.ArgumentParser()\np.add_argument({declared})\np.parse_args()\n")
    assert [option.kind for option in found.values()] == [kind]


def test_what_is_a_directory_elsewhere():
    """By click's type; and the one file of the project is not suggested where a directory is wanted."""
    click = (
        "import click\n@click.command()\n@click.argument('src', type=click.Path(file_okay=False))\ndef f(src): pass\n"
    )
    assert options(click)["src"].kind == "directory"
    script = "import argparse\np = argparse.ArgumentParser()\np.add_argument('in_dir')\np.parse_args()\n"
    assert inspect({"a.py": script, "a.csv": "1"}, "a.py").suggestions[0].endswith(" IN_DIR")
    shell = inspect({"a.sh": "#!/bin/sh\nwhile getopts d: o; do case $o in d) data_dir=$OPTARG;; esac; done\n"}, "a.sh")
    assert [option.kind for option in shell.options] == ["directory"]


def test_what_takes_the_rest_belongs_to_its_command():
    """By the name that the command line has, which is not the function's where that has underscores."""
    script = "import argh\ndef sum_up(*tables): pass\ndef draw(title): pass\nargh.dispatch_commands([sum_up, draw])\n"
    found = options(script)
    assert found["command"].choices == ("sum-up", "draw")
    assert found["tables"] == Option(name="tables", positional=True, many=True, command="sum-up")
