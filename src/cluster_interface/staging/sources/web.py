"""`http:` and `https:`: what lies at a web address."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cluster_interface.staging.cache import SMALL, Cache, Origin
from cluster_interface.staging.many import take
from cluster_interface.staging.sources.kinds import Away, Found

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster_interface.staging.parts import Part
    from cluster_interface.staging.sources.keys import Keys
    from cluster_interface.staging.web import Sign, Web


class Addresses(Away):
    """Web addresses, with a user's credential where one of theirs is for that address."""

    def __init__(self, web: Web, cache: Cache, keys: Keys) -> None:
        self._web, self.cache, self._keys = web, cache, keys

    def measure(self, source: str, owner: str) -> Found:
        """Ask for its size; what is kept of that very version is known by its checksum, too."""
        origin, sign = self._origin(source, owner)
        seen = self._web.look(source, sign)
        kept = self.cache.find(replace(origin, validator=seen.validator)) if seen.validator else None
        return Found(size=seen.size, sha256=kept.sha256 if kept and kept.size == seen.size else None)

    def take(self, sources: Iterable[str], owner: str, most: int, connections: int) -> dict[str, Found]:
        """Measure many at once: what is small comes with the answer and is kept, `most` bytes in all.

        Who is left out is to be measured one by one.
        """
        found: dict[str, Found] = {}
        origins = {source: self._origin(source, owner) for source in sources}
        before = dict(zip(origins, self.cache.last([origin for origin, _ in origins.values()]), strict=True))
        known = {source: last[0].validator if last else None for source, last in before.items()}
        asked = {source: (sign, known[source]) for source, (_, sign) in origins.items()}
        for source, taken in take(self._web, asked, SMALL, connections):
            last = before[source]
            if taken.content is not None:
                sha256 = self.cache.keep(replace(origins[source][0], validator=taken.validator), taken.content)
                found[source] = Found(size=taken.size, sha256=sha256)
                most -= len(taken.content)
            elif last and taken.validator == known[source] is not None and taken.size in (None, last[1].size):
                found[source] = Found(size=last[1].size, sha256=last[1].sha256)
            else:
                found[source] = Found(size=taken.size)
            if most <= 0:
                break
        return found

    def origin(self, source: str, owner: str) -> Origin:
        """Ask what version is there."""
        origin, sign = self._origin(source, owner)
        if self.cache.named(origin) is None:
            return origin  # it will be fetched anyhow, and the answer tells
        return replace(origin, validator=self._web.look(source, sign).validator)

    def bring(self, source: str, owner: str, part: Part, sha256: str | None) -> None:
        """Take it from the cache; where the checksum is known, no version needs to be asked for."""
        origin = self._origin(source, owner)[0] if sha256 else self.origin(source, owner)
        self.cache.give(origin, sha256, part, lambda kept: self.fetch(source, owner, kept))

    def space(self, source: str, owner: str) -> str:
        """Say which part of the cache it belongs to."""
        return self._origin(source, owner)[0].space

    def fetch(self, source: str, owner: str, part: Part) -> None:
        """Bring it."""
        self._web.fetch(source, part, self._origin(source, owner)[1])

    def _origin(self, source: str, owner: str) -> tuple[Origin, Sign]:
        """Say whose it is: everybody's unless a credential or a query is part of the address."""
        header = self._keys.authorization(owner, source)
        headers = {"Authorization": header} if header else {}
        return Origin(
            address=source, owner=owner if header or "?" in source else None
        ), lambda _method, _address: headers
