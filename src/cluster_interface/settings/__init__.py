"""The configuration: one typed TOML file, the environment over it, in one order.

Default < `config.toml` < environment (`CLIF_SERVER__LISTEN=…` sets `[server] listen`). Where a value came
from is kept, for `clif doctor`.
"""

from cluster_interface.settings.all import IdentitySettings, Patterns, Server, Settings
from cluster_interface.settings.files import (
    DeliverySettings,
    FileRules,
    GlobusSettings,
    Retention,
    SharedData,
    Sharing,
    Staging,
)
from cluster_interface.settings.images import Images, SoftwareSettings
from cluster_interface.settings.reading import load
from cluster_interface.settings.schedulers import Defaults, GridEngine, Local, Pbs, QueueSettings, Slurm, Sweeps

__all__ = [
    "Defaults",
    "DeliverySettings",
    "FileRules",
    "GlobusSettings",
    "GridEngine",
    "IdentitySettings",
    "Images",
    "Local",
    "Patterns",
    "Pbs",
    "QueueSettings",
    "Retention",
    "Server",
    "Settings",
    "SharedData",
    "Sharing",
    "Slurm",
    "SoftwareSettings",
    "Staging",
    "Sweeps",
    "load",
]
