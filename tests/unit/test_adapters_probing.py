"""The node probe with fake executables: what it says of nodes that this machine is not."""

import json
import os
import shutil
import subprocess

import pytest

from cluster_interface.adapters.runtimes.probing import probe_script, read_report
from cluster_interface.model.errors import Transient
from cluster_interface.model.plan import Bound

TOOLS = ("sh", "id", "mktemp", "rm", "sed", "tr", "cut", "cat", "stat", "test", "timeout", "grep", "tail", "uname", "nproc",
         "mv", "wc", "mkdir", "env", "true")  # fmt: skip


class Machine:
    """A search path with the tools of every node, and fakes of what this one has."""

    def __init__(self, place):
        self.place, self.bin = place, place / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.fake("id", '[ "$1" = -un ] && echo ada || echo 1234')

    def fake(self, name, text):
        """Put a script in the place of a program."""
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def report(self, **places):
        """Probe it, and read the report."""
        out = self.place / "out.json"
        given = {"workspace": self.place, "store": self.place, **places}
        text = probe_script(out, **given).replace(":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "")
        subprocess.run(["sh", "-s"], input=text, text=True, check=True, env={"PATH": str(self.bin)})
        return read_report(out.read_text())


@pytest.fixture
def machine(tmp_path):
    """A node with nothing."""
    return Machine(tmp_path)


def test_a_bare_node_says_what_it_lacks(machine):
    """Where there is nothing, every runtime has a reason in words, and `none` still has its bounds."""
    report = machine.report()
    assert report.runtimes == ()
    assert report.refused["apptainer"] == "there is no apptainer"
    assert set(report.refused) == {"apptainer", "podman", "charliecloud", "bubblewrap", "docker"}
    assert report.bounds["none"]["filesystem"] is Bound.NONE


def test_what_starts_is_offered_in_order(machine):
    """Several that work are listed with the one for clusters first; versions do where there is nothing to start."""
    machine.fake("unshare", "exit 0")
    machine.fake("ch-run", "exit 0")
    machine.fake("bwrap", 'echo "--size --disable-userns"')
    machine.fake("apptainer", "exit 0")
    report = machine.report()
    offered = [name for name in report.runtimes if name != "apptainer"]  # that one wants /dev/fuse of this machine
    assert offered == ["charliecloud", "bubblewrap"]
    assert report.found.namespaces is None


def test_without_user_namespaces_the_kernels_words_are_told(machine):
    """What the kernel says of namespaces is the reason, not that a program exits with 1."""
    machine.fake("unshare", "echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1")
    machine.fake("apptainer", "exit 0")
    report = machine.report()
    assert "Operation not permitted" in report.refused["apptainer"]
    assert "Operation not permitted" in report.found.namespaces


def test_an_engine_of_another_machine_does_not_mislead(machine):
    """Docker's client may speak to the login node: its containers would run there."""
    machine.fake("docker", '[ "$1" = info ] && echo "login1 24.0"; exit 0')
    assert "login1" in machine.report().refused["docker"]
    machine.fake("docker", f'[ "$1" = info ] && echo "{os.uname().nodename} 24.0"; exit 0')
    report = machine.report()
    assert report.runtimes == ("docker",)
    assert report.bounds["docker"]["memory"] is Bound.ENFORCED


def test_what_was_tried_as_root_does_not_count(machine):
    """No job runs as root, so what works for it proves nothing but for docker."""
    machine.fake("id", "echo 0")
    machine.fake("unshare", "exit 0")
    machine.fake("ch-run", "exit 0")
    assert "uid 0" in machine.report().refused["charliecloud"]


def test_a_node_that_does_not_see_the_workspace_runs_nothing(machine, tmp_path):
    """Directories that are not shared are told, and no runtime is offered."""
    machine.fake("unshare", "exit 0")
    machine.fake("ch-run", "exit 0")
    report = machine.report(workspace=tmp_path / "elsewhere")
    assert report.runtimes == ()
    assert "elsewhere" in report.trouble[0]


def test_awkward_words_stay_json(machine):
    """Quotes, newlines, colours and backslashes of other programs do not break the report."""
    machine.fake("unshare", 'printf \'a "b" \\\\ \\033[31mred\\033[0m\\ttab\\nlast "line"\\n\' >&2; exit 1')
    machine.fake("ch-run", "exit 0")
    words = machine.report().refused["charliecloud"]
    assert 'last "line"' in words
    assert "\x1b" not in words


def test_modules_and_gpus_are_found(machine):
    """GPUs are listed as the driver names them."""
    listed = "echo 'GPU 0: NVIDIA A100 (UUID: GPU-1)'; echo 'GPU 1: NVIDIA A100 (UUID: GPU-2)'"
    machine.fake("nvidia-smi", f"case $1 in -L) {listed} ;; *) echo 535.104.05; echo 535.104.05 ;; esac")
    found = machine.report().found
    assert (len(found.gpus), found.driver) == (2, "535.104.05")
    machine.fake("nvidia-smi", "echo 'NVIDIA-SMI has failed'; exit 9")
    assert machine.report().found.driver is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', json.dumps({"version": 1, "host": 3})])
def test_no_report_is_read_from_rubbish(text):
    """What is not a report, or another version's, is asked for again."""
    with pytest.raises(Transient):
        read_report(text)
