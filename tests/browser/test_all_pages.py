"""What holds on every page: for everybody to use, on every screen, without a jolt; and the modules' own tests."""

from __future__ import annotations

import shutil
import subprocess

from playwright.sync_api import Page, expect
from tests.browser.serving import Site
from tests.browser.steps import BROWSER, PLACES, choose, faults, row, write_sweep


def test_no_page_has_an_accessibility_fault(page: Page, site: Site) -> None:
    """axe-core finds nothing on any page, nor anything wrong with colours in the dark."""
    found = []
    for path in PLACES:
        open_whole(page, site, path)
        found += [(path, *fault) for fault in faults(page)]
    assert found == []


def test_what_opens_has_no_accessibility_fault(page: Page, site: Site) -> None:
    """Nor do previews, the share dialog and the page for somebody without an account."""
    for path in ("results/fit.ipynb", "results/parameters.csv", "run.log", "results/paper.pdf"):
        row(page, site, path).locator("[data-preview]").click()
        expect(page.locator("#preview-note")).not_to_be_empty()
        assert faults(page, "#preview") == [], path
    row(page, site, "results/fit.png").locator("[data-share]").click()
    page.click("text=Make a link")
    expect(page.locator("#share-links li")).to_be_visible()
    assert faults(page, "#share") == []
    page.goto(page.locator("#share-url").input_value())
    assert faults(page) == []


def test_nothing_is_wider_than_the_window(page: Page, site: Site) -> None:
    """No page scrolls sideways, from a small phone up, whatever the names in it."""
    for path in PLACES:
        open_whole(page, site, path)
        for width in (360, 768, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def open_whole(page: Page, site: Site, path: str) -> None:
    """Open a page; the form with all that it can show."""
    if path != "/submit":
        page.goto(site.url + path)
        return
    choose(page, site)
    write_sweep(page, "n = 1..3")
    page.click("#more summary")


def test_nothing_shifts_while_a_page_loads(page: Page, site: Site) -> None:
    """The browser's own measure of layout shift stays below what a reader notices (0.1 is "good")."""
    for path in ("/", "/submit", "/jobs/donejob234", "/jobs/runjob2345", "/jobs/failjob234"):
        page.goto(site.url + path, wait_until="networkidle" if path == "/submit" else "load")
        if "jobs/" in path:
            expect(page.locator("#log-lines .line").first).to_be_visible()
        shift = page.evaluate(
            """() => new Promise((resolve) => {
                let sum = 0;
                new PerformanceObserver((list) => { for (const entry of list.getEntries()) sum += entry.value; })
                    .observe({ type: "layout-shift", buffered: true });
                requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)));
            })"""
        )
        assert shift < 0.02, path


def test_the_modules_pass_their_own_tests(bundle: None) -> None:
    """The browser's pure modules (terminal, shell words, tables) are tested by Node.js, and the types check."""
    node = shutil.which("npm")
    assert node, "npm is not installed: run `make setup`"
    for script in ("check", "test"):
        argv = [node, "run", "--silent", script]
        done = subprocess.run(argv, cwd=BROWSER, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
