"""`clif capsule`."""

from __future__ import annotations

from pathlib import Path

import click

from cluster_interface.cli.bars import Bars
from cluster_interface.cli.flags import as_json
from cluster_interface.cli.talk import print_json, say
from cluster_interface.client import connect
from cluster_interface.model.amounts import show_bytes


@click.command("capsule")
@click.argument("job")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@as_json
def capsule_command(job: str, file: Path, *, json_: bool) -> None:
    """Write JOB, which has ended, into FILE.tar: one image with its software, its files and its command.

    Wherever there is Docker or podman it runs again, with nothing of ours; `clif submit FILE.tar` makes it a new job.
    Of many tasks the capsule holds all; a number after the image's name runs one of them.

    \b
      clif capsule last analysis.tar
      docker load < analysis.tar
      docker run --rm --network none -v "$PWD/again:/job" cluster-interface/capsule:JOB
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    with connect() as cluster:
        found = cluster.job(job)
        with Bars() as bars:
            written = found.capsule(file, lambda done: bars.update("capsule", done, None, "bytes"))
    size, name = written.stat().st_size, f"cluster-interface/capsule:{found.id}"
    if json_:
        print_json({"file": str(written), "size": size, "image": name, "job": found.id})
        return
    say(f"{written} is there ({show_bytes(size)}). To run it:")
    click.echo(f'docker load < {written}\ndocker run --rm --network none -v "$PWD/again:/job" {name}')
