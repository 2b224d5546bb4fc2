"""A person's keys for sources that are not open to everybody: what they are for, and the secret itself."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from cluster_interface.model.base import Model

LONGEST_SECRET = 32 * 1024  #: characters

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PORTS = {"http": 80, "https": 443, "sftp": 22}

#: kind -> the schemes it may be for, the parts it must have, those it may have
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "s3": (("s3",), ("access_key", "secret_key"), ("session_token", "endpoint", "region")),
    "sftp": (("sftp",), ("username",), ("password", "private_key", "passphrase", "host_key")),
    "token": (("https", "http"), ("token",), ()),
    "password": (("https", "http"), ("username", "password"), ()),
    "globus": (("globus",), ("refresh_token",), ()),
}
OPEN_PARTS = frozenset({"endpoint", "region", "username", "access_key", "host_key"})  #: what may be shown


class Credential(Model):
    """One key: its name, what it is for, and its parts."""

    name: str
    kind: Literal["s3", "sftp", "token", "password", "globus"]
    match: str = Field(description="what it is for: s3://bucket, sftp://host, https://host/path …")
    secret: dict[str, str] = Field(repr=False, description="access_key, secret_key; username, password; token …")

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("write letters, digits, `.`, `_` and `-`, at most 64")
        return value

    @field_validator("secret")
    @classmethod
    def _short(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not text or len(text) > LONGEST_SECRET:
                raise ValueError(f"{name} is empty or longer than {LONGEST_SECRET} characters")
            if name != "private_key" and any(ord(c) < 32 for c in text):
                raise ValueError(f"{name} has a control character in it")
        return value

    @model_validator(mode="after")
    def _of_its_kind(self) -> Credential:
        schemes, must, may = KINDS[self.kind]
        scheme, host, _port, _path = _parts(self.match)
        if scheme not in schemes or not host:
            raise ValueError(f"match {self.match!r}: write {' or '.join(f'{s}://…' for s in schemes)} for {self.kind}")
        if missing := [name for name in must if name not in self.secret]:
            raise ValueError(f"{self.kind} needs {', '.join(missing)}")
        if unknown := sorted(set(self.secret) - set(must) - set(may)):
            raise ValueError(f"{self.kind} has no {', '.join(unknown)}; it has {', '.join((*must, *may))}")
        if self.kind == "sftp" and not {"password", "private_key"} & set(self.secret):
            raise ValueError("sftp needs a password or a private_key")
        return self

    def fits(self, address: str) -> bool:
        """Say whether it is for an address: the same scheme, host and port, and a path below its own."""
        try:
            scheme, host, port, path = _parts(address)
            mine = _parts(self.match)
        except ValueError:
            return False
        below = path == mine[3] or path.startswith(f"{mine[3].rstrip('/')}/")
        return (scheme, host, port) == mine[:3] and below

    @property
    def shown(self) -> dict[str, str]:
        """Its parts as they may be shown: nothing secret."""
        return {name: text for name, text in self.secret.items() if name in OPEN_PARTS}


def _parts(address: str) -> tuple[str, str, int | None, str]:
    """Split an address into what is compared; ValueError where it is none."""
    split = urlsplit(address)
    if "/../" in f"{split.path}/":
        raise ValueError(f"{address!r} has `..` in it")
    return split.scheme, (split.hostname or "").lower(), split.port or _PORTS.get(split.scheme), split.path
