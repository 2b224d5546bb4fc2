"""Images for real: Debian, the package index, the Docker engine and bubblewrap, shared through one warm store."""

import contextlib
import hashlib
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import pytest

from cluster_interface.images import Store, sources
from cluster_interface.model.errors import Permanent, Rejected, Transient
from cluster_interface.model.job import Progress
from cluster_interface.model.jobspec import Environment
from cluster_interface.ports import Face
from cluster_interface.settings import Images

CACHE = Path(os.environ.get("CLIF_TEST_CACHE", "/var/tmp/clif-test-cache"))
NOBODY = 65534
TEN = (
    "numpy",
    "pandas",
    "matplotlib",
    "pyyaml",
    "black",
    "setuptools",
    "pytest",
    "pytest-xdist",
    "lxml",
    "pillow",
    "httpie",
)


def quiet(progress: Progress) -> None:
    """Report to nobody."""


def environment(*packages, system=(), **python):
    """Describe an environment."""
    return Environment.parse({"python": {"packages": packages, **python}, "system": system})


def docker(*arguments, **options):
    """Run the docker command line."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, **options)


def in_docker(image, command):
    """Run a command as the docker runtime does: no root, nothing writable but /tmp and /job, no network."""
    limits = [
        "--read-only",
        "--network=none",
        "--user=1000:1000",
        "--cap-drop=ALL",
        "--tmpfs=/tmp:exec",
        "--tmpfs=/job",
    ]
    return docker("run", "--rm", *limits, "--env=HOME=/tmp", image.tag, "sh", "-c", command)


def in_bubblewrap(image, command, uid=NOBODY):
    """Run a command as the bubblewrap runtime does, as an ordinary user."""
    argv = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "bwrap", "--unshare-all", "--clearenv"]
    argv += ["--ro-bind", str(image.rootfs), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    argv += ["--setenv", "PATH", "/opt/env/bin:/usr/bin:/bin", "--setenv", "HOME", "/tmp", "--chdir", "/job"]
    argv += ["--ro-bind", str(image.layer), "/opt/env"] if image.layer else []
    return subprocess.run([*argv, "sh", "-c", command], capture_output=True, text=True, check=False)


def in_squashfs(image, command, uid=NOBODY):
    """Run a command in the one file, as an ordinary user."""
    argv = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "env", "-i", "PATH=/usr/bin:/bin"]
    argv += ["HOME=/tmp", "apptainer", "--silent", "exec", "--userns", "--containall", "--no-home", "--pwd", "/job"]
    settled = "unset PYTHONPATH LD_LIBRARY_PATH; export HOME=/tmp PATH=/opt/env/bin:/usr/bin:/bin\n"
    return subprocess.run(
        [*argv, image.file, "sh", "-c", settled + command], capture_output=True, text=True, check=False, cwd="/"
    )


def in_archives(image, command):
    """Run a command as another machine does, whose engine has loaded the archives."""
    for archive in image.archives:
        loaded = docker("load", "--input", archive)
        assert loaded.returncode == 0, loaded.stderr
    return in_docker(image, command)


RUNNERS = {
    Face.DIRECTORY: in_bubblewrap,
    Face.DOCKER: in_docker,
    Face.SQUASHFS: in_squashfs,
    Face.ARCHIVE: in_archives,
}


@pytest.fixture
def tmp_path():
    """A directory that every user may enter: pytest's own is its owner's alone."""
    CACHE.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="images-test-", dir=CACHE))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def warm():
    """The store that all tests share: its base is made once per machine."""
    CACHE.mkdir(parents=True, exist_ok=True)
    store = Store(CACHE / "images", Images())
    store.build(store.resolve(Environment(), ""), Face.DIRECTORY, quiet)
    return store


@pytest.fixture(scope="session")
def bare(warm):
    """The lock of the base alone."""
    return warm.resolve(Environment(), "")


@pytest.fixture
def root(warm, bare, tmp_path):
    """A store of its own that has the base already (as hard links)."""
    place = tmp_path / "store"
    Store(place, Images())
    subprocess.run(["cp", "-al", f"{warm._shelf.root}/bases/{bare.base}", f"{place}/bases/"], check=True)
    return place


@pytest.fixture
def index(tmp_path):
    """A package index in a directory (PEP 503): no network, and packages that mean harm."""
    return Index(tmp_path / "simple")


class Index:
    """Writes packages that hold what a test wants."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = root.as_uri()

    def wheel(self, name, files, scripts="", leave_out=""):
        """Publish a wheel with these files; one may be left out of its record."""
        info = f"{name}-1.0.dist-info"
        path = self._place(name, f"{name}-1.0-py3-none-any.whl")
        contents = {
            **files,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        if scripts:
            contents[f"{info}/entry_points.txt"] = f"[console_scripts]\n{scripts}\n"
        contents[f"{info}/RECORD"] = "".join(f"{one},,\n" for one in contents if one != leave_out)
        with zipfile.ZipFile(path, "w") as archive:
            for one, text in contents.items():
                archive.writestr(one, text)
        self._list(name)

    def source(self, name, canary):
        """Publish a package as source only, whose build leaves a canary."""
        tree = self.root.parent / f"{name}-1.0"
        tree.mkdir()
        (tree / "setup.py").write_text(
            f"open({str(canary)!r}, 'w')\nfrom setuptools import setup; setup(name='{name}')\n"
        )
        (tree / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        path = self._place(name, f"{name}-1.0.tar.gz")
        subprocess.run(["tar", "-C", tree.parent, "-czf", path, tree.name], check=True)
        self._list(name)

    def _place(self, name, file):
        (self.root / name).mkdir(parents=True, exist_ok=True)
        return self.root / name / file

    def _list(self, name):
        files = [path for path in (self.root / name).iterdir() if path.name != "index.html"]
        links = [f'<a href="{f.name}#sha256={hashlib.sha256(f.read_bytes()).hexdigest()}">{f.name}</a>' for f in files]
        (self.root / name / "index.html").write_text(f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>")


# --- every face

CHECK = """
import sys, importlib.metadata as m, io
import numpy, pandas, matplotlib, yaml, black, lxml.etree, PIL.Image, xdist, httpie
assert "_distutils_hack" in sys.modules, "the .pth file was not read"
assert any(e.name == "xdist" for e in m.entry_points(group="pytest11"))
assert pandas.DataFrame({"a": numpy.arange(3)}).a.sum() == 3
matplotlib.use("Agg")
import matplotlib.pyplot as plt
plt.plot([1, 2]); plt.savefig(io.BytesIO(), format="png")
assert lxml.etree.fromstring("<a/>").tag == "a"
assert sys.prefix == "/opt/env" and sys.executable == "/opt/env/bin/python", sys.executable
try: yaml.safe_load("[")
except yaml.YAMLError as e: assert e.__traceback__.tb_next.tb_frame.f_code.co_filename.startswith("/opt/env/lib/")
print("all is well")
"""
SCRIPTS = "black --version && pytest --version && http --version && f2py -v && which python python3 black"
RECOMPILED = (
    "python -v -c 'import pandas, json, lxml.etree, asyncio, matplotlib' 2>&1 | "
    "grep -E \"code object from '.*\\.py'|wrote|stale\""
)


@pytest.fixture(scope="session")
def ten(warm):
    """The lock of ten well-known packages and what they need."""
    return warm.resolve(environment(*TEN), "")


@pytest.mark.parametrize("face", RUNNERS)  # but the registry, which a site must name first
def test_ten_packages_work_in_every_face(warm, ten, face):
    """Compiled code, .pth files, plugins, console scripts and tracebacks work, read-only and as an ordinary user."""
    image = warm.build(ten, face, quiet)
    run = RUNNERS[face]
    done = run(image, f"python - <<'END'\n{CHECK}\nEND")
    assert done.stdout == "all is well\n", done.stderr
    scripts = run(image, SCRIPTS)
    assert scripts.returncode == 0, scripts.stderr
    assert scripts.stdout.split()[-3:] == ["/opt/env/bin/python", "/opt/env/bin/python3", "/opt/env/bin/black"]
    recompiled = run(image, RECOMPILED)
    assert recompiled.stdout == "", "bytecode is made anew at every start"


@pytest.mark.parametrize("face", RUNNERS)  # but the registry, which a site must name first
def test_the_base_alone_has_what_scripts_expect(warm, bare, face):
    """Without packages `python`, certificates and realpath are there; nothing of the host or setuid is."""
    image = warm.build(bare, face, quiet)
    run = RUNNERS[face]
    command = (
        "python -c 'import ssl; assert ssl.create_default_context().get_ca_certs()' && realpath / && "
        "find / -xdev -perm /6000 -type f; ls /etc/apt/sources.list /etc/apt/apt.conf.d/99mmdebstrap; "
        "python -v -c 'import json, asyncio' 2>&1 | grep -cE \"code object from '.*\\.py'\""
    )
    done = run(image, command)
    assert done.stdout == "/\n0\n", done.stderr
    assert done.stderr.count("No such file") == 2


def test_one_file_is_the_same_each_time(root, warm, bare):
    """Two stores make the same squashfs file of the same base, byte for byte; making it again is finding it."""
    other = Store(root, Images())
    one, two = (store.build(bare, Face.SQUASHFS, quiet).file for store in (warm, other))
    assert one.read_bytes() == two.read_bytes()
    before = two.stat()
    assert other.build(bare, Face.SQUASHFS, quiet) == other.find(bare, Face.SQUASHFS)
    assert two.stat().st_mtime_ns == before.st_mtime_ns
    assert two.stat().st_mode & 0o777 == 0o644


def test_without_mksquashfs_the_reason_is_told(root, bare, monkeypatch):
    """A machine that cannot make the file says what to install, and leaves nothing half-made."""
    store = Store(root, Images())
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Permanent, match="squashfs-tools"):
        store.build(bare, Face.SQUASHFS, quiet)
    assert store.find(bare, Face.SQUASHFS) is None
    assert not list((root / "tmp").iterdir())


def test_an_archive_is_the_whole_base_once_and_then_the_layer(root, warm, bare):
    """Archives of two images share the base's; each other one has its own layer alone."""
    ref = warm.build(bare, Face.ARCHIVE, quiet)
    assert len(ref.archives) == 1
    small = warm.build(warm.resolve(environment("six"), ""), Face.ARCHIVE, quiet)
    assert small.archives[0] == ref.archives[0]
    assert small.archives[1].stat().st_size < ref.archives[0].stat().st_size / 20
    assert {"archive", "docker"} >= set(next(i for i in warm.images() if i.key == small.key).faces) - {"directory"}


def test_the_store_belongs_to_its_owner_and_is_readable_to_all(warm, bare):
    """No device, setuid, foreign owner or unreadable file is in a base."""
    root = warm.find(bare, Face.DIRECTORY).rootfs
    odd = [
        "!",
        "-user",
        str(os.geteuid()),
        "-o",
        "-perm",
        "/6022",
        "!",
        "-type",
        "l",
        "-o",
        "-type",
        "b",
        "-o",
        "-type",
        "c",
    ]
    odd += ["-o", "-type", "f", "!", "-perm", "-444", "-o", "-type", "d", "!", "-perm", "-555"]
    assert subprocess.run(["find", root, *odd], capture_output=True, text=True, check=True).stdout == ""


def test_what_is_there_is_found_at_once(warm, ten):
    """The engine looks on every tick: both looks together take a millisecond or two, and start nothing."""
    warm.build(ten, Face.DIRECTORY, quiet)
    best = min(
        _seconds(lambda: (warm.find_lock(environment(*TEN), ""), warm.find(ten, Face.DIRECTORY))) for _ in range(20)
    )
    assert best < 0.003


def _seconds(act):
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


# --- locks


def test_a_lock_is_found_again_without_the_network(root, index):
    """The same question gets the kept answer, though the index is gone; another question does not."""
    index.wheel("alpha", {"alpha.py": ""})
    store = Store(root, Images(index_url=index.url))
    assert store.find_lock(environment("alpha"), "") is None
    lock = store.resolve(environment("alpha"), "")
    shutil.rmtree(index.root)
    assert store.find_lock(environment("alpha"), "") == lock
    assert store.find_lock(environment(), "alpha  # from a file\n") == lock
    assert store.find_lock(environment("alpha", version="3.13"), "") is None
    assert lock.packages == ("alpha==1.0",)
    assert "--hash=sha256:" in lock.requirements


def test_an_environment_without_packages_needs_neither_network_nor_uv(root):
    """The lock of the base alone is known at once."""
    store = Store(root, Images(index_url="http://127.0.0.1:9/simple"))
    lock = store.find_lock(Environment(), "# nothing\n")
    assert lock == store.resolve(Environment(), "")
    assert lock.image == lock.base
    assert (lock.python, lock.suite) == ("3.11", "bookworm")


@pytest.mark.parametrize(("version", "suite"), [("3.9", "bullseye"), ("3.13", "trixie")])
def test_another_python_comes_from_another_release(warm, version, suite):
    """Where the site's own release has another Python, one that has the right one is chosen."""
    lock = warm.resolve(environment("markupsafe", version=version), "")
    assert (lock.suite, lock.python) == (suite, version)


def test_a_python_that_no_release_has_is_refused_in_words(warm):
    """The message names the field and what there is."""
    with pytest.raises(Rejected, match=r"environment\.python\.version: Python 3\.12 .*3\.11 \(bookworm\)"):
        warm.resolve(environment(version="3.12"), "")


def test_hashes_that_fit_no_file_are_refused(root, index):
    """What the user pinned is not replaced by what the index has."""
    index.wheel("alpha", {"alpha.py": ""})
    store = Store(root, Images(index_url=index.url))
    with pytest.raises(Permanent, match="hashes"):
        store.resolve(environment(), f"alpha==1.0 --hash=sha256:{'0' * 64}")


def test_an_unreachable_index_is_tried_again(root):
    """No answer is no verdict."""
    with pytest.raises(Transient, match="index cannot be reached"):
        Store(root, Images(index_url="http://127.0.0.1:9/simple")).resolve(environment("alpha"), "")


def test_a_package_that_nobody_publishes_is_said_so(root, index):
    """The package is named, with the likely cause."""
    index.root.mkdir()
    with pytest.raises(Permanent, match="nobody publishes a package named `alpha`") as caught:
        Store(root, Images(index_url=index.url)).resolve(environment("alpha"), "")
    assert caught.value.code == "image_failed"


# --- packages that mean harm


def test_nothing_of_a_package_runs_while_it_is_installed(root, index, tmp_path):
    """A .pth file runs code at every start of Python: not here, on the server, only in the job."""
    canary = tmp_path / "canary"
    index.wheel("evil", {"evil.pth": f"import os; open({str(canary)!r}, 'w')\n", "evil.py": "x = 1\n"})
    store = Store(root, Images(index_url=index.url))
    image = store.build(store.resolve(environment("evil"), ""), Face.DIRECTORY, quiet)
    assert (image.layer / "lib/python3.11/site-packages/evil.pth").exists()
    assert list(image.layer.glob("lib/python3.11/site-packages/__pycache__/evil.*.pyc"))
    assert not canary.exists()


def test_source_is_not_built(root, index, tmp_path):
    """A setup.py would run on the server: such a package is refused, in words."""
    index.source("evil", tmp_path / "canary")
    with pytest.raises(Permanent, match="only as source"):
        Store(root, Images(index_url=index.url)).resolve(environment("evil"), "")
    assert not (tmp_path / "canary").exists()


def test_a_wheel_that_writes_elsewhere_is_refused(root, index, tmp_path):
    """A name with `..` in a wheel makes nothing outside."""
    index.wheel("evil", {"evil.py": "", "../../../../../../canary": "x"})
    store = Store(root, Images(index_url=index.url))
    before = set(root.rglob("canary"))
    with contextlib.suppress(Permanent):
        store.build(store.resolve(environment("evil"), ""), Face.DIRECTORY, quiet)
    assert set(root.rglob("canary")) == before
    assert not list(tmp_path.glob("canary"))


def test_other_bytes_than_were_locked_are_refused(root, index):
    """An index that changes a file after the lock was approved does not get it into the image."""
    index.wheel("alpha", {"alpha.py": "x = 1"})
    store = Store(root, Images(index_url=index.url))
    lock = store.resolve(environment("alpha"), "")
    shutil.rmtree(root / "wheels")
    (root / "wheels").mkdir()
    index.wheel("alpha", {"alpha.py": "x = 2"})
    with pytest.raises(Permanent):
        store.build(lock, Face.DIRECTORY, quiet)
    assert store.find(lock, Face.DIRECTORY) is None


def test_a_package_is_installed_and_compiled_once_for_all_layers(root, index):
    """Another layer with the same package has the same files and bytecode, as hard links; the base is not touched."""
    index.wheel("alpha", {"alpha/__init__.py": "x = 1", "alpha/broken.py": "print 1"}, "say = alpha:x")
    index.wheel("beta", {"beta.py": "x = 1"})
    store = Store(root, Images(index_url=index.url))

    def made(*packages):
        image = store.build(store.resolve(environment(*packages), ""), Face.DIRECTORY, quiet)
        return {path.name: path.stat().st_ino for path in image.layer.rglob("*.py*") if "/alpha/" in str(path)}, image

    before = sorted(str(path) for path in (root / "bases").rglob("*.pyc"))
    first, _ = made("alpha")
    second, image = made("alpha", "beta")
    assert set(first) == {"__init__.py", "broken.py", "__init__.cpython-311.pyc"}
    assert second == first
    shutil.rmtree(image.layer.parent)
    assert made("alpha", "beta")[0] == first
    assert sorted(str(path) for path in (root / "bases").rglob("*.pyc")) == before
    image = made("alpha", "beta")[1]
    done = in_bubblewrap(image, "python -v -c 'import alpha, beta' 2>&1 | grep -E \"'/opt.*py'\"")
    assert done.stdout == ""
    assert (image.layer / "bin/say").read_text().startswith("#!/opt/env/bin/python\n")
    files = [path for path in image.layer.rglob("*") if path.is_file() and not path.is_symlink()]
    assert store.images()[0].size == sum(path.stat().st_size for path in files if path.name != "pyvenv.cfg")


@pytest.mark.parametrize("before", [(), ("beta",), ("gamma",), ("beta", "gamma")])
def test_a_layer_is_the_same_whatever_was_there(root, index, before):
    """Of packages with the same file the last by name wins; what a package does not record is there all the same."""
    index.wheel("beta", {"beta.py": "x = 1", "both.py": "x = 'beta'"})
    index.wheel("gamma", {"both.py": "x = 'gamma'"})
    index.wheel("sloppy", {"kept.py": "", "sloppy.py": "import both; print(both.x)"}, leave_out="kept.py")
    store = Store(root, Images(index_url=index.url))
    for package in before:
        store.build(store.resolve(environment(package), ""), Face.DIRECTORY, quiet)
    image = store.build(store.resolve(environment("gamma", "sloppy", "beta"), ""), Face.DIRECTORY, quiet)
    assert in_bubblewrap(image, "python -c 'import beta, kept, sloppy'").stdout == "gamma\n"
    compiled = {path.name.partition(".")[0] for path in image.layer.rglob("*.pyc")}
    assert compiled == {"beta", "both", "kept", "sloppy"}


# --- docker


@pytest.fixture
def one(root, index):
    """A store with one small package, and its lock."""
    index.wheel("alpha", {f"alpha_{os.getpid()}_{time.time_ns()}.py": "", "alpha.py": ""}, "alpha = alpha:main")
    store = Store(root, Images(index_url=index.url))
    lock = store.resolve(environment("alpha"), "")
    yield store, lock
    docker("rmi", "-f", f"cluster-interface/image:{lock.image[:24]}")


def test_an_image_removed_from_the_engine_is_noticed_and_loaded_again(one):
    """After `docker rmi` the image counts as not there; after the next build it runs."""
    store, lock = one
    assert store.find(lock, Face.DOCKER) is None
    image = store.build(lock, Face.DOCKER, quiet)
    assert store.find(lock, Face.DOCKER) == image
    assert docker("rmi", "-f", image.tag).returncode == 0
    assert store.find(lock, Face.DOCKER) is None
    assert store.find(lock, Face.DIRECTORY) is not None
    store.build(lock, Face.DOCKER, quiet)
    assert in_docker(image, "python -c 'import alpha'").returncode == 0


def test_another_image_under_our_name_is_not_taken(one):
    """A tag that was moved to something else counts as absent."""
    store, lock = one
    image = store.build(lock, Face.DOCKER, quiet)
    other = store.build(store.resolve(Environment(), ""), Face.DOCKER, quiet)
    ours = docker("inspect", "--format={{.Id}}", image.tag).stdout.strip()
    assert docker("tag", other.tag, image.tag).returncode == 0
    assert store.find(lock, Face.DOCKER) is None
    assert docker("rmi", ours).returncode == 0


def test_a_base_that_was_pruned_is_loaded_anew(one, root):
    """Where the engine has lost the base, the whole archive follows the thin one."""
    store, lock = one
    gone = {"diff_ids": ["sha256:" + "0" * 64], "loaded": 0}
    (root / "docker" / f"{lock.base}.json").write_text(json.dumps(gone))
    image = store.build(lock, Face.DOCKER, quiet)
    assert store.find(lock, Face.DOCKER) == image
    assert in_docker(image, "python -c 'import alpha'").returncode == 0


def test_an_engine_that_is_away_is_asked_again(root):
    """No answer from the engine is no verdict on the image."""
    store = Store(root, Images(), docker_host="unix:///nonexistent/docker.sock")
    lock = store.resolve(Environment(), "")
    with pytest.raises(Transient, match=r"/nonexistent/docker\.sock does not answer"):
        store.build(lock, Face.DOCKER, quiet)


# --- many at once, and sudden ends

WORKER = """
import sys
from pathlib import Path
calls = open(sys.argv[1], "a", buffering=1)
sys.addaudithook(lambda e, a: e == "subprocess.Popen" and calls.write(" ".join(map(str, a[1])) + "\\n"))
from cluster_interface.images import Store
from cluster_interface.model.jobspec import Environment
from cluster_interface.ports import Face
from cluster_interface.settings import Images
store = Store(Path(sys.argv[2]), Images(index_url=sys.argv[3]))
lock = store.resolve(Environment.parse({"python": {"packages": ["alpha", "beta"]}}), "")
print("begun", flush=True)
print(store.build(lock, Face.DIRECTORY, lambda p: None).key)
"""


@pytest.fixture
def fast_bootstrap(warm, bare, tmp_path, monkeypatch):
    """An mmdebstrap that gives the shared base in a second instead of thirty."""
    directory = tmp_path / "bin"
    directory.mkdir()
    root = warm.find(bare, Face.DIRECTORY).rootfs
    (directory / "mmdebstrap").write_text(f"#!/bin/sh\nexec tar -C {root} -c .\n")
    (directory / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


@pytest.fixture
def worker(tmp_path, index):
    """Start a process that resolves and builds; what it starts itself is written down."""
    index.wheel("alpha", {f"alpha/m{n}.py": f"x = {n}\n" * 50 for n in range(300)}, "alpha = alpha.m1:main")
    index.wheel("beta", {"beta.py": "x = 1\n"})

    def start(store):
        argv = [sys.executable, "-c", WORKER, str(tmp_path / "calls"), str(store), index.url]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def test_eight_that_ask_at_once_get_one_build(fast_bootstrap, worker, tmp_path):
    """Base, lock and layer are each made once, and all eight get the same image."""
    workers = [worker(tmp_path / "store") for _ in range(8)]
    ends = [one.communicate() for one in workers]
    assert [one.returncode for one in workers] == [0] * 8, ends
    assert len({out for out, _ in ends}) == 1
    calls = (tmp_path / "calls").read_text()
    assert calls.count("mmdebstrap --mode") == 1
    assert calls.count("pip compile") == 1
    assert calls.count("pip install") == 1


def test_a_builder_killed_at_any_moment_leaves_nothing_behind(fast_bootstrap, worker, tmp_path, index):
    """Kill -9 again and again, at moments spread over the whole build: what is found in between is whole."""
    place = tmp_path / "store"
    moments = [0.01, 0.1, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.1]
    for moment in moments:
        with worker(place) as process:
            process.stdout.readline()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moment)
            process.send_signal(signal.SIGKILL)
        for base in (place / "bases").iterdir():
            assert (base / "base.json").exists()
            assert (base / "rootfs/job").is_dir()
    with worker(place) as process:
        _, errors = process.communicate()
    assert process.returncode == 0, errors
    store = Store(place, Images(index_url=index.url))
    image = store.find(store.resolve(environment("alpha", "beta"), ""), Face.DIRECTORY)
    done = in_bubblewrap(image, "python -c 'import alpha.m299, beta; print(alpha.m299.x)'; ls /opt/env/bin/alpha")
    assert done.stdout == "299\n/opt/env/bin/alpha\n", done.stderr
    store._shelf.sweep()
    assert list((place / "tmp").iterdir()) == []


# --- bases made elsewhere, or not at all


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
