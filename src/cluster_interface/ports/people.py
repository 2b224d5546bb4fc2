"""Who people are, and what time it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cluster_interface.model.job import Account


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""


class Identity(Protocol):
    """Who people are, and which Unix account acts for them."""

    def account(self, owner: str) -> Account:
        """Return the account that `owner`'s jobs run under (never uid 0); raise Permanent if there is none."""
