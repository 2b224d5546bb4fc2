"""The parts of environments that need no network and no sandbox: libraries, locks of others, layers, bounds."""

import contextlib
import io
import json
import tarfile
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integration.images_made import shared_object

from cluster_interface.images import dockerfiles, failures, needs, oci, pins, rpackages
from cluster_interface.images.needs import Libraries
from cluster_interface.images.request import understand
from cluster_interface.images.shelf import Shelf
from cluster_interface.images.unpack import Limits
from cluster_interface.model.errors import Permanent, Rejected, Transient
from cluster_interface.model.jobspec import Environment
from cluster_interface.settings import Images


def test_what_a_shared_object_names_is_looked_up(tmp_path):
    """Only what neither the base nor the layer has; what is in no table is left alone."""
    (tmp_path / "a.so").write_bytes(shared_object("libGL.so.1", "libodd.so.9", "libmine-1234.so.2"))
    (tmp_path / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    found = needs.read([tmp_path / "a.so", tmp_path / "nothing.so"])
    assert found == Libraries(has=("a.so",), needs=("libGL.so.1", "libmine-1234.so.2", "libodd.so.9"))
    packages = {"cv": found, "mine": Libraries(has=("libmine-1234.so.2",))}
    assert [(need.package, need.why) for need in needs.missing(tmp_path, packages, "bookworm")] == [
        ("libgl1", "cv needs libGL.so.1")
    ]
    (tmp_path / "usr/lib/x86_64-linux-gnu/libGL.so.1").touch()
    assert needs.missing(tmp_path, packages, "bookworm") == []


@given(st.data())
def test_a_damaged_shared_object_is_no_error(tmp_path_factory, data):
    """Whatever bytes a package has, reading them ends and says something or nothing."""
    whole = bytearray(shared_object("libGL.so.1", "libc.so.6"))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "damaged.so"
    file.write_bytes(whole[: data.draw(st.integers(4, len(whole)))])
    needs.read([file])


@pytest.mark.parametrize("suite", ["bullseye", "bookworm", "trixie"])
def test_every_release_knows_what_packages_load(suite):
    """The tables are there for each release that bases are made of."""
    assert needs.of("libGL.so.1", suite) == "libgl1"
    assert needs.of("libblas.so.3", suite) == "libblas3"
    assert needs.of("libgtk-x11-2.0.so.0", suite).startswith("libgtk2.0-0")
    assert needs.of("libgtk-3.so", suite) is None
    assert [need.package for need in needs.known(["Psycopg", "numpy"], suite)] == ["libpq5"]
    assert rpackages.in_debian("dplyr", suite) == "r-cran-dplyr"
    assert rpackages.in_debian("DESeq2", suite) == "r-bioc-deseq2"


HASH = "sha256:" + "0" * 64
LOCKS = {
    "pylock.toml": f"""lock-version = "1.0"
packages = [
  {{name = "a", version = "1", wheels = [{{hashes = {{sha256 = "{"0" * 64}"}}}}]}},
  {{name = "b", version = "2", marker = "sys_platform == 'win32'"}},
]""",
    "poetry.lock": f"""[[package]]
name = "a"
version = "1"
groups = ["main"]
files = [{{file = "a.whl", hash = "{HASH}"}}]
[[package]]
name = "b"
version = "2"
groups = ["dev"]
""",
    "uv.lock": f"""version = 1
[[package]]
name = "mine"
version = "0"
source = {{ virtual = "." }}
dependencies = [{{ name = "a" }}, {{ name = "b", marker = "python_full_version < '3.9'" }}]
[[package]]
name = "a"
version = "1"
source = {{ registry = "https://pypi.org/simple" }}
wheels = [{{ url = "https://x/a.whl", hash = "{HASH}" }}]
[[package]]
name = "b"
version = "2"
source = {{ registry = "https://pypi.org/simple" }}
""",
    "Pipfile.lock": json.dumps(
        {
            "default": {
                "a": {"version": "==1", "hashes": [HASH]},
                "b": {"version": "==2", "markers": "os_name == 'nt'"},
            }
        }
    ),
}


@pytest.mark.parametrize("name", LOCKS)
def test_locks_of_other_tools_become_pins(name):
    """What holds for this Python on Linux, with its hashes."""
    assert pins.requirements(f"below/{name}", LOCKS[name].encode(), "3.11.2") == f"a==1 --hash={HASH}\n"


@pytest.mark.parametrize("data", [b"", b"\xff", b"[", b"a = 1", b'[[package]]\nname = "a"\n', b'{"default": 1}'])
@pytest.mark.parametrize("name", LOCKS)
def test_what_is_no_lock_is_refused(name, data):
    """In words that name the field, whatever is in it."""
    with pytest.raises(Rejected, match=r"environment\.python\.lock"):
        pins.requirements(name, data, "3.11")


def layer(tmp_path, number, entries):
    """Write a layer: name -> content, None for a directory, ">x" for a link."""
    path = tmp_path / f"{number}.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif content.startswith(">"):
                info.type, info.linkname = tarfile.SYMTYPE, content[1:]
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO((content or "").encode()) if info.isreg() else None)
    return path


def test_layers_are_applied_as_an_engine_does(tmp_path):
    """Files go, directories are emptied or give way to files, and links to directories are gone through."""
    below = {"usr/": None, "usr/lib/": None, "lib": ">usr/lib", "old": "x", "d/a": "1", "d/b": "2", "e/f": "3"}
    above = {".wh.old": "", "d/.wh..wh..opq": "", "d/c": "4", "e": "now a file", "lib/new": "5"}
    root = tmp_path / "root"
    root.mkdir()
    layers = [layer(tmp_path, 0, below), layer(tmp_path, 1, above)]
    oci.apply(layers, root, Limits())
    found = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() or path.is_symlink()}
    assert found == {"lib", "d/c", "e", "usr/lib/new"}


@pytest.mark.parametrize("name", ["../out", "out/../../x", "/abs/.wh.passwd", "up/.wh.x", "up/x"])
def test_no_layer_reaches_outside(tmp_path, name):
    """Not by its names, nor by the links of an earlier layer: a link up is one inside."""
    canary = tmp_path / "x"
    canary.write_text("mine")
    root = tmp_path / "root"
    root.mkdir()
    layers = [layer(tmp_path, 0, {"up": ">../"}), layer(tmp_path, 1, {name: "bad"})]
    with contextlib.suppress(Rejected):
        oci.apply(layers, root, Limits())
    assert canary.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"x", "root", "0.tar", "1.tar"}


def test_names_of_images_are_written_out():
    """Host, path and tag; only registries that the site names."""
    assert oci.full("python", Images(), "f") == "docker.io/library/python:latest"
    assert oci.full("lab/tool:1", Images(), "f") == "docker.io/lab/tool:1"
    digest = "sha256:" + "1" * 64
    assert oci.full(f"docker://ghcr.io/lab/tool:1@{digest}", Images(), "f") == f"ghcr.io/lab/tool@{digest}"
    for name in ("localhost/x", "127.0.0.1:5000/x", "169.254.169.254/x"):
        with pytest.raises(Rejected, match="not allowed here"):
            oci.full(name, Images(), "f")


@pytest.mark.parametrize("name", ["registry.campus.example/clif", "10.0.0.1:5000", "localhost:5000/a/b", "hub:80/a"])
def test_a_registry_is_a_host_and_a_path(name):
    """Nothing is none."""
    assert Images.parse({"registry": name}).registry == name
    assert Images.parse({"registry": ""}).registry is None


@pytest.mark.parametrize(
    "name",
    ["https://r.example/clif", "lab/clif", "clif", "r.example/", "r.example/Clif", "r.example/a:1", "r.example/a b"],
)
def test_what_engines_would_take_for_another_registry_is_refused(name):
    """An address, a user of Docker's own registry, a tag."""
    with pytest.raises(Rejected, match="write host/path"):
        Images.parse({"registry": name})


PUSHES = {
    "writing blob: uploading layer chunked: received unexpected HTTP status: 503 Service Unavailable": Transient,
    "writing blob: uploading layer chunked: StatusCode: 500, unknown": Transient,
    'pinging container registry r.example: Get \\"https://r.example/v2/\\": x509: certificate signed by': Transient,
    "checking whether a blob exists: requested access to the resource is denied": Permanent,
    "writing blob: StatusCode: 413, <html>Request Entity Too Large</html>": Permanent,
}


@pytest.mark.parametrize("said", PUSHES)
def test_what_a_registry_says_of_a_push(said):
    """What may be over in a while is tried again; the rest fails the job. Its words are told."""
    words = f'time="2026-01-01T00:00:00Z" level=fatal msg="{said}"\n'
    error = failures.of_push(words, "r.example/clif/image:1")
    assert type(error) is PUSHES[said]
    assert "r.example" in str(error)
    assert said[-10:].strip('"') in str(error)


def test_a_context_is_the_same_each_time():
    """Its key is of what is in it, whatever the order."""
    files = {"Dockerfile": b"FROM scratch\n", "a": b"1", "b": b"2"}
    backwards = dict(reversed(files.items()))
    assert dockerfiles.context("Dockerfile", files) == dockerfiles.context("Dockerfile", backwards)
    with pytest.raises(Rejected, match="has no FROM"):
        dockerfiles.check("RUN x", Images())
    with pytest.raises(Rejected, match="not built here"):
        dockerfiles.check("FROM scratch", Images(dockerfiles=False))


@pytest.mark.parametrize(
    "text",
    [
        "FROM evil.example.org/x",
        "FR\\\nOM evil.example.org/x\nFROM scratch",
        "FROM $X",
        "FROM --platform=linux/amd64 evil.example.org/x",
        "FROM a\nCOPY --from=evil.example.org/x / /",
        "FROM a\nRUN --mount=type=bind,from=evil.example.org/x,target=/x true",
        "FROM a\nADD http://169.254.169.254/latest /x",
        "FROM a\nADD \\\n# a comment\nhttp://127.0.0.1/ /x",
        "FROM a\nadd --chmod=755 https://example.org/x /x",
        'FROM a\nADD ["http\\u003a//127.0.0.1/", "/x"]',
        "FROM a\nARG U=http://127.0.0.1/\nADD ${U} /x",
        "FROM a\nONBUILD ADD git@example.org:x /x",
        "# escape=`\nFROM a",
        "# syntax=evil/frontend\nFROM a",
    ],
)
def test_a_dockerfile_reaches_nowhere_by_itself(text):
    """Neither for images nor for what it adds, however it is written."""
    with pytest.raises(Rejected, match=r"environment\.dockerfile"):
        dockerfiles.check(text, Images())


def test_an_honest_dockerfile_is_taken():
    """Stages, copies between them and the usual directive."""
    text = "# syntax=docker/dockerfile:1\nFROM debian:12 AS build\n# from=nowhere\nRUN make \\\n  # why\n  install\n"
    dockerfiles.check(f"{text}FROM ubuntu\nCOPY --from=build /a /a\nCOPY --from=0 /b /b\nADD data.tar /\n", Images())


def test_no_more_are_built_at_once_than_the_site_says(tmp_path):
    """The second of one waits, and says so, until the first has ended."""
    shelf = Shelf(tmp_path)
    shelf.prepare()
    waits, done = threading.Event(), threading.Event()

    def second():
        with shelf.slot(1, waits.set):
            done.set()

    with shelf.slot(1):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(60)
        assert not done.is_set()
    assert done.wait(60)
    thread.join()
    with shelf.slot(2), shelf.slot(2):
        pass


def test_without_gpus_cuda_is_left_out(tmp_path):
    """Extras that bring it go, others stay; PyTorch is asked for without. With GPUs, or where a site wants, all stays."""
    asked = ["jax[cuda12]>=0.4", "tensorflow[and-cuda]", "spacy[cuda12x,lookups]", "jax[cuda12_local,k8s]", "torch"]
    environment = Environment.parse({"python": {"packages": asked}})
    shelf = Shelf(tmp_path)

    def wanted(settings=Images(), **more):  # noqa: B008 - frozen
        request = understand(shelf, settings, environment, "", **more)
        return sorted(one.requirement for one in request.wanted), request.torch

    assert wanted(gpus=False) == (["jax>=0.4", "jax[k8s]", "spacy[lookups]", "tensorflow", "torch"], "cpu")
    for whole in (wanted(gpus=True), wanted(Images(torch_cpu=False), gpus=False)):
        assert "jax[cuda12]>=0.4" in whole[0]
        assert whole[1] is None


def test_an_environment_names_its_date():
    """as_of holds for all; a date of the Python packages alone goes before it."""
    assert Environment.parse({"as_of": "2026-01-01"}).newest == "2026-01-01"
    both = {"as_of": "2026-01-01", "python": {"exclude_newer": "2025-01-01"}}
    assert Environment.parse(both).newest == "2025-01-01"


def test_packages_of_a_day_get_the_python_of_that_day(tmp_path):
    """What is older than wheels for today's Python is taken for the one before; R and a stated Python stay."""

    def python(**environment):
        wanted = Environment.parse({"python": {"packages": ["numpy"]}, **environment})
        request = understand(Shelf(tmp_path), Images(suite="bookworm"), wanted, "")
        assert request.target is not None
        return request.target.python.rpartition(".")[0]

    assert python(as_of="2022-01-01") == "3.9"
    assert python(as_of="2024-01-01") == "3.11"
    assert python(as_of="2022-01-01", r={"packages": ["dplyr"]}) == "3.11"
    assert python(as_of="2022-01-01", python={"packages": ["numpy"], "version": "3.11"}) == "3.11"
