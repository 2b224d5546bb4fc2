# ruff: noqa: F811 - fixtures that are imported
"""Images for real: Debian, the package index, the Docker engine and bubblewrap, shared through one warm store."""

import json
import os
import shutil
import subprocess
import time

import pytest
from tests.integration.image_store import bare, docker, environment, in_docker, index, quiet, root, tmp_path, warm  # noqa: F401 - fixtures

from cluster_interface.images import Store
from cluster_interface.model.errors import Permanent, Rejected, Transient
from cluster_interface.model.jobspec import Environment
from cluster_interface.ports import Face
from cluster_interface.settings import Images


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


def test_a_withdrawn_release_is_warned_of(root, index):
    """While it is resolved, in the kept lock and in the log of its build."""
    index.wheel("alpha", {"alpha.py": ""})
    page = index.root / "alpha/index.html"
    page.write_text(page.read_text().replace("<a ", '<a data-yanked="it loses data" '))
    store, heard = Store(root, Images(index_url=index.url)), []
    lock = store.resolve(environment("alpha==1.0"), "", report=heard.append)
    (warning,) = lock.warnings
    assert warning.startswith("alpha==1.0 was withdrawn")
    assert [progress.note for progress in heard] == [warning]
    assert store.find_lock(environment("alpha==1.0"), "") == lock
    image = store.build(lock, Face.DIRECTORY, quiet)
    assert f"warning: {warning}\n" in store.log(image.key)


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
    gone = {"diff_ids": ["sha256:" + "0" * 64], "keys": [lock.base], "loaded": 0}
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
