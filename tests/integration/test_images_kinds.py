"""Every kind of environment for real: conda, R, images of a registry, Dockerfiles, setup steps, missing libraries."""

import hashlib
import json
import os
import shutil
import subprocess

import pytest
from tests.contract.rig import Box, Node, account_of
from tests.integration.image_store import (  # noqa: F401 - fixtures
    Index,
    bare,
    docker,
    index,
    quiet,
    root,
    tmp_path,
    warm,
)
from tests.integration.image_store import in_bubblewrap as run_in
from tests.integration.images_made import Registry, conda_package, r_package, shared_object

from cluster_interface.adapters.runtimes import Docker
from cluster_interface.images import Store
from cluster_interface.images.archive import listing, stream
from cluster_interface.images.faces.engine import Engine
from cluster_interface.model.errors import Permanent, Rejected, Transient
from cluster_interface.model.jobspec import Environment
from cluster_interface.ports import Face
from cluster_interface.settings import Images

CHANNEL_SCRIPT = "export GREET=$CONDA_PREFIX/share\n"


def made(store, said, files=None):
    """Resolve and build an environment as a directory."""
    lock = store.resolve(Environment.parse(said), "", files)
    return store.build(lock, Face.DIRECTORY, quiet)


def output_of(image, command):
    """Run a command with the image's own variables, as an ordinary user."""
    settings = "".join(f"export {name}='{value}'; " for name, value in image.variables.items())
    done = run_in(image, settings + command)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def channel(tmp_path):  # noqa: F811
    """A conda channel in a directory."""
    place = tmp_path / "channel"
    conda_package(place, "libgreet", {"share/greet.txt": "hello\n"})
    program = "#!/bin/sh\ncat @PREFIX@/share/greet.txt\nprintf '%s\\n' \"$GREET\"\n"
    files = {"bin/greet": program, "etc/conda/activate.d/greet.sh": CHANNEL_SCRIPT}
    conda_package(place, "greet", files, ["libgreet >=1"])
    return place.as_uri()


def test_conda_packages_are_there_as_if_activated(root, channel, index):  # noqa: F811
    """Packages of a channel, what they need, what activating would set, and packages of the index beside them."""
    index.wheel("alpha", {"alpha.py": "name = 'alpha'\n"})
    store = Store(root, Images(conda_channels=(channel,), index_url=index.url))
    wanted = {"conda": {"channels": [channel], "packages": ["greet >=1"]}, "python": {"packages": ["alpha"]}}
    image = made(store, wanted)
    said = output_of(image, "greet; python -c 'import alpha; print(alpha.name)'")
    assert said == "hello\n/opt/env/share\nalpha\n"
    lock = store.find_lock(Environment.parse(wanted), "")
    assert {"greet=1.0", "libgreet=1.0", "alpha==1.0"} == set(lock.packages)


@pytest.mark.parametrize("minor", ["3.11", "3.12"])
def test_packages_of_an_index_go_with_a_python_of_conda(root, tmp_path, index, minor):  # noqa: F811
    """Where conda brings the Python they are resolved for that and installed beside it; their programs start it."""
    place = tmp_path / "channel"
    path = f"PYTHONPATH=@PREFIX@/lib/python{minor}/site-packages"
    python = f'#!/bin/sh\nCONDAS={minor} {path} exec /usr/bin/python3.11 "$@"\n'
    files = {"bin/python": python, f"lib/python{minor}/own.py": "", f"lib/python{minor}/bad.py": "print 1"}
    conda_package(place, "python", files, ["libgreet"], version=f"{minor}.4")
    conda_package(place, "libgreet", {"share/greet.txt": "hello\n"})
    module = "import os\ndef main(): print(os.environ['CONDAS'], __file__)\n"
    index.wheel("alpha", {"alpha.py": module}, "alpha = alpha:main")
    store = Store(root, Images(conda_channels=(place.as_uri(),), index_url=index.url))
    conda = {"channels": [place.as_uri()], "packages": ["libgreet"]}
    wanted = {"conda": conda, "python": {"version": minor, "packages": ["alpha"]}}
    image = made(store, wanted)
    assert output_of(image, "alpha").split() == [minor, f"/opt/env/lib/python{minor}/site-packages/alpha.py"]
    lock = store.find_lock(Environment.parse(wanted), "")
    assert (set(lock.packages), lock.python) == ({f"python={minor}.4", "libgreet=1.0", "alpha==1.0"}, minor)
    compiled = {found.name.partition(".")[0] for found in image.layer.rglob("*.pyc")}
    assert compiled == ({"own", "alpha"} if minor == "3.11" else {"own"}), "no Python of that version is here"


def test_source_is_built_beside_conda(root, tmp_path, index):  # noqa: F811
    """By conda's Python, with conda's headers in reach; each package is told while it is built."""
    place = tmp_path / "channel"
    python = '#!/bin/sh\nPYTHONPATH=@PREFIX@/lib/python3.11/site-packages exec /usr/bin/python3.11 "$@"\n'
    conda_package(place, "python", {"bin/python": python}, version="3.11.4")
    conda_package(place, "libgreet", {"include/greet.h": "#define GREETING 42\n"})
    index.source("native", tmp_path / "canary", code="#include <greet.h>\nint greeting = GREETING;\n")
    index.source("plain", tmp_path / "canary")
    store = Store(root, Images(conda_channels=(place.as_uri(),), extra_index_urls=(index.url,)))
    conda = {"channels": [place.as_uri()], "packages": ["libgreet"]}
    python = {"version": "3.11", "packages": ["native", "plain"], "extra_index_urls": [index.url]}
    told = []
    lock = store.resolve(Environment.parse({"conda": conda, "python": python}), "", report=told.append)
    assert [one.note for one in told if "from source" in one.note] == [
        "building native from source (1 of 2)",
        "building plain from source (2 of 2)",
    ]
    image = store.build(lock, Face.DIRECTORY, quiet)
    shown = (
        "python -c 'import native, plain, ctypes; print(ctypes.c_int.in_dll(ctypes.CDLL(native.made), \"greeting\"))'"
    )
    assert output_of(image, shown) == "c_int(42)\n"


def test_what_no_channel_has_is_told(root, channel):  # noqa: F811
    """An unknown package, and a channel that the site does not allow."""
    store = Store(root, Images(conda_channels=(channel,)))
    with pytest.raises(Permanent, match="no channel that was named has a package `nosuch`"):
        made(store, {"conda": {"channels": [channel], "packages": ["nosuch"]}})
    with pytest.raises(Rejected, match="not allowed here"):
        made(store, {"conda": {"channels": ["https://example.org/c"], "packages": ["a"]}})


def test_a_setup_step_is_run_once_in_a_sandbox(root, index, monkeypatch):  # noqa: F811
    """It sees the packages, changes its own image alone, and nothing of the machine."""
    index.wheel("alpha", {"alpha.py": "name = 'alpha'\n"})
    store = Store(root, Images(index_url=index.url))
    monkeypatch.setenv("CANARY", "seen")
    script = f"python -c 'import alpha; print(alpha.name)' >/usr/share/said; ls {root} || env >>/usr/share/said"
    plain = {"python": {"packages": ["alpha"]}}
    image = made(store, {**plain, "setup": script})
    said = output_of(image, "cat /usr/share/said; python -c 'import alpha'")
    assert said.startswith("alpha\n")
    assert image.layer == image.rootfs / "opt/env"  # runtimes mount a layer, and nothing of the base's own there
    assert "CANARY" not in said
    assert run_in(made(store, plain), "cat /usr/share/said").returncode != 0


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("echo well\nfrobnicate --now\n", "`frobnicate` is in no package of the environment"),
        ("python -c 'import socket; socket.create_connection((\"192.0.2.1\", 80))'", "no network here"),
    ],
)
def test_a_setup_step_that_fails_says_why(root, script, word):  # noqa: F811
    """The line that matters comes first, the rest is in the log, and nothing is left."""
    store = Store(root, Images())
    with pytest.raises(Permanent, match=word):
        made(store, {"setup": script})
    assert not list((root / "tmp").iterdir())


def built_elsewhere(store, image, command):
    """Export an image as a Dockerfile, have the engine build that, and run a command in what it makes."""
    tag = f"clif-test-recipe:{image.key[:24]}"
    recipe = b"".join(store.export(image.key, "dockerfile"))
    try:
        Engine(os.environ.get("DOCKER_HOST")).build(recipe, tag, network="none", log=store._shelf.log("recipe"))
        return docker("run", "--rm", "--network=none", "--user=1000:1000", tag, "sh", "-c", command).stdout
    finally:
        docker("rmi", "-f", tag)


DOCKERFILE = """FROM {base}
ENV PATH=/opt/tool/bin:$PATH WORD=hello
COPY tool.py /opt/tool/bin/tool
RUN chmod 755 /opt/tool/bin/tool && rm /usr/bin/perl && echo linked >/lib/linked
"""
TOOL = b"#!/usr/bin/python3\nimport os\nprint(os.environ['WORD'])\n"


def test_a_dockerfile_is_built_and_its_variables_hold(root, bare):  # noqa: F811
    """BuildKit builds it; what it removes is gone, what it writes through a linked directory is there."""
    store = Store(root, Images())
    base = store.build(bare, Face.DOCKER, quiet)
    files = {"Dockerfile": DOCKERFILE.format(base=base.tag).encode(), "tool.py": TOOL}
    image = made(store, {"dockerfile": "Dockerfile"}, files)
    said = output_of(image, "tool; cat /usr/lib/linked; ls /usr/bin/perl || echo gone")
    assert said == "hello\nlinked\ngone\n"
    assert built_elsewhere(store, image, "tool; cat /usr/lib/linked; ls /usr/bin/perl || echo gone") == said
    with pytest.raises(Permanent, match="not among the job's files"):
        made(store, {"dockerfile": "Dockerfile"}, {"Dockerfile": files["Dockerfile"]})
    bad = f"FROM {base.tag}\nRUN echo before && frobnicate\n".encode()
    with pytest.raises(Permanent, match="frobnicate: not found"):
        made(store, {"dockerfile": "Dockerfile"}, {"Dockerfile": bad})
    assert "before" in store.log(store.resolve(Environment(dockerfile="Dockerfile"), "", {"Dockerfile": bad}).base)


@pytest.mark.parametrize("line", ["FROM evil.example.org/x", "FROM $X", "FROM a\nCOPY --from=evil.example.org/x / /"])
def test_a_dockerfile_takes_images_from_where_the_site_allows(root, line):  # noqa: F811
    """Other registries, and names that are only known while it is built, are refused before anything is asked."""
    with pytest.raises(Rejected, match=r"environment\.dockerfile"):
        made(Store(root, Images()), {"dockerfile": "D"}, {"D": line.encode()})


def test_an_image_of_a_registry_by_name_and_digest(root, bare, index, tmp_path):  # noqa: F811
    """It is pinned when it is resolved; packages of the index go on its own Python; what is not there is told."""
    index.wheel("alpha", {"alpha.py": ""})
    registry = Registry(tmp_path)
    try:
        sites = {"registries": (registry.host,), "insecure_registries": (registry.host,)}
        store = Store(root, Images(index_url=index.url, **sites))
        registry.push(store.build(bare, Face.ARCHIVE, quiet).archives[0], "lab/tool:1")
        image = made(store, {"image": f"{registry.host}/lab/tool:1", "python": {"packages": ["alpha"]}})
        assert output_of(image, "python -c 'import alpha; print(alpha.__file__)'").startswith("/opt/env/")
        lock = store.resolve(Environment(image=f"{registry.host}/lab/tool:1"), "")
        image = store.build(lock, Face.DIRECTORY, quiet)
        assert built_elsewhere(store, image, "python --version") == output_of(image, "python --version")
        assert lock.origin.startswith(f"{registry.host}/lab/tool@sha256:")
        with pytest.raises(Permanent, match="the registry has no image"):
            store.resolve(Environment(image=f"{registry.host}/lab/tool:2"), "")
    finally:
        registry.stop()
    assert store.find_lock(Environment(image=lock.origin), "") == lock
    with pytest.raises(Transient, match="cannot be reached"):
        store.resolve(Environment(image=f"{registry.host}/lab/tool:1"), "")


@pytest.fixture
def pushing(root, index, tmp_path):  # noqa: F811
    """A store that pushes to a registry of its own, and the registry."""
    index.wheel("alpha", {"alpha.py": "name = 'alpha'\n"})
    index.wheel("beta", {"beta.py": ""})
    registry = Registry(tmp_path)
    sites = {"registry": f"{registry.host}/clif", "insecure_registries": (registry.host,)}
    yield Store(root, Images(index_url=index.url, **sites)), registry
    registry.stop()


def locked_with(store, package):
    """Resolve an environment of one package."""
    return store.resolve(Environment.parse({"python": {"packages": [package]}}), "")


def test_an_image_is_pushed_once_and_pulled_by_digest(pushing, place, ordinary):
    """A node's engine has it from the site's registry, unchanged; a job that comes again wants nothing of either."""
    store, registry = pushing
    lock = locked_with(store, "alpha")
    image = store.build(lock, Face.REGISTRY, quiet)
    assert image.pulled.startswith(f"{registry.host}/clif/image@sha256:")
    assert len(registry.blobs()) == 6, "the base and the layer, two configurations and two manifests"
    node, command = Node(place, account_of(ordinary)), 'python -c "import alpha; print(alpha.__file__)"; exit 3'
    try:
        for _ in range(2):
            made = Box(node, Docker(remote=True, registry=True), command, image_ref=image)
            assert made.execute()["exit_code"] == 3, made.err()
            assert made.out().startswith("/opt/env/")
            registry.stop()
            assert store.find(lock, Face.REGISTRY) == store.build(lock, Face.REGISTRY, quiet) == image
        subprocess.run(["shellcheck", "-s", "sh", made.script], check=True)
        (engines,) = json.loads(docker("image", "inspect", image.tag).stdout)
        assert engines["Config"]["Labels"]["cluster-interface.key"] == lock.image
        assert engines["RepoDigests"] == [image.pulled]
    finally:
        docker("rmi", "-f", image.tag, image.pulled)
    made = Box(node, Docker(remote=True, registry=True), command, image_ref=image)
    status = made.execute()
    assert status["exit_code"] is None
    assert "does not take the image" in status["reason"]
    assert "connection refused" in status["reason"]


def test_a_registry_gets_what_it_lacks(pushing):
    """Of a second image its layer alone; and all of it again when the registry has lost what it had."""
    store, registry = pushing
    first, second = locked_with(store, "alpha"), locked_with(store, "beta")
    store.build(first, Face.REGISTRY, quiet)
    before = registry.blobs()
    base = store.build(second, Face.DIRECTORY, quiet).rootfs
    (base / "usr").rename(base / "away")  # so that nobody can read it
    image = store.build(second, Face.REGISTRY, quiet)
    (base / "away").rename(base / "usr")
    assert len(registry.blobs() - before) == 3, "a layer, a configuration and a manifest"
    shutil.rmtree(registry.files)
    long_ago(store, second)
    assert store.find(second, Face.REGISTRY) is None
    assert store.find(second, Face.REGISTRY, unchecked=True) == image
    assert store.build(second, Face.REGISTRY, quiet) == image
    assert len(registry.blobs()) == 4


def long_ago(store, lock):
    """Let it be long ago that the registry was seen to have an image."""
    note = store._shelf.note("registry", lock.image)
    store._shelf.write(note, {**store._shelf.read(note), "seen": 0})


def test_why_a_registry_has_no_image_is_told(pushing):
    """One that is away is asked again; what it refuses fails the job, in its words and with the setting's name."""
    store, registry = pushing
    known, lock = locked_with(store, "alpha"), locked_with(store, "beta")
    store.build(known, Face.REGISTRY, quiet)
    long_ago(store, known)
    secure = Store(store._shelf.root, store._settings.model_copy(update={"insecure_registries": ()}))
    with pytest.raises(Transient, match=r"images\.insecure_registries"):
        secure.build(lock, Face.REGISTRY, quiet)
    registry.stop()
    for one in (lock, known):
        with pytest.raises(Transient, match=f"the registry {registry.host} cannot be reached"):
            store.build(one, Face.REGISTRY, quiet)
    for how, words in (("readonly", "does not take"), ("login", "does not let this server push .*registry_auth")):
        registry.start(**{how: True})
        with pytest.raises(Permanent, match=rf"images\.registry: the registry .* {words}"):
            store.build(lock, Face.REGISTRY, quiet)
        registry.stop()
    assert store.find(lock, Face.REGISTRY, unchecked=True) is None
    with pytest.raises(Permanent, match=r"set images\.registry"):
        Store(store._shelf.root, Images()).build(known, Face.REGISTRY, quiet)


def whole(tree):
    """Digest all that the faces are made from."""
    digest = hashlib.sha256()
    for chunk in stream(listing(tree)):
        digest.update(chunk)
    return digest.hexdigest()


def test_a_missing_library_is_added_to_the_base_that_is_there(root, bare, index):  # noqa: F811
    """What is new is there, what is not is the same file, nothing of this machine stays; the same again another time."""
    index.wheel("needy", {"needy.so": shared_object("libyaml-0.so.2")})
    store = Store(root, Images(index_url=index.url))
    plain = store.find(bare, Face.DIRECTORY).rootfs
    before = whole(plain)
    lock = store.resolve(Environment.parse({"python": {"packages": ["needy"]}}), "")
    image = store.build(lock, Face.DIRECTORY, quiet)
    assert output_of(image, "python -c 'import ctypes; ctypes.CDLL(\"libyaml-0.so.2\")'; ls /tmp") == ""
    assert "Package: libyaml-0-2" in (image.rootfs / "var/lib/dpkg/status").read_text()
    files = [path for path in image.rootfs.rglob("*") if path.is_file() and not path.is_symlink()]
    new = {str(path.relative_to(image.rootfs)) for path in files if path.stat().st_nlink == 1}
    assert all(name.startswith(("etc/", "usr/lib/x86_64", "usr/share/doc/libyaml", "var/lib/")) for name in new), new
    assert whole(plain) == before
    made = whole(image.rootfs)
    shutil.rmtree(image.rootfs.parent)
    assert store.find(lock, Face.DIRECTORY) is None
    assert whole(store.build(lock, Face.DIRECTORY, quiet).rootfs) == made


def test_libraries_that_a_wheel_needs_and_r_packages_from_source(root, index, tmp_path):  # noqa: F811
    """A wheel's shared object names R's library: R is added, with the reason. On that base R packages are built."""
    index.wheel("alpha", {"alpha.py": ""})
    index.wheel("needy", {"needy.so": shared_object("libR.so", "libc.so.6")})
    r_package(tmp_path / "cran", "below", "word <- function() 'built'\n")
    r_package(tmp_path / "cran", "above", "say <- function() cat(below::word(), '\\n')\n", imports="below, stats")
    store = Store(root, Images(index_url=index.url, cran=(tmp_path / "cran").as_uri()))
    lock = store.resolve(Environment.parse({"python": {"packages": ["needy"]}}), "")
    image = store.build(lock, Face.DIRECTORY, quiet)
    assert store.find(lock, Face.DIRECTORY) == image
    assert output_of(image, "Rscript -e 'cat(1 + 1)'") == "2"
    assert "adding r-base-core to the system packages: needy needs libR.so" in store.log(lock.image)
    image = made(store, {"r": {"packages": ["above"]}})
    assert output_of(image, "Rscript -e 'above::say()'") == "built \n"
    with pytest.raises(Permanent, match="no R package `nosuch`"):
        made(store, {"r": {"packages": ["nosuch"]}})
