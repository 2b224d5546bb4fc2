"""The database: tables, named queries, migrations."""

from cluster_interface.store import claims, jobs, sessions
from cluster_interface.store.credentials import Credentials
from cluster_interface.store.database import Store
from cluster_interface.store.vault import Vault

__all__ = ["Credentials", "Store", "Vault", "claims", "jobs", "sessions"]
