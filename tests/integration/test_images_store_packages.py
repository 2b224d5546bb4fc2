# ruff: noqa: F811 - fixtures that are imported
"""Packages in the image store: those that mean harm, and those that many layers share."""

import contextlib
import hashlib
import io
import shutil
import tarfile

import pytest
from tests.integration.image_store import bare, environment, in_bubblewrap, index, quiet, root, tmp_path, warm  # noqa: F401 - fixtures

from cluster_interface.images import Store
from cluster_interface.model.errors import Permanent
from cluster_interface.model.jobspec import Environment
from cluster_interface.ports import Face
from cluster_interface.settings import Images


def test_nothing_of_a_package_runs_while_it_is_installed(root, index, tmp_path):
    """A .pth file runs code at every start of Python: not here, on the server, only in the job."""
    canary = tmp_path / "canary"
    index.wheel("evil", {"evil.pth": f"import os; open({str(canary)!r}, 'w')\n", "evil.py": "x = 1\n"})
    store = Store(root, Images(index_url=index.url))
    image = store.build(store.resolve(environment("evil"), ""), Face.DIRECTORY, quiet)
    assert (image.layer / "lib/python3.11/site-packages/evil.pth").exists()
    assert list(image.layer.glob("lib/python3.11/site-packages/__pycache__/evil.*.pyc"))
    assert not canary.exists()


def test_source_is_built_in_a_sandbox(root, index, tmp_path):
    """A setup.py sees nothing of the server; what it says is needed comes too; the lock knows wheel and source."""
    index.wheel("alpha", {"alpha.py": "x = 1"})
    index.source("evil", tmp_path / "canary", install_requires=["alpha"])
    store = Store(root, Images(extra_index_urls=(index.url,)))  # what builds it is on the index of everybody
    wanted = Environment.parse({"python": {"packages": ["evil"], "extra_index_urls": [index.url]}})
    lock = store.resolve(wanted, "")
    assert set(lock.packages) == {"alpha==1.0", "evil==1.0"}
    source = hashlib.sha256(next(index.root.glob("evil/*.tar.gz")).read_bytes()).hexdigest()
    made = hashlib.sha256(next(root.glob("built/*/*.whl")).read_bytes()).hexdigest()
    assert f"sha256:{source}" in lock.requirements
    assert f"sha256:{made}" in lock.requirements
    image = store.build(lock, Face.DIRECTORY, quiet)
    said = in_bubblewrap(image, "python -c 'import alpha, evil; print(evil.seen)'")
    assert said.stdout == "False\n", said.stderr
    assert not (tmp_path / "canary").exists()
    with tarfile.open(fileobj=io.BytesIO(b"".join(store.export(lock.image, "dockerfile")))) as archive:
        assert "wheels/evil-1.0-py3-none-any.whl" in archive.getnames()
        assert b"--find-links /tmp/wheels" in archive.extractfile("Dockerfile").read()


def test_source_is_refused_where_nothing_builds_it(root, index, tmp_path):
    """An index without what builds packages; it is said in words, and nothing runs."""
    index.source("evil", tmp_path / "canary")
    with pytest.raises(Permanent, match=r"only as source, and what it is to be built with cannot be had.*`pip`"):
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
