"""What is brought in, mounted, delivered, kept and shared."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from cluster_interface.model.base import Model
from cluster_interface.model.resources import GIB, Memory, Seconds


class SharedData(Model):
    """One data set that the site shares with its people, as `site:NAME`."""

    path: Path = Field(description="where it lies: a directory or a file")
    version: str = Field(default="", description="for people")
    license: str = Field(default="", description="for people: a name or an address")
    description: str = Field(default="", description="one line, for people")
    readers: tuple[str, ...] = Field(default=("*",), description="user names who may read it; `*`: everybody")

    def may_read(self, owner: str) -> bool:
        """Say whether the catalogue lets a person read it; the files' own permissions count all the same."""
        return "*" in self.readers or owner in self.readers


class GlobusSettings(Model):
    """The site's client and collection of Globus. Null: there is none."""

    client_id: str | None = Field(default=None, description="of the application that the site registered")
    client_secret_file: Path | None = Field(default=None, description="for those without a token of their own, 0600")
    collection: str | None = Field(default=None, description="UUID of the site's collection")
    root: Path | None = Field(default=None, description="where its `/` lies on this machine")

    @property
    def complete(self) -> bool:
        """Whether the site can have anything transferred."""
        return None not in (self.client_id, self.collection, self.root)


class Staging(Model):
    """What may be brought in, from where, and how much of it."""

    max_bytes: Memory = Field(default=100 * GIB, description="largest single input")
    timeout: Seconds = Field(default=60, description="without a byte from a source")
    keep_uploads: Seconds = Field(default=14 * 86400, description="that an upload is kept which nobody uses")
    allowed_networks: tuple[str, ...] = Field(default=(), description="private networks that sources may be in")
    copy_below: Memory = Field(default=64 * 2**20, description="larger inputs are linked, not copied")
    ca_bundle: Path | None = Field(default=None, description="PEM file for https sources; null: the system's own")
    parallel: int = Field(default=4, ge=1, le=64, description="inputs of one job that are brought at the same time")
    cache: Path | None = Field(default=None, description="what was downloaded; null: <workspace>/.cache")
    cache_bytes: Memory = Field(default=100 * GIB, description="that downloads may hold; the oldest go first")
    git_time: Seconds = Field(default=1800, description="seconds that fetching one repository may take")
    zenodo: str = Field(default="https://zenodo.org", description="whose REST API resolves doi: sources")
    s3_endpoint: str | None = Field(default=None, description="of s3: sources without a key; null: Amazon's")
    known_hosts: Path | None = Field(default=None, description="keys of hosts of sftp: sources, as of OpenSSH")
    globus: GlobusSettings = Field(default_factory=GlobusSettings)
    site: dict[str, SharedData] = Field(default={}, description="the data that the site shares, by name")


class DeliverySettings(Model):
    """Where outputs may be taken when a job has ended."""

    roots: tuple[Path, ...] = Field(default=(), description="directories below which `deliver: file:/…` may write")


class Retention(Model):
    """How long the files of jobs that have ended are kept, and how much of them a person may have."""

    days: int | None = Field(default=None, ge=1, description="after a job's end; null: until somebody removes them")
    warn: int = Field(default=7, ge=1, description="days before that, on which it is announced")
    longest: int | None = Field(default=None, ge=1, description="days after its end to which it may be put off")
    quota: Memory | None = Field(default=None, description="that a person's jobs may hold in all; null: any amount")


class Sharing(Model):
    """Links by which people without an account fetch outputs."""

    enabled: bool = Field(default=True, description="whether such links can be made")
    longest: Seconds = Field(default=90 * 86400, description="most seconds that one may live")


#: First components of what every image or runtime has at these places.
_CONTAINERS_OWN = frozenset(
    ("bin", "boot", "dev", "etc", "inputs", "job", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys")
) | {"tmp", "usr", "var"}


_LOCAL = frozenset(("bin", "etc", "games", "include", "lib", "libexec", "man", "sbin", "share", "src"))


class FileRules(Model):
    """What of the shared filesystem jobs may have where it is, without a copy."""

    mount_roots: tuple[Path, ...] = Field(default=(), description="directories below which `mode: mount` may name any")
    writable_roots: tuple[Path, ...] = Field(default=(), description="those below which it may be `writable`")
    link: bool = Field(default=True, description="`mode: link` gives an input a second name where that is possible")
    max_entries: int = Field(default=1_000_000, ge=1, description="most that a mounted directory may hold")

    @field_validator("mount_roots", "writable_roots")
    @classmethod
    def _not_the_containers(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        for root in value:
            if ".." in root.parts or cls.is_containers_own(root):
                raise ValueError(f"{root} cannot be mounted: a container has its own there; name such as /data")
        return value

    @staticmethod
    def is_containers_own(path: Path) -> bool:
        """Say whether containers have something of their own at a path, or it is no absolute one."""
        if path.parts[1:3] == ("usr", "local"):  # where there is room for more, such as /usr/local/MATLAB
            return len(path.parts) < 4 or path.parts[3] in _LOCAL
        return not path.is_absolute() or len(path.parts) < 2 or path.parts[1] in _CONTAINERS_OWN

    def roots(self, *, writable: bool) -> tuple[Path, ...]:
        """Return the directories below which something may be mounted; where it is writable it may be read, too."""
        return self.writable_roots if writable else (*self.mount_roots, *self.writable_roots)

    def refusal(self, path: str, *, writable: bool) -> str:
        """Say in words that a path may not be mounted, and what may."""
        setting = "files.writable_roots" if writable else "files.mount_roots"
        listed = ", ".join(map(str, self.roots(writable=writable)))
        how = "mounted to be written" if writable else "mounted"
        if not listed:
            return f"This site lets nothing be {how} ({setting}); ask its administrator, or copy or link it"
        return f"{path} is not below what may be {how} here: {listed} ({setting})"
