"""The settings of a server, all of them."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from cluster_interface import locations
from cluster_interface.model.base import Model
from cluster_interface.settings.files import (
    DeliverySettings,
    FileRules,
    Retention,
    Sharing,
    Staging,
)
from cluster_interface.settings.images import Images, SoftwareSettings
from cluster_interface.settings.schedulers import Defaults, GridEngine, Local, Pbs, QueueSettings, Slurm, Sweeps


class Server(Model):
    """Where the server keeps its things and listens."""

    state: Path = Field(default_factory=locations.state_directory, description="database, uploads, keys: a local disk")
    runtime: Path = Field(default_factory=locations.runtime_directory, description="socket and locks: a local disk")
    workspace: Path | None = Field(default=None, description="job directories; null: <state>/jobs")
    database: str | None = Field(default=None, description="SQLAlchemy URL; null: SQLite in <state>")
    listen: str = Field(default="127.0.0.1:0", description="the pages' own loopback listener; 0: any free port")
    threads: int = Field(default=48, ge=4, description="of the web server; each open stream holds one")


class IdentitySettings(Model):
    """Whose account jobs run under."""

    job_account: str = Field(default="clif-job", description="alone as root: the account made for jobs")


class Patterns(Model):
    """The common kinds of job."""

    directory: Path | None = Field(
        default=None, description="of the site's own patterns, a YAML file each; null: only those that are shipped"
    )


class Settings(Model):
    """All of it."""

    server: Server = Field(default_factory=Server)
    identity: IdentitySettings = Field(default_factory=IdentitySettings)
    images: Images = Field(default_factory=Images)
    staging: Staging = Field(default_factory=Staging)
    delivery: DeliverySettings = Field(default_factory=DeliverySettings)
    retention: Retention = Field(default_factory=Retention)
    sharing: Sharing = Field(default_factory=Sharing)
    files: FileRules = Field(default_factory=FileRules)
    local: Local = Field(default_factory=Local)
    slurm: Slurm = Field(default_factory=Slurm)
    gridengine: GridEngine = Field(default_factory=GridEngine)
    pbs: Pbs = Field(default_factory=Pbs)
    defaults: Defaults = Field(default_factory=Defaults)
    sweeps: Sweeps = Field(default_factory=Sweeps)
    patterns: Patterns = Field(default_factory=Patterns)
    software: SoftwareSettings = Field(default_factory=SoftwareSettings)
    queues: dict[str, QueueSettings] = Field(default={}, description="by name, for what the site wants otherwise")
    schedulers: tuple[str, ...] = Field(
        default=("local",), description="local, slurm, gridengine; the first has the default queue"
    )
    runtime: str | None = Field(
        default=None,
        description="of this machine's own queue: docker, bubblewrap, podman, apptainer, charliecloud; null: the first",
    )

    @property
    def workspace(self) -> Path:
        """Where job directories are made."""
        return self.server.workspace or self.server.state / "jobs"

    @property
    def cache(self) -> Path:
        """Where downloads are kept for other jobs."""
        return self.staging.cache or self.workspace / ".cache"

    @property
    def image_store(self) -> Path:
        """Where images are kept."""
        return self.images.store or self.server.state / "images"

    @property
    def database(self) -> str:
        """The database's SQLAlchemy URL."""
        return self.server.database or f"sqlite:///{self.server.state / 'cluster-interface.db'}"

    @property
    def socket(self) -> Path:
        """The Unix socket that the command line talks to."""
        return self.server.runtime / locations.SOCKET
