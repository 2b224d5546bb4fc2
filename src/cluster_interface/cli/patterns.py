"""`clif patterns`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cluster_interface.cli.flags import as_json
from cluster_interface.cli.talk import print_json, print_table, say
from cluster_interface.cli.terminal import plain
from cluster_interface.client import connect

if TYPE_CHECKING:
    from cluster_interface.wire import PatternView


@click.group("patterns")
def patterns_command() -> None:
    """The common kinds of job. `clif run --pattern NAME FIELD=VALUE…` runs one.

    \b
      clif patterns show blast
      clif run --pattern blast query=reads.fasta database=genes.fasta
      clif run --pattern blast --example
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines


@patterns_command.command("list")
@as_json
def list_patterns(*, json_: bool) -> None:
    """List the patterns."""
    with connect() as cluster:
        found = cluster.patterns()
    if json_:
        print_json({"patterns": [one.model_dump(mode="json") for one in found]})
        return
    rows = [[one.name, plain(one.summary), "the site's" if one.origin == "site" else ""] for one in found]
    print_table(["pattern", "does", ""], rows)


@patterns_command.command("show")
@click.argument("name")
@as_json
def show_pattern(name: str, *, json_: bool) -> None:
    """Show the fields of pattern NAME, and its example as a command line."""
    with connect() as cluster:
        found = cluster.pattern(name)
    if json_:
        print_json(found.model_dump(mode="json"))
        return
    click.echo(f"{plain(found.title)}: {plain(found.summary)}")
    print_table(["field", "kind", "", "means"], [_row(name, field) for name, field in found.fields.items()])
    click.echo(f"\n{_example(found)}\nruns its example; clif patterns example {found.name} DIR writes its files")
    if found.afterwards:
        click.echo(plain(found.afterwards))


@patterns_command.command("example")
@click.argument("name")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=".")
def write_example(name: str, directory: Path) -> None:
    """Write the files of NAME's example into DIRECTORY, and print the command that runs it. Overwrites nothing."""
    with connect() as cluster:
        found = cluster.pattern(name)
    directory.mkdir(parents=True, exist_ok=True)
    there = [file for file in found.example.files if (directory / file).exists()]
    if there:
        raise click.UsageError(f"{directory / there[0]} is there already; choose another directory")
    for file, text in found.example.files.items():
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
        (directory / file).write_text(text)
        say(str(directory / file))
    words = [f"{field}={value}" for field, given in found.example.values.items() for value in _each(given)]
    click.echo(shlex.join(["clif", "run", "--pattern", name, *words]))


@patterns_command.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check_pattern(file: Path) -> None:
    """Check FILE, a pattern that a site is about to add: its form, its spec and whether its example fits them."""
    from cluster_interface.patterns import read_pattern  # noqa: PLC0415 - yaml and the models, only for this

    found = read_pattern(file)
    click.echo(f"{file.name} is the pattern {found.name}: {plain(found.title)}")
    if not found.example.values:
        say("it has no example; with one, people can try it with one click, and this check says more", colour="yellow")


def _row(name: str, field: Any) -> list[str]:
    needed = "needed" if field.wanted else "" if field.default is None else f"else {field.default}"
    means = field.help or field.title
    if field.choices:
        means = f"{means} {'; '.join(f'{value}: {title}' for value, title in field.choices.items())}"
    return [name, field.kind.value, plain(needed), plain(means)]


def _example(found: PatternView) -> str:
    return f"clif run --pattern {found.name} --example"


def _each(value: Any) -> list[Any]:
    """Write a value as the words of a command line: a list as its members, lines as one each."""
    return value if isinstance(value, list) else [value]
