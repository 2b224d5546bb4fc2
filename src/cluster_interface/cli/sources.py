"""`clif credentials` and `clif data`: what sources need."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cluster_interface.cli.flags import as_json
from cluster_interface.cli.talk import ago, print_json, print_table, say
from cluster_interface.client import connect

#: kind -> what is asked for, hidden, in this order; those in brackets may be left empty
_ASKED = {
    "s3": ("access_key", "secret_key"),
    "sftp": ("password",),
    "token": ("token",),
    "password": ("password",),
    "globus": ("refresh_token",),
}


@click.group("credentials")
def credentials_command() -> None:
    """Your keys for sources that are not open to everybody. They are kept encrypted, and shown to nobody."""


@credentials_command.command("list")
@as_json
def list_credentials(*, json_: bool) -> None:
    """List your credentials, without what is secret in them."""
    with connect() as cluster:
        kept = cluster.credentials()
    if json_:
        print_json({"credentials": [one.model_dump(mode="json") for one in kept]})
        return
    rows = [
        [one.name, one.kind, one.match, ", ".join(f"{k}={v}" for k, v in one.shown.items()), ago(one.created)]
        for one in kept
    ]
    none = "none yet: clif credentials add NAME --kind … --match …"
    print_table(["name", "kind", "for", "shown", "kept"], rows, none=none)


@credentials_command.command("add")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(_ASKED)), required=True, help="What it is.")
@click.option(
    "--match", required=True, metavar="PLACE", help="What it is for: s3://bucket, sftp://host, https://host …"
)
@click.option("--username", help="Of sftp and password.")
@click.option("--private-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Of sftp: a file.")
@click.option("--host-key", help="Of sftp: the host's public key, as in known_hosts.")
@click.option("--endpoint", help="Of s3: where it is, if not at Amazon.")
@click.option("--region", help="Of s3.")
def add_credential(name: str, kind: str, match: str, private_key: Path | None, **parts: str | None) -> None:
    """Keep a credential NAME for the sources below PLACE.

    What is secret is asked for, or read from standard input, a line each; never given on the command line, where
    others could see it.
    """
    secret = {part: text for part, text in parts.items() if text}
    if private_key is not None:
        secret["private_key"] = private_key.read_text()
    for part in () if private_key else _ASKED[kind]:
        secret[part] = _ask(part.replace("_", " "))
    with connect() as cluster:
        cluster.add_credential(name, kind, match, secret)
    say(f"{name} is kept; jobs of yours use it for {match}")


@credentials_command.command("remove")
@click.argument("name")
def remove_credential(name: str) -> None:
    """Forget the credential NAME."""
    with connect() as cluster:
        cluster.remove_credential(name)
    say(f"{name} is forgotten")


@click.command("data")
@as_json
def data_command(*, json_: bool) -> None:
    """List the data that this site shares; a file entry or --input takes them by their source."""
    with connect() as cluster:
        shared = cluster.site_data()
    if json_:
        print_json({"data": [one.model_dump(mode="json") for one in shared]})
        return
    rows = [[one.source, one.version, one.license, one.description, one.path] for one in shared]
    none = "this site shares no data: its administrator lists some in the settings"
    print_table(["source", "version", "license", "description", "where"], rows, none=none)


def _ask(what: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, err=True))
    text = sys.stdin.readline().rstrip("\r\n")
    if not text:
        raise click.UsageError(f"standard input has no line for the {what}")
    return text
