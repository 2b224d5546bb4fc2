"""Images: what needs neither network nor packages: names, requirements, apt's sources, words, locks, archives."""

import fcntl
import io
import os
import signal
import subprocess
import sys
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_interface.images import base as bases
from cluster_interface.images import failures, sourced, sources
from cluster_interface.images.archive import listing, stream
from cluster_interface.images.keys import image_key
from cluster_interface.images.lock import Target, _only_given_hashes, only_source, pinned
from cluster_interface.images.requirements import Wanted, read
from cluster_interface.images.shelf import Shelf, remove
from cluster_interface.model.errors import Permanent, Rejected, Transient
from cluster_interface.model.jobspec import Environment
from cluster_interface.settings import Images

HASH = "sha256:" + "a" * 64

# --- requirements


def test_requirements_are_understood_whatever_their_form():
    """Comments, blank lines, extras, markers, Windows line ends and hashes over several lines are all read."""
    text = f"# top\r\nNumPy >= 1.2  # why\n\nclick[x]; python_version < '4'\npandas==2.0 \\\n    --hash={HASH} \\\n"
    found = read(["attrs"], text)
    assert [one.requirement for one in found] == [
        "NumPy>=1.2",
        "attrs",
        'click[x]; python_version < "4"',
        "pandas==2.0",
    ]
    assert {one.name: one.hashes for one in found}["pandas"] == {HASH}


def test_the_order_of_requirements_changes_nothing():
    """The same packages in another order, or twice, are the same question."""
    assert read(["a", "b"], "c\na") == read(["c"], "b\na")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("--index-url https://evil.example/simple", "option"),
        ("numpy\n-r /etc/passwd", "line 2"),
        ("-e .", "option"),
        ("--find-links=/tmp", "option"),
        ("numpy --global-option=x", "not a package"),
        ("https://evil.example/x.whl", "links and paths"),
        ("/tmp/x.whl", "links and paths"),
        ("./local", "links and paths"),
        ("x @ https://evil.example/x.whl", "link"),
        ("x @ file:///etc/passwd", "link"),
        ("git+https://evil.example/x", "links and paths"),
        ("numpy\x0b--index-url=https://evil.example", "control character"),
        ("numpy\x85-r x", "control character"),
        ("numpy\u2028-r x", "control character"),
        ("numpy\r-r x", "control character"),
        ("numpy \\\n--index-url=https://evil.example", "not a package"),
        ("numpy==1 --hash=md5:abc", "not a hash"),
        ("numpy==1 --hash=sha256:" + "a" * 63, "not a hash"),
        ("${HOME}", "not a package"),
        ("x; os_name == '${SECRET}'", "$"),
        ("$(touch canary)", "not a package"),
        ("x" * 1_000_001, "longer"),
    ],
)
def test_whatever_is_no_package_name_is_refused(text, word):
    """Options, links, paths, files, second lines and variables are refused, and the line is named."""
    with pytest.raises(Rejected, match=r"environment\.python\.requirements") as caught:
        read([], text)
    assert word in str(caught.value)


@given(st.text(max_size=60))
def test_nothing_but_names_reaches_the_resolver(text):
    """What is accepted of any text at all is one line, no option and no link."""
    try:
        found = read([], text)
    except Rejected:
        return
    for one in found:
        assert one.requirement.isprintable()
        assert one.requirement[0].isalnum()
        assert " @ " not in one.requirement


# --- keys and locks


def test_an_image_without_packages_is_its_base():
    """The key of a base alone is the base's; any package, base or Python makes another."""
    assert image_key(base="b", python="3.11", requirements="") == "b"
    keys = {
        image_key(base=b, python=p, requirements=r)
        for b in ("b", "c")
        for p in ("3.9", "3.11")
        for r in ("x==1", "x==2")
    }
    assert len(keys) == 8


def test_the_resolver_is_asked_for_a_platform_it_knows():
    """A C library newer than uv's newest name, between two names or none at all gets the nearest that fits."""
    assert Target(python="3.13.5", glibc=41).platform == "x86_64-manylinux_2_40"
    assert Target(python="3.11.2", glibc=30).platform == "x86_64-manylinux_2_28"
    assert Target(python="3.11", machine="aarch64").platform == "aarch64-unknown-linux-musl"


def test_hashes_that_the_user_gave_are_the_only_ones_kept():
    """A lock never holds another file than the user's own hashes allow."""
    other = "sha256:" + "b" * 64
    lock = f"click==8.1 \\\n    --hash={HASH} \\\n    --hash={other}\nattrs==1 \\\n    --hash={other}\n"
    kept = _only_given_hashes(lock, [Wanted("click", "click", frozenset({HASH}))])
    assert kept == f"click==8.1 \\\n    --hash={HASH}\nattrs==1 \\\n    --hash={other}\n"
    assert pinned(kept) == ("click==8.1", "attrs==1")
    with pytest.raises(Permanent, match="click"):
        _only_given_hashes(lock, [Wanted("click", "click", frozenset({"sha256:" + "c" * 64}))])


# --- apt


def test_only_the_distributions_own_sources_are_taken_over(tmp_path):
    """Both formats are read, other releases are derived, vendors' repositories and source lists left out."""
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "os-release").write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    (tmp_path / "sources.list").write_text(
        "# deb http://old bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror/debian bookworm main contrib\n"
        "deb-src http://mirror/debian bookworm main\n"
        "deb http://vendor/apt cloud-sdk-bookworm main\n"
    )
    (tmp_path / "sources.list.d/x.sources").write_text(
        "Types: deb\nURIs: http://sec/debian\nSuites: bookworm-security\nComponents: main\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://off/debian\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb\nURIs: http://node\nSuites: nodistro\nComponents: main\n"
    )
    assert sources.of_this_machine("trixie", tmp_path, tmp_path / "os-release") == [
        "deb [signed-by=/k.gpg] http://mirror/debian trixie main",
        "deb http://sec/debian trixie-security main",
    ]


def test_a_machine_that_is_no_debian_has_no_sources_to_take_over(tmp_path):
    """On Rocky or Ubuntu, mmdebstrap's own default is used."""
    (tmp_path / "os-release").write_text("ID=rocky\n")
    assert sources.of_this_machine("bookworm", tmp_path, tmp_path / "os-release") == []
    assert sources.of_this_machine("bookworm", tmp_path, tmp_path / "none") == []


# --- words

UV = "error: No solution found when resolving dependencies\n  cause: Because "


def test_what_is_built_from_source_is_what_has_no_wheel_in_the_release_that_is_wanted():
    """That the old releases of a package were source alone does not make its new ones so."""
    said = f"{UV}fbpca==1.0 has no usable wheels and lightkurve>=1.9.0 depends on fbpca==1.0, we can conclude that"
    assert only_source(f"{said} …\nAnd because lightkurve<=1.8.0 has no usable wheels and you") == ("fbpca",)
    assert only_source(f"{UV}all versions of Py_Spark have no usable wheels and you") == ("py-spark",)
    assert only_source(f"{UV}old<=1.8 has no usable wheels and you require old<2, we") == ("old",)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            f"{UV}nosuch-qq was not found in the package registry and you require nosuch-qq, we can conclude that…",
            "nobody publishes a package named `nosuch-qq`",
        ),
        (f"{UV}there is no version of numpy==99 and you require numpy==99, we…", "no version of `numpy` that is ==99"),
        (
            f"{UV}tensorflow==1.15.0 has no wheels with a matching Python ABI tag (e.g., `cp311`) and you require",
            "`tensorflow` is not built for Python 3.11",
        ),
        (f"{UV}all versions of pyspark have no usable wheels and you require pyspark", "`pyspark`, as it was asked"),
        (f"{UV}there are no versions of numpy and you require numpy", "exclude_newer"),
        (
            f"{UV}pandas==2.0.0 depends on python-dateutil>=2.8.2 and you require python-dateutil==2.8.1, so",
            "exclude one another",
        ),
        ("error: Failed to install\n  cause: No space left on device (os error 28)", "disk"),
        ("error: Hash mismatch for `click==8.1`\n", "other bytes for click==8.1"),
        ("error: HTTP status client error (403 Forbidden) for url (https://u:p@x/simple)", "HTTP 403"),
        ("something new", "could not be installed: something new"),
    ],
)
def test_what_uv_says_becomes_a_sentence(said, words):
    """The sentence that matters is first, for every way in which the resolver is known to fail."""
    error = failures.of_uv(said, "3.11", "/store")
    assert isinstance(error, Permanent)
    assert error.code == "image_failed"
    assert words in str(error)


@pytest.mark.parametrize(
    "said",
    [
        "error: Request failed after 3 retries\n  cause: client error (Connect)\n  cause: tcp connect error",
        "error: Request failed\n  cause: dns error\n  cause: Name or service not known",
        "error: HTTP status server error (503 Service Unavailable) for url",
        "error: invalid peer certificate: UnknownIssuer",
        "error: operation timed out",
    ],
)
def test_an_index_that_cannot_be_reached_is_tried_again(said):
    """Trouble of the network or the index is no verdict on the packages."""
    assert isinstance(failures.of_uv(said, "3.11", "/store"), Transient)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("E: Unable to locate package nosuch\nE: run_chroot failed", "no package named nosuch"),
        ("E: Package 'x' has no installation candidate", "no package named x"),
        ("E: unable to pick chroot mode automatically (use --mode for manual selection)", "/etc/subuid"),
        (" x : Conflicts: y\nE: Unable to correct problems, you have held broken packages.", "together"),
        ("E: The repository 'http://x' is not signed.", "signature"),
        ("dpkg: error: write: No space left on device", "disk"),
        ("E: odd", "could not be made from Debian bookworm: E: odd"),
    ],
)
def test_what_mmdebstrap_says_becomes_a_sentence(said, words):
    """Likewise for the base."""
    error = failures.of_bootstrap(said, "bookworm", "/store")
    assert isinstance(error, Permanent)
    assert words in str(error)


def test_a_mirror_that_cannot_be_reached_is_tried_again():
    """Trouble of the network is no verdict on the base."""
    said = "E: Failed to fetch http://u:secret@m/x  Could not connect to m:80 (1.2.3.4). - connect (111: refused)"
    error = failures.of_bootstrap(said, "bookworm", "/store")
    assert isinstance(error, Transient)
    assert "secret" not in str(error)


# --- the shelf


@pytest.fixture
def shelf(tmp_path):
    """A store's empty directory."""
    made = Shelf(tmp_path / "store")
    made.prepare()
    return made


def test_a_thing_appears_whole(shelf):
    """Nothing is in place until it is published, and nothing of the temporary is left after."""
    with shelf.hold("k"), shelf.temporary("k") as home:
        (home / "thing").mkdir()
        (home / "thing/a").write_text("a")
        assert not shelf.layer("k").exists()
        shelf.publish(home / "thing", shelf.layer("k"))
    assert (shelf.layer("k") / "a").read_text() == "a"
    assert list((shelf.root / "tmp").iterdir()) == []


def test_a_temporary_of_a_dead_builder_is_swept_and_a_living_ones_is_not(shelf):
    """What nobody holds the lock of goes; what is being built stays."""
    for key in ("dead", "alive"):
        (shelf.root / "tmp" / f"{key}.1").mkdir()
        (shelf.root / "tmp" / f"{key}.1/file").write_text("x")
    with (shelf.root / "held/alive").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        shelf.sweep()
    assert [path.name for path in (shelf.root / "tmp").iterdir()] == ["alive.1"]


def test_a_lock_dies_with_its_process_even_if_a_child_lives_on(shelf):
    """After kill -9 of the holder nobody waits for it, though it had forked and started programs meanwhile."""
    program = (
        "import os, sys, time, subprocess\nfrom pathlib import Path\n"
        "from cluster_interface.images.shelf import Shelf\n"
        f"with Shelf(Path({str(shelf.root)!r})).hold('k'):\n"
        "    if os.fork() == 0:\n        os.write(1, b'forked %d\\n' % os.getpid()); time.sleep(60)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as holder:
        child = int(holder.stdout.readline().split()[1])
        try:
            holder.kill()
            holder.wait()
            with shelf.hold("k"):
                os.kill(child, 0)  # it still lives
        finally:
            os.kill(child, signal.SIGKILL)


def test_removing_follows_no_link(tmp_path):
    """A link in what is removed is removed itself, not what it points to."""
    (tmp_path / "canary").mkdir()
    (tmp_path / "canary/file").write_text("x")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone/link").symlink_to(tmp_path / "canary")
    remove(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()
    assert (tmp_path / "canary/file").exists()


def test_a_note_that_is_cut_short_counts_as_none(shelf):
    """A damaged note reads as absent, so that what it says is made again."""
    shelf.write(shelf.note("locks", "a"), {"x": 1})
    assert shelf.read(shelf.note("locks", "a")) == {"x": 1}
    shelf.note("locks", "b").write_text('{"x": ')
    assert shelf.read(shelf.note("locks", "b")) is None
    assert shelf.read(shelf.note("locks", "c")) is None


# --- the archive


def test_the_archive_of_a_directory_is_the_same_each_time(tmp_path):
    """Times, owners and the order on disk do not show; the size is known before, and tar reads it."""
    for name, order in (("one", ("b", "a")), ("two", ("a", "b"))):
        root = tmp_path / name
        (root / "tmp").mkdir(parents=True)
        for file in order:
            (root / file).write_text(file * 1000)
            os.utime(root / file, (order.index(file), 5))
        (root / "run").write_text("x")
        (root / "run").chmod(0o700)
        (root / ("long" * 60)).symlink_to("é/" * 80)
    written = [b"".join(stream(listing(tmp_path / name, "opt/env"))) for name in ("one", "two")]
    assert written[0] == written[1]
    assert len(written[0]) == listing(tmp_path / "one", "opt/env").size
    with tarfile.open(fileobj=io.BytesIO(written[0])) as archive:
        members = {member.name: member for member in archive}
    assert members["opt/env/run"].mode == 0o755
    assert members["opt/env/a"].mode == 0o644
    assert {m.uid for m in members.values()} == {0}
    assert members["opt/env/" + "long" * 60].linkname == "é/" * 80


def test_the_temporary_directory_of_an_image_is_open_to_all(tmp_path):
    """In the image /tmp is 1777, though in the store it is not: there nobody else may write."""
    (tmp_path / "tmp").mkdir(mode=0o755)
    written = b"".join(stream(listing(tmp_path)))
    with tarfile.open(fileobj=io.BytesIO(written)) as archive:
        assert archive.getmember("tmp").mode == 0o1777


def test_a_file_that_shrinks_while_it_is_read_is_noticed(tmp_path):
    """The archive fails rather than carrying something else."""
    (tmp_path / "a").write_bytes(b"x" * 100)
    found = listing(tmp_path)
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(OSError, match="shorter"):
        list(stream(found))


# --- bases


@pytest.mark.parametrize("again", [False, True])
def test_a_base_that_grows_keeps_the_sites_certificates(shelf, tmp_path, monkeypatch, again):
    """Whether or not a package has made the bundle again, they are at its end, once."""
    bundle = "etc/ssl/certs/ca-certificates.crt"
    site, root = tmp_path / "site.pem", tmp_path / "target/rootfs"
    site.write_text("site\n")

    def grow(under, root, packages, tool):
        (root / bundle).parent.mkdir(parents=True)
        (root / bundle).write_text("debian\n" if again else "debian\n\nsite\n")
        return 1

    monkeypatch.setattr(bases, "grow", grow)
    settings = Images(ca_bundle=site)
    wanted = bases.recipe_of(settings, "bookworm", {*bases.ALWAYS, *settings.packages, "jq"}, None)
    root.parent.mkdir()
    bases.bootstrap(wanted, root.parent, shelf, settings, tmp_path)
    assert wanted.under
    assert (root / bundle).read_text() == "debian\n\nsite\n"


def test_of_several_sources_those_are_built_that_are_taken(tmp_path, monkeypatch):
    """The resolver names what each release lacks; the release that it takes then needs but one of them."""
    (tmp_path / "uv.toml").touch()
    bench = sourced.Bench(Environment(), lambda _: None, tmp_path, tmp_path / "log")
    workshop = sourced.Workshop(None, None, None, None, bench)
    monkeypatch.setattr(workshop, "_wheel", lambda source: tmp_path / f"{source.name}.whl", raising=True)
    taken = '[[packages]]\nname = "new"\nsdist = {url = "http://x/new-1.tar.gz", hashes = {sha256 = "0"}}\n'
    assert workshop.build(["old", "new"], lambda **_: taken)
    assert workshop.links == [tmp_path]
    assert not workshop.build(["old"], lambda **_: taken)
