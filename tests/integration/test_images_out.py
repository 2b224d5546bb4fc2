"""Images written out, listed as bills of materials, and removed: each form runs elsewhere as it does here."""

import io
import json
import os
import subprocess
import tarfile
import time

import pytest
from tests.contract.rig import image
from tests.integration.image_store import (  # noqa: F401 - fixtures
    Index,
    bare,
    docker,
    in_bubblewrap,
    index,
    quiet,
    root,
    tmp_path,
    warm,
)

from cluster_interface.images import Store
from cluster_interface.images.faces.engine import Engine
from cluster_interface.model.errors import NotFound, Rejected
from cluster_interface.model.jobspec import Environment
from cluster_interface.ports import Face
from cluster_interface.settings import Images

PARTS = (
    *("bin", "lib", "lib64", "usr/lib64", "usr/bin/sh", "usr/bin/dash", "usr/bin/cat", "usr/bin/env"),
    *("usr/lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
)
SAYS = "made\n/opt/env/bin"


@pytest.fixture
def small(warm, bare, tmp_path):  # noqa: F811
    """A store with an image on a base of a few files, which a setup step has changed."""
    whole = warm.find(bare, Face.DIRECTORY).rootfs
    archive = tmp_path / "small.tar"
    with tarfile.open(archive, "w") as file:
        for name in PARTS:
            file.add(whole / name, name)
    store = Store(tmp_path / "store", Images())
    store.import_base(archive, "small")
    lock = store.resolve(Environment(base="small", setup="echo made >/made"), "")
    store.build(lock, Face.DIRECTORY, quiet)
    return store, lock


def said(argv):
    """Run `cat /made` and the PATH's beginning in an image."""
    done = subprocess.run(
        [*argv, "/bin/sh", "-c", 'cat /made; printf %s "${PATH%%:*}"'], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_form_runs_elsewhere_as_it_does_here(small, tmp_path):  # noqa: F811
    """Docker load, skopeo, apptainer build and BuildKit take what is written, and the program says the same."""
    store, lock = small
    files = {}
    for form in ("docker", "oci", "apptainer", "dockerfile"):
        files[form] = tmp_path / f"{form}.tar"
        with files[form].open("wb") as file:
            for chunk in store.export(lock.image[:12], form):
                file.write(chunk)
    tag = f"cluster-interface/image:{lock.image[:24]}"
    try:
        assert docker("load", "--input", files["docker"]).returncode == 0
        assert said(["docker", "run", "--rm", "--network=none", tag]) == SAYS
        docker("image", "rm", tag)
        copy = ["skopeo", "--insecure-policy", "copy", "--quiet"]
        subprocess.run([*copy, f"oci-archive:{files['oci']}", f"docker-daemon:{tag}"], check=True)
        assert said(["docker", "run", "--rm", "--network=none", tag]) == SAYS
        docker("image", "rm", tag)
        Engine(os.environ.get("DOCKER_HOST")).build(
            files["dockerfile"].read_bytes(), tag, network="none", log=tmp_path / "log"
        )
        assert said(["docker", "run", "--rm", "--network=none", tag]) == SAYS
    finally:
        docker("image", "rm", "--force", tag)
    with tarfile.open(files["apptainer"]) as archive:
        for name in ("image.def", "image.tar"):
            (tmp_path / name).write_bytes(archive.extractfile(name).read())
    build = ["apptainer", "--silent", "build", "image.sif", "image.def"]
    subprocess.run(build, cwd=tmp_path, check=True, env={**os.environ, "APPTAINER_TMPDIR": str(tmp_path)})
    user = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "env",
        "-i",
        "PATH=/usr/bin:/bin",
        "HOME=/tmp",
    ]
    apptainer = ["apptainer", "--silent", "exec", "--userns", "--containall", "--no-home", "--pwd", "/job"]
    assert said([*user, *apptainer, tmp_path / "image.sif"]) == SAYS
    with pytest.raises(Rejected, match="is none of"):
        store.export(lock.image, "floppy")
    with pytest.raises(NotFound):
        store.export("0" * 64, "docker")


def test_a_recipe_of_debian_and_an_index_builds(root, tmp_path, index):  # noqa: F811
    """Its packages come from Debian and the index as anybody has them, and the program says the same as here.

    No registry can be asked here for the image that it begins with: a Debian that mmdebstrap made stands for it.
    """
    index.wheel("alpha", {"alpha.py": "def main(): print(__file__)\n"}, "alpha = alpha:main")
    store = Store(root, Images(index_url=index.url))
    lock = store.resolve(Environment.parse({"python": {"packages": ["alpha"]}}), "")
    here = in_bubblewrap(store.build(lock, Face.DIRECTORY, quiet), "alpha; python --version; cat /etc/debian_version")
    debian, tag = f"clif-test-debian:{lock.image[:24]}", f"clif-test-recipe:{lock.image[:24]}"
    before = f"FROM {image(Face.DOCKER).tag}\nCOPY simple {index.root}\n"
    before += f"RUN printf '[global]\\nindex-url = {index.url}\\n' >/etc/pip.conf\n"
    engine = Engine(os.environ.get("DOCKER_HOST"))
    try:
        files = {f"simple/{path.relative_to(index.root)}": path.read_bytes() for path in index.root.rglob("*.*")}
        engine.build(packed({**files, "Dockerfile": before.encode()}), debian, network="none", log=tmp_path / "log")
        with tarfile.open(fileobj=io.BytesIO(b"".join(store.export(lock.image, "dockerfile")))) as archive:
            files = {member.name: archive.extractfile(member).read() for member in archive}
        files["Dockerfile"] = files["Dockerfile"].replace(b"FROM debian:bookworm-slim\n", f"FROM {debian}\n".encode())
        engine.build(packed(files), tag, network="host", log=tmp_path / "log")
        argv = ["run", "--rm", "--network=none", "--user=1000:1000", tag, "sh", "-c"]
        assert docker(*argv, "alpha; python --version; cat /etc/debian_version").stdout == here.stdout
    finally:
        docker("image", "rm", "--force", tag, debian)


def packed(files):
    """Pack files as the context of a build."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def test_a_recipe_names_everything_that_is_locked(warm):  # noqa: F811
    """The Dockerfile of an image of Debian and the index has its packages, and the lock with its hashes beside it."""
    lock = warm.resolve(Environment.parse({"python": {"packages": ["six"]}}), "")
    warm.build(lock, Face.DIRECTORY, quiet)
    with tarfile.open(fileobj=io.BytesIO(b"".join(warm.export(lock.image, "dockerfile")))) as archive:
        recipe = archive.extractfile("Dockerfile").read().decode()
        locked = archive.extractfile("requirements.txt").read().decode()
    assert recipe.startswith("FROM debian:bookworm-slim\n")
    assert "libstdc++6" in recipe
    assert locked == lock.requirements
    bill = warm.sbom(lock.image)
    assert json.loads(json.dumps(bill))["specVersion"] == "1.6"
    purls = {component["purl"].partition("@")[0] for component in bill["components"]}
    assert {"pkg:pypi/six", "pkg:deb/debian/libc6", "pkg:deb/debian/python3.11"} <= purls
    detail = warm.detail(lock.image[:10])
    assert (detail.lock, detail.info.key) == (lock, lock.image)
    assert detail.sizes["layer"] > 0


def test_pruning_never_takes_what_is_needed(small):
    """What a job needs stays, and so does an imported base; with `keep`, what was used last; the rest goes once old."""
    store, lock = small
    old = {"older_than": 3600, "larger_than": 0, "keep": 0}
    assert store.prune([], **old, dry_run=False).images == ()  # all of it was used just now
    note = store._shelf.base(lock.base) / "base.json"
    before = time.time() - 7200
    os.utime(note, (before, before))
    os.utime(store._shelf.base(lock.under.base) / "base.json", (before, before))
    assert store.prune(store.keys(lock), **old, dry_run=False).images == ()
    assert store.prune([], **{**old, "larger_than": 2**40}, dry_run=False).images == ()
    assert store.prune([], **{**old, "keep": 2}, dry_run=False).images == ()
    with store._shelf.hold(lock.base):
        assert store.prune([], **old, dry_run=False).images == ()  # it is being made
    assert [info.key for info in store.prune([], **old, dry_run=True).images] == [lock.image]
    assert store.find(lock, Face.DIRECTORY) is not None
    os.utime(note, (before, before))
    assert [info.key for info in store.prune([], **old, dry_run=False).images] == [lock.image]
    assert store.find(lock, Face.DIRECTORY) is None
    assert [info.name for info in store.images()] == ["small"]
    assert store.build(lock, Face.DIRECTORY, quiet)  # it is made again
