"""Jobs from the browser to their outputs on a real server: real engine, scheduler, container and files."""

from __future__ import annotations

import http.client
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB = 180_000  #: milliseconds a job may take, its image included
HOSTILE = "<img src=x onerror=\"document.title='owned'\">.txt"

FIT = """
import argparse, csv, pathlib, sys
import six

parser = argparse.ArgumentParser()
parser.add_argument("table", help="what is summed up")
parser.add_argument("--factor", type=int, default=1, help="what it is multiplied by")
args = parser.parse_args()
total = sum(int(row["n"]) for row in csv.DictReader(open(args.table))) * args.factor
pathlib.Path("results").mkdir(exist_ok=True)
pathlib.Path("results/sum.csv").write_text(f"what,value\\nsum,{total}\\n")
print("\\x1b[32mthe sum is\\x1b[0m", total, "with six", six.__version__)
"""

HARM = f"""
import pathlib, sys
pathlib.Path({HOSTILE!r}).write_text("<script>document.title='owned'</script>")
pathlib.Path("page.html").write_text("<script>parent.document.title='owned'</script>")
print("\\x1b]52;c;b3duZWQ=\\x07<script>document.title='owned'</script>\\u202e")
sys.exit(3)
"""


@pytest.fixture
def page(browser: Browser, quick: object) -> Iterator[Page]:
    """Open the pages with the link that `clif ui --print` gives."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.goto(quick.clif("ui", "--print").stdout.strip())
    expect(opened.locator("h1")).to_have_text("Jobs")
    yield opened
    assert opened.title() != "owned"
    context.close()


def hand_over(page: Page, **files: str) -> None:
    """Choose files in the form and wait for what was found; `_` in a name stands for its dot."""
    page.click("nav >> text=New job")
    payload = [
        {"name": name.replace("_", "."), "mimeType": "text/plain", "buffer": text.encode()}
        for name, text in files.items()
    ]
    page.set_input_files("#pick-files", payload)
    expect(page.locator("#command")).to_have_value(re.compile(r"\.py"))
    expect(page.locator("#looking")).to_be_empty()


def send(page: Page) -> None:
    """Submit and wait for the job's page."""
    page.click("#send")
    page.wait_for_url("**/jobs/*")


def test_a_script_goes_from_the_browser_to_its_outputs(page: Page) -> None:
    """Script and table are handed over, the options filled in, the image made, the job run, its table looked at."""
    hand_over(page, fit_py=FIT, table_csv="n\n20\n1\n")
    expect(page.locator("#packages")).to_contain_text("six")
    page.get_by_role("textbox", name="table").fill("table.csv")
    page.get_by_label("factor").fill("2")
    expect(page.locator("#command")).to_have_value(re.compile("--factor 2.*table.csv"))
    page.fill("#memory", "256MiB")
    send(page)
    expect(page.locator(".verdict .chip")).to_have_text("completed", timeout=JOB)
    expect(page.locator("#log-lines .ink-green")).to_have_text("the sum is")
    expect(page.locator("#log-lines")).to_contain_text("42 with six")
    page.click("tr[data-path='results/sum.csv'] [data-preview]")
    expect(page.locator("#preview-body td").nth(1)).to_have_text("42")
    page.keyboard.press("Escape")
    with page.expect_download() as waiting:
        page.click("text=Download all")
    assert Path(waiting.value.path()).read_bytes().startswith(b"PK")


LISTS = """
import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("spectra_dir")
for path in sorted(pathlib.Path(parser.parse_args().spectra_dir).rglob("*.csv")):
    print(f"[{path}] holds {path.read_text()}")
"""


def test_a_folder_goes_from_the_browser_into_the_job(page: Page, tmp_path: Path) -> None:
    """A program that is given a directory finds in it what was in the one that was chosen."""
    for name in ("a.csv", "day 1/deep/b.csv"):
        (tmp_path / "my spectra" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "my spectra" / name).write_text(name)
    hand_over(page, list_py=LISTS)
    page.set_input_files("#option-0-file", tmp_path / "my spectra")
    expect(page.locator("#command")).to_have_value(re.compile("'my spectra'$"))
    send(page)
    expect(page.locator(".verdict .chip")).to_have_text("completed", timeout=JOB)
    expect(page.locator("#log-lines")).to_contain_text("[my spectra/a.csv] holds a.csv")
    expect(page.locator("#log-lines")).to_contain_text("[my spectra/day 1/deep/b.csv] holds day 1/deep/b.csv")


def test_a_refused_spec_is_said_beside_its_field(page: Page) -> None:
    """What no queue can give, and what is no amount at all, is said where it was typed; nothing is submitted."""
    hand_over(page, fit_py="print(1)")
    page.fill("#cpus", "4096")
    page.fill("#memory", "lots")
    page.click("#send")
    expect(page.locator("#memory-error")).to_contain_text("write for example 4GiB")
    page.fill("#memory", "64MiB")
    page.click("#send")
    expect(page.locator("#cpus-error")).to_contain_text("4096")


def test_a_hostile_job_fails_and_harms_no_reader(page: Page) -> None:
    """File names, pages, escapes and markup that a job leaves behind are text; its exit status is said."""
    hand_over(page, harm_py=HARM)
    send(page)
    expect(page.locator(".verdict .chip")).to_have_text("failed", timeout=JOB)
    expect(page.locator(".verdict")).to_contain_text("3")
    expect(page.locator("#log-lines")).to_contain_text("⟨ESC⟩]52;c;")
    expect(page.locator("#log-lines")).to_contain_text("⟨U+202E⟩")
    expect(page.locator("#outputs")).to_contain_text(HOSTILE)
    page.locator("#outputs tr", has_text="<img").locator("[data-preview]").click()
    expect(page.locator("#preview-body pre")).to_have_text("<script>document.title='owned'</script>")
    link = page.locator("#outputs tr", has_text="page.html").locator("a[download]").get_attribute("href")
    answer = page.request.get(urlsplit(page.url)._replace(path="", query="").geturl() + link + "&preview=1")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "sandbox" in answer.headers["content-security-policy"]


def test_a_running_job_is_canceled(page: Page) -> None:
    """A job that would run for an hour is watched and ended from its page."""
    hand_over(page, wait_py="import time\nprint('waiting', flush=True)\ntime.sleep(3600)\n")
    send(page)
    expect(page.locator("#log-lines")).to_contain_text("waiting", timeout=JOB)
    page.click("[data-act=cancel]")
    page.click("[data-confirmed]")
    expect(page.locator(".verdict .chip")).to_have_text("canceled", timeout=60_000)
    page.click("nav >> text=Jobs")
    expect(page.locator(".jobs .chip").first).to_have_text("canceled")


def test_what_was_sent_before_is_not_sent_again(page: Page) -> None:
    """A script of 300 kB goes up once; handed over again under another name, it is known by its bytes."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "PATCH" else None)
    script = f"# {'x' * 300_000}\nprint('here')\n"
    for name in ("first_py", "second_py"):
        hand_over(page, **{name: script})
        send(page)
    assert len(sent) == 1
    expect(page.locator(".verdict .chip")).to_have_text("completed", timeout=JOB)
    expect(page.locator("#log-lines")).to_contain_text("here")


def test_the_loopback_port_is_no_way_in(page: Page) -> None:
    """Another account of the machine, or a name rebound to this address, gets no job and changes nothing."""
    where = urlsplit(page.url)
    for host, path, expected in (
        (where.netloc, "/", 401),
        (where.netloc, "/api/v1/jobs", 401),
        (f"evil.example:{where.port}", "/", 421),
        (f"evil.example:{where.port}", "/api/v1/jobs", 421),
        (f"evil.example:{where.port}", "/assets/0/pages.js", 421),
    ):
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        assert (answer.status, path) == (expected, path)
        assert b"/jobs/" not in answer.read()
        connection.close()


def test_a_patterns_example_runs_with_one_click(page: Page) -> None:
    """From the list of kinds of job to an output, without a word typed."""
    page.click("nav >> text=New job")
    page.click("#patterns >> text=Python script")
    page.click("text=Run the example")
    page.wait_for_url("**/jobs/*")
    expect(page.locator(".verdict .chip")).to_have_text("completed", timeout=JOB)
    expect(page.locator("#outputs")).to_contain_text("words.csv")
    expect(page.get_by_role("link", name="Capsule")).to_be_visible()
