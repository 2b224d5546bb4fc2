"""Who may look at the pages, and what every page says to the browser."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect
from tests.browser.serving import Site

from cluster_interface.model.state import JobState


def test_without_a_session_the_page_says_how_to_get_one(browser: Browser, site: Site) -> None:
    """Whoever comes to the loopback port without a link sees no job, only `clif ui`."""
    page = browser.new_page()
    for path in ("/", "/submit", "/account", "/jobs/donejob234", "/nothing"):
        response = page.goto(site.url + path)
        assert response.status == 401
        expect(page.locator("main")).to_contain_text("clif ui")
        assert "angstrom" not in page.content()
    page.close()


def test_a_link_opens_the_pages_once(browser: Browser, site: Site) -> None:
    """The one-time link works for the first visitor and for nobody after."""
    link = site.link()
    for expected in ("Jobs", "Open the pages from your terminal"):
        context = browser.new_context()
        page = context.new_page()
        page.goto(link)
        expect(page.locator("h1")).to_have_text(expected)
        assert "token" not in page.url
        context.close()


def test_every_page_carries_the_strict_policy(page: Page, site: Site) -> None:
    """Nothing inline, nothing foreign, no frames, no referrer, nothing kept by caches."""
    for path in ("/", "/submit", "/account", "/jobs/donejob234", "/jobs/unknown", "/nothing"):
        headers = page.goto(site.url + path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"


def test_a_foreign_page_cannot_cancel(page: Page, site: Site) -> None:
    """A request with the cookie but without the page's token is refused, and nothing happens."""
    for headers in ({}, {"X-CSRF-Token": "guess"}, {"Content-Type": "text/plain"}):
        response = page.request.post(f"{site.url}/api/v1/jobs/runjob2345/cancel", headers=headers, data="{}")
        assert response.status == 403
    assert site.service.made["runjob2345"].view.state is JobState.RUNNING


def test_unknown_jobs_and_addresses_are_pages_with_words(page: Page, site: Site) -> None:
    """What is not there is a 404 in words; below /api it is a problem document."""
    assert page.goto(f"{site.url}/jobs/unknown").status == 404
    expect(page.locator("h1")).to_have_text("There is nothing here")
    assert page.goto(f"{site.url}/no/such/page").status == 404
    assert page.goto(f"{site.url}/?state=nonsense").status == 422
    expect(page.locator("main")).to_contain_text("'nonsense' is not a state")
    answer = page.request.get(f"{site.url}/api/v1/nothing")
    assert answer.headers["content-type"] == "application/problem+json"
