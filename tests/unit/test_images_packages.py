"""Installed packages are kept once, hard-linked into what needs them, and removed when nothing does."""

import os
import time

import pytest

from cluster_interface.images import layer, pruning
from cluster_interface.images.faces.engine import Engine
from cluster_interface.images.lock import Target
from cluster_interface.images.packages import Packages
from cluster_interface.images.rootfs import Interpreter
from cluster_interface.images.shelf import Shelf
from cluster_interface.model.errors import Permanent
from cluster_interface.settings import Images

SITE = "lib/python3.11/site-packages"
PYTHON = Interpreter(path="/usr/bin/python3", binary="/usr/bin/python3.11", version="3.11")


@pytest.fixture
def shelf(tmp_path):
    made = Shelf(tmp_path / "store")
    made.prepare()
    return made


def prune(shelf, *, older_than, timeout):
    """Make room where builds may take so long."""
    now = pruning.Pruning(shelf, Engine(None), Images(timeout=timeout), time.monotonic() + 60)
    now.prune([], [], older_than=older_than, larger_than=0)


def lay(shelf, env, *names, compiled=True):
    """Make an environment of packages, as uv does, with its cache; say which ones had to be installed."""
    asked = []

    def install(requirements, place):
        (place / ".lock").touch()
        for name in [line.partition("==")[0] for line in requirements.splitlines()]:
            asked.append(name)
            info = place / SITE / f"{name}-1.dist-info"
            info.mkdir(parents=True)
            (info / "INSTALLER").write_text("uv")
            files = [f"{name}.py", f"{info.name}/AUTHORS"]
            for file in files:
                cached = shelf.wheels / file
                cached.parent.mkdir(exist_ok=True)
                if not cached.exists():
                    cached.write_text(f"NAME = {name!r}\n")
                (place / SITE / file).hardlink_to(cached)
            if name in ("left", "right"):
                (place / SITE / "both.py").write_text(name)
                files.append("both.py")
            (place / f"{name}.cfg").write_text("data")
            files += [f"{info.name}/INSTALLER", f"{info.name}/RECORD", f"../../../{name}.cfg"]
            (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))

    env.mkdir(exist_ok=True)
    with shelf.temporary("layer") as home:
        made = Packages(shelf, Target(python="3.11", glibc=36), home, compiled=compiled)
        made.lay("\n".join(f"{name}==1" for name in names), env, install)
        made.keep()
    return asked


def test_each_is_installed_once(shelf, tmp_path):
    """A list with one package more installs that one; the files are the same files, and none is uv's own."""
    assert lay(shelf, tmp_path / "a", "one", "two") == ["one", "two"]
    assert lay(shelf, tmp_path / "b", "one", "two", "three") == ["three"]
    assert (tmp_path / f"a/{SITE}/one.py").samefile(tmp_path / f"b/{SITE}/one.py")
    assert {path.name for path in (tmp_path / "b").iterdir()} == {"lib", "one.cfg", "two.cfg", "three.cfg"}


def test_a_package_that_is_recorded_under_another_name_is_whole(shelf, tmp_path):
    """Old wheels have a hyphen in the directory's name: then each is installed alone."""
    lay(shelf, tmp_path / "a", "one-two", "three")
    assert (tmp_path / f"a/{SITE}/one-two.py").exists()
    assert lay(shelf, tmp_path / "b", "one-two") == []
    assert (tmp_path / f"b/{SITE}/one-two.py").exists()


def test_what_is_compiled_is_another_package(shelf, tmp_path):
    """An image whose Python cannot compile them does not decide what the others get."""
    assert lay(shelf, tmp_path / "a", "one", compiled=False) == ["one"]
    assert lay(shelf, tmp_path / "b", "one") == ["one"]
    assert lay(shelf, tmp_path / "c", "one", compiled=False) == []


def test_what_no_environment_has_is_pruned_once_it_is_old(shelf, tmp_path):
    """What one still has stays, and so does what was used lately: a build may be about to link it, whatever is asked."""
    lay(shelf, tmp_path / "a", "one", "two")
    lay(shelf, tmp_path / "b", "two")
    for file in (tmp_path / "a" / SITE).rglob("*"):
        if file.is_file():
            file.unlink()
    prune(shelf, older_than=3600, timeout=1)
    prune(shelf, older_than=0, timeout=3600)
    assert len(shelf.all("packages")) == 2
    before = time.time() - 7200
    for place in shelf.all("packages"):
        os.utime(place, (before, before))
    prune(shelf, older_than=3600, timeout=3600)
    assert len(shelf.all("packages")) == 1  # though uv's cache has the other's files too
    assert lay(shelf, tmp_path / "c", "one", "two") == ["one"]


@pytest.mark.parametrize("first", ["left", "right"])
def test_of_a_file_of_two_packages_the_last_ones_is_taken(shelf, tmp_path, first):
    """Whichever of them was there before, and so is linked while the other one is installed."""
    lay(shelf, tmp_path / "a", first)
    assert lay(shelf, tmp_path / "b", "left", "right") == [{"left": "right", "right": "left"}[first]]
    assert (tmp_path / "b" / SITE / "both.py").read_text() == "right"
    assert (tmp_path / "a" / SITE / "both.py").read_text() == first


@pytest.mark.parametrize("link", ["lib", SITE, f"{SITE}/one-1.dist-info"])
def test_no_file_goes_through_a_link_out_of_the_environment(shelf, tmp_path, link):
    """A link that something else put there, such as a package of conda's, is refused by name."""
    outside, env = tmp_path / "outside", tmp_path / "env"
    outside.mkdir()
    (outside / "RECORD").write_text("canary")
    (env / link).parent.mkdir(parents=True)
    (env / link).symlink_to(outside)
    with pytest.raises(Permanent, match=link):
        lay(shelf, env, "one")
    assert [path.read_text() for path in outside.iterdir()] == ["canary"]


def test_a_directory_in_a_files_place_is_said_in_words(shelf, tmp_path):
    """It is not replaced by the file."""
    (tmp_path / f"env/{SITE}/one.py").mkdir(parents=True)
    with pytest.raises(Permanent, match=r"one\.py is a directory"):
        lay(shelf, tmp_path / "env", "one")


def test_an_environment_is_laid_out_through_no_link(tmp_path):
    """A link in a file's place is replaced, what it leads to stays; one in a directory's place is refused."""
    canary, outside, env = tmp_path / "canary", tmp_path / "outside", tmp_path / "env"
    canary.write_text("canary")
    outside.mkdir(mode=0o700)
    (outside / "python").write_text("canary")
    env.mkdir()
    (env / "pyvenv.cfg").symlink_to(canary)
    layer.begin(env, PYTHON)
    assert canary.read_text() == "canary"
    assert (env / "pyvenv.cfg").read_text().startswith("home = /usr/bin\n")
    assert not (env / "pyvenv.cfg").is_symlink()
    assert (env / "bin/python3.11").readlink().as_posix() == "/usr/bin/python3"
    for name in ("bin", "lib"):
        bad = tmp_path / f"bad-{name}"
        bad.mkdir()
        (bad / name).symlink_to(outside)
        with pytest.raises(Permanent, match=f"/opt/env/{name} a link"):
            layer.begin(bad, PYTHON)
    assert (outside / "python").read_text() == "canary"
    assert outside.stat().st_mode & 0o777 == 0o700
