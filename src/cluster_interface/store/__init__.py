"""The database: tables, named queries, migrations."""

from cluster_interface.store import claims, jobs, sessions
from cluster_interface.store.database import Store

__all__ = ["Store", "claims", "jobs", "sessions"]
