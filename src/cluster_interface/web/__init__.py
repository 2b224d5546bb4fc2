"""The pages."""

from cluster_interface.web.pages import blueprint, error_page, sign_in_page

__all__ = ["blueprint", "error_page", "sign_in_page"]
