"""Nothing below a directory leads out of it."""

from __future__ import annotations

import itertools
import json
import os
import stat
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_interface.trees.beneath import (
    MOST_KEPT,
    Kept,
    NotBeneath,
    create_file,
    directory,
    empty,
    look,
    open_file,
    parent,
    parts_of,
    read_small,
    remove,
    rename,
)
from cluster_interface.trees.names import native, portable
from cluster_interface.trees.walking import DEEPEST, Kind, walk
from cluster_interface.trees.writing import replace_file


@pytest.fixture
def root(tmp_path):
    """A directory with a tree, beside a secret; gives path and descriptor."""
    (tmp_path / "secret").write_text("secret")
    inside = tmp_path / "inside"
    (inside / "a/b").mkdir(parents=True)
    (inside / "a/b/file").write_text("ok")
    (inside / "up").symlink_to("..")
    (inside / "a/link").symlink_to("b/file")
    fd = os.open(inside, os.O_RDONLY)
    yield inside, fd
    os.close(fd)


@pytest.mark.parametrize("path", ["", "/", "/etc", "..", "a/../..", "a//b", "./a", "a/.", "a\0b", "a/"])
def test_odd_paths_are_refused(path):
    """What is not a plain relative path never reaches the kernel."""
    with pytest.raises(NotBeneath):
        parts_of(path)


@given(st.text())
def test_no_text_leads_out(text):
    """Whatever passes has no component that could lead up, and joins to what it was."""
    try:
        parts = parts_of(text)
    except NotBeneath:
        return
    assert "/".join(parts) == text
    assert not {"", ".", ".."} & set(parts)


@pytest.mark.parametrize("path", ["up/secret", "up/inside/a/b/file", "a/link", "up", "a", "nothing", "a/b/file/x"])
def test_links_and_directories_are_not_opened(root, path):
    """A link anywhere in the path, a directory, or nothing at all raises OSError."""
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the component
        open_file(root[1], path)
    assert read_small(root[1], "a/b/file", 10) == b"ok"


def test_nothing_is_made_through_a_link(root):
    """Files and directories are not made, moved or removed through a link."""
    inside, fd = root
    with pytest.raises(OSError):  # noqa: PT011 - ELOOP or ENOTDIR
        create_file(fd, "up/new", 0o600)
    with pytest.raises(OSError):  # noqa: PT011
        rename(fd, "a/b/file", "up/stolen")
    with pytest.raises(OSError):  # noqa: PT011
        remove(fd, "up/secret")
    with pytest.raises(OSError), directory(fd, "up/dir", make=True):  # noqa: PT011
        pass
    assert {path.name for path in inside.parent.iterdir()} == {"secret", "inside"}


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    "path", ["", "/", "/etc", "..", "a/../..", "a//b", "./a", "a/.", "a\0b", "a/", "a/b\0", "/a/b"]
)
def test_odd_paths_are_refused_where_directories_are_kept_open(root, path):
    """Before and after the directories were opened."""
    with Kept(root[1]) as kept:
        for _ in range(2):
            with pytest.raises(NotBeneath), parent(kept, path, make=True):
                pass
            assert look(kept, "a/b/file") is not None


def test_links_are_not_followed_where_directories_are_kept_open(root):
    """Neither at the end nor on the way, nor in place of one that is open: that one is what it was."""
    inside, fd = root
    with Kept(fd) as kept:
        for path in ("up/secret", "up/inside/a/b/file", "a/link", "a/b/file/x"):
            with pytest.raises(OSError):  # noqa: PT011 - which one depends on the component
                os.close(open_file(kept, path))
        assert read_small(kept, "a/b/file", 9) == b"ok"
        (inside / "a/b").rename(inside / "a/was")
        (inside / "a/b").symlink_to(inside.parent)
        os.close(create_file(kept, "a/b/new", 0o600))
    assert (inside / "a/was/new").exists()
    assert not (inside.parent / "new").exists()


def test_few_directories_are_kept_open_and_none_after_the_end(root):
    """However many there are, and whichever threads use them; what was made lies where it should."""
    inside, fd = root
    before = open_descriptors()

    def fill(kept, thread):
        for number in range(3 * MOST_KEPT):
            for name in ("x", "y"):
                os.close(create_file(kept, f"d{number % (2 * MOST_KEPT)}/{thread}/{number}.{name}", 0o600))
            rename(kept, f"d{number % (2 * MOST_KEPT)}/{thread}/{number}.x", f"all/{thread}/{number}")

    with Kept(fd) as kept:
        threads = [threading.Thread(target=fill, args=(kept, thread)) for thread in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert open_descriptors() <= before + 3 * MOST_KEPT
    assert open_descriptors() == before
    assert len(list((inside / "all").rglob("*"))) == 3 + 9 * MOST_KEPT
    assert len(list(inside.glob("d*/*/*.y"))) == 9 * MOST_KEPT


def test_a_directory_is_emptied_and_stays(root):
    """Locked directories, too; what a link leads to is not touched, and what is not there is no error."""
    inside, fd = root
    before = inside.stat().st_ino, (inside / "a").stat().st_ino
    (inside / "a/locked").mkdir(mode=0o000)
    (inside / "a/out").symlink_to(inside.parent)
    empty(fd, "a")
    empty(fd, "none")
    assert (inside.stat().st_ino, (inside / "a").stat().st_ino) == before
    assert not list((inside / "a").iterdir())
    assert (inside.parent / "secret").read_text() == "secret"
    (inside / "link").symlink_to(inside.parent)
    with pytest.raises(OSError, match=r"directory|links"):
        empty(fd, "link")


def test_a_directory_swapped_for_a_link_is_never_followed(root):
    """While one thread swaps a directory and a link to outside, no read ever gives the secret."""
    inside, fd = root
    (inside.parent / "b").mkdir()
    (inside.parent / "b/file").write_text("secret")
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            (inside / "a/b").rename(inside / "a/away")
            (inside / "a/b").symlink_to(inside.parent / "b")
            (inside / "a/b").unlink()
            (inside / "a/away").rename(inside / "a/b")

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        deadline = time.monotonic() + 60
        for turn in itertools.count():
            if (turn >= 3000 and b"ok" in seen) or time.monotonic() > deadline:
                break
            try:
                seen.add(read_small(fd, "a/b/file", 10))
            except OSError:
                seen.add(b"refused")
            assert all(entry.kind is not Kind.FILE or entry.size == 2 for entry in walk(fd))
    finally:
        stop.set()
        thread.join()
    assert b"ok" in seen
    assert seen <= {b"ok", b"refused"}


def test_a_fifo_does_not_hang(root):
    """Opening a fifo is refused at once, rather than waiting for a writer."""
    os.mkfifo(root[0] / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        open_file(root[1], "fifo")


def test_small_files_are_replaced_whole(root):
    """A replaced file is a new one with the right permissions; the same bytes change nothing."""
    inside, fd = root
    replace_file(fd, "x/y.json", b"one", 0o600)
    inode = (inside / "x/y.json").stat().st_ino
    replace_file(fd, "x/y.json", b"one", 0o600)
    assert (inside / "x/y.json").stat().st_ino == inode
    replace_file(fd, "x/y.json", b"on", 0o640)
    assert (inside / "x/y.json").read_bytes() == b"on"
    assert stat.S_IMODE((inside / "x/y.json").stat().st_mode) == 0o640
    assert [path.name for path in (inside / "x").iterdir()] == ["y.json"]


def test_a_link_in_the_place_of_a_file_is_replaced_itself(root):
    """Replacing a name that is a link replaces the link, not what it points to."""
    inside, fd = root
    (inside / "plan").symlink_to("../secret")
    replace_file(fd, "plan", b"new", 0o600)
    assert (inside.parent / "secret").read_text() == "secret"
    assert (inside / "plan").read_text() == "new"


def test_walking_names_everything_once(root):
    """A walk gives each entry with its kind, directories before their contents, links not followed."""
    inside, fd = root
    os.mkfifo(inside / "a/fifo")
    assert [(entry.path, entry.kind) for entry in walk(fd)] == [
        ("a", Kind.DIRECTORY),
        ("up", Kind.LINK),
        ("a/b", Kind.DIRECTORY),
        ("a/fifo", Kind.OTHER),
        ("a/link", Kind.LINK),
        ("a/b/file", Kind.FILE),
    ]
    assert [entry.path for entry in walk(fd, lambda path, kind: path == "a")] == ["up"]


def test_a_very_deep_tree_is_walked_to_a_bound(tmp_path):
    """A walk neither fails nor goes deeper than it says."""
    fd = here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(DEEPEST + 50):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        if here != fd:
            os.close(here)
        here = below
    os.close(here)
    entries = list(walk(fd))
    assert entries[-1].kind is Kind.UNREADABLE
    assert entries[-2].path.count("/") == DEEPEST
    remove(fd, "d")
    assert not list(walk(fd))
    os.close(fd)


@given(st.binary(max_size=30))
def test_any_name_survives_json(raw):
    """Every byte string becomes a text that JSON can hold, and comes back."""
    name = raw.decode("utf-8", "surrogateescape")
    listed = portable(name)
    assert json.loads(json.dumps(listed, ensure_ascii=False).encode()) == listed
    assert native(listed) == name


@given(st.text(alphabet=["\u201b", "A", "F", "8", "x"]))
def test_names_with_the_sign_itself_come_back(name):
    """The sign that marks a byte may stand in a name too."""
    assert native(portable(name)) == name
