"""What an environment may say, and what is refused in words."""

import pytest

from cluster_interface.images.request import understand
from cluster_interface.images.shelf import Shelf
from cluster_interface.model.errors import Rejected
from cluster_interface.model.jobspec import Environment, JobSpec
from cluster_interface.service.intake import with_environments
from cluster_interface.settings import Images

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ({"conda": "/opt/conda/envs/bio"}, {"conda": {"path": "/opt/conda/envs/bio"}}),
        ({"setup": ["set -e", "make"]}, {"setup": "set -e\nmake"}),
        ({"setup": "make\n"}, {"setup": "make"}),
        ({"conda": {"packages": ["gdal >=3.6,<4", "python=3.12"]}}, {}),
        ({"r": {"packages": ["dplyr", "data.table"], "bioconductor": ["DESeq2"]}}, {}),
        ({"image": f"ghcr.io/lab/tool:1.2@{DIGEST}"}, {}),
        ({"image": "localhost:5000/tool"}, {}),
        ({"image": "/data/images/tool.sif"}, {}),
        ({"python": {"extra_index_urls": ["https://pypi.example.org/simple/"]}}, {}),
        ({"as_of": "2026-01-01", "python": {"packages": ["numpy"]}}, {}),
    ],
)
def test_what_may_be_said(said, means):
    """Each form of the field is taken, and means one thing."""
    found = Environment.parse(said).model_dump(exclude_defaults=True)
    for name, value in means.items():
        assert found[name] == value or value.items() <= found[name].items()


@pytest.mark.parametrize(
    ("said", "field", "word"),
    [
        ({"conda": {"packages": ["gdal\nRUN x"]}}, "conda.packages.0", "conda package"),
        ({"python": {"version": 3.1}}, "python.version", "put it in quotes"),
        ({"system": "samtools"}, "system", "is not a list; write [one, two]"),
        ({"variables": ["A=b"]}, "variables", "is not a mapping; write names and their values"),
        ({"conda": {"channels": ["conda-forge"]}}, "conda", "neither packages nor path"),
        ({"conda": {"channels": ["https://user:pw@host/c"], "packages": ["a"]}}, "conda.channels.0", "password"),
        ({"conda": "relative/path"}, "conda.path", "in full"),
        ({"conda": "/opt/../etc"}, "conda.path", "in full"),
        ({"conda": "/a", "venv": "/b"}, "document", "both"),
        ({"venv": "/a", "python": {"packages": ["numpy"]}}, "document", "there already"),
        ({"r": {"packages": ["dplyr); system('x'"]}}, "r.packages.0", "R package"),
        ({"image": "--privileged"}, "image", "no image"),
        ({"image": "tool\nUSER root"}, "image", "no image"),
        ({"image": "a", "dockerfile": "Dockerfile"}, "document", "one of them"),
        ({"python": {"extra_index_urls": ["https://a --index-url https://b"]}}, "python.extra_index_urls.0", "address"),
        ({"as_of": "yesterday"}, "as_of", "date"),
        ({"as_of": "2026-02-30"}, "as_of", "date"),
        ({"setup": "a\0b"}, "setup", "NUL"),
        ({"rr": {}}, "rr", "did you mean `r`"),
    ],
)
def test_what_may_not_be_said(said, field, word):
    """Each refusal names its field."""
    with pytest.raises(Rejected) as refused:
        Environment.parse(said)
    assert any(one.field.startswith(field) and word in one.message for one in refused.value.problems), refused.value


def test_a_file_that_describes_the_environment_must_be_in_the_tree():
    """A Dockerfile or lock that is not among the files is an error of its field."""
    with pytest.raises(Rejected, match=r"environment\.dockerfile"):
        JobSpec.parse({"command": "x", "environment": {"dockerfile": "Dockerfile"}})


def test_another_index_is_the_sites_to_allow(tmp_path):
    """A package index that the site does not list is refused; one that it lists makes another question."""
    shelf = Shelf(tmp_path)
    shelf.prepare()
    wanted = Environment.parse({"python": {"packages": ["a"], "extra_index_urls": ["https://lab.example.org/simple"]}})
    with pytest.raises(Rejected, match="not allowed here"):
        understand(shelf, Images(), wanted, "")
    allowed = Images(extra_index_urls=("https://lab.example.org/simple/",))
    plain = Environment.parse({"python": {"packages": ["a"]}})
    assert understand(shelf, allowed, wanted, "").key != understand(shelf, allowed, plain, "").key


def test_an_environment_that_is_there_is_mounted_with_its_programs_first():
    """At its own path, as any mounted directory, again and again the same; one's own variables win."""
    said = {"conda": "/data/envs/bio", "variables": {"CONDA_PREFIX": "mine"}}
    spec = with_environments(JobSpec.parse({"command": "x", "environment": said}))
    (entry,) = spec.files.values()
    assert (entry.source, entry.mode) == ("file:/data/envs/bio", "mount")
    assert spec.environment.variables["PATH"].startswith("/data/envs/bio/bin:/opt/env/bin:")
    assert spec.environment.variables["CONDA_PREFIX"] == "mine"
    assert with_environments(spec) == spec
    assert with_environments(JobSpec.parse({"command": "x"})).files == {}


@pytest.mark.parametrize(
    ("said", "field", "package", "means"),
    [
        ({}, "environment.python.packages", "six", {"python": {"packages": ("six",)}}),
        ({"python": {"version": "3.11", "packages": ["numpy"]}}, "environment.python.packages", "six",
         {"python": {"version": "3.11", "packages": ("numpy", "six")}}),
        ({"system": ["git"]}, "environment.system", "jq", {"system": ("git", "jq")}),
        ({"image": "localhost/tool"}, "environment.r.packages", "dplyr", {"image": "localhost/tool", "r": {"packages": ("dplyr",)}}),
    ],
)  # fmt: skip
def test_one_package_more(said, field, package, means):
    """It is added to what there is, in the field that takes it."""
    assert Environment.parse(said).adding(field, package).model_dump(exclude_defaults=True) == means


def test_what_cannot_take_a_package_more():
    """One that it has, and packages in an environment that is there already."""
    with pytest.raises(ValueError, match="already"):
        Environment.parse({"system": ["jq"]}).adding("environment.system", "jq")
    with pytest.raises(ValueError, match="already"):
        Environment.parse({"venv": "/opt/env"}).adding("environment.python.packages", "six")
