"""The list of jobs."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from tests.browser.serving import Site

from cluster_interface.model.state import JobState


def test_the_list_leads_to_older_jobs(page: Page, site: Site) -> None:
    """Newest first, fifty a page, with a link to what is older."""
    page.goto(site.url)
    expect(page.locator(".jobs li")).to_have_count(50)
    expect(page.locator(".jobs li .title").first).to_have_text("spectra, second batch")
    page.click("text=Older")
    expect(page.locator(".jobs li")).to_have_count(22)
    page.goto(f"{site.url}/?state=failed")
    expect(page.locator(".jobs li")).to_have_count(5)


def test_an_empty_list_invites(page: Page, site: Site) -> None:
    """Before the first job the list says what can be done here."""
    site.service.made.clear()
    page.goto(site.url)
    page.click("text=Submit a script")
    expect(page.locator("h1")).to_have_text("New job")


def test_the_list_follows_what_changes(page: Page, site: Site) -> None:
    """A new state appears by itself, the keyboard's place in the list is kept, and unchanged lists are not sent."""
    page.goto(site.url)
    row = page.locator("#job-runjob2345 a")
    row.focus()
    with page.expect_response(lambda r: "part=list" in r.url) as unchanged:
        pass
    assert unchanged.value.status == 204
    site.service.change("runjob2345", JobState.STAGING_OUT)
    expect(page.locator("#job-runjob2345 .chip")).to_have_text("staging out")
    expect(row).to_be_focused()


def test_a_server_that_is_away_is_said_and_forgotten(page: Page, site: Site) -> None:
    """While the server cannot answer the page keeps what it shows and says that it may be out of date."""
    page.goto(site.url)
    site.service.silent = True
    expect(page.locator("#offline")).to_contain_text("may be out of date")
    expect(page.locator(".jobs li")).to_have_count(50)
    site.service.silent = False
    expect(page.locator("#offline")).to_be_hidden()
