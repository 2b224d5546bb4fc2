"""Large packages are layers of their own: a list with one package more costs an engine or a registry that one alone."""

import io
import json
import os
import shlex
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.integration.image_store import (  # noqa: F401 - fixtures
    bare,
    docker,
    environment,
    in_docker,
    index,
    quiet,
    root,
    tmp_path,
    warm,
)
from tests.integration.images_made import Registry

from cluster_interface.adapters import runtimes
from cluster_interface.adapters.runtimes.docker import _archives
from cluster_interface.images import Store
from cluster_interface.images.archive import listing, stream
from cluster_interface.images.faces.engine import Engine
from cluster_interface.ports import Face
from cluster_interface.settings import Images

HEAVY = 9 << 20  #: bytes, worth a layer
RUNTIMES = Path(runtimes.__file__).parent
LIGHT = 1 << 20  #: more than all that is not


@pytest.fixture
def sent(monkeypatch):
    """Count the bytes of each archive on its way into the engine."""
    counts = []
    load = Engine.load

    def counting(engine, archive):
        counts.append(0)

        def passing():
            for chunk in archive:
                counts[-1] += len(chunk)
                yield chunk

        load(engine, passing())

    monkeypatch.setattr(Engine, "load", counting)
    return counts


@pytest.fixture
def heavy(index):  # noqa: F811
    """An index with packages that are worth layers, and others."""
    for name in ("anvil", "mill"):
        files = {f"{name}/__init__.py": "", f"{name}/weight.bin": name[0] * HEAVY, "both.py": f"of = {name!r}\n"}
        index.wheel(name, files)
    index.wheel("rock", {"rock/__init__.py": "", "rock/weight.bin": "r" * HEAVY})
    index.wheel("alpha", {"alpha.py": ""})
    index.wheel("zeta", {"both.py": "of = 'zeta'\n"})
    return index.url


def layers(image):
    """List the layers that the engine says an image has."""
    return json.loads(docker("image", "inspect", image.tag).stdout)[0]["RootFS"]["Layers"]


def test_an_engine_gets_only_the_package_that_is_new(root, heavy, sent):  # noqa: F811
    """The large ones that it has come first, whatever else there is and wherever their names are in the alphabet."""
    store = Store(root, Images(index_url=heavy))
    images = []

    def load(*packages):
        image = store.build(store.resolve(environment(*packages), ""), Face.DOCKER, quiet)
        images.append(image)
        assert in_docker(image, f"python -c 'import {', '.join(packages)}'").returncode == 0
        return layers(image)

    try:
        first = load("rock")
        assert sent.pop() > 9 * HEAVY, "the base"
        assert len(first) == 3
        more = load("alpha", "rock")
        assert sent.pop() < LIGHT
        assert more[:2] == first[:2]
        another = load("alpha", "anvil", "rock")
        assert HEAVY < sent.pop() < HEAVY + LIGHT
        assert (another[:2], len(another)) == (first[:2], 4)
        assert load("anvil", "rock")[:3] == another[:3]
        assert sent.pop() < LIGHT
        docker("image", "rm", "--force", *(image.tag for image in images))
        assert load("alpha", "anvil", "rock") == another
        assert len(sent) == 2, "it has lost what it had, says so, and gets all"
    finally:
        docker("image", "rm", "--force", *(image.tag for image in images))


def test_an_engine_gets_of_a_base_that_grew_what_is_new(root, bare, sent):  # noqa: F811
    """On the layer of the one that it grew from; all of it is there, with the modes that it has."""
    store = Store(root, Images())
    lock = store.resolve(environment(system=["libyaml-0-2"]), "")
    plain, image = store.build(bare, Face.DOCKER, quiet), store.build(lock, Face.DOCKER, quiet)
    try:
        assert layers(image)[:-1] == layers(plain)
        assert sent[1] * 10 < sent[0]
        find = "find /etc /usr /var /opt /home -printf '%p %y %m\\n' | sort"
        there = {path: line for line in in_docker(image, find).stdout.splitlines() for path in [line.split()[0]]}
        mounted = store.find(lock, Face.DIRECTORY).rootfs
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream(listing(mounted))))) as whole:
            kinds = {tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.REGTYPE: "f"}
            wanted = {f"/{one.name}": f"/{one.name} {kinds[one.type]} {one.mode:o}" for one in whole}
        tops = ("/etc/", "/usr/", "/var/", "/opt/", "/home/")
        assert {path: line for path, line in wanted.items() if path.startswith(tops)}.items() <= there.items()
        assert any("libyaml-0.so.2" in path for path in there)
    finally:
        docker("image", "rm", "--force", image.tag)


def test_archives_have_of_a_base_that_grew_what_is_new(root, bare):  # noqa: F811
    """Each stands on the one before; an engine that has lost one gets it again. Without the first, all is made anew."""
    store = Store(root, Images())
    lock = store.resolve(environment("six", system=["libyaml-0-2"]), "")
    plain, image = store.build(bare, Face.ARCHIVE, quiet), store.build(lock, Face.ARCHIVE, quiet)
    tags = [f"cluster-interface/image:{file.stem[:24]}" for file in image.archives]
    try:
        assert image.archives[:1] == plain.archives
        assert len(image.archives) == 3
        assert image.archives[1].stat().st_size * 10 < image.archives[0].stat().st_size
        for lost in ([], [2], [2, 1], [2, 1, 0], [1, 0]):
            docker("image", "rm", "--force", *(tags[number] for number in lost))
            assert loaded(image).returncode == 0
            there = in_docker(image, "python -c 'import six'; find / -xdev -name 'libyaml-0.so.2'")
            assert there.stdout.strip().endswith("libyaml-0.so.2"), there.stderr
    finally:
        docker("image", "rm", "--force", *tags)
    shelf = store._shelf
    for gone in (shelf.base(bare.base), image.archives[0]):
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    assert store.find(lock, Face.ARCHIVE) is None
    assert len(store.build(lock, Face.ARCHIVE, quiet).archives) == 2


def loaded(image):
    """Bring an image to an engine as job.sh does."""
    script = (RUNTIMES / "docker_load.sh").read_text()
    words = _archives(image)["archives"]
    return subprocess.run(
        ["sh", "-c", f"docker=docker; archives={shlex.quote(words)}\n{script}\ntake_image"], check=False
    )


def test_a_registry_gets_of_a_base_that_grew_what_is_new(root, bare, tmp_path):  # noqa: F811
    """The plain base is there already; all is there when an engine pulls it."""
    registry = Registry(tmp_path)
    sites = {"registry": f"{registry.host}/clif", "insecure_registries": (registry.host,)}
    store = Store(root, Images(**sites))
    try:
        store.build(bare, Face.REGISTRY, quiet)
        before = registry.blobs()
        image = store.build(store.resolve(environment(system=["libyaml-0-2"]), ""), Face.REGISTRY, quiet)
        assert len(registry.blobs() - before) == 3, "what is new, a configuration and a manifest"
        try:
            assert docker("pull", image.pulled).returncode == 0
            found = docker(
                "run", "--rm", "--network=none", image.pulled, "find", "/", "-xdev", "-name", "libyaml-0.so.2"
            )
            assert found.stdout.strip().endswith("libyaml-0.so.2")
        finally:
            docker("image", "rm", "--force", image.pulled)
    finally:
        registry.stop()


def test_what_is_seen_does_not_depend_on_layers(root, heavy):  # noqa: F811
    """Where packages have the same file the last by name has it, as in the directory."""
    store = Store(root, Images(index_url=heavy))
    for packages in (("mill",), ("anvil", "mill"), ("anvil", "mill", "zeta"), ("anvil", "zeta")):
        lock = store.resolve(environment(*packages), "")
        mounted, image = store.build(lock, Face.DIRECTORY, quiet), store.build(lock, Face.DOCKER, quiet)
        try:
            said = in_docker(image, "python -c 'import both; print(both.of)'; find /opt/env ! -type d | sort").stdout
            assert said.splitlines()[0] == packages[-1]
            there = sorted(
                str(path.relative_to(mounted.layer)) for path in mounted.layer.rglob("*") if not path.is_dir()
            )
            assert sorted(line.removeprefix("/opt/env/") for line in said.splitlines()[1:]) == there
        finally:
            docker("image", "rm", "--force", image.tag)


def test_what_is_pruned_leaves_nothing_of_it_in_the_installers_cache(root, heavy):  # noqa: F811
    """What an image still has stays there, and what went can be had again."""
    store = Store(root, Images(index_url=heavy))
    kept, gone = store.resolve(environment("rock"), ""), store.resolve(environment("anvil", "rock"), "")
    for lock in (kept, gone):
        store.build(lock, Face.DIRECTORY, quiet)
    for path in (*root.glob("packages/*"), root / "layers" / gone.image / "layer.json"):
        os.utime(path, (0, 0))
    went = store.prune(store.keys(kept), older_than=60, larger_than=0, keep=0, dry_run=False)
    assert [info.key for info in went.images] == [gone.image]
    assert list(root.rglob("rock/weight.bin"))
    assert not list(root.rglob("anvil/weight.bin"))
    assert not list(root.rglob("anvil*.whl"))
    store.build(gone, Face.DIRECTORY, quiet)
    assert list(root.rglob("anvil/weight.bin"))


def test_a_registry_gets_only_the_package_that_is_new(root, heavy, tmp_path):  # noqa: F811
    """And all of it again when it has lost what it had."""
    registry = Registry(tmp_path)
    sites = {"registry": f"{registry.host}/clif", "insecure_registries": (registry.host,)}
    store = Store(root, Images(index_url=heavy, **sites))
    try:
        store.build(store.resolve(environment("rock"), ""), Face.REGISTRY, quiet)
        before = registry.blobs()
        lock = store.resolve(environment("alpha", "anvil", "rock"), "")
        store.build(lock, Face.REGISTRY, quiet)
        assert len(registry.blobs() - before) == 4, "the anvil, the rest, a configuration and a manifest"
        shutil.rmtree(registry.files)
        store._shelf.note("registry", lock.image).unlink()
        image = store.build(lock, Face.REGISTRY, quiet)
        assert len(registry.blobs()) == 6
        try:
            pulled = docker("pull", image.pulled)
            assert pulled.returncode == 0, pulled.stderr
            assert (
                docker("run", "--rm", "--network=none", image.pulled, "python", "-c", "import rock, anvil").returncode
                == 0
            )
        finally:
            docker("image", "rm", "--force", image.pulled)
    finally:
        registry.stop()
