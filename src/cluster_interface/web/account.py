"""A person's own page: how much room their jobs hold, how long files are kept, and the keys they have given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.credential import KINDS, OPEN_PARTS
from cluster_interface.wire import CredentialView

if TYPE_CHECKING:
    from cluster_interface.service import Service
    from cluster_interface.wire import Me

_TITLES = {
    "s3": "S3 storage",
    "sftp": "SFTP server",
    "token": "Web or git server, by a token",
    "password": "Web or git server, by user name and password",
    "globus": "Globus",
}
_EXAMPLES = {
    "s3": "s3://lab-data",
    "sftp": "sftp://archive.example.edu",
    "token": "https://git.example.edu",
    "password": "https://data.example.edu/private",
    "globus": "globus://COLLECTION",
}
_LABELS = {
    "username": "User name",
    "host_key": "The host's key, as in known_hosts",
    "endpoint": "Endpoint",
    "passphrase": "Passphrase of the key",
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One field of the form for a key."""

    name: str
    label: str
    needed: bool
    secret: bool
    long: bool  #: of several lines


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of key, as the form offers it."""

    name: str
    title: str
    example: str  #: of what it may be for
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class Account:
    """What the page shows."""

    me: Me
    kinds: tuple[Kind, ...]
    titles: dict[str, str]
    credentials: tuple[CredentialView, ...]


def account_of(service: Service, user: str) -> Account:
    """Read what there is to show of a person, nothing secret among it."""
    kept = service.credentials.all(user)
    return Account(
        me=service.me(user),
        kinds=tuple(_kind(name) for name in KINDS),
        titles=_TITLES,
        credentials=tuple(CredentialView.of(one.credential, one.created) for one in kept),
    )


def _kind(name: str) -> Kind:
    schemes, must, may = KINDS[name]
    parts = tuple(
        Part(
            name=part,
            label=_LABELS.get(part, part.replace("_", " ").capitalize()),
            needed=part in must,
            secret=part not in OPEN_PARTS,
            long=part in ("private_key", "host_key"),
        )
        for part in (*must, *may)
    )
    return Kind(name=name, title=_TITLES.get(name, name), example=_EXAMPLES.get(name, f"{schemes[0]}://…"), parts=parts)
