"""Where things are by default. Apart from `settings`, whose models cost an import that a command need not pay."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET = "api.sock"  #: in the runtime directory: what the command line talks to


def _as_root() -> bool:
    return os.geteuid() == 0


def state_directory() -> Path:
    """Say where database, uploads and keys are, unless configured."""
    if _as_root():
        return Path("/var/lib/cluster-interface")
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(base) / "cluster-interface"


def runtime_directory() -> Path:
    """Say where socket and locks are, unless configured."""
    if _as_root():
        return Path("/run/cluster-interface")
    if base := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(base) / "cluster-interface"
    return Path(f"/tmp/cluster-interface-{os.geteuid()}")  # noqa: S108 - made 0700 and its owner checked


def config_file(environ: Mapping[str, str]) -> Path:
    """Say which file the configuration is read from (it need not exist)."""
    if named := environ.get("CLIF_CONFIG"):
        return Path(named)
    if _as_root():
        return Path("/etc/cluster-interface/config.toml")
    base = environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "cluster-interface/config.toml"
