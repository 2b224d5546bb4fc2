"""The form for a new job: files in, what was found, the spec out."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect
from tests.browser.sample_files import BIDI, EVIL
from tests.browser.serving import Site
from tests.browser.steps import SCRIPT, choose


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


BATCH = b"""#!/bin/bash
#SBATCH --array=1-3
#SBATCH --cpus-per-task=2
#SBATCH --mem=512M
#SBATCH --time=00:05:00
#SBATCH --mail-user=ada@example.org
echo "$SLURM_ARRAY_TASK_ID" > out.txt
"""


def test_directives_of_a_batch_script_fill_the_form(page: Page, site: Site) -> None:
    """Its resources are in their fields, where a person may change them; its array and its variables go along."""
    page.goto(f"{site.url}/submit")
    page.set_input_files("#pick-files", [{"name": "run.sbatch", "mimeType": "text/plain", "buffer": BATCH}])
    expect(page.locator("#cpus")).to_have_value("2")
    expect(page.locator("#time")).to_have_value("5m")
    warnings = page.locator("#warnings")
    expect(warnings).to_contain_text("Many tasks: array: 3 tasks (1, 2, 3)")
    expect(warnings).to_contain_text("Left out: #SBATCH --mail-user=ada@example.org (line 6)")
    page.fill("#memory", "1GiB")
    page.fill("#arguments", "again")  # a later look leaves alone what a person wrote
    expect(page.locator("#command")).to_have_value("bash run.sbatch again")
    expect(page.locator("#memory")).to_have_value("1GiB")
    page.click("#send")
    page.wait_for_url("**/jobs/newjob*")
    spec = site.service.specs[0]
    assert (spec.resources.cpus, spec.resources.memory, spec.resources.time) == (2, 1 << 30, 300)
    assert spec.dialect == "slurm"
    assert spec.sweep.parameters == {"array": ("1", "2", "3")}


def test_what_is_said_leads_to_its_field(page: Page, site: Site) -> None:
    """A flag of the command line is the field's name here, and a click on it the way there; code is code."""
    script = b"import argparse, requests, flask\nrequests.get('https://x.org')\nflask.Flask('a').run()\n"
    choose(page, site, data=script)
    warnings = page.locator("#warnings")
    expect(warnings).not_to_contain_text("--")
    expect(warnings.locator("code")).to_have_text("flask.Flask('a').run()")
    warnings.get_by_role("button", name="“Let it use the network”").click()
    expect(page.locator("#network")).to_be_focused()
    warnings.get_by_role("button", name="“Time”").click()
    expect(page.locator("#time")).to_be_focused()


def test_a_doubtful_package_needs_a_yes(page: Page, site: Site) -> None:
    """What inspection is not sure of is not ticked, is explained, and is used only once ticked."""
    choose(page, site)
    box = page.locator("#packages li", has_text="labtools").get_by_role("checkbox")
    expect(box).not_to_be_checked()
    expect(page.locator("#send-note")).to_contain_text("doubtful")
    box.check()
    expect(page.locator("#send-note")).not_to_contain_text("doubtful")
    page.click("#send")
    page.wait_for_url("**/jobs/newjob*")
    assert "labtools" in site.service.specs[0].environment.python.packages


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


def test_what_the_server_has_is_not_sent_again(page: Page, site: Site) -> None:
    """A file is known by its bytes, whatever it is called; of one that arrived in part only the rest is sent."""
    data = bytes(range(256)) * 4096
    choose(page, site, "data.bin", data)
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0000")
    choose(page, site, "again.bin", data)
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0001")
    assert site.uploads.received == [len(data)]
    assert [
        spec.files[name].source for spec, name in zip(site.service.specs, ("data.bin", "again.bin"), strict=True)
    ] == ["upload:up0"] * 2
    del site.uploads.data["up0"][500_000:]
    choose(page, site, "rest.bin", data)
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0002")
    assert site.uploads.received == [len(data), len(data) - 500_000]
    assert site.uploads.data["up0"] == data


def test_a_small_file_takes_one_request(page: Page, site: Site) -> None:
    """Thousands of them are sent in a third of the time; one that is cut is sent again."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method) if "/uploads" in request.url else None)
    choose(page, site)
    page.click("#send")
    page.wait_for_url("**/jobs/newjob*")
    assert sent == ["POST"]
    site.uploads.break_next = True
    choose(page, site)
    page.click("#send")
    page.wait_for_url("**/jobs/newjob0001")
    assert bytes(site.uploads.data[site.service.specs[1].files["fit.py"].source.removeprefix("upload:")]) == SCRIPT


def test_a_file_that_is_gone_does_not_hold_the_form(page: Page, site: Site, tmp_path: Path) -> None:
    """What can no longer be read has no checksum; to send it is tried nevertheless, which says at once what is wrong."""
    script = tmp_path / "fit.py"
    script.write_bytes(SCRIPT + b"#" * 300_000)
    page.goto(f"{site.url}/submit")
    page.set_input_files("#pick-files", script)
    expect(page.locator("#packages code").first).to_be_visible()
    script.unlink()
    page.click("#send")
    expect(page.locator("#problems")).to_contain_text("fit.py was removed or changed since it was chosen")
    expect(page.locator("#send")).to_be_enabled()


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
