"""`clif images`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cluster_interface.cli.bars import Bars
from cluster_interface.cli.flags import as_json
from cluster_interface.cli.talk import Sink, ago, print_json, print_table, say
from cluster_interface.client import connect
from cluster_interface.client.specs import read_environment
from cluster_interface.model.amounts import show_bytes
from cluster_interface.model.resources import parse_memory

if TYPE_CHECKING:
    from cluster_interface.wire import ImageShow, ImageView


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
    none = "no images yet: the first job makes one"
    if sys.stdout.isatty():
        rows = [
            [image.key[:12], image.kind, show_bytes(image.size), ago(image.created), _holds(image)] for image in images
        ]
        print_table(["key", "kind", "size", "made", "holds"], rows, cut=True, none=none)
        return
    rows = [
        [image.key, image.kind, image.name, str(image.size), ago(image.created), ", ".join(image.packages[:6])]
        for image in images
    ]
    print_table(["key", "kind", "name", "size", "made", "packages"], rows)


def _holds(image: ImageView) -> str:
    """Say what is in an image: of a base its name too, of what was built on one the packages."""
    names = ", ".join(package.partition("==")[0] for package in image.packages)
    return f"{image.name}: {names}" if image.kind == "base" else names or image.name


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


@images_command.command("show")
@click.argument("key")
@click.option("--lock", is_flag=True, help="Print the lock alone: requirements with hashes, or conda's.")
@click.option("--sbom", is_flag=True, help="Print the bill of materials, CycloneDX 1.6.")
@as_json
def show_image(key: str, *, lock: bool, sbom: bool, json_: bool) -> None:
    """Show one image: what is in it, why, how large it is and who needs it. KEY may be how the key begins."""
    with connect() as cluster:
        if sbom:
            print_json(cluster.image_sbom(key))
            return
        found = cluster.image(key)
    if json_:
        print_json(found.model_dump(mode="json"))
    elif lock:
        click.echo(found.lock.requirements + found.lock.conda + "".join(f"{line}\n" for line in found.lock.r), nl=False)
    else:
        _describe(found)


def _describe(found: ImageShow) -> None:
    image, lock = found.image, found.lock
    print_table(
        ["", ""],
        [
            ["image", image.key],
            ["made", ago(image.created)],
            ["used", ago(image.used)],
            ["base", lock.origin or f"{lock.suite or 'imported'} {lock.base[:24]}"],
            ["python", lock.python],
            ["sizes", ", ".join(f"{name} {show_bytes(size)}" for name, size in found.sizes.items())],
            ["faces", ", ".join(image.faces)],
            ["system", " ".join(lock.system)],
            ["packages", " ".join(lock.packages)],
            *(["added", reason] for reason in lock.why),
            *(["warning", warning] for warning in lock.warnings),
            *([["setup", lock.setup]] if lock.setup else []),
            ["needed by", " ".join(found.jobs) or "no job that waits or runs"],
        ],
    )


@images_command.command("log")
@click.argument("key")
def show_log(key: str) -> None:
    """Print the log of an image's last build, of a failed one too. KEY may be how the key begins."""
    with connect() as cluster:
        log = cluster.image_log(key)
    sink = Sink(sys.stdout)
    sink.write(log.encode())
    sink.end()


@images_command.command("export")
@click.argument("key")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--as",
    "form",
    type=click.Choice(["docker", "oci", "apptainer", "dockerfile"]),
    default="docker",
    show_default=True,
    help="What it is for; each is one tar.",
)
def export_image(key: str, file: Path, form: str) -> None:
    """Write the image KEY into FILE, to be loaded or built elsewhere."""
    with connect() as cluster:
        cluster.export_image(key, form, file)
    say(f"{file}: {show_bytes(file.stat().st_size)}; {_HOW[form]}")


_HOW = {
    "docker": "`docker load -i` or `podman load -i` takes it",
    "oci": "`skopeo copy oci-archive:FILE …` and `podman load -i` take it",
    "apptainer": "unpack it, then `apptainer build image.sif image.def`",
    "dockerfile": "unpack it, then `docker build .`",
}


@images_command.command("prune")
@click.option("--older-than", default="30d", show_default=True, help="Not used for so long.")
@click.option("--larger-than", default="0", help="At least so large, such as 500MiB.")
@click.option("--keep", default=0, help="So many of those used last stay in any case.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@as_json
def prune_images(older_than: str, larger_than: str, keep: int, *, dry_run: bool, json_: bool) -> None:
    """Remove images that no unfinished job needs; all but imported bases can be made again."""
    size = 0 if larger_than == "0" else parse_memory(larger_than)
    with connect() as cluster:
        done = cluster.prune_images(older_than=older_than, larger_than=size, keep=keep, dry_run=dry_run)
    if json_:
        print_json(done.model_dump(mode="json"))
        return
    for image in done.images:
        click.echo(f"{image.key}  {show_bytes(image.size)}  {image.name}")
    more = [(done.packages, "installed packages"), (done.wheels, "wheels made of sources")]
    said = [
        f"{len(done.images)} {'would go' if dry_run else 'removed'}",
        show_bytes(sum(image.size for image in done.images)),
        *(f"{count} {what} that nothing needs any more" for count, what in more if count),
    ]
    say(", ".join(said))
    for left in done.left:
        say(f"not removed: {left}")


@images_command.command("build")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json
def build_image(file: Path, *, json_: bool) -> None:
    """Build the environment that FILE describes (YAML or JSON) before a job asks for it; print the image's key."""
    environment, files = read_environment(file)
    with connect() as cluster:
        key = cluster.build_image(environment, files, say if sys.stderr.isatty() else None)
    if json_:
        print_json({"image": key})
        return
    click.echo(key)
