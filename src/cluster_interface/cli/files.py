"""`clif files`: a directory as a document, a document as a directory, and how the two differ."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import click

from cluster_interface.cli.app import leave
from cluster_interface.cli.talk import print_json, say
from cluster_interface.cli.terminal import plain
from cluster_interface.client import files
from cluster_interface.model.amounts import show_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.model.filetree import FileTree

_PLACE = click.Path(file_okay=False, path_type=Path)
_TREE = click.Path(exists=True, path_type=Path)
_ALL = click.option("--all", "everything", is_flag=True, help="Also what .gitignore and .clusterignore name.")
_QUICK = click.option("--no-checksums", "quick", is_flag=True, help="Look at sizes alone: do not read the files.")
MOST_LINES = 200  #: of one kind; the rest is counted


@click.group("files")
def files_command() -> None:
    """File trees: describe a directory, make one, or compare one with what it should be. Needs no server.

    TREE is a document (JSON or YAML, a job spec, the older form with subdirs and subfiles) or a BagIt bag.
    """


@files_command.command("describe")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--source", type=click.Choice(["file", "upload"]), help="Give each file one: its path, or an upload.")
@_ALL
@_QUICK
@click.option("--json", "json_", is_flag=True, help="Write JSON.")
@click.option("--yaml", "yaml_", is_flag=True, help="Write YAML (the default).")
def describe(
    directory: Path,
    *,
    source: Literal["file", "upload"] | None,
    everything: bool,
    quick: bool,
    json_: bool,
    yaml_: bool,
) -> None:
    """Write the tree of what is in DIRECTORY: sizes, checksums, permissions, links."""
    if json_ and yaml_:
        raise click.UsageError("--json and --yaml: choose one")
    with _Counter("read") as counter:
        tree = files.describe(
            directory, checksums=not quick, everything=everything, source=source, progress=counter.add
        )
    document = document_of(tree)
    if json_:
        print_json(document)
        return
    import yaml  # noqa: PLC0415 - 30 ms, only for those who want it

    readable = not sys.stdout.isatty()  # a terminal might obey what is in a name
    click.echo(yaml.dump(document, Dumper=_dumper(yaml), sort_keys=False, allow_unicode=readable, width=2000), nl=False)


def document_of(tree: FileTree) -> dict[str, Any]:
    """Return a tree as it is written down: what is said of each entry and nothing else."""
    entries = {name: entry.model_dump(mode="json", exclude_defaults=True) for name, entry in tree.files.items()}
    return {"apiVersion": 1, "files": entries}


def _dumper(yaml: Any) -> Any:
    return getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@files_command.command("create")
@click.argument("tree", type=_TREE)
@click.argument("directory", type=_PLACE)
def create(tree: Path, directory: Path) -> None:
    """Make TREE in DIRECTORY, from wherever its files are. What is there already and right stays."""
    with _Counter("in place") as counter:
        files.create(tree, directory, progress=counter.add)


@files_command.command("check")
@click.argument("tree", type=_TREE)
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_ALL
@_QUICK
@click.option("--json", "json_", is_flag=True, help="Write JSON.")
def check(tree: Path, directory: Path, *, everything: bool, quick: bool, json_: bool) -> None:
    """Compare DIRECTORY with TREE: what is missing, extra or changed. Exit status 1 if anything is."""
    with _Counter("looked at") as counter:
        found = files.check(tree, directory, checksums=not quick, everything=everything, progress=counter.add)
    if json_:
        print_json({"missing": list(found.missing), "extra": list(found.extra), "changed": dict(found.changed)})
    else:
        _show("missing", found.missing)
        _show("extra", found.extra)
        _show("changed", [f"{name}: {why}" for name, why in found.changed])
    if found:
        leave(1)


def _show(title: str, lines: Sequence[str]) -> None:
    for line in lines[:MOST_LINES]:
        click.echo(f"{title}\t{plain(line)}")
    if len(lines) > MOST_LINES:
        click.echo(f"{title}\t… and {len(lines) - MOST_LINES:,} more")


class _Counter:
    """Says at the end, and on a terminal meanwhile, how much was gone through."""

    def __init__(self, word: str) -> None:
        self._word, self._count, self._size = word, 0, 0
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._shown:
            click.echo("\r\033[K", nl=False, err=True)
        if kind is None:
            say(
                f"{self._word}: {self._count:,} {'entry' if self._count == 1 else 'entries'}, {show_bytes(self._size)}",
                dim=True,
            )

    def add(self, name: str, size: int) -> None:
        self._count += 1
        self._size += size
        if self._shown and self._count % 50 == 0:
            click.echo(f"\r\033[K{self._count:,}  {plain(name)[-60:]}", nl=False, err=True)
