"""What `clif describe` tells of a draft."""

from cluster_interface.cli.drafts import show_draft, show_options
from cluster_interface.client.composing import Draft
from cluster_interface.inspection import inspect

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
