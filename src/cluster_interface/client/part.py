"""What the parts of a cluster share: the way to its server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster_interface.client.transport import Transport


class Part:
    """A subject of what a cluster can be asked."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _json(self, method: str, path: str) -> Any:
        return self._transport.request(method, path).json()
