"""What sources need, over REST: a person's credentials, and the catalogue of the site's shared data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiflask import APIBlueprint
from flask import Response, g

from cluster_interface.api.requests import answer, body, takes
from cluster_interface.model.credential import Credential
from cluster_interface.wire import CredentialList, CredentialView, KnownRequest, KnownUploads, SiteDataList

if TYPE_CHECKING:
    from cluster_interface.service import Service


def blueprint(service: Service) -> APIBlueprint:
    """Make the routes."""
    bp = APIBlueprint("sources", __name__, tag="Sources")

    @bp.get("/site-data")
    @bp.output(SiteDataList)
    def site_data() -> Response:
        """List the shared data that you may read."""
        return answer(SiteDataList(data=tuple(service.files.shared_data(g.user))))

    @bp.get("/credentials")
    @bp.output(CredentialList)
    def credentials() -> Response:
        """List your credentials, without what is secret in them."""
        kept = service.credentials.all(g.user)
        shown = tuple(CredentialView.of(one.credential, one.created) for one in kept)
        return answer(CredentialList(credentials=shown))

    @bp.post("/credentials")
    @takes(Credential)
    @bp.output(CredentialList, status_code=201)
    def add() -> Response:
        """Keep a credential; it is encrypted, and never shown again. Answers with the list."""
        service.credentials.add(g.user, body(Credential))
        kept = service.credentials.all(g.user)
        shown = tuple(CredentialView.of(one.credential, one.created) for one in kept)
        return answer(CredentialList(credentials=shown), 201)

    @bp.delete("/credentials/<name>")
    @bp.doc(responses={204: "Gone"})
    def remove(name: str) -> Response:
        """Forget a credential."""
        service.credentials.remove(g.user, name)
        return Response(status=204)

    @bp.post("/uploads/known")
    @takes(KnownRequest)
    @bp.output(KnownUploads)
    def known() -> Response:
        """Say which of these files you have sent before: they need not be sent again, or only the rest of them."""
        return answer(service.files.known_uploads(g.user, body(KnownRequest)))

    return bp
