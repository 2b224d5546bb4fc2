"""The part of a cluster that is about the site: its queues and files, what it knows of the one who asks, its health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster_interface.client import files as trees
from cluster_interface.client.part import Part
from cluster_interface.client.transport import segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cluster_interface.client.files import Tree
    from cluster_interface.wire import (
        CredentialView,
        DirectoryEntry,
        DoctorReport,
        Me,
        QueueView,
        SiteDataView,
        TreeReport,
    )


class OfSite(Part):
    """Looking at the site, and keeping credentials with it."""

    def check_files(self, tree: Tree) -> TreeReport:
        """Have the server look at a tree's uploads and at its sources there, as oneself."""
        from cluster_interface.wire import TreeReport  # noqa: PLC0415 - the models cost an import of 200 ms

        document = trees.read(tree).model_dump(mode="json", exclude_defaults=True)
        return TreeReport.parse(self._transport.request("POST", "/files/check", document=document).json())

    def list_directory(self, path: str) -> Iterator[DirectoryEntry]:
        """Yield what is in a directory of the server's filesystem, as oneself, in order of names."""
        from cluster_interface.wire import DirectoryPage  # noqa: PLC0415 - as above

        after: str | None = ""
        while after is not None:
            query = {"path": path, "after": after, "limit": 1000}
            page = DirectoryPage.parse(self._transport.request("GET", "/files/list", query=query).json())
            yield from page.entries
            after = page.next

    def queues(self) -> list[QueueView]:
        """List the queues."""
        from cluster_interface.wire import QueueList  # noqa: PLC0415 - as above

        return list(QueueList.parse(self._json("GET", "/queues")).queues)

    def site_data(self) -> list[SiteDataView]:
        """List the shared data of the site that you may read."""
        from cluster_interface.wire import SiteDataList  # noqa: PLC0415 - as above

        return list(SiteDataList.parse(self._json("GET", "/site-data")).data)

    def credentials(self) -> list[CredentialView]:
        """List your credentials for sources, without what is secret in them."""
        from cluster_interface.wire import CredentialList  # noqa: PLC0415 - as above

        return list(CredentialList.parse(self._json("GET", "/credentials")).credentials)

    def add_credential(self, name: str, kind: str, match: str, secret: Mapping[str, str]) -> None:
        """Keep a credential for the sources below `match`; Conflict if there is one of that name."""
        document = {"name": name, "kind": kind, "match": match, "secret": dict(secret)}
        self._transport.request("POST", "/credentials", document=document)

    def remove_credential(self, name: str) -> None:
        """Forget a credential; NotFound if there is none."""
        self._transport.request("DELETE", f"/credentials/{segment(name)}")

    def me(self) -> Me:
        """Say who asks, and whose account their jobs run under."""
        from cluster_interface.wire import Me  # noqa: PLC0415 - as above

        return Me.parse(self._json("GET", "/me"))

    def doctor(self, *, site: bool = False) -> DoctorReport:
        """Have the server examine itself and its settings, with `site` the nodes of each queue too."""
        from cluster_interface.wire import DoctorReport  # noqa: PLC0415 - as above

        return DoctorReport.parse(self._json("GET", f"/admin/doctor{'?site=true' if site else ''}"))

    def page_link(self) -> str:
        """Return a link that opens the pages once, within a minute."""
        return str(self._json("POST", "/ui-links")["url"])
