"""The configuration: one typed TOML file, the environment over it, in one order.

Default < `config.toml` < environment (`CLIF_SERVER__LISTEN=…` sets `[server] listen`). Where a value came
from is kept, for `clif doctor`.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from cluster_interface import locations
from cluster_interface.model.base import Model
from cluster_interface.model.errors import Rejected
from cluster_interface.model.resources import GIB, Memory, Seconds
from cluster_interface.model.sweep import MOST_TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "CLIF_"


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


#: What engines take for a registry's host, not for a user of Docker's own: it has a dot or a port. Then a path.
_REGISTRY = re.compile(
    r"(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|(localhost|[a-z0-9.-]+):[0-9]+)(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
)


class Images(Model):
    """How images are made, and from where."""

    store: Path | None = Field(default=None, description="null: <state>/images")
    suite: str = Field(default="bookworm", pattern=r"^[a-z]+$", description="release of Debian of new bases")
    mirror: str | None = Field(default=None, description="Debian mirror; null: this machine's own sources")
    snapshot: str | None = Field(
        default=None,
        description="Debian as it was, such as http://HOST/archive/debian/{date}, for jobs with as_of; {date} becomes "
        "20260101T000000Z; null: as it is",
    )
    packages: tuple[str, ...] = Field(default=("python3", "ca-certificates"), description="in every new base")
    base: str | None = Field(default=None, description="an imported base to use by default")
    index_url: str | None = Field(default=None, description="Python package index; null: uv's own")
    extra_index_urls: tuple[str, ...] = Field(default=(), description="further package indexes that jobs may name")
    conda_alias: str = Field(default="https://conda.anaconda.org", description="where conda channels are, by name")
    conda_channels: tuple[str, ...] = Field(default=(), description="addresses of further channels that jobs may name")
    cran: str = Field(default="https://cloud.r-project.org", description="sources of R packages; {date} is as_of's")
    bioconductor: str | None = Field(
        default=None, description="sources of Bioconductor packages, up to …/bioc; null: those of Debian alone"
    )
    registries: tuple[str, ...] = Field(
        default=("docker.io", "ghcr.io", "quay.io", "gcr.io", "nvcr.io", "registry.gitlab.com", "public.ecr.aws"),
        description="registries whose images jobs may name, as host or host:port",
    )
    registry: str | None = Field(
        default=None, description="host/path that nodes' engines pull images from; null: they load them from the store"
    )
    insecure_registries: tuple[str, ...] = Field(default=(), description="registries without a certificate")
    registry_auth: Path | None = Field(default=None, description="containers-auth.json(5) for registries")
    dockerfiles: bool = Field(default=True, description="build Dockerfiles that jobs bring, in the server's engine")
    build_network: bool = Field(
        default=False, description="setup steps and the RUN lines of Dockerfiles have the server's network"
    )
    torch_cpu: bool = Field(
        default=True, description="jobs without GPUs get packages without CUDA, PyTorch's from its own index"
    )
    ca_bundle: Path | None = Field(default=None, description="PEM file; null: the system's own")
    proxy: str | None = Field(default=None, description="http://host:port for packages; null: the environment's")
    timeout: Seconds = Field(default=3600, description="seconds that one build may take")
    builders: int = Field(default=2, ge=1, description="most images that are built at the same time")

    @field_validator("snapshot")
    @classmethod
    def _of_a_date(cls, value: str | None) -> str | None:
        if value and "{date}" not in value:
            raise ValueError(f"{value[:80]!r} has no {{date}} in it")
        return value or None

    @field_validator("registry")
    @classmethod
    def _host_and_path(cls, value: str | None) -> str | None:
        if value and not _REGISTRY.fullmatch(value):
            raise ValueError(f"{value[:80]!r} is no registry: write host/path, such as registry.campus.example/clif")
        return value or None


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


class Local(Model):
    """The scheduler of this one machine. Null: what the machine has."""

    cpus: int | None = Field(default=None, ge=1, description="that jobs may have in all; null: what the machine has")
    memory: Memory | None = Field(default=None, description="that jobs may have in all; null: what the machine has")
    time: Seconds | None = Field(default=None, description="most a job may ask for; null: no limit")
    grace: Seconds = Field(default=3, description="between the polite signal and the last one")


class Slurm(Model):
    """How Slurm is reached."""

    conf: Path | None = Field(default=None, description="slurm.conf; null: SLURM_CONF, or where Slurm looks itself")
    timeout: Seconds = Field(default=20, description="seconds by which each of its programs must have answered")


class GridEngine(Model):
    """How Grid Engine is reached, and what this site calls its resources."""

    root: Path | None = Field(default=None, description="SGE_ROOT; null: the environment's")
    cell: str | None = Field(default=None, description="SGE_CELL; null: the environment's, or default")
    timeout: Seconds = Field(default=20, description="seconds by which each of its programs must have answered")
    parallel_environment: str | None = Field(
        default=None,
        description="for several processors on one node; null: the queue's first with allocation rule $pe_slots",
    )
    memory_resource: str | None = Field(
        default=None,
        description="asked for by memory, or none; null: h_vmem, m_mem_free, mem_free or virtual_free, as is counted",
    )
    gpu_resource: str | None = Field(default=None, description="asked for by gpus; null: there are none")


class Pbs(Model):
    """How PBS is reached (experimental)."""

    server: str | None = Field(default=None, description="null: the default of its own programs")
    timeout: Seconds = Field(default=20, description="seconds by which each of its programs must have answered")


class Defaults(Model):
    """What a job gets that does not ask."""

    cpus: int = Field(default=1, ge=1, description="processor cores")
    memory: Memory = Field(default=2 * GIB, description="bytes, or a text such as 4GiB")
    time: Seconds = Field(default=3600, description="most a task may run")
    disk: Memory = Field(default=20 * GIB, description="most a task may write")
    pids: int = Field(default=512, ge=16, description="processes and threads of a task")


class QueueSettings(Model):
    """What the site says of one queue. Null: what the scheduler says, what the probe found, or `defaults`."""

    runtimes: tuple[str, ...] | None = Field(default=None, description="in order of preference; `none`: no container")
    cpus: int | None = Field(default=None, ge=1, description="a job's default")
    memory: Memory | None = Field(default=None, description="a job's default")
    time: Seconds | None = Field(default=None, description="a job's default")
    driver: str | None = Field(
        default=None,
        pattern=r"^\d+(\.\d+)*$",
        description="of NVIDIA on its nodes with GPUs, such as 535.104.05; null: what the probe saw on one",
    )
    hidden: bool = Field(default=False, description="do not offer it")


class Patterns(Model):
    """The common kinds of job."""

    directory: Path | None = Field(
        default=None, description="of the site's own patterns, a YAML file each; null: only those that are shipped"
    )


class Sweeps(Model):
    """What one job may sweep over."""

    max_tasks: int = Field(default=10_000, ge=1, le=MOST_TASKS, description="most tasks of one job")


class SoftwareSettings(Model):
    """Where a script's commands and modules come from."""

    prefer: dict[str, str] = Field(default={}, description="command -> the distribution package to take it from")
    modules: dict[str, str] = Field(
        default={}, description="module -> packages, `python:PACKAGE`, or `host` for what stays where it is"
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


def load(environ: Mapping[str, str] = os.environ) -> tuple[Settings, dict[str, str]]:
    """Read the settings and, per dotted name, where its value came from; Rejected names what is wrong."""
    path = locations.config_file(environ)
    values = _from_file(path)
    origins = dict.fromkeys(_names(values), str(path))
    for name, (dotted, text) in _from_environment(environ).items():
        _put(values, dotted, text)
        origins[dotted] = name
    settings = Settings.parse(values)
    return settings, {name: origins.get(name, "default") for name in _names(settings.model_dump())}


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Rejected.field(str(path), f"cannot be read: {error}") from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[str, Any]]:
    """Take CLIF_<SECTION>__<NAME> and CLIF_RUNTIME; other CLIF_ variables belong to the client or to job.sh."""
    known = set(_names(Settings().model_dump()))
    found = {}
    for name, text in environ.items():
        dotted = name.removeprefix(PREFIX).lower().replace("__", ".")
        if not name.startswith(PREFIX) or ("__" not in name and dotted not in known):
            continue
        if dotted not in known:
            raise Rejected.field(name, f"no such setting; known: {', '.join(sorted(known))}")
        is_list = isinstance(_get(Settings().model_dump(), dotted), tuple)
        found[name] = (dotted, [part for part in text.split(",") if part] if is_list else text)
    return found


def _names(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in values.items():
        names += _names(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return names


def _get(values: Mapping[str, Any], dotted: str) -> Any:
    for part in dotted.split("."):
        values = values[part]
    return values


def _put(values: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, name = dotted.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[name] = value
