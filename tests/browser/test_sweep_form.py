"""Sweeps in the form for a new job."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from tests.browser.serving import Site
from tests.browser.steps import choose, write_sweep


@pytest.mark.parametrize(
    ("kind", "text", "says", "sweep"),
    [
        ("grid", 'rounds = 1..3\nlabel = a, "b, c"', "6 tasks: rounds (3)",
         {"parameters": {"rounds": ("1", "2", "3"), "label": ("a", "b, c")}}),
        ("zip", "a = 0..1..0.5\nb = x, y, z", "3 tasks", {"parameters": {"a": ("0.0", "0.5", "1.0"), "b": ("x", "y", "z")}, "method": "zip"}),
        ("table", "n\tm\n1\tx\n2\ty\n", "2 tasks, with n, m", {"table": "parameters.csv"}),
        ("files", "data/*.txt", "A task for each file", {"files": "data/*.txt"}),
    ],
)  # fmt: skip
def test_the_form_makes_sweeps(page: Page, site: Site, kind: str, text: str, says: str, sweep: dict) -> None:
    """Lists, tables and patterns are counted while they are written, and become the spec's own words."""
    choose(page, site)
    write_sweep(page, text, kind)
    expect(page.locator("#sweep-count")).to_contain_text(says)
    page.fill("#max-running", "4")
    page.check("#first-alone")
    page.fill("#after", "donejob234, runjob2345:any")
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0000")
    spec = site.service.specs[0]
    assert spec.sweep.model_dump(exclude_defaults=True) == {**sweep, "max_running": 4, "first_alone": True}
    assert spec.after == ("donejob234", "runjob2345:any")
    assert ("parameters.csv" in spec.files) == (kind == "table")
    assert spec.command == ("python3 fit.py --rounds {rounds}" if kind == "grid" else "python3 fit.py")


def test_what_no_option_takes_is_told(page: Page, site: Site) -> None:
    """Until a command of one's own has a place for it; back at the proposed one it is told again."""
    choose(page, site)
    write_sweep(page, "rounds = 1..3\nlabel = a, b")
    expect(page.locator("#command")).to_have_value("python3 fit.py --rounds {rounds}")
    expect(page.locator("#warnings")).to_contain_text("parameter label: the program finds it as $CLIF_PARAM_label")
    page.fill("#command", "python3 fit.py {label}")
    expect(page.locator("#warnings")).not_to_contain_text("parameter label")
    page.click("#command-back")
    expect(page.locator("#command")).to_have_value("python3 fit.py --rounds {rounds}")
    expect(page.locator("#warnings")).to_contain_text("parameter label")


def test_what_is_written_just_before_is_sent(page: Page, site: Site) -> None:
    """The command that comes of the last words is the one that is sent, also when nobody waited for it."""
    choose(page, site)
    page.fill("#arguments", "--plot")
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0000")
    assert site.service.specs[0].command == "python3 fit.py --plot"


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("grid", "a b = 1", "write for example"),
        ("grid", "n = 5..1..1", "never gets to its end"),
        ("zip", "n = 1, 2\nm = 1", "of one length"),
        ("table", "n,m\n1\n", "Row 2 has 1 cells, the header 2"),
        ("table", "a b\n1\n", "cannot be a parameter's name"),
    ],
)
def test_what_is_no_sweep_is_told_while_it_is_written(page: Page, site: Site, kind: str, text: str, words: str) -> None:
    """And it is not sent."""
    choose(page, site)
    write_sweep(page, text, kind)
    expect(page.locator("#sweep-error")).to_contain_text(words)
    page.click("#send")
    expect(page.locator("#sweep-text")).to_be_focused()
    assert site.service.specs == []


def test_an_earlier_sweep_can_be_changed(page: Page, site: Site) -> None:
    """Its lists, bounds and what it waited for are in the form again."""
    page.goto(f"{site.url}/submit?from=sweepjob23")
    expect(page.locator("#sweep-text")).to_have_value("temperature = 1\nseed = 1\nlabel = x")
    expect(page.locator("#after")).to_have_value("donejob234:any")
    page.fill("#sweep-text", "temperature = 5")
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0000")
    assert site.service.specs[0].sweep.parameters == {"temperature": ("5",)}
