"""The keys of the person for whom something is fetched: which of their credentials is for a source."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cluster_interface.model.credential import Credential


def _none(_owner: str) -> Sequence[Credential]:
    return ()


@dataclass(frozen=True)
class Keys:
    """Finds credentials among those that `held` returns for an owner."""

    held: Callable[[str], Sequence[Credential]] = _none

    def of(self, owner: str, address: str) -> Credential | None:
        """Return the owner's credential that is for the narrowest place an address is in; None if there is none."""
        fitting = [one for one in self.held(owner) if one.fits(address)]
        return max(fitting, key=lambda one: len(one.match), default=None)

    def authorization(self, owner: str, address: str) -> str | None:
        """Return the header `Authorization` for a web address; None without a credential."""
        found = self.of(owner, address)
        if found is None:
            return None
        if "token" in found.secret:
            return f"Bearer {found.secret['token']}"
        pair = f"{found.secret['username']}:{found.secret['password']}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
