"""The images that jobs run in, and the log of a build that failed."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from tests.browser.serving import Site


def test_an_image_is_found_from_its_job(page: Page, site: Site) -> None:
    """What is in it, why, how large it is, who needs it; its lock and what it can be taken along as."""
    page.goto(f"{site.url}/jobs/donejob234")
    page.click("text=Image img-77aa")
    for words in ("numpy==2.3.4", "libgl1: cv2 needs it", "159 MiB", "runjob2345", "Bill of materials"):
        expect(page.locator("main")).to_contain_text(words)
    page.click("text=Show it")
    expect(page.locator("main")).to_contain_text("--hash=sha256:00")
    page.click("nav >> text=Images")
    expect(page.locator(".jobs li")).to_have_count(2)
    page.goto(f"{site.url}/images/none-such")
    expect(page.locator("h1")).to_have_text("There is nothing here")


def test_a_failed_build_shows_the_line_that_matters_first(page: Page, site: Site) -> None:
    """Before the log, and marked in it; the program's own log is not there, since it never started."""
    page.goto(f"{site.url}/jobs/imagejob23")
    expect(page.locator("#build .telling")).to_have_text("/bin/sh: 2: make: not found")
    expect(page.locator("#build mark")).to_have_text("/bin/sh: 2: make: not found")
    expect(page.locator("#build .log")).to_contain_text("<script>")
    expect(page.locator("#build .log")).not_to_contain_text("setpriv")
    expect(page.locator("#log")).to_have_count(0)
    page.goto(f"{site.url}/jobs/donejob234")
    expect(page.locator("#log-lines .line").first).to_be_visible()
