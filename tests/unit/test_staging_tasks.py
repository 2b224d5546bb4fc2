"""Tasks' directories are made by several processes, whole and once."""

from __future__ import annotations

import os
from contextlib import contextmanager

import pytest

from cluster_interface.model.filetree import FileEntry
from cluster_interface.ports import Layout
from cluster_interface.staging import tasks
from cluster_interface.staging.tasks import Tasks
from cluster_interface.trees.beneath import Kept

FILES = {"a.txt": FileEntry(content="a"), "sub/": FileEntry(permissions="0750"), "sub/b.txt": FileEntry(content="b")}


@pytest.fixture
def begun(tmp_path):
    """Begin the directories of a job whose inputs are in place."""
    (tmp_path / "inputs/sub").mkdir(parents=True)
    (tmp_path / "inputs/a.txt").write_text("a")
    (tmp_path / "inputs/sub/b.txt").write_text("b")
    home = os.open(tmp_path, os.O_RDONLY)

    @contextmanager
    def begin(**layout):
        with Kept(home) as kept, Tasks(kept, Layout(**layout), inputs="/inputs", copy_below=100) as made:
            yield made

    yield begin
    os.close(home)


@pytest.fixture
def make(begun):
    """Make the directories; return how many were told of, each time."""

    def run(files=FILES, **layout):
        told = []
        with begun(**layout) as made:
            made.make(files, told.append, processes=3)
        return told

    return run


def names(tmp_path):
    return {path.name for path in (tmp_path / "tasks").iterdir() if path.is_dir()}


def test_many_tasks_are_made_together(tmp_path, make):
    """All of them, each with the whole tree; what was made counts, and what is there stays."""
    told = make(tasks=600)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 600)
    assert names(tmp_path) == {str(number) for number in range(600)}
    for number in range(600):
        task = tmp_path / "tasks" / str(number)
        assert str((task / "sub/b.txt").readlink()) == "/inputs/sub/b.txt"
        assert (task / "sub").stat().st_mode & 0o777 == 0o750
    (tmp_path / "tasks/7/left").touch()
    (tmp_path / "tasks/9").rename(tmp_path / "gone")
    assert make(tasks=600) == [599, 600]
    assert (tmp_path / "tasks/7/left").exists()
    assert (tmp_path / "tasks/9/a.txt").is_symlink()
    assert not list((tmp_path / "incoming").iterdir())


def test_a_new_attempt_makes_its_tasks_anew(tmp_path, make):
    """Those of the attempt; none where it has none."""
    make(tasks=3)
    for number in range(3):
        (tmp_path / "tasks" / str(number) / "left").touch()
    assert make(tasks=3, attempt=2, only=(1,)) == [0, 1]
    assert sorted(path.parent.name for path in tmp_path.glob("tasks/*/left")) == ["0", "2"]
    assert make(tasks=3, attempt=2, only=()) == [0]


def test_the_files_of_one_task_are_made_together(tmp_path, make, monkeypatch):
    """Copies and links; what a process that did not come to its end left is made again."""
    monkeypatch.setattr(tasks, "AT_ONCE", 5)
    here, copy = os.getpid(), tasks._copy

    def copy_or_die(*arguments):
        copy(*arguments)
        if os.getpid() != here:
            os._exit(1)

    monkeypatch.setattr(tasks, "_copy", copy_or_die)
    files = dict(FILES)
    for number in range(60):
        (tmp_path / f"inputs/{number}").write_text(str(number))
        files[f"{number}"] = FileEntry(content=str(number), mode="copy" if number % 2 else "link")
    make(files, tasks=1)
    task = tmp_path / "tasks/0"
    for number in range(60):
        assert (task / str(number)).is_symlink() == (number % 2 == 0)
        assert number % 2 == 0 or (task / str(number)).read_text() == str(number)


def test_the_directory_of_one_task_is_filled_while_inputs_come(tmp_path, begun, make):
    """It has its place only once it is whole, and what was put there is not made again."""
    place = tmp_path / "incoming/task-0"
    with begun(tasks=1) as made:
        for _ in range(2):  # by a process whose word got lost, and by the next
            made.put([("sub/b.txt", FILES["sub/b.txt"])])
        made.note(["sub/b.txt"])
        first = (place / "sub/b.txt").stat()
        assert first.st_mtime_ns == (tmp_path / "inputs/sub/b.txt").stat().st_mtime_ns
        assert not (tmp_path / "tasks").exists()
        made.make(FILES, [].append, processes=3)
    assert (tmp_path / "tasks/0/sub/b.txt").stat().st_ino == first.st_ino
    assert (tmp_path / "tasks/0/a.txt").read_text() == "a"
    assert (tmp_path / "tasks/0/sub").stat().st_mode & 0o777 == 0o750


def test_what_another_try_began_is_begun_anew(tmp_path, begun, make):
    """A try that was cut may have left anything under the temporary name; a task that is there is left alone."""
    with begun(tasks=1) as made:
        made.put([("other", FileEntry(target="nowhere"))])
    make(tasks=1)
    assert {path.name for path in (tmp_path / "tasks/0").iterdir()} == {"a.txt", "sub"}
    with begun(tasks=1) as made:
        made.put([("a.txt", FILES["a.txt"])])
    assert not list((tmp_path / "incoming").iterdir())


def test_several_tasks_are_not_begun_early(tmp_path, begun):
    """Each is made whole by one process, once the inputs are in place."""
    with begun(tasks=2) as made:
        made.put([("a.txt", FILES["a.txt"])])
        assert not (tmp_path / "incoming").exists()
