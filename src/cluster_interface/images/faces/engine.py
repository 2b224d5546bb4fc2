"""The few requests to the Docker Engine that images need, over its own socket: the command line costs 30 ms each.

Format: Docker Engine API v1.41, https://docs.docker.com/reference/api/engine/version/v1.41/ (Image).
"""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from cluster_interface.model.errors import Permanent, Transient

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT = "unix:///var/run/docker.sock"
_CHUNK = 1 << 20
_ANSWER = 10.0  #: seconds for a small question
_LOAD = 3600.0  #: seconds in which the engine must take in an image


class LoadFailed(Exception):
    """The engine did not take an archive."""


class Engine:
    """The Docker Engine at DOCKER_HOST: unix:///path or tcp://host:port."""

    def __init__(self, host: str | None) -> None:
        self._host = host or DEFAULT

    def image(self, name: str) -> dict[str, Any] | None:
        """Inspect an image; None if the engine has none of that name. Transient if it does not answer."""
        connection = self._connection(_ANSWER)
        try:
            connection.request("GET", f"/images/{quote(name)}/json", headers={"Host": "docker"})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._away(error) from None
        finally:
            connection.close()
        if response.status == http.HTTPStatus.NOT_FOUND:
            return None
        if response.status != http.HTTPStatus.OK:
            raise Transient(f"the Docker engine answers {response.status}: {body[:200].decode(errors='replace')}")
        return dict(json.loads(body))

    def load(self, archive: Iterable[bytes]) -> None:
        """Stream an archive (as of `docker save`) into the engine. LoadFailed in the engine's words."""
        connection = self._connection(_LOAD)
        try:
            connection.request(
                "POST",
                "/images/load?quiet=1",
                body=archive,
                headers={"Host": "docker", "Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"},
                encode_chunked=True,
            )
            said = self._answer(connection)
        except (BrokenPipeError, ConnectionResetError):
            said = self._answer(connection)  # it refused before the end
        except (OSError, http.client.HTTPException) as error:
            raise self._away(error) from None
        finally:
            connection.close()
        if said:
            raise LoadFailed(said)

    def _answer(self, connection: http.client.HTTPConnection) -> str:
        """Read the engine's answer to a load; empty if it went well."""
        try:
            response = connection.getresponse()
            body = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise self._away(error) from None
        if response.status != http.HTTPStatus.OK:
            return f"{response.status}: {body[:500]}"
        for line in body.splitlines():
            message = json.loads(line) if line.strip() else {}
            if said := message.get("error"):
                return str(said)
        return ""

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        address = urlsplit(self._host)
        if address.scheme == "unix":
            return _UnixConnection(address.path, timeout)
        if address.scheme in ("tcp", "http") and address.hostname:
            return http.client.HTTPConnection(address.hostname, address.port or 2375, timeout=timeout)
        raise Permanent(f"DOCKER_HOST={self._host}: write unix:///path or tcp://host:port")

    def _away(self, error: Exception) -> Transient:
        return Transient(f"the Docker engine at {self._host} does not answer: {error}")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout, blocksize=_CHUNK)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
