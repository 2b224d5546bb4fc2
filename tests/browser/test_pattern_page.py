"""A pattern's form."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from tests.browser.serving import Site


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
