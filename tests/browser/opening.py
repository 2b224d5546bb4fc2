"""A Chromium and a sample site for each module of tests, and for each test a fresh window on fresh samples."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PATIENCE = 30_000  #: milliseconds; what is right is so at once, but the machine may be busy
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def bundle():
    """Bundle the pages' code as it is now."""
    subprocess.run([ROOT / "scripts/web"], check=True, timeout=300)


@pytest.fixture(scope="module")
def browser():
    """Start a Chromium with a fresh profile."""
    from playwright.sync_api import expect, sync_playwright
    from tests.browser.serving import CHROMIUM, QUIET

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield found
        found.close()


@pytest.fixture(scope="module")
def _served(bundle):
    from tests.browser.serving import serving

    with serving() as running:
        yield running


@pytest.fixture
def site(_served):
    """Serve the sample, as if nothing had happened to it."""
    _served.reset()
    return _served


@pytest.fixture(scope="module")
def _signed_in(browser, _served):
    """A window's surroundings, signed in; shared, so that the pages' code is loaded once."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    context.request.get(_served.link())
    yield context
    context.close()


@pytest.fixture
def page(site, _signed_in):
    """Open a signed-in window; at the end nothing may have broken the policy or thrown, nor any script have run."""
    opened = _signed_in.new_page()
    broken: list[str] = []
    opened.on("pageerror", lambda error: broken.append(str(error)))
    opened.on("console", lambda said: broken.append(said.text) if "Content Security" in said.text else None)
    opened.on("dialog", lambda dialog: broken.append(f"a dialog: {dialog.message}"))
    yield opened
    title = opened.title()
    opened.close()  # before anything can fail: what stays open goes on asking the site that others use
    assert title != "owned"
    assert broken == []
