"""The keys that people keep for sources: listed without their secrets, and opened only to fetch something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from cluster_interface.model.credential import Credential
from cluster_interface.model.errors import Conflict, NotFound, Rejected
from cluster_interface.store import tables as t
from cluster_interface.store.database import now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster_interface.store.database import Store
    from cluster_interface.store.vault import Vault

MOST = 100  #: of one person


@dataclass(frozen=True)
class Kept:
    """A credential, and since when it is kept."""

    credential: Credential
    created: float


@dataclass(frozen=True)
class Credentials:
    """The table of credentials, through the vault."""

    store: Store
    vault: Vault

    def all(self, owner: str) -> Sequence[Kept]:
        """Return an owner's credentials with their secrets, by name."""
        with self.store.read() as db:
            rows = db.execute(select(t.credential).where(t.credential.c.owner == owner).order_by(t.credential.c.name))
            return [Kept(self._open(row), row.created) for row in rows]

    def held(self, owner: str) -> list[Credential]:
        """Return them alone, for fetching."""
        return [kept.credential for kept in self.all(owner)]

    def add(self, owner: str, credential: Credential) -> None:
        """Keep one; Conflict if there is one of its name."""
        sealed = self.vault.seal(owner, credential.name, credential.secret)
        with self.store.write() as db:
            names = set(db.execute(select(t.credential.c.name).where(t.credential.c.owner == owner)).scalars())
            if credential.name in names:
                raise Conflict(f"there is a credential {credential.name} already; remove it first")
            if len(names) >= MOST:
                raise Rejected.field("name", f"you keep {MOST} credentials already; remove one first")
            db.execute(
                insert(t.credential).values(
                    owner=owner, group=owner, name=credential.name, kind=credential.kind, match=credential.match,
                    sealed=sealed, created=db.execute(select(now(db))).scalar_one(),
                )
            )  # fmt: skip

    def remove(self, owner: str, name: str) -> None:
        """Forget one; NotFound if there is none."""
        with self.store.write() as db:
            found = db.execute(delete(t.credential).where(t.credential.c.owner == owner, t.credential.c.name == name))
            if not found.rowcount:
                raise NotFound(f"there is no credential {name[:64]!r}")

    def _open(self, row: Any) -> Credential:
        secret = self.vault.open(row.owner, row.name, row.sealed)
        return Credential(name=row.name, kind=row.kind, match=row.match, secret=secret)
