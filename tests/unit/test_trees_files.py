"""Trees described, made and compared: the round trip is the identity, and what is odd is refused in words."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cluster_interface as ci
from cluster_interface.model.errors import Rejected, Transient
from cluster_interface.model.filenames import MOST_ENTRIES
from cluster_interface.model.filetree import FileEntry, FileTree
from cluster_interface.trees import nested
from cluster_interface.trees.bagit import from_bag
from cluster_interface.trees.creating import create
from cluster_interface.trees.original import from_original
from cluster_interface.trees.reading import from_document, from_text

NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/\\"), min_size=1, max_size=12
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)
FILES = st.builds(
    lambda data, bits: ("file", data, bits),
    st.binary(max_size=50),
    st.sampled_from([0o644, 0o755, 0o600, 0o440, 0o400]),
)
LINKS = st.builds(lambda target: ("link", target), NAMES)
NODES = st.recursive(
    st.one_of(FILES, LINKS),
    lambda inner: st.builds(
        lambda inside, bits: ("dir", inside, bits),
        st.dictionaries(NAMES, inner, max_size=4),
        st.sampled_from([0o755, 0o700, 0o750, 0o555]),
    ),
    max_leaves=12,
)
TREES = st.dictionaries(NAMES, NODES, max_size=5)


def put(place, inside):
    """Write what Hypothesis made; what this filesystem takes for the same name is made once."""
    for name, node in inside.items():
        path = place / name
        if path.exists() or path.is_symlink():
            continue
        if node[0] == "file":
            path.write_bytes(node[1])
            path.chmod(node[2])
        elif node[0] == "link":
            path.symlink_to(node[1])
        else:
            path.mkdir()
            put(path, node[1])
            path.chmod(node[2])


def described(place):
    """Describe with sources; None for what Hypothesis may well make: a circle, names that are alike."""
    try:
        return ci.files.describe(place, source="file", everything=True)
    except Rejected as error:
        if any(words in str(error) for words in ("round in a circle", "on some filesystems")):
            return None
        raise


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Give a new directory each time; away with the old one."""
    return lambda: tmp_path_factory.mktemp("tree")


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(inside=TREES)
def test_describe_create_describe_is_the_identity(fresh, inside):
    """Names, bytes, permissions, links and empty directories come back as they were, through JSON and YAML."""
    first, second = fresh(), fresh()
    put(first, inside)
    if (tree := described(first)) is None:
        return
    document = {"files": {n: e.model_dump(mode="json", exclude_defaults=True) for n, e in tree.files.items()}}
    for written in (json.dumps(document), yaml.safe_dump(document)):
        assert FileTree.parse({"files": from_text(written)}) == tree
    ci.files.create(document, second / "made")
    again = ci.files.describe(second / "made", everything=True)
    assert again == ci.files.describe(first, everything=True)
    assert not ci.files.check(tree, second / "made", everything=True)


def nest(depth, leaf):
    """The original form, `depth` directories deep."""
    for _ in range(depth):
        leaf = {
            "name": "d",
            "type": "dir",
            "subdirs": [leaf] if "subdirs" in leaf else [],
            "subfiles": [leaf] if "subdirs" not in leaf else [],
        }
    return leaf


def dump(node):
    """Write nested JSON without recursion."""
    out, waiting = [], [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            out.append(item)
        elif isinstance(item, dict) and "subdirs" in item:
            head = '{"name": ' + json.dumps(item["name"]) + ', "type": "dir", "subdirs": ['
            parts = [head, *_between(item["subdirs"]), '], "subfiles": [', *_between(item["subfiles"]), "]}"]
            waiting += reversed(parts)
        else:
            out.append(json.dumps(item))
    return "".join(out)


def _between(items):
    return [part for item in items for part in (", ", item)][1:]


SAMPLE = {
    "name": "run1", "type": "dir",
    "subdirs": [
        {"name": "data", "type": "dir", "subdirs": [{"name": "empty", "type": "dir", "subdirs": [], "subfiles": []}],
         "subfiles": [{"name": "book.txt", "type": "wget", "source": "https://example.org/book.txt"},
                      {"name": "x.bam", "type": "globus", "source": "ddb59aef-6d04-11e5-ba46-22000b92c6ec/share/x.bam"}]},
    ],
    "subfiles": [{"name": "params.txt", "type": "cp", "source": "/home/ada/params.txt"},
                 {"name": "extra.txt", "type": "curl", "source": "http://example.org/extra"}],
}  # fmt: skip


def test_the_original_form_is_read():
    """An object or a list, with every type of source."""
    files = from_document(SAMPLE)
    assert files == {
        "run1/data/empty/": {},
        "run1/data/book.txt": {"source": "https://example.org/book.txt"},
        "run1/data/x.bam": {"source": "globus:ddb59aef-6d04-11e5-ba46-22000b92c6ec/share/x.bam"},
        "run1/params.txt": {"source": "file:/home/ada/params.txt"},
        "run1/extra.txt": {"source": "http://example.org/extra"},
    }
    assert from_document([SAMPLE, {"name": "other", "type": "dir"}]) == {**files, "other/": {}}
    assert from_document({**SAMPLE, "name": "."})["params.txt"] == {"source": "file:/home/ada/params.txt"}


ORIGINAL = st.recursive(
    st.builds(lambda n: {"name": n, "type": "dir", "subdirs": [], "subfiles": []}, NAMES),
    lambda inner: st.builds(
        lambda n, dirs, files: {"name": n, "type": "dir", "subdirs": dirs, "subfiles": [
            {"name": f, "type": "cp", "source": "SOURCE"} for f in files]},
        NAMES, st.lists(inner, max_size=3, unique_by=lambda d: d["name"].casefold()), st.lists(NAMES, max_size=2, unique_by=str.casefold),
    ),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(node=ORIGINAL, depth=st.integers(0, 400))
def test_the_original_form_is_created_exactly(fresh, node, depth):
    """However deep: the directories and files that are there afterwards are those of the document."""
    place = fresh()
    (place / "SOURCE").write_bytes(b"bytes")
    (place / "tree.json").write_text(dump(nest(depth, node)))
    try:
        ci.files.create(place / "tree.json", place / "made")
    except Rejected as error:
        if "on some filesystems" in str(error) or "is there twice" in str(error):
            return
        raise
    expected, waiting = set(), [(nest(depth, node), "")]
    while waiting:
        item, above = waiting.pop()
        path = f"{above}{item['name']}"
        expected.add(path)
        waiting += [(inner, f"{path}/") for inner in (*item.get("subdirs", ()), *item.get("subfiles", ()))]
    found, fds = set(), [(os.open(place / "made", os.O_RDONLY), "")]
    while fds:
        fd, above = fds.pop()
        for entry in os.scandir(fd):
            found.add(above + entry.name)
            if entry.is_dir(follow_symlinks=False):
                fds.append((os.open(entry.name, os.O_RDONLY, dir_fd=fd), f"{above}{entry.name}/"))
        os.close(fd)
    assert found == expected


@settings(max_examples=200)
@given(value=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
))  # fmt: skip
def test_the_json_reader_reads_what_the_library_s_does(value):
    """Whatever JSON holds, with and without spaces; and at depths where the library gives up."""
    for text in (json.dumps(value), json.dumps(value, indent=1), json.dumps(value, ensure_ascii=False)):
        assert nested._Reader(text).read() == value


def test_json_is_read_at_any_depth():
    """Where the library gives up, this does not."""
    deep = nested.loads("[" * 50_000 + "]" * 50_000)
    assert deep[0][0][0]


@pytest.mark.parametrize(
    "text", ["", "[1,]", "{1: 2}", '{"a" 1}', "[1 2]", "nul", '"', "[", "1 2", '{"a":1,}', "]", "01"]
)
def test_what_is_no_json_is_refused(text):
    """The places are named; nothing is guessed."""
    with pytest.raises(ValueError, match="line 1"):
        nested._Reader(text).read()


def test_a_tree_that_holds_itself_is_refused(tmp_path):
    """YAML can say so, and a directory can be copied into itself."""
    text = "&a {name: x, type: dir, subdirs: [*a], subfiles: []}"
    with pytest.raises(Rejected, match="holds itself"):
        from_text(text)
    bomb = "\n".join(
        [
            "- &a0 {name: x, type: dir, subfiles: []}",
            *(f"- &a{n} {{name: x{n}, type: dir, subdirs: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 20)),
        ]
    )
    with pytest.raises(Rejected, match=r"more than|there twice|longer than"):
        from_text(bomb)
    (tmp_path / "in").mkdir()
    with pytest.raises(Rejected, match="would hold itself"):
        ci.files.create({"copy/": {"source": f"file:{tmp_path}"}}, tmp_path / "in/made")
    assert not (tmp_path / "in/made").exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"../x": {}}, "not allowed"),
        ({"/etc/x": {}}, "relative"),
        ({"a/./b": {}}, "not allowed"),
        ({"a\nb": {}}, "control character"),
        ({"x" * 256: {}}, "longer than 255"),
        ({"x/" * 1600 + "y": {}}, "longer than 3072"),
        ({"A.txt": {}, "a.txt": {}}, "on some filesystems"),
        ({"Data/x": {}, "data/y": {}}, "on some filesystems"),
        ({"caf\u00e9": {}, "cafe\u0301": {}}, "on some filesystems"),
        ({"a": {}, "a/b": {}}, "file and also a directory"),
        ({"a/b": {}, "a": {}}, "file and also a directory"),
        ({"a": {}, "a/": {}}, "on some filesystems"),
        ({"a": {"target": "/etc/passwd"}}, "write a path from the link"),
        ({"a": {"target": "../x"}}, "outside of the tree"),
        ({"d/a": {"target": "../../x"}}, "outside of the tree"),
        ({"p/q/a": {"target": "../.."}, "p/q/x": {"target": "a/../etc"}}, "outside of the tree"),
        ({"a": {"target": "b"}, "b": {"target": "a"}}, "round in a circle"),
        ({"a": {"target": "b", "size": 3}}, "nothing else"),
        ({"a": {"target": "d"}, "a/b": {}}, "file and also a directory"),
        ({"a": {"permissions": "4755"}}, "as in chmod"),
        ({"a": {"permissions": 640}}, "in quotes"),
        ({"a": {"permissions": "0200"}}, "owner must be able to read"),
        ({"d/": {"permissions": "0600"}}, "go into it"),
        ({"d/": {"content": "x"}}, "neither content nor a target"),
        ({"d/": {"source": "https://example.org/x"}}, "whose source can be"),
        ({"d/": {"source": "file:/x"}, "d/y": {}}, "source of its own"),
        ({"d/": {"mode": "mount"}}, "from where"),
        ({"x": {"source": "file:/x", "mode": "mount"}}, "only directories are mounted"),
        ({"d/": {"source": "file:/x", "writable": True}}, "mode: mount"),
        ({"d/": {"require": ["*.gz"]}, "d/x.txt": {}}, r"at least 1 \*\.gz, but there is none"),
        ({"d/": {"require": {"*": {"max": 1}}}, "d/x": {}, "d/y": {}}, "at most 1"),
        ({"d/": {"require": {"*": {"min": 3, "max": 1}}}}, "cannot be"),
        ({"x": {"require": ["*"]}}, "is a file"),
        ({"d/": {"require": [["*"]]}}, "no pattern"),
        ({"x": {"source": ["file:/x"]}}, "is not a text; put it in quotes"),
        ({"x": {"size": -1}}, "must be greater than"),
        ({"x": {"require": {"../*": 1}}}, "not allowed"),
    ],
)  # fmt: skip
def test_what_is_no_tree_is_refused(files, words):
    """Each in words that name the entry."""
    with pytest.raises(Rejected, match=words):
        FileTree.parse({"files": files})


def test_a_stored_tree_is_read_again():
    """With every default written out, as a database has it."""
    tree = FileTree.parse(
        {
            "files": {
                "d/": {"source": "file:/x", "mode": "mount", "require": ["*"]},
                "l": {"target": "t"},
                "t": {"permissions": "0600"},
            }
        }
    )
    assert FileTree.model_validate(tree.model_dump(mode="json")) == tree


def test_links_inside_the_tree_are_welcome():
    """Also to nowhere, through other links, and up as far as the top."""
    links = {"a": "d/x", "d/b": "../a", "d/top": "..", "d/c": "top/a", "gone": "nowhere/at/all", "self": "."}
    FileTree.parse({"files": {**{name: {"target": target} for name, target in links.items()}, "d/x": {}}})


def test_too_many_entries_are_refused_before_they_are_read():
    """A million lines cost no more than counting them."""
    many = dict.fromkeys(map(str, range(MOST_ENTRIES + 1)), object())
    with pytest.raises(Rejected, match=r"100,001 entries"):
        FileTree.parse({"files": many})
    with pytest.raises(Rejected, match="more than 100,000 entries"):
        from_text("files:\n" + "".join(f"  f{number}: {{content: x}}\n" for number in range(10**6)))
    lines = "https://example.org/x 1 data/x\n" * 10**6
    with pytest.raises(Rejected, match="more than"):
        from_bag("", lines)


def test_many_files_in_one_directory(tmp_path):
    """They are walked, described and compared; nothing grows faster than their number."""
    for number in range(5000):
        (tmp_path / str(number)).touch()
    tree = ci.files.describe(tmp_path, checksums=False)
    assert len(tree.files) == 5000
    assert not ci.files.check(tree, tmp_path, checksums=False)


def test_a_bag_is_read_and_created(tmp_path, monkeypatch):
    """Manifest and fetch list together; names are unescaped; what lies in the bag is taken from there."""
    bag = tmp_path / "bag"
    (bag / "data").mkdir(parents=True)
    (bag / "bagit.txt").write_text("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    (bag / "data/100%").write_bytes(b"here")
    sha = hashlib.sha256(b"here").hexdigest()
    (bag / "manifest-sha256.txt").write_text(f"{sha.upper()}  data/100%25\r\n{'0' * 64} data/far.bin\n")
    (bag / "fetch.txt").write_text("https://example.org/far.bin 12 data/far.bin\n")
    tree = ci.files.read(bag)
    assert tree.files["data/100%"].sha256 == sha
    assert tree.files["data/far.bin"] == FileEntry(source="https://example.org/far.bin", size=12, sha256="0" * 64)
    assert ci.files.read(bag / "fetch.txt") == tree
    (bag / "fetch.txt").unlink()
    (bag / "manifest-sha256.txt").write_text(f"{sha}  data/100%25\n")
    ci.files.create(bag, tmp_path / "made")
    assert (tmp_path / "made/data/100%").read_bytes() == b"here"
    for line in ("x y", f"{sha} ../x", f"{sha} data/../../x", f"{sha} data/a%0Ab"):
        (bag / "manifest-sha256.txt").write_text(line)
        with pytest.raises(Rejected, match="line 1"):
            ci.files.read(bag)


def test_what_cannot_be_described_is_named(tmp_path):
    """Fifos, sockets and links that lead out, each by its name."""
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "sock"))
    with pytest.raises(Rejected, match="fifo: is a fifo") as caught:
        ci.files.describe(tmp_path)
    assert "sock: is a fifo, a socket or a device" in str(caught.value)
    (tmp_path / "fifo").unlink()
    (tmp_path / "sock").unlink()
    (tmp_path / "out").symlink_to("/etc/passwd")
    with pytest.raises(Rejected, match=r"files\.out: is a link to '/etc/passwd'"):
        ci.files.describe(tmp_path)


def test_ignore_files_count(tmp_path):
    """What .gitignore and .clusterignore name is neither described nor extra."""
    (tmp_path / ".gitignore").write_text("*.log\nbuild/\n")
    (tmp_path / "a.log").write_text("")
    (tmp_path / "build").mkdir()
    (tmp_path / "build/x").write_text("")
    tree = ci.files.describe(tmp_path)
    assert set(tree.files) == {".gitignore"}
    assert not ci.files.check(tree, tmp_path)
    assert set(ci.files.check(tree, tmp_path, everything=True).extra) == {"a.log", "build/", "build/x"}


def test_differences_are_told_apart(tmp_path):
    """Missing, extra and changed: kinds, sizes, bytes, permissions, links."""
    (tmp_path / "d").mkdir()
    for name in ("same", "bytes", "size", "mode", "kind", "gone", "d/in"):
        (tmp_path / name).write_text("text")
    (tmp_path / "link").symlink_to("same")
    tree = ci.files.describe(tmp_path)
    (tmp_path / "bytes").write_text("TEXT")
    (tmp_path / "size").write_text("longer")
    (tmp_path / "mode").chmod(0o600)
    (tmp_path / "kind").unlink()
    (tmp_path / "kind").mkdir()
    (tmp_path / "gone").unlink()
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("d")
    (tmp_path / "new").write_text("")
    found = ci.files.check(tree, tmp_path)
    assert (found.missing, found.extra) == (("gone",), ("new",))
    changed = dict(found.changed)
    assert set(changed) == {"bytes", "size", "mode", "kind", "link"}
    assert "SHA-256" in changed["bytes"]
    assert changed["size"] == "has 6 bytes, not 4"
    assert changed["mode"] == "has permissions 0600, not 0644"
    assert changed["kind"] == "is a directory, not a file"
    assert changed["link"] == "leads to d, not same"
    assert "bytes" not in dict(ci.files.check(tree, tmp_path, checksums=False).changed)


def test_nothing_is_overwritten_and_the_rest_goes_on(tmp_path):
    """What is in the way is named before a byte is written; what is right stays; a second call finishes."""
    tree = {"a": {"content": "1"}, "b": {"content": "2"}, "d/": {"permissions": "0555"}, "d/x": {"content": "3"}}
    (tmp_path / "b").write_text("mine")
    with pytest.raises(Rejected, match="b: has 4 bytes, not 1; move it away first"):
        ci.files.create(tree, tmp_path)
    assert os.listdir(tmp_path) == ["b"]
    (tmp_path / "b").write_text("2")
    before = (tmp_path / "b").stat().st_mtime_ns
    ci.files.create(tree, tmp_path)
    ci.files.create(tree, tmp_path)
    assert (tmp_path / "b").stat().st_mtime_ns == before
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o555
    assert (tmp_path / "d/x").read_text() == "3"


def test_a_wrong_checksum_leaves_nothing(tmp_path):
    """A file has its name only when it is whole and right."""
    (tmp_path / "source").write_text("text")
    with pytest.raises(Rejected, match="x: has the SHA-256"):
        ci.files.create({"x": {"source": f"file:{tmp_path}/source", "sha256": "0" * 64}}, tmp_path / "made")
    assert not list((tmp_path / "made").iterdir())
    with pytest.raises(Rejected, match="x: has no source"):
        ci.files.create({"x": {"size": 3}}, tmp_path / "made")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Rejected, match="not a regular file"):
        ci.files.create({"x": {"source": f"file:{tmp_path}/fifo"}}, tmp_path / "made")


def test_a_link_in_the_way_is_not_followed(tmp_path):
    """A directory of the tree that is a link here leads nowhere else."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "made").mkdir()
    (tmp_path / "made/d").symlink_to(tmp_path / "outside")
    with pytest.raises(Rejected, match="is a link, not a directory"):
        ci.files.create({"d/x": {"content": "1"}}, tmp_path / "made")
    assert not list((tmp_path / "outside").iterdir())


def test_deep_original_trees_from_python():
    """As a value, too, with no recursion."""
    files = from_original(nest(1000, {"name": "f", "type": "cp", "source": "/x"}))
    assert list(files) == ["d/" * 1000 + "f"]


def test_what_was_made_is_told_with_its_size(tmp_path):
    """Also of files whose size the tree does not say; a source that does not answer is told with the file's name."""
    said = {}
    (tmp_path / "from").write_bytes(b"12345")
    tree = FileTree.parse({"files": {"a/b": {"source": f"file:{tmp_path}/from"}, "c": {"content": "xy"}, "d/": {}}})
    create(tree, tmp_path / "to", progress=lambda name, size: said.update({name: size}))
    assert said == {"a/b": 5, "c": 2, "d/": 0}

    def fetch(_source, _target):
        raise Transient("nobody answers")

    away = FileTree.parse({"files": {"sub/x": {"source": "https://example.org/x"}}})
    with pytest.raises(Transient, match=r"^sub/x: nobody answers"):
        create(away, tmp_path / "to", fetch=fetch)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("files: {a: x}", r"files\.a: is not a mapping"),
        ('{"name": "x", "type": "dir", "subdir": []}', "did you mean 'subdirs'"),
    ],
)
def test_what_is_misspelt_is_told_in_our_words(text, words):
    """Not in those of the library that reads it."""
    with pytest.raises(Rejected, match=words):
        FileTree.parse({"files": from_text(text)})


def test_a_document_is_read_by_what_is_in_it(tmp_path):
    """YAML is read whatever its file is called; what is broken JSON is told as that, with the file's name."""
    (tmp_path / "tree.json").write_text("apiVersion: 1\nfiles:\n  a: {content: x}\n")
    assert list(ci.files.read(tmp_path / "tree.json").files) == ["a"]
    (tmp_path / "tree.json").write_text('{"files": {"a": ')
    with pytest.raises(Rejected, match="is not JSON") as caught:
        ci.files.read(tmp_path / "tree.json")
    assert caught.value.problems[0].field == f"{tmp_path}/tree.json"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"../x": {}, "/etc/x": {}, "a\\b": {}, "fine": {}},
            {"../x": "`..` is not allowed", "/etc/x": "such as etc/x", "a\\b": "a backslash in it; rename it"},
        ),
        ({"A": {}, "a": {}, "b": {}}, {"a": "and 'A' differ only in case"}),
        ({"d/\u00e9": {}, "d/e\u0301": {}}, {"d/e\u0301": "or in unicode form"}),
        ({"f": {}, "f/x": {}}, {"f/x": "'f' is a file and also a directory"}),
        ({"d/": {"content": "x"}, "m": {"mode": "mount"}}, {"d/": "neither content nor", "m": "only directories are"}),
        ({"a": {"target": "/etc"}, "b": {"target": ".."}}, {"a": "write a path from", "b": "is outside of the tree"}),
    ],
)
def test_every_bad_entry_is_a_field(files, said):
    """All of one kind at once, each by its own name, with what is wrong; the good ones are not named."""
    with pytest.raises(Rejected) as refused:
        FileTree.parse({"files": files})
    found = {problem.field: problem.message for problem in refused.value.problems}
    assert set(found) == {f"files.{name}" for name in said}
    for name, words in said.items():
        assert words in found[f"files.{name}"]


@pytest.mark.parametrize(
    ("entry", "field", "words"),
    [
        ({"size": "big"}, "size", "must be a whole number"),
        ({"executable": "maybe"}, "executable", "must be true or false"),
        ({"require": {"*.csv": "two"}}, "require", "'two' is not how many; write a number"),
    ],
)
def test_a_bad_value_is_told_without_the_librarys_words(entry, field, words):
    """What to write instead."""
    with pytest.raises(Rejected, match=rf"files\.d/\.{field}: .*{words}"):
        FileTree.parse({"files": {"d/": entry}})


def test_one_pattern_is_enough():
    """`require: "*.csv"` is a list of one."""
    assert FileTree.parse({"files": {"d/": {"source": "file:/d", "require": "*.csv"}}}).files["d/"].require
