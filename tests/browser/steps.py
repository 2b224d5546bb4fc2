"""What several tests of the pages do: hand over a script, write a sweep, find an output's row, look for faults."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, expect
from tests.browser.serving import Site

BROWSER = Path(__file__).parents[2] / "src/cluster_interface/web/browser"
SCRIPT = b"import numpy\nimport labtools\nprint('hello')\n"
PLACES = (
    "/jobs/donejob234?in=results", "/s/nothing", "/", "/?state=rejected", "/submit", "/submit?from=failjob234", "/jobs/unknown",
    "/jobs/runjob2345", "/jobs/prepjob234", "/jobs/sweepjob23?task=2", "/jobs/sweeprun23?tasks=running", "/jobs/waitjob234",
    "/submit?from=sweepjob23", "/jobs/donejob234", "/jobs/failjob234", "/jobs/lostjob234", "/jobs/eviljob234", "/new/blast", "/account",
    "/images", "/images/img-77aa", "/jobs/imagejob23",
)  # fmt: skip
_AXE = [
    "wcag2a",
    "wcag2aa",
    "wcag21a",
    "wcag21aa",
    "wcag22aa",
    "best-practice",
]  # WCAG 2.2 A and AA, and what is advised
_COLOURS = ["color-contrast", "link-in-text-block"]


def choose(page: Page, site: Site, name: str = "fit.py", data: bytes = SCRIPT) -> None:
    """Open the form and choose one script."""
    page.goto(f"{site.url}/submit")
    page.set_input_files("#pick-files", [{"name": name, "mimeType": "text/x-python", "buffer": data}])
    expect(page.locator("#packages code").first).to_be_visible()


def write_sweep(page: Page, text: str, kind: str = "grid") -> None:
    """Open the part of the form about many tasks and write there."""
    if page.locator("#many").get_attribute("open") is None:
        page.click("#many > summary")
    page.select_option("#sweep-kind", kind)
    page.fill("#sweep-text", text)


def row(page: Page, site: Site, path: str, job: str = "donejob234") -> Locator:
    """Open the folder of an output and find its row."""
    page.goto(f"{site.url}/jobs/{job}?{urlencode({'in': path.rpartition('/')[0]})}")
    return page.locator(f"xpath=//tr[@data-path={_quoted(path)}]")


def faults(page: Page, within: str = "html") -> list[object]:
    """Have axe-core look for faults in a part of the page: all of its rules in light, those on colours in dark."""
    if not page.evaluate("'axe' in window"):
        page.evaluate((BROWSER / "node_modules/axe-core/axe.min.js").read_text())
    found = []
    for scheme, rules in (("light", {"type": "tag", "values": _AXE}), ("dark", {"type": "rule", "values": _COLOURS})):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        seen = page.evaluate(
            "([within, rules]) => axe.run(within, {runOnly: rules, resultTypes: ['violations']}).then((all) => all.violations)",
            [within, rules],
        )
        found += [(scheme, fault["id"], [node["html"][:160] for node in fault["nodes"]]) for fault in seen]
    return found


def _quoted(text: str) -> str:
    """Write a string for XPath, which has no escapes."""
    parts = "', \"'\", '".join(text.split("'"))
    return f"concat('', '{parts}')"
