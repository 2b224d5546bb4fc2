"""The scripts around the project: on any machine, they do nothing that is done already and say what is missing."""

import ast
import hashlib
import importlib.util
import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(
    path for path in [*(TOP / "scripts").iterdir(), *(TOP / "testbed").iterdir(), TOP / ".ci/run"] if path.is_file()
)


def fake(directory, name, text):
    """Put an executable shell script on the path of what is tested."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path):
    """A machine whose dpkg-query knows the packages in `installed`, and whose apt-get writes down its calls."""
    programs = tmp_path / "bin"
    fake(programs, "dpkg-query", f'for last; do :; done; grep -qx "$last" {tmp_path}/installed && printf installed')
    fake(programs, "apt-get", f'echo "$@" >>{tmp_path}/calls')
    fake(programs, "id", f"cat {tmp_path}/uid")
    fake(programs, "sudo", "exit 1")
    (tmp_path / "uid").write_text("0")
    (tmp_path / "installed").write_text("make\ngit\n")

    def packages(*names):
        environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        argv = [TOP / "scripts/packages", *names]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)

    packages.directory = tmp_path
    return packages


def calls(machine):
    """What apt-get was asked for, without its options."""
    path = machine.directory / "calls"
    return path.read_text() if path.exists() else ""


def test_packages_asks_nothing_where_nothing_is_missing(machine):
    """With every package there, apt-get is never started."""
    assert machine("make", "git").returncode == 0
    assert calls(machine) == ""


def test_packages_installs_only_what_is_missing(machine):
    """Root gets the missing packages installed, and no others."""
    assert machine("make", "bubblewrap").returncode == 0
    last = calls(machine).splitlines()[-1]
    assert last.endswith("install -y --no-install-recommends bubblewrap")


def test_packages_says_what_to_ask_for_where_it_may_not_install(machine):
    """An ordinary user without sudo is told the command for an administrator, and nothing is tried."""
    (machine.directory / "uid").write_text("1000")
    done = machine("make", "bubblewrap", "uidmap")
    assert done.returncode == 1
    assert "apt-get install bubblewrap uidmap" in done.stderr
    assert calls(machine) == ""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_says_what_it_is(script):
    """A script begins with a shebang (or is a module) and a sentence; it is executable where it is run by name."""
    first, second, *_ = script.read_text().splitlines()
    if script.suffix == ".py":
        assert first.startswith('"""')
    else:
        assert re.fullmatch(r"#!(/bin/sh|/usr/bin/env bash)", first)
        assert re.match(r"# [A-Z]", second)
        assert os.access(script, os.X_OK) == (script.suffix != ".sh")  # these are sourced


PARTS = sorted(path for path in SCRIPTS if path.parent.name == "testbed" and 'main "$@"' in path.read_text())


@pytest.mark.parametrize("part", PARTS, ids=lambda path: path.name)
def test_every_part_of_the_testbed_says_how_it_is_used(part):
    """A part that is asked for what it cannot do changes nothing and says what it can."""
    done = subprocess.run([part, "dance"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "start|status|stop" in done.stderr


def test_the_testbed_starts_and_stops_every_part():
    """`up` and `down` name the same parts, and no others than there are (and munge, which Slurm starts)."""
    named = [
        set(re.search(pattern, (TOP / "testbed" / name).read_text())[1].split())
        for name, pattern in (("up", r'everything="(.*)"'), ("down", r"set -- (.*)"))
    ]
    assert named[0] | {"munge"} == named[1] == {path.name for path in PARTS}


def test_make_help_names_every_target():
    """`make help` lists every target, each with what it does."""
    text = (TOP / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()
    done = subprocess.run(["make", "-s", "-C", TOP], capture_output=True, text=True, check=True)
    shown = re.findall(r"^make (\S+) +\S", done.stdout, re.MULTILINE)
    assert shown == targets


def test_make_calls_only_scripts_that_are_there():
    """No target of the Makefile names a script that has gone."""
    for name in re.findall(r"\t@((?:scripts|testbed)/\S+)", (TOP / "Makefile").read_text()):
        assert os.access(TOP / name, os.X_OK), name


@pytest.fixture
def fetch_uv():
    """The module that fetches uv; it is no package's."""
    spec = importlib.util.spec_from_file_location("fetch_uv", TOP / "scripts/fetch_uv.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def wheel(tmp_path):
    """A wheel with a program in it, at a file: URL."""
    path = tmp_path / "uv-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("uv-1.0.data/scripts/uv", "#!/bin/sh\necho uv 1.0\n")
    return path


def test_fetch_uv_finds_this_machines_wheel_in_the_lock(fetch_uv):
    """The lock names a wheel of uv for this machine, with its checksum."""
    url, sha256 = fetch_uv.wheel()
    assert re.search(r"/uv-[0-9.]+-py3-none-", url)
    assert re.fullmatch("[0-9a-f]{64}", sha256)


def test_fetch_uv_unpacks_the_program(fetch_uv, wheel, tmp_path, monkeypatch):
    """What the lock names is unpacked and can be run."""
    monkeypatch.setattr(fetch_uv, "wheel", lambda: (wheel.as_uri(), hashlib.sha256(wheel.read_bytes()).hexdigest()))
    fetch_uv.main(tmp_path / "bin")
    assert subprocess.run([tmp_path / "bin/uv"], capture_output=True, text=True, check=True).stdout == "uv 1.0\n"


def test_fetch_uv_refuses_other_bytes(fetch_uv, wheel, tmp_path, monkeypatch):
    """Bytes with another checksum are never written."""
    monkeypatch.setattr(fetch_uv, "wheel", lambda: (wheel.as_uri(), "0" * 64))
    with pytest.raises(SystemExit, match=r"not what uv\.lock names"):
        fetch_uv.main(tmp_path / "bin")
    assert not (tmp_path / "bin").exists()


def test_fetch_uv_runs_on_an_old_python():
    """It is what a machine's first Python runs: nothing newer than 3.8 in it."""
    ast.parse((TOP / "scripts/fetch_uv.py").read_text(), feature_version=(3, 8))
