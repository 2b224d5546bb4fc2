"""What inspection found out: a draft of the spec in which every guess says what it rests on."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from cluster_interface.model.base import Model
from cluster_interface.model.jobspec import Environment
from cluster_interface.model.sweep import Sweep
from cluster_interface.model.wishes import Checkpoint


class Sureness(StrEnum):
    """How far a guess may be trusted."""

    STATED = "stated"  #: somebody wrote it down: metadata, a requirements file, a shebang
    KNOWN = "known"  #: a well-known mapping
    LIKELY = "likely"  #: read from the code
    ASK = "ask"  #: do not act on it before a person has said yes


class Guess(Model):
    """One line of a proposal."""

    field: str  #: the spec's field it fills: environment.python.packages, files, command …
    value: str
    rests_on: str  #: "import yaml, line 3 (curated table)"
    sure: Sureness = Sureness.KNOWN


class Option(Model):
    """One option or argument of a script, for a form or a help text."""

    name: str  #: "--species" or, positional, "path"
    aliases: tuple[str, ...] = ()  #: its other names: "-s"
    positional: bool = False
    required: bool = False
    flag: bool = False  #: takes no value
    default: str | None = None
    choices: tuple[str, ...] = ()
    help: str = ""
    kind: str = "text"  #: text, int, float, path or, where it is one for sure, directory
    many: bool = False
    count: int = 0  #: exactly so many values; 0: as many as there are
    joined: bool = False  #: its value is part of the same word: --top=3
    repeat: bool = False  #: its name is written once for each of its many values
    command: str = ""  #: the subcommand that it belongs to
    written: str = ""  #: how the command has it where that is not its name: "-p alpha"


class Missing(Model):
    """What has to be given on the command line and was not."""

    names: tuple[str, ...]  #: "table", "--out"
    example: str  #: arguments with which it would be


class LeftOut(Model):
    """One thing that a batch script says and that could not be carried over."""

    line: int
    directive: str  #: "#SBATCH --mail-user=ada@example.org"
    why: str


class Proposal(Model):
    """What a script or a directory needs, as far as reading tells."""

    script: str | None = None
    name: str
    command: str  #: a ready command line, arguments included
    environment: Environment = Environment()
    inputs: tuple[str, ...] = ()  #: files that exist beside the script and that it reads
    outputs: tuple[str, ...] = ()  #: what it seems to write; shown, not required
    options: tuple[Option, ...] = ()
    suggestions: tuple[str, ...] = ()  #: ready command lines, with PLACEHOLDERS where only a person knows
    missing: Missing | None = None
    resources: dict[str, int | str | bool | tuple[str, ...]] = {}  #: what the directives of a batch script say
    sweep: Sweep | None = None  #: of an array job, whose index is the parameter `array`
    dialect: Literal["slurm", "gridengine", "pbs", "lsf"] | None = None
    checkpoint: Checkpoint | None = None
    left_out: tuple[LeftOut, ...] = ()  #: directives that were not carried over
    guesses: tuple[Guess, ...] = ()
    warnings: tuple[str, ...] = ()
