"""The pages."""

from cluster_interface.web.pages import blueprint, error_page, sign_in_page
from cluster_interface.web.shared import blueprint as shared_blueprint

__all__ = ["blueprint", "error_page", "shared_blueprint", "sign_in_page"]
