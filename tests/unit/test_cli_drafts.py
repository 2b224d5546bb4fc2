"""What `clif describe` tells of a draft."""

import io

import yaml
from hypothesis import given
from hypothesis import strategies as st

from cluster_interface.cli.drafts import print_spec, show_draft, show_options
from cluster_interface.cli.talk import print_table, within
from cluster_interface.client.composing import Draft
from cluster_interface.inspection import inspect
from cluster_interface.model.amounts import spell_bytes, spell_time
from cluster_interface.model.resources import parse_memory, parse_time

SCRIPT = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("table", help="a CSV file")
parser.add_argument("--by", "-b", choices=["site", "year"], default="site")
parser.add_argument("--quiet", action="store_true")
"""


def shown(capsys, document, inspected=None):
    """The lines on standard error, without what is around them."""
    draft = Draft(document=document, local={}, inspected=inspected)
    show_draft(draft)
    show_options(draft)
    return [line.strip() for line in capsys.readouterr().err.splitlines()]


def test_all_of_an_environment_is_told(capsys):
    """What a spec names itself, whatever kind it is of; modules that became packages are told by these."""
    environment = {
        "image": "ghcr.io/lab/tool:1.2",
        "r": {"packages": ["dplyr"], "bioconductor": ["DESeq2"]},
        "conda": {"packages": ["gdal"]},
        "modules": ["matlab/R2023a"],
        "variables": {"MODE": "fast"},
        "setup": "true",
        "as_of": "2026-01-01",
    }
    lines = shown(capsys, {"command": "x", "environment": environment})
    start = next(at for at, line in enumerate(lines) if line.startswith("environment"))
    assert lines[start : start + 8] == [
        "environment  image ghcr.io/lab/tool:1.2",
        "R: dplyr",
        "R: DESeq2",
        "conda: gdal",
        "module matlab/R2023a",
        "MODE=fast",
        "a setup step",
        "as of 2026-01-01",
    ]


def test_options_are_told_with_ready_command_lines(capsys):
    """How each is written, what it takes, what it is else, and what it is for."""
    proposal = inspect({"a.py": SCRIPT}, "a.py").model_dump(mode="json")
    inspected = {"proposal": proposal, "queue": "local", "runtime": "docker", "bounds": {}}
    lines = shown(capsys, {"command": "python a.py"}, inspected)
    assert lines[-4:] == [
        "options      TABLE  needed  a CSV file",
        "--by, -b site|year  else site",
        "--quiet",
        "ready        python a.py TABLE",
    ]


def test_what_is_missing_is_said_with_a_command_line(capsys):
    """A needed argument that nobody gave is told before the job is submitted; not where the command is one's own."""
    proposal = inspect({"a.py": SCRIPT}, "a.py").model_dump(mode="json")
    inspected = {"proposal": proposal, "queue": "local", "runtime": "docker", "bounds": {}}
    said = "warning      a.py needs table, not given: for example clif run a.py -- TABLE"
    assert said in shown(capsys, {"command": "python a.py"}, inspected)
    assert said not in shown(capsys, {"command": "python a.py x.csv"}, inspected)


def test_what_a_sweep_gives_is_not_missing(capsys):
    """Parameters that stand in the command are given; what else is missing is still told."""
    source = f"{SCRIPT}parser.add_argument('--rounds', type=int, required=True)\n"
    proposal = inspect({"a.py": source}, "a.py").model_dump(mode="json")
    inspected = {"proposal": proposal, "queue": "local", "runtime": "docker", "bounds": {}}
    lines = shown(capsys, {"command": "python a.py --rounds {rounds}"}, inspected)
    assert any("needs table, not given" in line for line in lines)


@given(st.integers(0, 2**50))
def test_amounts_are_spelled_exactly(amount):
    """What is written in a spec is read as the same amount."""
    assert parse_memory(spell_bytes(amount)) == amount
    assert parse_time(spell_time(amount)) == amount


def test_a_spec_is_printed_with_amounts_for_people(capsys):
    """Memory and time as one would write them, a long command on one line; the same spec in JSON is the API's."""
    resources = {"memory": 512 * 2**20, "time": 5400, "cpus": 1}
    draft = Draft(document={"command": "run " * 60, "resources": resources}, local={}, inspected=None)
    print_spec(draft, json_=False)
    text = capsys.readouterr().out
    assert "memory: 512MiB" in text
    assert "time: 1h30m" in text
    assert f"command: '{'run ' * 60}'" in text
    assert yaml.safe_load(text)["resources"]["cpus"] == 1
    print_spec(draft, json_=True)
    assert '"memory": 536870912' in capsys.readouterr().out


class Terminal(io.StringIO):
    """A screen."""

    encoding = "utf-8"

    def isatty(self):
        """It is one."""
        return True


def test_sentences_are_broken_between_words_on_a_terminal_alone(monkeypatch):
    """What goes on is indented; in a pipe a line is a line."""
    monkeypatch.setenv("COLUMNS", "40")
    text = f"  warning      {'some words ' * 8}--with {'x' * 60}"
    lines = within(text, 15, Terminal()).splitlines()
    assert all(len(line) <= 40 for line in lines[:-1])
    assert lines[-1] == " " * 15 + "x" * 60
    assert within(text, 15, io.StringIO()) == text


def test_a_job_is_one_line_of_the_list_on_a_terminal(monkeypatch):
    """A long reason is cut, the columns before it are not."""
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("COLUMNS", "50")
    print_table(["job", "state", ""], [["abc", "failed", "because " * 30], ["abd", "done", "2 outputs"]], cut=True)
    lines = screen.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("abc  failed  because because")
    assert lines[1].rstrip().endswith("…")


def test_an_import_that_is_asked_about_is_told_once(capsys):
    """What is not sure is not repeated as a warning."""
    proposal = inspect({"a.py": "import labtools"}, "a.py").model_dump(mode="json")
    inspected = {"proposal": proposal, "queue": "local", "runtime": "docker", "bounds": {}}
    asks = tuple(guess for guess in proposal["guesses"] if guess["sure"] == "ask")
    show_draft(Draft(document={"command": "python a.py"}, local={}, inspected=inspected, asks=asks))
    assert capsys.readouterr().err.count("--with labtools") == 1
