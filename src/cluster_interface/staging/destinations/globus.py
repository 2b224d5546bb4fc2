"""`globus:ENDPOINT/path`: a directory on a Globus endpoint; Globus takes all outputs there in one transfer.

They are gathered below `cluster-interface/` in the site's own collection, whole and checked, and sent from there as the
owner. A note beside them says which transfer that is: a process that is killed goes on with it. Both are taken away
when it has ended, whichever way.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_interface.model.errors import Permanent, Transient
from cluster_interface.staging import stopping
from cluster_interface.staging.destinations.files import DirectoryPlace, words_for
from cluster_interface.staging.globus import parse
from cluster_interface.trees.beneath import directory, read_small, remove
from cluster_interface.trees.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cluster_interface.staging.destinations.kinds import Errand, Item
    from cluster_interface.staging.globus import Globus

PATIENCE = 3600.0  #: seconds that Globus may be away while a transfer goes on
STALE = 14 * 86400  #: seconds after which what a delivery that was never repeated left behind is removed

_PREFIX = "deliver-"


@dataclass(frozen=True)
class EndpointPlaces:
    """Directories on endpoints of Globus."""

    globus: Globus
    patience: float = PATIENCE

    @contextmanager
    def opened(self, errand: Errand) -> Iterator[EndpointPlace]:
        """Make the directory that the outputs of this errand gather in, or go on with it."""
        parse(errand.to)
        outbox, name = self.globus.outbox(), _PREFIX + _name(errand)
        with words_for(errand.to):
            home = os.open(outbox, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                _sweep(home)
                with _until_it_ends(home, name), directory(home, name, make=True) as gathered:
                    noted = _Noted(home, f"{name}.json")
                    yield EndpointPlace(self, errand, outbox / name, noted, DirectoryPlace(gathered, errand.to))
            finally:
                os.close(home)


@dataclass(frozen=True)
class EndpointPlace:
    """A directory on an endpoint, and what gathers for it here."""

    kind: EndpointPlaces
    errand: Errand
    path: Path
    noted: dict[str, str]
    gathered: DirectoryPlace
    at_once = False

    def has(self, item: Item) -> bool:
        """Say whether it is among what gathers; what is there already, Globus finds by its checksum."""
        return self.gathered.has(item)

    def put(self, item: Item) -> None:
        """Add it."""
        self.gathered.put(item)

    def finish(self, moved: Callable[[int], None]) -> None:
        """Have all of it transferred, and wait for the end; while Globus is away for a while, wait for it."""
        globus, errand = self.kind.globus, self.errand
        heard = time.monotonic()

        def say(done: int) -> None:
            nonlocal heard
            heard = time.monotonic()
            moved(done)

        while True:
            try:
                return globus.deliver(self.path, errand.to, errand.owner, self.noted, say)
            except Transient as error:
                if time.monotonic() - heard > self.kind.patience:
                    raise Permanent(f"{error}, in vain for {self.kind.patience / 60:.0f} minutes") from None
            if stopping.asked.wait(globus.pause):
                raise stopping.Stopped(1)


@contextmanager
def _until_it_ends(home: int, name: str) -> Iterator[None]:
    """Take away what gathered and its note at the end; what is to be tried again is kept, and what a kill leaves."""
    try:
        yield
    except Transient:
        raise
    except BaseException:
        _forget(home, name)
        raise
    _forget(home, name)


def _forget(home: int, name: str) -> None:
    with suppress(OSError):
        remove(home, f"{name}.json")
        remove(home, name)


class _Noted(dict[str, str]):
    """What is noted of a transfer, on the disk at each change."""

    def __init__(self, at: int, path: str) -> None:
        super().__init__()
        self._at, self._path = at, path
        with suppress(OSError, ValueError):
            self.update(json.loads(read_small(at, path, 64 * 1024)))

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__(name, value)
        self._write()

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._write()

    def _write(self) -> None:
        replace_file(self._at, self._path, json.dumps(self).encode(), 0o600)


def _name(errand: Errand) -> str:
    """Name an errand: the same at every try, and another as soon as anything about it is."""
    files = [(name, output.sha256) for name, output in errand.files]
    return hashlib.sha256(json.dumps([errand.job, errand.owner, errand.to, files]).encode()).hexdigest()[:32]


def _sweep(home: int) -> None:
    with os.scandir(home) as entries:
        old = [
            entry.name
            for entry in entries
            if entry.name.startswith(_PREFIX) and time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE
        ]
    for name in old:
        remove(home, name)
