"""How an image is cut into layers: nothing is left out that no other layer has."""

import os

import pytest

from cluster_interface.images.archive import inodes, listing
from cluster_interface.images.faces.parts import bases_of
from cluster_interface.images.shelf import Shelf
from cluster_interface.model.plan import Lock


def tree(place, *files):
    """Make files, and empty directories where a name ends in a slash."""
    for name in files:
        path = place / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)


def same(origin, target, *files):
    """Make them the same files in another tree."""
    for name in files:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).hardlink_to(origin / name)


def names(found):
    """List what would be in the tar."""
    return [header[:100].rstrip(b"\0").decode().rstrip("/") for header, _, _ in found.entries]


def test_what_another_layer_has_is_left_out(tmp_path):
    """The same file under the same name; not one that took its place, and no directory that is empty by itself."""
    below, above = tmp_path / "below", tmp_path / "above"
    tree(below, "a/b/same", "a/changed", "c/same")
    same(below, above, "a/b/same", "c/same")
    tree(above, "a/changed", "a/more", "d/e/")
    found = listing(above, without=inodes(below))
    assert names(found) == ["a", "a/changed", "a/more", "d", "d/e"]
    assert found.size == sum(len(header) + -(-size // 512) * 512 for header, _, size in found.entries) + 1024
    assert names(listing(above, "opt/env", without=inodes(below)))[2:] == [f"opt/env/{name}" for name in names(found)]


@pytest.mark.parametrize("change", ["nothing", "a file", "a directory", "a link"])
def test_a_base_that_grew_stands_on_the_other_one(tmp_path, change):
    """Unless it lacks something of that one, which a layer would have to hide."""
    shelf = Shelf(tmp_path / "store")
    shelf.prepare()
    under, root = (shelf.base(key) / "rootfs" for key in ("plain", "grown"))
    tree(under, "usr/bin/sh", "usr/lib/x", "etc/")
    same(under, root, "usr/bin/sh")
    tree(root, "usr/bin/more")
    if change != "a directory":
        (root / "etc").mkdir()
    if change == "a link":
        (root / "usr/lib").symlink_to(under / "usr/lib")
    elif change != "a file":
        same(under, root, "usr/lib/x")
    shelf.write(root.parent / "base.json", {"under": "plain"})
    parts = bases_of(shelf, Lock(base="grown", image="grown", python="3.11"))
    assert [part.key for part in parts] == (["plain", "grown"] if change == "nothing" else ["grown"])
    assert ("usr/bin/sh" in names(parts[-1].listed())) == (change != "nothing")
    assert os.listdir(under / "usr/lib") == ["x"]
