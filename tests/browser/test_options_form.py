"""The script's own options as fields, in step with its arguments."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.serving import Site
from tests.browser.steps import choose

TOOL = b"""
import argparse
import numpy

parser = argparse.ArgumentParser()
parser.add_argument("-v", "--verbose", action="store_true", help="say more")
commands = parser.add_subparsers(dest="what", required=True)
fit = commands.add_parser("fit")
fit.add_argument("table", help="the measurements")
fit.add_argument("-n", "--rounds", type=int, default=40, help="how many")
fit.add_argument("--method", choices=["fast", "exact"], default="fast")
fit.add_argument("--tag", action="append", help="again for each")
draw = commands.add_parser("draw")
draw.add_argument("title")
draw.add_argument("--columns", nargs="+")
args = parser.parse_args()
"""


def arguments(page: Page, text: str) -> None:
    """Expect this line of arguments, and the command to end with it."""
    expect(page.locator("#arguments")).to_have_value(text)
    expect(page.locator("#command")).to_have_value(re.compile(f"^python3? fit.py {re.escape(text)}$"))


def test_options_fill_the_arguments(page: Page, site: Site) -> None:
    """What is filled in is quoted safely into arguments and command, each in its place."""
    choose(page, site)
    page.get_by_label("table").first.fill("my data; $(touch x).csv")
    page.get_by_label("rounds").fill("7")
    page.get_by_label("plot").check()
    arguments(page, "--rounds 7 --plot 'my data; $(touch x).csv'")
    page.get_by_label("plot").uncheck()
    page.get_by_label("method").select_option("exact")
    arguments(page, "--rounds 7 --method exact 'my data; $(touch x).csv'")


def test_arguments_fill_the_options(page: Page, site: Site) -> None:
    """What is written is shown in the fields, and wins; words that no option explains stay where they are."""
    choose(page, site)
    page.fill("#arguments", "--odd 'it''s' --rounds=3 --method other --plot")
    expect(page.get_by_label("rounds")).to_have_value("3")
    expect(page.get_by_label("plot")).to_be_checked()
    expect(page.get_by_label("method")).to_have_value("other")
    expect(page.get_by_label("table").first).to_have_value("its")
    page.get_by_label("rounds").fill("4")
    arguments(page, "--odd its --rounds 4 --method other --plot")
    page.fill("#arguments", "--rounds many 'a\nb'")
    expect(page.get_by_label("rounds")).to_have_value("many")
    expect(page.get_by_label("table").first).to_have_value("a\nb")
    page.get_by_label("table").first.fill("a\n'b'")
    arguments(page, "--rounds many 'a\n'\"'\"'b'\"'\"''")
    page.fill("#arguments", "--rounds '3")
    expect(page.locator("#arguments-error")).to_contain_text("not closed")
    page.fill("#arguments", "--rounds '3'")
    expect(page.locator("#arguments-error")).to_be_hidden()
    expect(page.get_by_label("rounds")).to_have_attribute("type", "number")


def test_hostile_arguments_reach_the_job_as_they_are(page: Page, site: Site) -> None:
    """Quotes, substitutions and line breaks are one word of the command that is sent."""
    choose(page, site)
    word = "\"'$(touch x)`id`\\;\n&& <b>"
    page.fill("#arguments", "'" + word.replace("'", "'\"'\"'") + "'")
    expect(page.get_by_label("table").first).to_have_value(word)
    expect(page.locator("#command")).to_have_value(re.compile(r"touch"))
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0000")
    assert shlex.split(site.service.specs[0].command) == ["python3", "fit.py", word]


def test_a_subcommand_shows_its_own_options(page: Page, site: Site) -> None:
    """Options of other subcommands are not in the way; short names and repeated options are understood."""
    choose(page, site, data=TOOL)
    option = page.locator("#option-fields .option:visible")
    expect(option).to_have_count(2)
    page.get_by_role("combobox", name="what").select_option("draw")
    expect(page.get_by_label("columns")).to_be_visible()
    expect(page.get_by_label("rounds")).to_be_hidden()
    page.get_by_label("columns").fill("a 'b c'")
    page.get_by_label("title").fill("Fit")
    arguments(page, "draw Fit --columns a 'b c'")
    page.fill("#arguments", "-v fit -n 7 --tag x --tag y data.csv")
    expect(page.get_by_label("verbose")).to_be_checked()
    expect(page.get_by_label("rounds")).to_have_value("7")
    expect(page.get_by_label("tag")).to_have_value("x y")
    expect(page.get_by_label("table").first).to_have_value("data.csv")
    expect(page.get_by_label("columns")).to_be_hidden()
    page.get_by_label("tag").fill("x y z")
    arguments(page, "-v fit -n 7 --tag x --tag y --tag z data.csv")


def test_a_ready_line_is_taken_with_one_click(page: Page, site: Site) -> None:
    """What only a person knows is selected, and told until it is given."""
    choose(page, site, data=TOOL)
    page.click("#suggestion-lines button >> text=fit TABLE")
    expect(page.locator("#arguments")).to_have_value("fit TABLE")
    expect(page.locator("#suggestions")).to_be_hidden()
    expect(page.locator("#arguments-why")).to_have_text("Still to be given: table.")
    page.keyboard.type("data.csv")
    expect(page.locator("#arguments-why")).to_be_empty()
    arguments(page, "fit data.csv")


def test_a_file_is_picked_for_an_option(page: Page, site: Site) -> None:
    """It becomes one of the job's files, and its name the option's value; those that are there are offered."""
    choose(page, site)
    payload = {"name": "my spectra.csv", "mimeType": "text/csv", "buffer": b"a\n1\n"}
    page.set_input_files("#option-0-file", payload)
    expect(page.locator("#files")).to_contain_text("my spectra.csv")
    expect(page.get_by_label("table").first).to_have_value("my spectra.csv")
    arguments(page, "'my spectra.csv'")
    offered = page.locator("#job-files option").evaluate_all("all => all.map(one => one.value)")
    assert offered == ["fit.py", "my spectra.csv"]
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0000")
    assert site.service.specs[0].files["my spectra.csv"].source.startswith("upload:")


FOLDERS = b"""
import argparse, pathlib
import numpy

parser = argparse.ArgumentParser()
parser.add_argument("spectra", type=pathlib.Path, help="folder with the measurements")
parser.add_argument("--more-dirs", nargs="+", help="further ones")
parser.add_argument("--outdir")
args = parser.parse_args()
"""


def make_folder(root: Path, *names: str) -> Path:
    """Write a file of each name, which is what it says."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_a_folder_is_picked_for_an_option_that_is_a_directory(page: Page, site: Site, tmp_path: Path) -> None:
    """All that is in it goes with the job below its own name, which is the option's value; clutter stays behind."""
    choose(page, site, data=FOLDERS)
    tree = ("a.csv", "day 1/ä.csv", "day 1/deep/b.csv")
    page.set_input_files("#option-0-file", make_folder(tmp_path / "my spectra", *tree, ".git/config"))
    arguments(page, "'my spectra'")
    names = [f"my spectra/{name}" for name in tree]
    expect(page.locator("#files .path")).to_have_text(["fit.py", *names], use_inner_text=True)
    expect(page.locator("#files-note")).to_contain_text("1 files")
    offered = page.locator("#job-folders option").evaluate_all("all => all.map(one => one.value)")
    assert offered == ["my spectra", "my spectra/day 1", "my spectra/day 1/deep"]
    for more in ("x", "y"):
        page.set_input_files("#option-1-file", make_folder(tmp_path / more, "only.csv"))
    arguments(page, "'my spectra' --more-dirs x y")
    assert page.locator("#option-2-file").count() == 0  # what it writes is not chosen
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0000")
    files = site.service.specs[0].files
    assert set(files) == {"fit.py", *names, "x/only.csv", "y/only.csv"}
    sent = {name: bytes(site.uploads.data[files[name].source.removeprefix("upload:")]).decode() for name in names}
    assert sent == dict(zip(names, tree, strict=True))


def test_a_folder_of_which_nothing_is_taken_changes_nothing(page: Page, site: Site, tmp_path: Path) -> None:
    """It is said why."""
    choose(page, site, data=FOLDERS)
    page.set_input_files("#option-0-file", make_folder(tmp_path / "project", ".git/config"))
    expect(page.locator("#files-note")).to_contain_text("left out")
    expect(page.locator("#arguments")).to_have_value("")
    expect(page.locator("#files .path")).to_have_text(["fit.py"])


@pytest.mark.parametrize("name", ["<img src=x>", "--a\u202eb"])
def test_hostile_options_are_text(page: Page, site: Site, name: str) -> None:
    """An option that is called like markup is shown as it is."""
    script = f"import argparse, numpy\np = argparse.ArgumentParser()\np.add_argument({name!r}, help='<b>x</b>')\np.parse_args()\n"
    choose(page, site, data=script.encode())
    expect(page.locator("#options")).to_contain_text("<b>x</b>")
    assert page.locator("#options").locator("img, b").count() == 0
    assert "\u202e" not in page.locator("#options").inner_text()


def test_what_is_missing_is_said_beside_the_button(page: Page, site: Site) -> None:
    """What must be given stands first and is named where the job is submitted, until it is given; long lines wrap."""
    tool = (
        b"import argparse\nimport numpy\np = argparse.ArgumentParser()\np.add_argument('--quiet', action='store_true')\n"
        b"p.add_argument('--top', default='3')\np.add_argument('--reference-genome-directory-of-all-samples', required=True)\n"
        b"p.add_argument('table')\np.parse_args()\n"
    )
    choose(page, site, data=tool)
    labels = page.locator("#option-fields .option label:not(.button)")
    expect(labels).to_contain_text(["reference genome", "table", "top"])
    expect(page.locator("#send-note")).to_have_text(
        "Still to be given: reference genome directory of all samples, table."
    )
    expect(page.locator("#warnings")).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.fill("#arguments", "--reference-genome-directory-of-all-samples here my.csv")
    expect(page.locator("#send-note")).to_be_empty()
