"""The tasks of a sweep on the job's page."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect
from tests.browser.sample_files import EVIL
from tests.browser.serving import Site

from cluster_interface.model.state import JobState


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
    expect(page.locator("#outputs tbody tr")).to_have_count(20)
    expect(page.locator("#outputs .pager")).to_contain_text("1 to 20 of 90")


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
