"""What inspection is shown of a person's directory."""

from __future__ import annotations

from cluster_interface.trees import listing as module
from cluster_interface.trees.listing import MAX_TEXT, listing


def make(root, **files):
    """Write files; `__` in a name stands for `/`."""
    for name, data in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())


def test_text_is_shown_and_the_rest_named(tmp_path):
    """Text comes with its text; binaries, large files and links with None."""
    make(
        tmp_path, main=b"print('\xc3\xa9')\n", data__x=b"\x00\x01", large=b"x" * (MAX_TEXT + 1), empty="",
        latin=b"// caf\xe9\n", packed=b"\xe9\x02\xff",
    )  # fmt: skip
    (tmp_path / "link").symlink_to("main")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "dirlink").symlink_to("data")
    assert listing(tmp_path) == {
        "empty": "",
        "large": None,
        "latin": "// café\n",
        "packed": None,
        "link": None,
        "main": "print('é')\n",
        "data/x": None,
    }


def test_what_is_ignored_is_left_out(tmp_path):
    """The ignore files of every directory count, the nearer one last; known clutter never shows."""
    for name in ("keep.log", "a.log", "sub/b.log", "sub/c.txt", "out/x", "deep/out/y", ".git/HEAD", "n/node_modules/z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".gitignore").write_text("*.log\n!keep.log\n/out/\n")
    (tmp_path / "sub/.clusterignore").write_text("!b.log\nc.txt\n")
    assert set(listing(tmp_path)) == {".gitignore", "keep.log", "deep/out/y", "sub/.clusterignore", "sub/b.log"}


def test_it_stops_at_a_number_of_files(tmp_path):
    """No more than `max_files` names are returned."""
    make(tmp_path, **{f"f{n:03}": "" for n in range(30)})
    assert len(listing(tmp_path, max_files=7)) == 7


def test_all_texts_together_are_bounded(tmp_path, monkeypatch):
    """Once the texts are as much as one request may hold, further files are only named."""
    monkeypatch.setattr(module, "MAX_TEXTS", 25)
    make(tmp_path, a="x" * 10, b="x" * 10, c="x" * 10, d="x" * 5)
    assert [name for name, text in listing(tmp_path).items() if text is None] == ["c"]
