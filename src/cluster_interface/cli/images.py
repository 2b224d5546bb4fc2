"""`clif images`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cluster_interface.cli.bars import Bars
from cluster_interface.cli.flags import as_json
from cluster_interface.cli.talk import ago, print_json, print_table, say
from cluster_interface.client import connect
from cluster_interface.model.amounts import show_bytes


@click.group("images")
def images_command() -> None:
    """The images that jobs run in: bases, and what was built on them."""


@images_command.command("list")
@as_json
def list_images(*, json_: bool) -> None:
    """List bases and images, newest first."""
    with connect() as cluster:
        images = cluster.images()
    if json_:
        print_json({"images": [image.model_dump(mode="json") for image in images]})
        return
    rows = [
        [
            image.key,
            image.kind,
            image.name,
            show_bytes(image.size) if sys.stdout.isatty() else str(image.size),
            ago(image.created),
            ", ".join(image.packages[:6]) + (", …" if len(image.packages) > 6 else ""),
        ]
        for image in images
    ]
    print_table(["key", "kind", "name", "size", "made", "packages"], rows)


@images_command.command("import-base")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("name")
@as_json
def import_base(file: Path, name: str, *, json_: bool) -> None:
    """Take FILE, a root filesystem in a tar made elsewhere, as the base NAME."""
    with connect() as cluster, Bars() as bars:
        image = cluster.import_base(file, name, bars.file)
    if json_:
        print_json(image.model_dump(mode="json"))
        return
    say(f"base {image.name} is there ({show_bytes(image.size)}); a spec asks for it with environment.base")
    click.echo(image.key)
