"""The pages in a real Chromium, over the real routes and sessions, with a sample of every kind of job."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from tests.browser.sample import BIDI, EVIL, FILES, LONG
from tests.browser.serving import CHROMIUM, QUIET, Site, serving

from cluster_interface.model.state import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
BROWSER = ROOT / "src/cluster_interface/web/browser"
SCRIPT = b"import numpy\nimport labtools\nprint('hello')\n"


@pytest.fixture(scope="session", autouse=True)
def bundle() -> None:
    """Bundle the pages' code as it is now."""
    subprocess.run([ROOT / "scripts/web"], check=True, timeout=300)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a Chromium with a fresh profile."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield found
        found.close()


@pytest.fixture
def site() -> Iterator[Site]:
    """Serve the sample."""
    with serving() as running:
        yield running


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """Open a signed-in page; at the end nothing may have broken the policy or thrown, nor any script have run."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(10_000)
    opened = context.new_page()
    broken: list[str] = []
    opened.on("pageerror", lambda error: broken.append(str(error)))
    opened.on("console", lambda said: broken.append(said.text) if "Content Security" in said.text else None)
    opened.on("dialog", lambda dialog: broken.append(f"a dialog: {dialog.message}"))
    opened.goto(site.link())
    yield opened
    assert opened.title() != "owned"
    assert broken == []
    context.close()


def choose(page: Page, site: Site, name: str = "fit.py", data: bytes = SCRIPT) -> None:
    """Open the form and choose one script."""
    page.goto(f"{site.url}/submit")
    page.set_input_files("#pick-files", [{"name": name, "mimeType": "text/x-python", "buffer": data}])
    expect(page.locator("#packages code").first).to_be_visible()


# --- who may look


def test_without_a_session_the_page_says_how_to_get_one(browser: Browser, site: Site) -> None:
    """Whoever comes to the loopback port without a link sees no job, only `clif ui`."""
    page = browser.new_page()
    for path in ("/", "/submit", "/jobs/donejob234", "/nothing"):
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
    for path in ("/", "/submit", "/jobs/donejob234", "/jobs/unknown", "/nothing"):
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


# --- the list


def test_the_list_leads_to_older_jobs(page: Page, site: Site) -> None:
    """Newest first, fifty a page, with a link to what is older."""
    expect(page.locator(".jobs li")).to_have_count(50)
    expect(page.locator(".jobs li .title").first).to_have_text("spectra, second batch")
    page.click("text=Older")
    expect(page.locator(".jobs li")).to_have_count(20)
    page.goto(f"{site.url}/?state=failed")
    expect(page.locator(".jobs li")).to_have_count(3)


def test_an_empty_list_invites(page: Page, site: Site) -> None:
    """Before the first job the list says what can be done here."""
    site.service.made.clear()
    page.goto(site.url)
    page.click("text=Submit a script")
    expect(page.locator("h1")).to_have_text("New job")


def test_the_list_follows_what_changes(page: Page, site: Site) -> None:
    """A new state appears by itself, the keyboard's place in the list is kept, and unchanged lists are not sent."""
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
    site.service.silent = True
    expect(page.locator("#offline")).to_contain_text("may be out of date")
    expect(page.locator(".jobs li")).to_have_count(50)
    site.service.silent = False
    expect(page.locator("#offline")).to_be_hidden()


# --- one job


def test_a_running_job_is_followed_to_its_end(page: Page, site: Site) -> None:
    """State, stages, log, outputs and title change in place; the end is announced, and the asking stops."""
    page.goto(f"{site.url}/jobs/runjob2345")
    expect(page.locator(".way [aria-current]")).to_contain_text("running")
    expect(page.locator("#log-lines")).to_contain_text("round 40")
    made = site.service.made["runjob2345"]
    made.out += b"one more line\n"
    expect(page.locator("#log-lines")).to_contain_text("one more line")
    made.files = {"results/a.txt": b"a"}
    site.service.change("runjob2345", JobState.COMPLETED, ended=made.view.created + 60)
    expect(page.locator(".verdict .chip")).to_have_text("completed")
    expect(page.locator("#outputs")).to_contain_text("a.txt")
    expect(page.locator("#announce")).to_have_text("angstrom-fit is completed.")
    expect(page).to_have_title(re.compile("completed"))
    expect(page.locator("#log-lines")).to_contain_text("one more line")
    assert page.locator("#live").get_attribute("hx-get") is None


def test_what_was_opened_stays_open_while_the_page_follows(page: Page, site: Site) -> None:
    """A refresh does not close the list of events under the reader's hand."""
    page.goto(f"{site.url}/jobs/prepjob234")
    page.click("text=Every step")
    expect(page.locator(".progress")).to_have_count(2)
    expect(page.locator(".progress").first).to_contain_text("3 of 5 packages")
    site.service.change("prepjob234", JobState.QUEUED, progress=())
    expect(page.locator(".verdict .chip")).to_have_text("queued")
    expect(page.locator(".events table")).to_be_visible()


def test_a_failed_job_says_why_and_opens_its_errors(page: Page, site: Site) -> None:
    """The reason, what to do, and the error log are in sight without a click."""
    page.goto(f"{site.url}/jobs/failjob234")
    expect(page.locator(".why")).to_contain_text("4 GiB of memory")
    expect(page.locator(".advice")).to_contain_text("ask for more")
    expect(page.locator("#tab-err")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#log-lines .ink-red")).to_have_text("numpy._core._exceptions._ArrayMemoryError")


def test_the_log_tabs_work_with_the_keyboard(page: Page, site: Site) -> None:
    """Arrow keys change between output and errors, as tab lists do."""
    page.goto(f"{site.url}/jobs/failjob234")
    page.locator("#tab-err").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#tab-out")).to_be_focused()
    expect(page.locator("#log-lines")).to_contain_text("round 40")


def test_a_hostile_log_is_text(page: Page, site: Site) -> None:
    """Markup, clipboard escapes, clear-screen and bidi marks of a log are shown, never obeyed."""
    page.goto(f"{site.url}/jobs/eviljob234")
    lines = page.locator("#log-lines")
    expect(lines).to_contain_text("<script>document.title='owned'</script>")
    expect(lines).to_contain_text("⟨ESC⟩]52;c;")
    expect(lines).to_contain_text("⟨U+202E⟩")
    assert lines.locator("img, script").count() == 0
    assert "\x1b" not in lines.inner_text()
    assert "\u202e" not in page.locator("body").inner_text()


def test_hostile_names_are_text_everywhere(page: Page, site: Site) -> None:
    """A job or file named like markup, with bidi marks or without an end, is shown as it is and breaks nothing."""
    for path in ("/", "/jobs/eviljob234", "/jobs/donejob234", "/submit?from=eviljob234"):
        page.goto(site.url + path)
        assert page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.goto(f"{site.url}/jobs/eviljob234")
    expect(page.locator("h1")).to_have_text(EVIL)


def test_a_log_can_be_saved_whole(page: Page, site: Site) -> None:
    """The download has every byte of the log, of which the page shows only the end."""
    site.service.made["donejob234"].out = b"x" * 79 + b"\n" + b"y" * 700_000 + b"\nend\n"
    page.goto(f"{site.url}/jobs/donejob234")
    expect(page.locator("#log-note")).to_contain_text("The end of")
    with page.expect_download() as waiting:
        page.click("#log-save")
    assert Path(waiting.value.path()).read_bytes() == site.service.made["donejob234"].out


# --- outputs


def row(page: Page, site: Site, path: str, job: str = "donejob234") -> Locator:
    """Open the folder of an output and find its row."""
    page.goto(f"{site.url}/jobs/{job}?{urlencode({'in': path.rpartition('/')[0]})}")
    return page.locator(f"xpath=//tr[@data-path={quoted(path)}]")


def quoted(text: str) -> str:
    """Write a string for XPath, which has no escapes."""
    parts = "', \"'\", '".join(text.split("'"))
    return f"concat('', '{parts}')"


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


# --- links for people without an account


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


# --- cancel and run again


def test_cancel_asks_first(page: Page, site: Site) -> None:
    """Cancel is confirmed in a dialog; backing out leaves the job alone."""
    page.goto(f"{site.url}/jobs/runjob2345")
    page.click("[data-act=cancel]")
    page.keyboard.press("Escape")
    assert site.service.made["runjob2345"].view.state is JobState.RUNNING
    page.click("[data-act=cancel]")
    page.click("[data-confirmed]")
    expect(page.locator(".verdict .chip")).to_have_text("canceled")
    expect(page.locator("[data-act=rerun]")).to_be_visible()


def test_a_cancel_that_comes_too_late_is_said(page: Page, site: Site) -> None:
    """When the job ends between looking and clicking, the refusal is in words."""
    page.goto(f"{site.url}/jobs/runjob2345")
    page.click("[data-act=cancel]")
    page.route("**/jobs/runjob2345?part=live*", lambda route: route.abort())
    site.service.change("runjob2345", JobState.COMPLETED)
    page.click("[data-confirmed]")
    expect(page.locator("#act-error")).to_contain_text("nothing left to cancel")


def test_running_again_opens_the_new_job(page: Page, site: Site) -> None:
    """Run again makes one new job and goes there, also on a double click."""
    page.goto(f"{site.url}/jobs/donejob234")
    page.dblclick("[data-act=rerun]")
    page.wait_for_url("**/jobs/newjob0000")
    assert len(site.service.specs) == 1


def test_an_earlier_job_can_be_changed(page: Page, site: Site) -> None:
    """Change… fills the form with what the job was, and what is changed is all that differs."""
    page.goto(f"{site.url}/jobs/failjob234")
    page.click("text=Change…")
    expect(page.locator("#memory")).to_have_value("4GiB")
    expect(page.locator("#command")).to_have_value("python3 fit.py --rounds 41 data/spectra")
    page.fill("#memory", "6GiB")
    page.click("#send")
    page.wait_for_url("**/jobs/newjob*")
    old, new = site.service.made["failjob234"].view.spec, site.service.specs[0]
    assert new.resources.memory == 6 * 2**30
    same = {"resources": old.resources, "name": old.name}
    assert new.model_copy(update=same).model_dump(exclude_defaults=True) == old.model_dump(exclude_defaults=True)


# --- submitting


def test_a_script_is_submitted_as_proposed(page: Page, site: Site) -> None:
    """Choosing a script shows what was found; submitting uploads it and opens its page."""
    choose(page, site)
    expect(page.locator("#command")).to_have_value("python3 fit.py")
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0000")
    spec = site.service.specs[0]
    assert spec.script == "fit.py"
    assert spec.environment.python.packages == ("numpy", "pandas", "pyyaml", "scikit-learn")
    upload = spec.files["fit.py"].source.removeprefix("upload:")
    assert bytes(site.uploads.data[upload]) == SCRIPT


def test_a_doubtful_package_needs_a_yes(page: Page, site: Site) -> None:
    """What inspection is not sure of is not ticked, is explained, and is used only once ticked."""
    choose(page, site)
    box = page.locator("#packages li", has_text="labtools").get_by_role("checkbox")
    expect(box).not_to_be_checked()
    expect(page.locator("#send-note")).to_contain_text("doubtful")
    box.check()
    expect(page.locator("#send-note")).to_be_empty()
    page.click("#send")
    page.wait_for_url("**/jobs/newjob*")
    assert "labtools" in site.service.specs[0].environment.python.packages


def test_options_fill_the_arguments(page: Page, site: Site) -> None:
    """The script's own options are a form, quoted safely into arguments and command."""
    choose(page, site)
    page.get_by_role("textbox", name="table").fill("my data; $(touch x).csv")
    page.get_by_label("rounds").fill("7")
    page.get_by_label("plot").check()
    expect(page.locator("#arguments")).to_have_value("--rounds 7 --plot 'my data; $(touch x).csv'")
    expect(page.locator("#command")).to_have_value("python3 fit.py --rounds 7 --plot 'my data; $(touch x).csv'")


def test_a_command_of_ones_own_is_kept(page: Page, site: Site) -> None:
    """What a person wrote is not overwritten by a later look, and the proposed one can be had back."""
    choose(page, site)
    page.fill("#command", "python3 -O fit.py")
    page.fill("#arguments", "--rounds 3")
    expect(page.locator("#looking")).to_be_empty()
    expect(page.locator("#command-why")).to_have_text("This is your own command.")
    expect(page.locator("#command")).to_have_value("python3 -O fit.py")
    page.click("#command-back")
    expect(page.locator("#command")).to_have_value("python3 fit.py --rounds 3")


def test_a_refusal_stands_beside_its_field(page: Page, site: Site) -> None:
    """The server's words appear at the field, which gets the focus; putting it right submits."""
    choose(page, site)
    page.fill("#memory", "64GiB")
    page.click("#send")
    expect(page.locator("#memory-error")).to_contain_text("the most in queue local is 8 GiB")
    expect(page.locator("#memory")).to_be_focused()
    expect(page.locator("#memory")).to_have_attribute("aria-invalid", "true")
    page.fill("#memory", "lots")
    page.click("#send")
    expect(page.locator("#memory-error")).to_contain_text("write for example 4GiB")
    page.fill("#memory", "2GiB")
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/newjob0000")
    assert site.service.specs[0].resources.memory == 2 * 2**30


def test_a_double_click_is_one_job(page: Page, site: Site) -> None:
    """However often the button is pressed, one job is made."""
    choose(page, site)
    page.locator("#send").evaluate("(button) => { for (let i = 0; i < 5; i++) button.click(); }")
    page.wait_for_url("**/jobs/newjob0000")
    assert len(site.service.specs) == 1


def test_a_lost_answer_is_no_second_job(page: Page, site: Site) -> None:
    """Where the job was taken but the answer got lost, submitting again opens the same job."""
    choose(page, site)

    def lose(route: object) -> None:
        route.fetch()
        route.abort()

    page.route("**/api/v1/jobs", lose, times=1)
    page.click("#send")
    expect(page.locator("#problems")).to_contain_text("could not be reached")
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0000")
    assert len(site.service.specs) == 1


def test_a_broken_upload_goes_on_where_it_stopped(page: Page, site: Site) -> None:
    """After a failure halfway the rest is sent, not the whole, and the bytes are right."""
    data = bytes(range(256)) * 4096
    choose(page, site, "data.bin", data)
    site.uploads.break_next = True
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0000")
    assert [bytes(got) for got in site.uploads.data.values()] == [data]


def test_a_folder_keeps_its_shape_and_loses_its_clutter(page: Page, site: Site, tmp_path: Path) -> None:
    """A folder's files keep their places below it; version control and caches stay behind."""
    project = tmp_path / "project"
    for name in ("run.py", "data/a.csv", ".git/config", "__pycache__/run.pyc"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("import numpy\n")
    page.goto(f"{site.url}/submit")
    page.set_input_files("#pick-folder", project)
    expect(page.locator("#files .path")).to_have_text(["run.py", "data/a.csv"], use_inner_text=True)
    expect(page.locator("#files-note")).to_contain_text("2 files")


def test_files_can_be_dropped(page: Page, site: Site) -> None:
    """A file let go anywhere on the form is taken, and does not replace the page."""
    page.goto(f"{site.url}/submit")
    page.locator("#drop").evaluate(
        """(box) => {
            const data = new DataTransfer();
            data.items.add(new File(["import numpy"], "dropped.py"));
            box.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }"""
    )
    expect(page.locator("#files .path")).to_have_text("dropped.py")


def test_hostile_file_names_in_the_form_are_text(page: Page, site: Site) -> None:
    """A chosen file's name is shown as text, bidi marks as what they are."""
    page.goto(f"{site.url}/submit")
    page.set_input_files("#pick-files", [{"name": f"{EVIL}{BIDI}", "mimeType": "text/plain", "buffer": b"x"}])
    expect(page.locator("#files .path")).to_contain_text("⟨U+202E⟩")
    assert page.locator("img").count() == 0


def test_files_by_address(page: Page, site: Site) -> None:
    """A file that is on the cluster or on the web already is named, not uploaded."""
    choose(page, site)
    page.click("text=Add a file by its address")
    page.fill("#address-source", "/data/genome.fa")
    page.keyboard.press("Enter")
    expect(page.locator("#files")).to_contain_text("genome.fa")
    page.click("#send")
    page.wait_for_url("**/jobs/newjob*")
    assert site.service.specs[0].files["genome.fa"].source == "file:/data/genome.fa"


def test_the_spec_can_be_edited_by_hand(page: Page, site: Site) -> None:
    """The whole spec is there to read and, once asked for, to write; bad JSON is said at once."""
    choose(page, site)
    page.click("text=The whole job spec")
    page.check("#by-hand")
    text = page.locator("#spec").input_value()
    page.fill("#spec", text + "}")
    page.click("#send")
    expect(page.locator("#spec-error")).to_contain_text("not JSON")
    page.fill("#spec", text.replace('"network": false', '"network": true'))
    page.click("#send")
    page.wait_for_url("**/jobs/newjob*")
    assert site.service.specs[0].network is True
    assert site.service.specs[0].files["fit.py"].source.startswith("upload:up")


# --- for everybody


def test_the_form_works_with_the_keyboard_alone(page: Page, site: Site) -> None:
    """From the first field to the job's page without a mouse."""
    choose(page, site)
    page.locator("#arguments").focus()
    page.keyboard.type("--rounds 2")
    expect(page.locator("#command")).to_have_value("python3 fit.py --rounds 2")
    page.locator("#network").focus()
    page.keyboard.press("Space")
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "send":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/newjob0000")
    assert site.service.specs[0].network is True


# --- many tasks


def write_sweep(page: Page, text: str, kind: str = "grid") -> None:
    """Open the part of the form about many tasks and write there."""
    if page.locator("#many").get_attribute("open") is None:
        page.click("#many > summary")
    page.select_option("#sweep-kind", kind)
    page.fill("#sweep-text", text)


def test_the_tasks_of_a_sweep_are_counted_filtered_and_paged(page: Page, site: Site) -> None:
    """A bar with its counts in words, a table page by page, only those of one state where that is wanted."""
    page.goto(f"{site.url}/jobs/sweepjob23")
    expect(page.locator(".shares")).to_have_attribute("aria-label", "963 completed, 37 failed")
    expect(page.locator("#tasks tbody tr")).to_have_count(50)
    page.click("#tasks .pager >> text=Next")
    expect(page.locator("#tasks tbody th").first).to_have_text("50")
    page.click("#tasks .filters >> text=failed 37")
    expect(page.locator("#tasks tbody tr")).to_have_count(37)
    expect(page.locator("#tasks tbody .chip").first).to_have_text("failed")
    expect(page.locator(".side-column")).to_contain_text("2: 37 tasks, 2 GiB")
    expect(page.locator(".verdict")).to_contain_text("next time ask 512 MiB")


def test_a_task_leads_to_its_log_and_outputs(page: Page, site: Site) -> None:
    """The chosen task's row is marked, its log is read, and only its outputs are listed."""
    page.goto(f"{site.url}/jobs/sweepjob23")
    with page.expect_response(lambda r: "/logs/" in r.url and "task=4" in r.url):
        page.click("#tasks tbody a >> text='4'")
    expect(page.locator("#tasks tr[aria-current]")).to_contain_text("254")
    expect(page.locator("#log-task")).to_have_value("4")
    expect(page.locator("#outputs tbody tr")).to_have_count(1)
    page.click("#outputs .crumbs >> text=All tasks")
    expect(page.locator("#outputs tbody tr")).to_have_count(90)


def test_hostile_parameters_are_text(page: Page, site: Site) -> None:
    """Markup and marks of direction in a parameter are shown, never obeyed (the fixture sees to the rest)."""
    page.goto(f"{site.url}/jobs/sweepjob23")
    expect(page.locator("#tasks tbody tr").nth(2)).to_contain_text(EVIL)
    expect(page.locator("#tasks tbody tr").nth(3)).to_contain_text("report⟨U+202E⟩gnp.exe")
    assert page.locator("#tasks img").count() == 0


def test_only_the_failed_tasks_run_again(page: Page, site: Site) -> None:
    """One button for those, one for all."""
    page.goto(f"{site.url}/jobs/sweepjob23")
    page.click("text=Run the 37 failed again")
    page.wait_for_url("**/jobs/newjob0000")
    assert site.service.failed_again is True


def test_tables_are_downloaded_whole(page: Page, site: Site) -> None:
    """The tasks' own tables as one, and the table of tasks: attachments that no browser runs."""
    page.goto(f"{site.url}/jobs/sweepjob23")
    for title, words in (
        ("Gather results/fit.csv of all tasks", "task,temperature,seed,label,x\n0,250,0,run 0,=1+1\n"),
        ("Download the table", "task,temperature,seed,label,state,"),
    ):
        with page.expect_download() as download:
            page.click(f"text={title}")
        assert Path(download.value.path()).read_text().startswith(words)
    answer = page.request.get(f"{site.url}/api/v1/jobs/sweepjob23/gather?path=results%2Ffit.csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert "sandbox" in answer.headers["content-security-policy"]
    assert page.request.get(f"{site.url}/api/v1/jobs/sweepjob23/gather").status == 422


def test_a_running_sweep_keeps_its_place(page: Page, site: Site) -> None:
    """Counts change in place; the filter and the chosen task stay through the refreshing."""
    page.goto(f"{site.url}/jobs/sweeprun23?tasks=running&task=380")
    expect(page.locator("#tasks tbody tr")).to_have_count(16)
    view = site.service.made["sweeprun23"].view
    site.service.change("sweeprun23", JobState.RUNNING, counts={**view.counts, "failed": 99})
    expect(page.locator("#tasks .filters")).to_contain_text("failed 99")
    expect(page.locator("#tasks tbody tr")).to_have_count(16)
    expect(page.locator("#log-task")).to_have_value("380")


def test_a_waiting_job_says_why_and_how_long(page: Page, site: Site) -> None:
    """The scheduler's reason, the place in the queue, the expected start and how far such guesses were off."""
    page.goto(f"{site.url}/jobs/waitjob234")
    for words in (
        "waits for free nodes",
        "(Resources)",
        "Place 3",
        "Expected to start in 14 min",
        "off by 4 min (median of 12)",
    ):
        expect(page.locator(".verdict")).to_contain_text(words)


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


def test_further_resources_are_suggested_and_sent(page: Page, site: Site) -> None:
    """What the queue knows is offered, names of any kind as text; what is chosen is in the spec."""
    choose(page, site)
    page.click("#more summary")
    assert page.locator("#known-account option").evaluate_all("all => all.map(one => one.value)") == ["chem", EVIL]
    for field, value in {
        "gpus": "2",
        "gpu_type": "a100",
        "nodes": "3",
        "account": "chem",
        "licenses": "m:2, n",
    }.items():
        page.fill(f"#{field}", value)
    page.check("#exclusive")
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0000")
    asked = site.service.specs[0].resources
    assert (asked.gpus, asked.gpu_type, asked.nodes, asked.account, asked.licenses, asked.exclusive) == (
        2, "a100", 3, "chem", ("m:2", "n"), True,
    )  # fmt: skip


def test_an_earlier_sweep_can_be_changed(page: Page, site: Site) -> None:
    """Its lists, bounds and what it waited for are in the form again."""
    page.goto(f"{site.url}/submit?from=sweepjob23")
    expect(page.locator("#sweep-text")).to_have_value("temperature = 1\nseed = 1\nlabel = x")
    expect(page.locator("#after")).to_have_value("donejob234:any")
    page.fill("#sweep-text", "temperature = 5")
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0000")
    assert site.service.specs[0].sweep.parameters == {"temperature": ("5",)}


PLACES = ("/jobs/donejob234?in=results", "/s/nothing", "/", "/?state=rejected", "/submit", "/submit?from=failjob234", "/jobs/unknown", "/jobs/runjob2345",
          "/jobs/prepjob234", "/jobs/sweepjob23?task=2", "/jobs/sweeprun23?tasks=running", "/jobs/waitjob234",
          "/submit?from=sweepjob23", "/jobs/donejob234", "/jobs/failjob234", "/jobs/eviljob234")  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_an_accessibility_fault(page: Page, site: Site, scheme: str) -> None:
    """axe-core finds nothing (WCAG 2.2 A and AA, contrast included) on any page, light or dark."""
    axe = (BROWSER / "node_modules/axe-core/axe.min.js").read_text()
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    found = []
    for path in PLACES:
        page.goto(site.url + path)
        if path == "/submit":
            choose(page, site)
            write_sweep(page, "n = 1..3")
            page.click("#more summary")
        page.evaluate(axe)
        faults = page.evaluate("(rules) => axe.run(rules).then((result) => result.violations)", rules)
        found += [(path, fault["id"], [node["html"][:160] for node in fault["nodes"]]) for fault in faults]
    assert found == []


def test_what_opens_has_no_accessibility_fault(page: Page, site: Site) -> None:
    """Nor do previews, the share dialog and the page for somebody without an account, in either colours."""
    axe = (BROWSER / "node_modules/axe-core/axe.min.js").read_text()
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    page.emulate_media(reduced_motion="reduce")

    def faults() -> list[object]:
        found = []
        page.evaluate(axe)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            seen = page.evaluate("(rules) => axe.run(rules).then((result) => result.violations)", rules)
            found += [(fault["id"], [node["html"][:160] for node in fault["nodes"]]) for fault in seen]
        return found

    for path in ("results/fit.ipynb", "results/parameters.csv", "run.log", "results/paper.pdf"):
        row(page, site, path).locator("[data-preview]").click()
        expect(page.locator("#preview-note")).not_to_be_empty()
        assert faults() == [], path
    row(page, site, "results/fit.png").locator("[data-share]").click()
    page.click("text=Make a link")
    expect(page.locator("#share-links li")).to_be_visible()
    assert faults() == []
    page.goto(page.locator("#share-url").input_value())
    assert faults() == []


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_window(page: Page, site: Site, width: int) -> None:
    """No page scrolls sideways, from a small phone up, whatever the names in it."""
    page.set_viewport_size({"width": width, "height": 800})
    for path in PLACES:
        page.goto(site.url + path)
        if path == "/submit":
            choose(page, site)
            write_sweep(page, "n = 1..3")
            page.click("#more summary")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


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


# --- patterns


def test_a_pattern_is_filled_in_and_sent(page: Page, site: Site) -> None:
    """A card opens a form with its example; what is wrong is said beside its field; own files take the example's place."""
    page.goto(f"{site.url}/submit")
    page.click("text=BLAST search")
    expect(page.locator("#send")).to_have_text("Run the example")
    page.fill("#value-evalue", "-1")
    page.set_input_files("#value-query", [{"name": "mine.fa", "mimeType": "text/plain", "buffer": b">a\nACGT\n"}])
    expect(page.locator("#send")).to_have_text("Submit the job")
    page.click("#send")
    expect(page.locator("#value-evalue-error")).to_contain_text("at least 0")
    page.fill("#value-evalue", "10")
    page.click("#more summary")
    page.fill("#memory", "lots")
    page.click("#send")
    expect(page.locator("#memory-error")).to_contain_text("write for example 4GiB")
    page.fill("#memory", "1GiB")
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0000")
    spec = site.service.specs[-1]
    assert spec.files["query.fasta"].source == "upload:up0"
    assert site.uploads.data["up0"] == b">a\nACGT\n"
    assert spec.files["database/genes.fasta"].content.startswith(">gene-a")
    assert (spec.resources.memory, spec.command.endswith(" -evalue 10")) == (2**30, True)
