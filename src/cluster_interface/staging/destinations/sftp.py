"""`sftp://HOST/path`: a directory on another machine, over SSH, with the owner's key; the host must prove itself."""

from __future__ import annotations

import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster_interface.model.errors import Permanent, Transient
from cluster_interface.staging.destinations.kinds import AtOnce
from cluster_interface.staging.sources.sftp import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_interface.staging.destinations.kinds import Errand, Item
    from cluster_interface.staging.sources.sftp import Hosts

PIECE = 32 * 1024  #: bytes of one request, the most that every server takes (draft-ietf-secsh-filexfer-02, 3)


@dataclass(frozen=True)
class HostPlaces:
    """Directories on hosts that speak SFTP."""

    hosts: Hosts

    @contextmanager
    def opened(self, errand: Errand) -> Iterator[HostPlace]:
        """Log in."""
        to = errand.to
        with _words(to), self.hosts.session(to, errand.owner) as sftp:
            yield HostPlace(sftp, parse(to)[1].rstrip("/"), to)


@dataclass(frozen=True)
class HostPlace(AtOnce):
    """A directory on a host, over an open session."""

    sftp: Any
    home: str
    to: str

    def has(self, item: Item) -> bool:
        """Say whether a regular file of that size and time is there."""
        with _words(self.to):
            try:
                seen = self.sftp.lstat(f"{self.home}/{item.name}")
            except FileNotFoundError:
                return False
        return bool(stat.S_ISREG(seen.st_mode) and (seen.st_size, seen.st_mtime) == (item.output.size, item.mtime))

    def put(self, item: Item) -> None:
        """Write it beside its place, see that all of it is there, and rename it."""
        temporary, final = f"{self.home}/{item.temporary}", f"{self.home}/{item.name}"
        with _words(self.to):
            self._make(final.rpartition("/")[0])
            with self.sftp.open(temporary, "wb") as file:
                file.set_pipelined(pipelined=True)
                for data in item.chunks():
                    file.write(data)
            if self.sftp.stat(temporary).st_size != item.output.size:
                raise Transient(f"{self.to}: {item.name} did not arrive whole")
            self.sftp.utime(temporary, (item.mtime, item.mtime))
            self._rename(temporary, final)

    def _make(self, path: str) -> None:
        """Make a directory and those above it that are not there."""
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(self.sftp.stat(path).st_mode):
                return
        above = path.rpartition("/")[0]
        if above:
            self._make(above)
        try:
            self.sftp.mkdir(path)
        except OSError:
            if not stat.S_ISDIR(self.sftp.stat(path).st_mode):
                raise

    def _rename(self, old: str, new: str) -> None:
        """Replace at once where the server can (posix-rename@openssh.com), else remove the older file first."""
        try:
            self.sftp.posix_rename(old, new)
        except OSError:
            with suppress(FileNotFoundError):
                self.sftp.remove(new)
            self.sftp.rename(old, new)


@contextmanager
def _words(to: str) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise Permanent(f"{to}: permission denied on that host") from None
    except FileNotFoundError as error:
        raise Permanent(f"{to}: {error.strerror or error}") from None
    except (OSError, EOFError) as error:
        raise Transient(f"{to}: {error}") from None
    except Exception as error:
        kind = type(error)
        if not kind.__module__.startswith("paramiko"):
            raise
        if kind.__name__ in ("AuthenticationException", "BadAuthenticationType"):
            raise Permanent(f"{to}: the host refuses the credential; see `clif credentials list`") from None
        raise Transient(f"{to}: {error}") from None
