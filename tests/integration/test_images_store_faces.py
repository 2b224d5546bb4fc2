# ruff: noqa: F811 - fixtures that are imported
"""Images in every face: what is in one works in all, as an ordinary user and read-only."""

import pytest
from tests.counting import asked_by
from tests.integration.image_store import RUNNERS, bare, docker, environment, quiet, root, tmp_path, warm  # noqa: F401 - fixtures

from cluster_interface.images import Store
from cluster_interface.model.errors import Permanent
from cluster_interface.ports import Face
from cluster_interface.settings import Images

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


def test_what_is_there_is_found_at_once(warm, ten):
    """The engine looks on every tick: both looks together open a few files, and start nothing."""
    warm.build(ten, Face.DIRECTORY, quiet)
    asked = asked_by(lambda: (warm.find_lock(environment(*TEN), ""), warm.find(ten, Face.DIRECTORY)))
    assert asked["open"] + asked["os.listdir"] + asked["os.scandir"] <= 4, asked
    assert not {"subprocess.Popen", "os.fork", "os.exec", "os.posix_spawn", "socket.connect"} & set(asked)
