"""The few requests to the Docker Engine that images need, over its own socket: the command line costs 30 ms each.

Format: Docker Engine API v1.41, https://docs.docker.com/reference/api/engine/version/v1.41/ (Image).
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode, urlsplit

from cluster_interface.model.errors import Permanent, Transient

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

DEFAULT = "unix:///var/run/docker.sock"
_CHUNK = 1 << 20
_ANSWER = 10.0  #: seconds for a small question
_LOGS, _MSG, _WITH_LENGTH = 3, 4, 2  #: fields of moby.buildkit.v1.StatusResponse and VertexLog, a wire type
_LOAD = 3600.0  #: seconds in which the engine must take in an image


class LoadFailed(Exception):
    """The engine did not take an archive."""


class BuildFailed(Exception):
    """The engine could not build a Dockerfile; the text is its log."""


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

    def build(self, context: bytes, tag: str, *, network: str, log: Path, buildkit: bool = True) -> None:
        """Build a context with BuildKit (the older builder where it is not there, or not wanted) and name the result.

        BuildFailed with the log. Transient if the engine is away.
        """
        query = {"t": tag, "networkmode": network, "forcerm": "1", "version": "2" if buildkit else "1"}
        said = self._build(context, query)
        if "BuildKit" in said[-500:] and re.search(r"not supported|not enabled|session", said[-500:]):
            said = self._build(context, {**query, "version": "1"})
        with log.open("a") as file:
            file.write(said)
        if "\nerror: " in said:
            raise BuildFailed(said)

    def _build(self, context: bytes, query: dict[str, str]) -> str:
        connection = self._connection(_LOAD)
        headers = {"Host": "docker", "Content-Type": "application/x-tar"}
        try:
            connection.request("POST", f"/build?{urlencode(query)}", body=context, headers=headers)
            response = connection.getresponse()
            body = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise self._away(error) from None
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            return f"\nerror: {body}"
        return "".join(map(_said, filter(str.strip, body.splitlines())))

    @contextmanager
    def save(self, name: str) -> Iterator[IO[bytes]]:
        """Stream an image out of the engine, as of `docker save`."""
        connection = self._connection(_LOAD)
        try:
            connection.request("GET", f"/images/{quote(name)}/get", headers={"Host": "docker"})
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise Transient(f"the Docker engine does not give {name}: {response.read()[:200]!r}")
            yield cast("IO[bytes]", response)
        except http.client.HTTPException as error:
            raise self._away(error) from None
        finally:
            connection.close()

    def remove(self, name: str) -> bool:
        """Forget an image; False if a container still uses it. No error if there is none; Transient if it is away."""
        connection = self._connection(_ANSWER)
        try:
            connection.request("DELETE", f"/images/{quote(name)}", headers={"Host": "docker"})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._away(error) from None
        finally:
            connection.close()
        return response.status in (http.HTTPStatus.OK, http.HTTPStatus.NOT_FOUND)

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


def _said(line: str) -> str:
    """Read a line of a build's answer: text, an error, or a step of BuildKit's (moby.buildkit.v1.StatusResponse)."""
    message = json.loads(line)
    if said := message.get("error"):
        return f"\nerror: {said}\n"
    if text := message.get("stream"):
        return str(text)
    if message.get("id") == "moby.buildkit.trace":
        return _texts(base64.b64decode(message.get("aux") or ""))
    return ""


def _texts(trace: bytes) -> str:
    """Take what programs printed out of a StatusResponse: its logs (3), and their msg (4)."""
    logs = (log for number, log in _fields(trace) if number == _LOGS)
    return "".join(text.decode(errors="replace") for log in logs for number, text in _fields(log) if number == _MSG)


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the fields of a protobuf message that have a length; https://protobuf.dev/programming-guides/encoding/."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == _WITH_LENGTH:
            size, at = _varint(data, at)
            yield tag >> 3, data[at : at + size]
            at += size
        elif tag & 7 == 0:
            _, at = _varint(data, at)
        else:
            at += 8 if tag & 7 == 1 else 4


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            break
    return value, at


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout, blocksize=_CHUNK)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
