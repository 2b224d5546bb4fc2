"""`sftp://HOST/path`: a file on another machine, over SSH, with a key or a password of the owner's.

The host must prove who it is by a key that is known: the one that the credential holds, or the site's list.
"""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from cluster_interface.model.filetree import MOST_MEMBERS
from cluster_interface.staging.acting import as_the_server
from cluster_interface.staging.cache import Cache, Origin
from cluster_interface.staging.parts import CHUNK
from cluster_interface.staging.sources.kinds import Away, Found, Member, unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from cluster_interface.model.credential import Credential
    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.sources.keys import Keys
    from cluster_interface.staging.web import Web

log = structlog.get_logger()

PORT = 22
WINDOW = 32  #: requests of 32 KiB that are under way at once


@dataclass(frozen=True)
class Hosts(Away):
    """Files on hosts that speak SFTP."""

    web: Web  #: whose guard, patience and time it shares
    cache: Cache
    keys: Keys
    known_hosts: Path | None = None

    def measure(self, source: str, owner: str) -> Found:
        """Ask for its size."""
        return Found(size=self._look(source, owner)[0])

    def origin(self, source: str, owner: str) -> Origin:
        """Say what version is there by size and time; it is its owner's alone, as the key is."""
        size, validator = self._look(source, owner)
        del size
        return Origin(address=source, validator=validator, owner=owner)

    def fetch(self, source: str, owner: str, part: Part) -> None:
        """Bring it, going on from what is there while size and time are the same."""
        if part.note.get("address") == source:
            part.resume()
        else:
            part.restart()
        self._persistently(source, lambda: self._fetch(source, owner, part), lambda: part.size)

    def members(self, source: str, owner: str) -> Iterator[Member]:
        """List the files and links below a directory; Permanent if there is anything else."""
        host, top = parse(source)
        del host
        with as_the_server():
            found = self._persistently(
                source, lambda: list(self._walk(source, owner, top.rstrip("/") or "/")), lambda: 0
            )
        base = source.rstrip("/")
        for inside, entry, target in sorted(found, key=itemgetter(0)):
            program = target is None and bool(entry.st_mode & 0o100)
            yield Member(path=inside, source=f"{base}/{inside}", size=entry.st_size, executable=program, target=target)

    def session(self, source: str, owner: str) -> AbstractContextManager[Any]:
        """Log in for as long as the context lasts; gives the client of the SFTP library."""
        return self._session(source, owner)

    def _look(self, source: str, owner: str) -> tuple[int, str]:
        def look() -> tuple[int, str]:
            with self._session(source, owner) as sftp:
                seen = sftp.stat(parse(source)[1])
                if not stat.S_ISREG(seen.st_mode):
                    raise unavailable(f"{source} is not a regular file")
                return seen.st_size, f"{seen.st_size}-{seen.st_mtime}"

        with as_the_server():
            found: tuple[int, str] = self._persistently(source, look, lambda: 0)
        return found

    def _fetch(self, source: str, owner: str, part: Part) -> None:
        with self._session(source, owner) as sftp, sftp.open(parse(source)[1], "rb") as file:
            seen = file.stat()
            validator = f"{seen.st_size}-{seen.st_mtime}"
            if part.size and (part.note.get("validator") != validator or part.size > seen.st_size):
                part.restart()
            part.check_limit(seen.st_size)
            part.note = {"address": source, "validator": validator}
            file.seek(part.size)
            file.prefetch(seen.st_size, max_concurrent_requests=WINDOW)
            while data := file.read(CHUNK):
                part.write(data)
            if part.size != seen.st_size:
                raise EOFError(f"only {part.size} of {seen.st_size} bytes came")

    def _walk(self, source: str, owner: str, top: str) -> Iterator[tuple[str, Any, str | None]]:
        """Yield path, attributes and, of a link, its target."""
        with self._session(source, owner) as sftp:
            left, count = [""], 0
            while left:
                below = left.pop()
                for entry in sftp.listdir_attr(f"{top}/{below}".rstrip("/") or "/"):
                    inside = f"{below}/{entry.filename}".lstrip("/")
                    count += 1
                    if count > MOST_MEMBERS:
                        raise unavailable(f"{source} holds more than {MOST_MEMBERS:,} entries")
                    if stat.S_ISDIR(entry.st_mode):
                        left.append(inside)
                    elif stat.S_ISREG(entry.st_mode):
                        yield inside, entry, None
                    elif stat.S_ISLNK(entry.st_mode):
                        yield inside, entry, sftp.readlink(f"{top}/{inside}")
                    else:
                        raise unavailable(f"{source}: {inside!r} in it is a fifo, a socket or a device")

    def _persistently(self, source: str, ask: Callable[[], Any], reached: Callable[[], int]) -> Any:
        paramiko = _library()
        for _ in self.web.tries(reached):
            try:
                return ask()
            except paramiko.AuthenticationException:
                raise unavailable(f"{source}: the host refuses the credential; see `clif credentials list`") from None
            except FileNotFoundError:
                raise unavailable(f"{source}: there is no such file") from None
            except PermissionError:
                raise unavailable(f"{source}: permission denied on that host") from None
            except (OSError, EOFError, paramiko.SSHException) as error:
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                log.warning("sftp", source=source, failed=reason)
        raise unavailable(f"{source} could not be fetched: {reason}")

    @contextmanager
    def _session(self, source: str, owner: str) -> Iterator[Any]:
        paramiko = _library()
        where, _ = parse(source)
        key = self.keys.of(owner, source)
        if key is None:
            host = source.removeprefix("sftp://").partition("/")[0]  # with its port, as the credential must have it
            words = f"add yours with `clif credentials add NAME --kind sftp --match sftp://{host} …`"
            raise unavailable(f"{source} needs a credential: {words}")
        connection = self.web.guard.connect(where[0], where[1], self.web.timeout)
        transport = paramiko.Transport(connection)
        transport.banner_timeout = transport.auth_timeout = self.web.timeout
        try:
            transport.start_client(timeout=self.web.timeout)
            self._must_know(where, transport.get_remote_server_key(), key)
            _log_in(paramiko, transport, key)
            sftp = paramiko.SFTPClient.from_transport(transport)
            sftp.get_channel().settimeout(self.web.timeout)
            yield sftp
        finally:
            transport.close()

    def _must_know(self, where: tuple[str, int], key: Any, credential: Credential) -> None:
        """Refuse a host that does not prove itself: somebody else may stand there."""
        text = f"{key.get_name()} {key.get_base64()}"
        if held := credential.secret.get("host_key"):
            if " ".join(held.split()[:2]) != text:
                raise unavailable(f"{where[0]} shows another key than the credential {credential.name} holds for it")
            return
        name = where[0] if where[1] == PORT else f"[{where[0]}]:{where[1]}"
        if self.known_hosts is not None:
            known = _library().HostKeys(str(self.known_hosts))
            if known.check(name, key):
                return
        print_ = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
        raise unavailable(
            f"the host key of {name} is not known; if {key.get_name()} SHA256:{print_} is right, add "
            f"`--host-key '{text}'` to the credential {credential.name}"
        )


def _library() -> Any:
    try:
        import paramiko  # noqa: PLC0415 - an optional library, 0.3 s to import
    except ImportError:
        words = "this server cannot speak SFTP: its administrator can install `cluster-interface[sftp]`"
        raise unavailable(words) from None
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # it would print the traceback of all that it raises, too
    return paramiko


def _log_in(paramiko: Any, transport: Any, credential: Credential) -> None:
    secret = credential.secret
    user = secret["username"]
    if "private_key" not in secret:
        transport.auth_password(user, secret["password"])
        return
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            key = kind.from_private_key(io.StringIO(secret["private_key"]), password=secret.get("passphrase"))
        except (paramiko.SSHException, ValueError):
            continue
        transport.auth_publickey(user, key)
        return
    raise unavailable(f"the private key of the credential {credential.name} cannot be read (a wrong passphrase?)")


def parse(source: str) -> tuple[tuple[str, int], str]:
    """Split `sftp://host[:port]/path`; Permanent where it is none."""
    try:
        split = urlsplit(source)
        port = split.port or PORT
    except ValueError:
        raise unavailable(f"{source} is not an address") from None
    path = source.partition("://")[2].partition("/")[2]
    if not split.hostname or not path or split.username is not None:
        raise unavailable(f"{source}: write sftp://host/path; the user's name belongs to the credential")
    return (split.hostname, port), f"/{path}"
