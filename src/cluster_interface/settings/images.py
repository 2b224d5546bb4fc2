"""How images are made, and where software comes from."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator

from cluster_interface.model.base import Model
from cluster_interface.model.host import HostModule, Meaning
from cluster_interface.model.resources import Seconds
from cluster_interface.settings.files import FileRules

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


class SoftwareSettings(Model):
    """Where a script's commands and modules come from."""

    prefer: dict[str, str] = Field(default={}, description="command -> the distribution package to take it from")
    modules: dict[str, Meaning] = Field(
        default={},
        description="module -> packages and `python:PACKAGE`; `host` for what runs without a container; a table for "
        "what stays on the host and is lent to containers: trees, load, use, variables, licenses, packages",
    )

    @field_validator("modules")
    @classmethod
    def _not_the_containers(cls, value: dict[str, Meaning]) -> dict[str, Meaning]:
        for name, meaning in value.items():
            for tree in meaning.trees if isinstance(meaning, HostModule) else ():
                if FileRules.is_containers_own(Path(tree)):
                    raise ValueError(f"{name}: {tree} cannot be mounted: a container has its own there; see `none`")
        return value
