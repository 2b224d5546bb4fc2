"""`upload:ID`: what was sent to the server, in whose directory it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.staging.acting import as_the_server
from cluster_interface.staging.sources.kinds import Found, Here

if TYPE_CHECKING:
    from cluster_interface.staging.uploads import UploadStore


class Uploaded(Here):
    """Uploads; whose one is was checked when the job was submitted."""

    def __init__(self, uploads: UploadStore) -> None:
        self._uploads = uploads

    def measure(self, source: str, owner: str) -> Found:
        """Look its size and checksum up."""
        del owner
        with as_the_server():
            size, sha256 = self._uploads.measure(source.partition(":")[2])
        return Found(size=size, sha256=sha256)

    def descriptor(self, source: str, owner: str) -> int:
        """Open it as the server."""
        del owner
        with as_the_server():
            return self._uploads.open(source.partition(":")[2])
