"""Where the server is: an http(s) URL, or the Unix socket of the one that runs for this account."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cluster_interface.locations import SOCKET, config_file, runtime_directory
from cluster_interface.model.errors import Rejected

VARIABLE = "CLIF_SERVER"
RUNTIME = "CLIF_SERVER__RUNTIME"  #: the setting server.runtime in the environment


@dataclass(frozen=True, kw_only=True)
class Address:
    """A server's address: either a socket's path, or host and port."""

    socket: Path | None = None
    host: str = "localhost"
    port: int | None = None
    secure: bool = False
    prefix: str = ""  #: the path that the server's own stand behind

    def __str__(self) -> str:
        """Show it to a person."""
        if self.socket is not None:
            return str(self.socket)
        port = f":{self.port}" if self.port else ""
        return f"{'https' if self.secure else 'http'}://{self.host}{port}{self.prefix}"


def find_address(url: str | None = None) -> Address:
    """Return the address from the argument, else from CLIF_SERVER, else this account's socket; Rejected if odd."""
    given = url or os.environ.get(VARIABLE)
    if given:
        return _parse(given, "url" if url else VARIABLE)
    return Address(socket=_own_socket())


def _own_socket() -> Path:
    """Where nothing is configured, say so without loading the settings: their models cost 50 ms at every command."""
    if not config_file(os.environ).exists():
        return Path(os.environ.get(RUNTIME) or runtime_directory()) / SOCKET
    from cluster_interface.settings import load  # noqa: PLC0415 - as said above

    return load()[0].socket


def _parse(text: str, field: str) -> Address:
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        host, port, url = None, None, urlsplit("")
    if url.scheme not in ("http", "https") or not host or url.query or url.fragment or url.username:
        raise Rejected.field(field, f"{text[:200]!r} is not a server's address; write https://HOST or http://HOST:PORT")
    return Address(host=host, port=port, secure=url.scheme == "https", prefix=url.path.rstrip("/"))
