# ruff: noqa: F811 - fixtures that are imported
"""Many that build at once in one image store, and builders that are killed."""

import contextlib
import signal
import subprocess
import sys

import pytest
from tests.integration.image_store import bare, environment, fast_bootstrap, in_bubblewrap, index, tmp_path, warm  # noqa: F401 - fixtures

from cluster_interface.images import Store
from cluster_interface.ports import Face
from cluster_interface.settings import Images

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
