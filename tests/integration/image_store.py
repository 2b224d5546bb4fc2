"""Image stores with the shared base in them, an index of packages, and ways to run a command in each face."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pytest

from cluster_interface.images import Store
from cluster_interface.model.job import Progress
from cluster_interface.model.jobspec import Environment
from cluster_interface.ports import Face
from cluster_interface.settings import Images

CACHE = Path(os.environ.get("CLIF_TEST_CACHE", "/var/tmp/clif-test-cache"))
NOBODY = 65534


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

    def source(self, name, canary, code="", **more):
        """Publish a package as source only, whose build leaves a canary; `code` is C, `made` where it is then."""
        tree = self.root.parent / f"{name}-1.0"
        tree.mkdir()
        (tree / f"{name}.py").write_text("import os\nfrom canary import seen\n")
        if code:
            (tree / "code.c").write_text(f"{code}\nvoid *PyInit__code(void) {{ return 0; }}\n")
            found = "import glob\nmade = glob.glob(os.path.dirname(__file__) + '/_code*.so')[0]\n"
            (tree / f"{name}.py").write_text(f"import os\nfrom canary import seen\n{found}")
        leave = f"try: open({str(canary)!r}, 'w')\nexcept OSError: seen = False\nelse: seen = True\n"
        tell = "open('canary.py', 'w').write(f'seen = {seen}\\n')\n"
        said = {"name": name, "version": "1.0", "py_modules": [name, "canary"], **more}
        parts = "ext_modules=[Extension('_code', ['code.c'])], " if code else ""
        begins = f"{leave}{tell}from setuptools import Extension, setup"
        (tree / "setup.py").write_text(f"{begins}; setup({parts}**{said!r})\n")
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


@pytest.fixture
def fast_bootstrap(warm, bare, tmp_path, monkeypatch):
    """An mmdebstrap that gives the shared base in a second instead of thirty."""
    directory = tmp_path / "bin"
    directory.mkdir()
    root = warm.find(bare, Face.DIRECTORY).rootfs
    # status 1: a file changed meanwhile, which it also is when another test makes a hard link of it
    (directory / "mmdebstrap").write_text(f"#!/bin/sh\ntar -C {root} -c . || [ $? = 1 ]\n")
    (directory / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
