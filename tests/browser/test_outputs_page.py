"""A job's outputs: folders, previews, downloads, and links for people without an account."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.sample_files import BIDI, EVIL, FILES, LONG
from tests.browser.serving import Site
from tests.browser.steps import row

from cluster_interface.model.state import JobState


def test_outputs_are_downloaded_byte_for_byte(page: Page, site: Site) -> None:
    """Every file comes back as it was, hostile names included."""
    for path, data in FILES.items():
        with page.expect_download() as waiting:
            row(page, site, path).locator("a[download]").click()
        assert Path(waiting.value.path()).read_bytes() == data


def test_folders_are_walked_through(page: Page, site: Site) -> None:
    """Folders with their sums lead down, the crumbs up; a folder is fetched alone; what is nowhere is 404."""
    page.goto(f"{site.url}/jobs/donejob234")
    folder = page.locator("#outputs tr.folder")
    expect(folder).to_contain_text("7 files")
    folder.locator("a").click()
    expect(page.locator("#outputs tbody tr")).to_have_count(7)
    with page.expect_download() as waiting:
        page.click("text=Download this folder")
    assert waiting.value.suggested_filename == "results.zip"
    with zipfile.ZipFile(waiting.value.path()) as archive:
        assert set(archive.namelist()) == {path for path in FILES if path.startswith("results/")}
    page.click(".crumbs a")
    expect(page.locator("#outputs tr.folder")).to_have_count(1)
    for odd in ("nowhere", "..", "results/../..", "results/fit.png/x", "%00"):
        assert page.goto(f"{site.url}/jobs/donejob234?in={odd}").status == 404


def test_a_folder_of_thousands_is_paged(page: Page, site: Site) -> None:
    """A hundred at a time, on every page the whole count."""
    site.service.made["runjob2345"].files = {f"many/{n:05d}.txt": b"x" for n in range(2345)}
    site.service.change("runjob2345", JobState.COMPLETED)
    page.goto(f"{site.url}/jobs/runjob2345")
    expect(page.locator("#outputs tbody tr")).to_have_count(100)
    page.click("#outputs .pager >> text=Next")
    expect(page.locator("#outputs tbody tr").first).to_contain_text("00100.txt")
    expect(page.locator("#outputs .pager")).to_contain_text("101 to 200 of 2,345")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("results/summary.txt", "Ångström fit"),
        ("results/figure.svg", "<svg xmlns"),
        ("results/all.json", '  "amplitude": 0.982'),
        (f"{EVIL}.html", "<script>"),
        (f"{LONG}.dat", "⟨U+202E⟩"),
    ],
)
def test_text_is_previewed_as_text(page: Page, site: Site, path: str, shown: str) -> None:
    """SVG and HTML are source code here; nothing in an output ever runs or is drawn as a page."""
    row(page, site, path).locator("[data-preview]").click()
    expect(page.locator("#preview-body pre")).to_contain_text(shown)
    assert page.locator("#preview-body").locator("script, img, svg, b").count() == 0


def test_a_log_is_previewed_from_its_end(page: Page, site: Site) -> None:
    """The end first; the beginning and the pieces between are a button away."""
    row(page, site, "run.log").locator("[data-preview]").click()
    body = page.locator("#preview-body")
    expect(body.locator("pre")).to_contain_text("the very end")
    body.get_by_text("Beginning").click()
    expect(body.locator("pre")).to_contain_text("line 0\nline 1\n")
    body.get_by_text("Later").click()
    expect(body.locator(".steps")).to_contain_text("256 KiB to 512 KiB")


def test_a_table_is_previewed_as_a_table(page: Page, site: Site) -> None:
    """CSV cells are text, formulas included; Escape closes and the button has the focus again."""
    button = row(page, site, "results/parameters.csv").locator("[data-preview]")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#preview-body th").nth(2)).to_have_text("standard, error")
    expect(page.locator("#preview-body td", has_text="=HYPERLINK")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#preview")).to_be_hidden()
    expect(button).to_be_focused()


def test_a_picture_is_previewed(page: Page, site: Site) -> None:
    """A picture is drawn, from an answer that is sandboxed and not sniffed."""
    button = row(page, site, "results/fit.png").locator("[data-preview]")
    with page.expect_response(lambda r: "fit.png" in r.url and "preview=1" in r.url) as waiting:
        button.click()
    assert "sandbox" in waiting.value.headers["content-security-policy"]
    assert waiting.value.headers["x-content-type-options"] == "nosniff"
    picture = page.locator("#preview-body img")
    expect(picture).to_be_visible()
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 560


def test_a_notebook_is_previewed_inert(page: Page, site: Site) -> None:
    """Sources, text and pictures of a notebook are there; its HTML and SVG are not, nor pictures that are none."""
    row(page, site, "results/fit.ipynb").locator("[data-preview]").click()
    body = page.locator("#preview-body")
    expect(body).to_contain_text("fit(spectra)")
    expect(body).to_contain_text("ZeroDivisionError")
    expect(body).to_contain_text("image/svg+xml: not shown here")
    expect(body.locator("img")).to_have_count(1)
    assert body.locator("img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 560
    assert body.locator("script, svg").count() == 0


def test_a_notebooks_texts_are_laid_out(page: Page, site: Site) -> None:
    """Headings, lists, tables and links are what they are; HTML, traps and pictures from elsewhere are text."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    row(page, site, "results/fit.ipynb").locator("[data-preview]").click()
    prose = page.locator("#preview-body .prose")
    expect(prose.get_by_role("heading", name="What was done, in short")).to_be_visible()
    expect(prose.locator("strong")).to_have_text("first")
    expect(prose.locator("td").first).to_have_text("1")
    expect(prose.locator("td").nth(1)).to_have_text(f"<b>{EVIL}</b>")
    assert prose.locator("a").evaluate_all("all => all.map(one => [one.href, one.rel])") == [
        ["https://example.org/paper", "noopener noreferrer"]
    ]
    for words in ("[picture: pixel]", "<script>", "<iframe", "<svg", "⟨U+202E⟩", "<i>"):
        expect(page.locator("#preview-body")).to_contain_text(words)
    assert page.locator("#preview-body").locator("script, iframe, svg, b, i, object, form").count() == 0
    expect(page.locator("#preview-body .part-code .tok-string")).to_have_text("'<b>done</b>'")
    assert not [url for url in asked if not url.startswith((site.url, "data:"))]


def test_a_pdf_is_drawn_without_its_script(page: Page, site: Site) -> None:
    """The page of a PDF is a picture; its JavaScript never runs (the fixture would see the dialog)."""
    row(page, site, "results/paper.pdf").locator("[data-preview]").click()
    expect(page.locator("#preview-note")).to_contain_text("1 page")
    dark = "(c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 == 0 && v < 99)"
    assert page.locator("#preview-body canvas").evaluate(dark)


def test_unreadable_files_offer_no_preview(page: Page, site: Site) -> None:
    """What is neither text nor a picture can only be downloaded."""
    found = row(page, site, BIDI)
    expect(found.locator("a[download]")).to_be_visible()
    expect(found.locator("[data-preview]")).to_have_count(0)


def test_a_link_is_made_copied_used_and_taken_back(page: Page, site: Site, browser: Browser) -> None:
    """From the dialog to somebody without an account, who gets this file by the button, and nothing once it is gone."""
    row(page, site, "results/fit.png").locator("[data-share]").click()
    page.fill("#share [name=most]", "2")
    page.click("text=Make a link")
    expect(page.locator("#share-made")).to_be_visible()
    url = page.locator("#share-url").input_value()
    assert re.fullmatch(rf"{site.url}/s/[\w-]{{43}}", url)
    stranger = browser.new_context()
    visitor = stranger.new_page()
    visitor.set_default_timeout(10_000)
    headers = visitor.goto(url).headers
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    for _ in range(5):
        visitor.reload()  # as a mail scanner does: nothing is counted
    expect(visitor.locator("main")).to_contain_text("fit.png")
    expect(visitor.locator("main dd").last).to_have_text("2")
    with visitor.expect_download() as waiting:
        visitor.get_by_role("button", name="Download").click()
    assert Path(waiting.value.path()).read_bytes() == FILES["results/fit.png"]
    assert visitor.goto(f"{site.url}/jobs/donejob234").status == 401
    page.keyboard.press("Escape")
    row(page, site, "results/fit.png").locator("[data-share]").click()
    expect(page.locator("#share-links li")).to_contain_text("1 of 2")
    page.click("#share-links button")
    expect(page.locator("#share-links")).to_be_hidden()
    assert visitor.goto(url).status == 404
    stranger.close()
