"""One job: followed, read, canceled, run again."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect
from tests.browser.sample_files import EVIL
from tests.browser.sample_jobs import PLACE
from tests.browser.serving import Site
from tests.browser.steps import faults

from cluster_interface.model.state import JobState


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


def test_what_is_written_to_the_other_stream_is_shown(page: Page, site: Site) -> None:
    """Where nothing comes on the one that is shown first; not once somebody chose."""
    made = site.service.made["runjob2345"]
    made.out, made.err = b"", b"epoch 3 of 9\n"
    page.goto(f"{site.url}/jobs/runjob2345")
    expect(page.locator("#log-lines")).to_contain_text("epoch 3 of 9")
    expect(page.locator("#tab-err")).to_have_attribute("aria-selected", "true")
    page.click("#tab-out")
    expect(page.locator("#log-note")).to_have_text("Nothing written yet.")
    expect(page.locator("#tab-out")).to_have_attribute("aria-selected", "true")


def test_a_warning_about_packages_is_shown_beside_them(page: Page, site: Site) -> None:
    """Such as that one was withdrawn; it is text."""
    made = site.service.made["donejob234"]
    plan = made.view.plan
    lock = plan.lock.model_copy(update={"warnings": ("six==1.17.0 was withdrawn: <b>it loses data</b>",)})
    made.view = made.view.model_copy(update={"plan": plan.model_copy(update={"lock": lock})})
    page.goto(f"{site.url}/jobs/donejob234")
    expect(page.locator(".note.warn", has_text="six==1.17.0")).to_contain_text("<b>it loses data</b>")


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


def test_a_missing_package_is_one_click(page: Page, site: Site) -> None:
    """A job that failed for want of a package says so, and is run again with it."""
    page.goto(f"{site.url}/jobs/lackjob234")
    expect(page.locator(".verdict")).to_contain_text("It found no Python module")
    button = page.locator("[data-act=rerun-with-missing]")
    expect(button).to_have_text("Run again with slycot")
    assert faults(page) == []
    button.click()
    page.wait_for_url("**/jobs/newjob0000")
    assert site.service.with_missing
    page.goto(f"{site.url}/jobs/donejob234")
    expect(button).to_have_count(0)


def test_what_was_not_delivered_is_delivered_again(page: Page, site: Site) -> None:
    """One button, how far it is, and what came of it, in place; the folder that is read stays open, nothing runs again."""
    page.goto(f"{site.url}/jobs/lostjob234?in=results")
    told, button = page.locator("#deliveries"), page.locator("[data-act=deliver]")
    expect(told).to_contain_text(f"Not delivered to {PLACE}: the host refused the connection")
    expect(told).to_contain_text("Delivered to file:/srv/results/lostjob234: 11 files")
    button.click()
    expect(button).to_have_text("Delivering…")
    expect(button).to_be_disabled()
    expect(page.locator("#outputs .progress")).to_contain_text("1 MiB of 3 MiB")
    assert faults(page) == []
    site.service.arrive("lostjob234", "the key was not taken")
    expect(told).to_contain_text(f"Not delivered to {PLACE}: the key was not taken")
    expect(button).to_have_text("Deliver again")
    expect(page.locator("#outputs")).to_have_attribute("data-place", "results")
    button.click()
    expect(button).to_have_text("Delivering…")
    site.service.arrive("lostjob234")
    expect(told).to_contain_text(f"Delivered to {PLACE}: 11 files, 3 MiB.")
    expect(button).to_have_count(0)
    assert page.locator("#live").get_attribute("hx-get") is None
    assert site.service.specs == []


def test_a_delivery_that_is_not_wanted_any_more_is_said(page: Page, site: Site) -> None:
    """When somebody else's has arrived between looking and clicking, the refusal is in words."""
    page.goto(f"{site.url}/jobs/lostjob234")
    site.service.arrive("lostjob234")
    page.click("[data-act=deliver]")
    expect(page.locator("#act-error")).to_contain_text("were delivered already")
