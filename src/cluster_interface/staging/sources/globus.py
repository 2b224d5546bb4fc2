"""`globus:ENDPOINT/path`: a file on a Globus endpoint, which Globus brings to the site's own collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.staging.acting import as_the_server
from cluster_interface.staging.cache import Cache, Origin
from cluster_interface.staging.sources.files import open_regular
from cluster_interface.staging.sources.kinds import Away, Found, copy

if TYPE_CHECKING:
    from cluster_interface.staging.globus import Globus
    from cluster_interface.staging.parts import Part


@dataclass(frozen=True)
class Endpoints(Away):
    """Files on endpoints of Globus."""

    globus: Globus
    cache: Cache

    def measure(self, source: str, owner: str) -> Found:
        """Ask for its size."""
        with as_the_server():
            return Found(size=self.globus.stat(source, owner)[0])

    def origin(self, source: str, owner: str) -> Origin:
        """Say what version is there; it is its owner's alone, as the right to read it is."""
        with as_the_server():
            return Origin(address=source, validator=self.globus.stat(source, owner)[1], owner=owner)

    def fetch(self, source: str, owner: str, part: Part) -> None:
        """Have it transferred, going on with a transfer that an earlier try began; then take it over."""
        part.restart()
        noted = _Noted(part, source)
        path = self.globus.fetch(source, owner, noted, part.say)
        copy(open_regular(str(path), source), part)
        path.unlink(missing_ok=True)
        part.note = {"address": source}


class _Noted(dict[str, str]):
    """What is noted of a transfer, written down at each change."""

    def __init__(self, part: Part, source: str) -> None:
        before = part.note
        super().__init__(before if before.get("address") == source else {"address": source})
        self._part = part

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__(name, value)
        self._part.note = dict(self)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._part.note = dict(self)

    def setdefault(self, name: str, default: str = "") -> str:
        """Set what is not there yet."""
        if name not in self:
            self[name] = default
        return self[name]
