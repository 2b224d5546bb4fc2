"""`http:` and `https:`: what lies at a web address."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cluster_interface.staging.cache import Cache, Origin
from cluster_interface.staging.sources.kinds import Away, Found

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.sources.keys import Keys
    from cluster_interface.staging.web import Sign, Web


class Addresses(Away):
    """Web addresses, with a user's credential where one of theirs is for that address."""

    def __init__(self, web: Web, cache: Cache, keys: Keys) -> None:
        self._web, self.cache, self._keys = web, cache, keys

    def measure(self, source: str, owner: str) -> Found:
        """Ask for its size."""
        return Found(size=self._web.look(source, self._sign(source, owner)[0]).size)

    def origin(self, source: str, owner: str) -> Origin:
        """Ask what version is there; it is everybody's unless a credential or a query is part of the address."""
        sign, secret = self._sign(source, owner)
        origin = Origin(address=source, owner=owner if secret or "?" in source else None)
        if not self.cache.knows(origin):
            return origin  # it will be fetched anyhow, and the answer tells
        return replace(origin, validator=self._web.look(source, sign).validator)

    def fetch(self, source: str, owner: str, part: Part) -> None:
        """Bring it."""
        self._web.fetch(source, part, self._sign(source, owner)[0])

    def _sign(self, source: str, owner: str) -> tuple[Sign, bool]:
        header = self._keys.authorization(owner, source)

        def sign(_method: str, _address: str) -> Mapping[str, str]:
            return {"Authorization": header} if header else {}

        return sign, header is not None
