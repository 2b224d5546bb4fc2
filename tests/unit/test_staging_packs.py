"""What a killed job.sh left with a shared container comes back to its task, wherever the kill came."""

import os
import shutil
import subprocess

import pytest

from cluster_interface.adapters.runtimes import script
from cluster_interface.staging.packs import settle

NAMES = ["a", ".hidden", "..odd", "-n", "with space", "new\nline", "deep", "link", "locked"]


@pytest.fixture
def home(tmp_path):
    """A job with a task whose directory has everything that is hard to move."""
    own = tmp_path / "tasks/7"
    for part in (own / "deep/er", own / "locked", tmp_path / "attempts/2/log", tmp_path / "attempts/2/pack/3/job"):
        part.mkdir(parents=True)
    (tmp_path / "attempts/2/pack/3/io").mkdir()
    for name in ("a", ".hidden", "..odd", "-n", "with space", "new\nline", "deep/er/file", "locked/file"):
        (own / name).write_text(name)
    (own / "link").symlink_to("/etc/passwd")
    (own / "locked").chmod(0o500)
    return tmp_path


def move(home, way, path=None):
    """Run moves.sh as job.sh does."""
    argv = ["sh", "-c", script.shipped("moves.sh"), "move", home, home / "attempts/2", home / "attempts/2/pack/3"]
    environ = {"PATH": path or os.environ["PATH"]}
    done = subprocess.run(argv, input=f"{way} 7\n", stdout=subprocess.PIPE, text=True, env=environ, check=False)
    return done.returncode or int(done.stdout)


def put_right(home):
    """Settle it as the server does."""
    fd = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return settle(fd, 2)
    finally:
        os.close(fd)


def is_whole(home):
    """Everything is back, as it was."""
    own, pack = home / "tasks/7", home / "attempts/2/pack/3"
    assert sorted(os.listdir(own)) == sorted(NAMES)
    assert [(own / name).read_text() for name in NAMES[:6]] == NAMES[:6]
    assert (own / "deep/er/file").read_text() == "deep/er/file"
    assert (own / "locked").stat().st_mode & 0o777 == 0o500
    assert os.readlink(own / "link") == "/etc/passwd"
    assert os.listdir(pack / "job") == []
    assert not os.path.lexists(pack / "now")
    return True


def test_in_and_out_again(home):
    """A task's directory is lent whole and comes back whole; its logs have second names only meanwhile."""
    assert move(home, "in") == 0
    pack = home / "attempts/2/pack/3"
    assert os.listdir(home / "tasks/7") == []
    assert sorted(os.listdir(pack / "job")) == sorted(NAMES)
    assert os.readlink(pack / "now") == "7"
    assert (pack / "io/7.out").samefile(home / "attempts/2/log/7.out")
    (pack / "job").chmod(0)
    assert move(home, "out") == 0
    assert is_whole(home)
    assert os.listdir(pack / "io") == []
    assert put_right(home) == []


def test_settling_brings_back_what_was_lent(home):
    """After a kill while the task ran, what it wrote comes back with the rest; a second time changes nothing."""
    move(home, "in")
    pack = home / "attempts/2/pack/3"
    (pack / "job/a").write_text("new")
    (pack / "job").chmod(0)
    assert put_right(home) == [7]
    assert (home / "tasks/7/a").read_text() == "new"
    assert (home / "attempts/2/log/7.out").stat().st_nlink == 1
    (home / "tasks/7/a").write_text("a")
    assert is_whole(home)
    assert put_right(home) == []


@pytest.mark.parametrize("way", ["in", "out"])
@pytest.mark.parametrize("count", range(len(NAMES) + 1))
def test_a_kill_in_the_middle_of_moving(home, tmp_path_factory, way, count):
    """Wherever the kill comes between two renames, settling puts all of it back."""
    if way == "out":
        move(home, "in")
    programs = tmp_path_factory.mktemp("bin")
    mv = shutil.which("mv")
    (programs / "mv").write_text(
        f'#!/bin/sh\nto=$3; shift 4; for e; do [ $((n += 1)) -le {count} ] && {mv} -t "$to" -- "$e"; done; kill -9 $PPID\n'
    )
    (programs / "mv").chmod(0o755)
    assert move(home, way, f"{programs}:{os.environ['PATH']}") == -9
    assert put_right(home) == [7]
    assert is_whole(home)


def test_what_is_no_note_is_left_alone(home):
    """A pack without `now`, or with one that names no task, is passed over; so is an attempt without packs."""
    assert put_right(home) == []
    pack = home / "attempts/2/pack/3"
    (pack / "job/x").touch()
    (pack / "now").symlink_to("../../../../elsewhere")
    assert put_right(home) == []
    assert (pack / "job/x").exists()
    shutil.rmtree(home / "attempts/2/pack")
    assert put_right(home) == []


def test_no_link_is_followed(home, tmp_path_factory):
    """Where the account put a link in the place of a directory, nothing outside is touched."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "precious").touch()
    move(home, "in")
    (home / "tasks/7").rmdir()
    (home / "tasks/7").symlink_to(outside)
    with pytest.raises(OSError):  # noqa: PT011 - ELOOP or ENOTDIR
        put_right(home)
    assert os.listdir(outside) == ["precious"]
