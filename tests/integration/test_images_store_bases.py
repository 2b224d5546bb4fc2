# ruff: noqa: F811 - fixtures that are imported
"""Bases of images: made here by anybody, as of a day, made elsewhere, or not to be had."""

import hashlib
import http.server
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.integration.image_store import (  # noqa: F401 - fixtures
    bare,
    environment,
    fast_bootstrap,
    in_bubblewrap,
    index,
    quiet,
    root,
    tmp_path,
    warm,
)

from cluster_interface.images import Store, sources
from cluster_interface.model.errors import Permanent, Rejected
from cluster_interface.model.jobspec import Environment
from cluster_interface.ports import Face
from cluster_interface.settings import Images


@pytest.fixture
def no_debian(tmp_path, monkeypatch):
    """A PATH like that of a machine without apt, dpkg and mmdebstrap."""
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "setpriv").symlink_to(shutil.which("setpriv"))
    monkeypatch.setenv("PATH", str(directory))


def test_an_imported_base_serves_a_machine_without_apt(warm, bare, tmp_path, index, no_debian):
    """With a base made elsewhere, all works where nothing of Debian is installed."""
    archive = tmp_path / "base.tar"
    root = warm.find(bare, Face.DIRECTORY).rootfs
    subprocess.run(["/bin/tar", "-C", root, "-cf", archive, "."], check=True)
    index.wheel("alpha", {"alpha.py": "x = 1"})
    store = Store(tmp_path / "store", Images(index_url=index.url, base="campus"))
    with pytest.raises(Rejected, match=r"environment\.base: there is no base named 'campus'"):
        store.resolve(environment("alpha"), "")
    info = store.import_base(archive, "campus")
    assert (info.name, info.kind) == ("campus", "base")
    assert info in store.images()
    lock = store.resolve(environment("alpha"), "")
    image = store.build(lock, Face.DIRECTORY, quiet)
    assert lock.base == info.key == hashlib.sha256(archive.read_bytes()).hexdigest()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/usr/bin:/bin")
        assert in_bubblewrap(image, "python -c 'import alpha; print(alpha.x)'").stdout == "1\n"
    with pytest.raises(Rejected, match=r"environment\.system"):
        store.resolve(environment("alpha", system=["jq"]), "")
    with pytest.raises(Rejected, match=r"environment\.python\.version: 'campus' has Python 3\.11"):
        store.resolve(environment("alpha", version="3.13"), "")


def test_where_no_base_can_be_had_the_message_says_what_to_do(tmp_path, no_debian):
    """Neither mmdebstrap nor an imported base: the command that helps is named."""
    with pytest.raises(Permanent, match="clif images import-base FILE") as caught:
        Store(tmp_path / "store", Images()).resolve(Environment(), "")
    assert caught.value.code == "image_failed"


@pytest.fixture
def snapshot():
    """Debian as of any day, on a loopback port: today's, and the days that were asked for."""
    today = next(word for word in sources.of_this_machine("bookworm")[0].split() if "://" in word)
    days = set()

    class Archive(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            day, _, rest = self.path.removeprefix("/archive/debian/").partition("/")
            days.add(day)
            self.send_response(302)
            self.send_header("Location", f"{today.rstrip('/')}/{rest}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archive) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/archive/debian/{{date}}", days
        server.shutdown()


def test_a_day_is_part_of_what_a_base_is_made_from(root):
    """Where the site has an archive of Debian's packages, and only there; it must say where the date goes."""
    wanted = Environment.parse({"as_of": "2026-01-31"})
    today = Store(root, Images()).resolve(wanted, "")
    assert today == Store(root, Images()).resolve(Environment(), "")
    store = Store(root, Images(snapshot="http://127.0.0.1:9/{date}"))
    then = store.resolve(wanted, "")
    assert (then.as_of, then.base != today.base) == ("2026-01-31", True)
    assert store.resolve(Environment(), "") == today
    assert store.resolve(Environment.parse({"as_of": "2026-02-01"}), "").base != then.base
    with pytest.raises(Permanent, match=r"images\.snapshot is gone"):
        Store(root, Images()).build(then, Face.DIRECTORY, quiet)
    with pytest.raises(Rejected, match=r"has no \{date\} in it"):
        Images.parse({"snapshot": "http://127.0.0.1/debian"})


def test_an_ordinary_user_bootstraps_a_base(tmp_path, snapshot):
    """With ids of its own in /etc/subuid an account needs no root: what it makes is its own, and runs.

    A plain base and another with a package more, both as of a day, from an archive of Debian's packages.
    """
    address, days = snapshot
    shutil.chown(tmp_path, "daemon", "daemon")
    (ids := tmp_path / "ids").write_text("daemon:100000:65536\n")
    program = (
        "from pathlib import Path\nfrom cluster_interface.images import Store\n"
        "from cluster_interface.settings import Images\nfrom cluster_interface.model.jobspec import Environment\n"
        f"from cluster_interface.ports import Face\ns = Store(Path('{tmp_path}/store'), Images(snapshot='{address}'))\n"
        "wanted = Environment(system=('jq',), as_of='2026-01-31')\n"
        "print(s.build(s.resolve(wanted, ''), Face.DIRECTORY, lambda p: None).rootfs)\n"
    )
    daemon = ["setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups"]
    inner = f"mount --bind {ids} /etc/subuid && mount --bind {ids} /etc/subgid && exec {' '.join(daemon)} "
    inner += f"env HOME={tmp_path} PYTHONDONTWRITEBYTECODE=1 {sys.executable} -"
    argv = ["unshare", "--mount", "sh", "-c", inner]
    done = subprocess.run(argv, input=program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    root = Path(done.stdout.strip())
    assert subprocess.run(["find", root, "!", "-user", "daemon"], capture_output=True, check=True).stdout == b""
    argv = [*daemon, "bwrap", "--ro-bind", str(root), "/", "jq", "-n", "6*7"]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "42\n"
    assert days == {"20260131T000000Z"}


def test_a_full_disk_is_said_in_words(fast_bootstrap, index, tmp_path):
    """No traceback, no half base: the sentence says that the disk is full."""
    place = tmp_path / "small"
    place.mkdir()
    program = (
        "import sys\nfrom pathlib import Path\nfrom cluster_interface.images import Store\n"
        "from cluster_interface.settings import Images\nfrom cluster_interface.model.jobspec import Environment\n"
        "from cluster_interface.model.errors import Permanent\nfrom cluster_interface.ports import Face\n"
        f"s = Store(Path('{place}/s'), Images())\n"
        "try: s.build(s.resolve(Environment(), ''), Face.DIRECTORY, lambda p: None)\n"
        "except Permanent as e: print(e, *(list((s._shelf.root / d).iterdir()) for d in ('bases', 'tmp')))\n"
    )
    inner = f"mount -t tmpfs -o size=20m none {place} && exec {sys.executable} -"
    argv = ["unshare", "--mount", "sh", "-c", inner]
    done = subprocess.run(argv, input=program, capture_output=True, text=True, check=False)
    assert "is full" in done.stdout, done.stderr
    assert done.stdout.endswith("[] []\n")


def test_a_distribution_package_that_does_not_exist_is_named(root):
    """The field and the package are in the message, and the log has the rest."""
    store = Store(root, Images())
    lock = store.resolve(environment(system=["no-such-thing-at-all"]), "")
    with pytest.raises(Permanent, match=r"environment\.system: .* no package named no-such-thing-at-all"):
        store.build(lock, Face.DIRECTORY, quiet)
    assert "Unable to locate package" in store.log(lock.image)
