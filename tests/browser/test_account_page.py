"""A person's own page: room for files, and credentials that are given once and never shown again."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from tests.browser.sample_files import EVIL
from tests.browser.serving import Site
from tests.browser.steps import faults

from cluster_interface.model.credential import Credential

SECRET = "wJalrXUtnFEMI-secret"


def test_room_and_retention_are_told(page: Page, site: Site) -> None:
    """What the jobs hold, of how much, and how long files are kept: here and beside the jobs."""
    for path in ("/account", "/"):
        page.goto(site.url + path)
        expect(page.locator("main")).to_contain_text("3 GiB of 20 GiB")
        expect(page.locator("main")).to_contain_text("kept for 30 days")


def test_a_credential_is_kept_and_never_shown(page: Page, site: Site) -> None:
    """From an empty list to a line that says what it is for; its secret part is on no page and in no answer."""
    page.goto(f"{site.url}/account")
    expect(page.locator("#credentials")).to_contain_text("None yet")
    page.fill("#credential-name", "lab")
    page.fill("#credential-match", "s3://lab-data")
    page.get_by_label("Access key").fill("AKIA123")
    page.get_by_label("Secret key").fill(SECRET)
    page.locator("#credential-keep").dblclick()
    row = page.locator("[data-credential=lab]")
    for words in ("S3 storage", "s3://lab-data", "access key AKIA123", "just now"):
        expect(row).to_contain_text(words)
    assert [one.secret for one in site.service.credentials.held("ada")] == [
        {"access_key": "AKIA123", "secret_key": SECRET}
    ]
    assert SECRET not in page.content()
    assert SECRET not in page.request.get(f"{site.url}/api/v1/credentials").text()
    expect(page.get_by_label("Secret key")).to_have_value("")


def test_each_kind_asks_for_its_own_parts(page: Page, site: Site) -> None:
    """What was typed for another kind is not sent; a key of several lines arrives whole."""
    page.goto(f"{site.url}/account")
    page.get_by_label("Secret key").fill(SECRET)
    page.select_option("#credential-kind", "sftp")
    expect(page.get_by_label("Secret key")).to_be_hidden()
    expect(page.locator("#credential-match")).to_have_attribute("placeholder", "sftp://archive.example.edu")
    page.fill("#credential-name", "archive")
    page.fill("#credential-match", "sftp://archive.example.edu")
    page.get_by_label("User name").first.fill("ada")
    page.fill("#credential-sftp-private_key", "-----BEGIN\nabc\n-----END\n")
    page.click("#credential-keep")
    expect(page.locator("[data-credential=archive]")).to_contain_text("username ada")
    assert site.service.credentials.held("ada")[0].secret == {
        "username": "ada",
        "private_key": "-----BEGIN\nabc\n-----END\n",
    }


def test_what_is_wrong_is_said(page: Page, site: Site) -> None:
    """Beside its field where it has one, else above the button; what was typed stays."""
    site.service.credentials.add(
        "ada", Credential(name="lab", kind="token", match="https://x.example", secret={"token": "t"})
    )
    page.goto(f"{site.url}/account")
    page.click("text=Add a credential")
    assert page.locator("#credential .error:not([data-error-for])").count() == 0
    page.fill("#credential-name", "a b")
    page.click("#credential-keep")
    expect(page.locator("#credential-name-error")).to_contain_text("Write letters, digits")
    expect(page.locator("#credential-name")).to_be_focused()
    page.fill("#credential-name", "lab")
    page.fill("#credential-match", "https://wrong.example")
    page.get_by_label("Access key").fill("AKIA123")
    page.click("#credential-keep")
    expect(page.locator("#problems")).to_contain_text("write s3://… for s3")
    page.fill("#credential-match", "s3://lab")
    page.click("#credential-keep")
    expect(page.locator("#problems")).to_contain_text("s3 needs secret_key")
    page.get_by_label("Secret key").fill(SECRET)
    page.click("#credential-keep")
    expect(page.locator("#problems")).to_contain_text("there is a credential lab already")
    expect(page.get_by_label("Access key")).to_have_value("AKIA123")


def test_removing_asks_first(page: Page, site: Site) -> None:
    """Backing out keeps it; a name and a place that look like markup are text."""
    site.service.credentials.add(
        "ada", Credential(name="lab", kind="token", match=f"https://x.example/{EVIL}", secret={"token": "t"})
    )
    page.goto(f"{site.url}/account")
    expect(page.locator("[data-credential=lab]")).to_contain_text(EVIL)
    assert page.locator("img").count() == 0
    page.click("[data-remove]")
    expect(page.locator("#forget")).to_contain_text("lab")
    assert faults(page, "#forget") == []
    page.keyboard.press("Escape")
    assert len(site.service.credentials.held("ada")) == 1
    page.click("[data-remove]")
    page.click("#forget-it")
    expect(page.locator("#credentials")).to_contain_text("None yet")
    assert site.service.credentials.held("ada") == []
