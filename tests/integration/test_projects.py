"""Projects with dependencies that the distribution carries, handed over as they are: described, built, run.

Cargo, a module of Go, Java with a jar of Debian's, a jar by itself, R Markdown. Their image is one, made once.
"""

from __future__ import annotations

import json
import shutil
from typing import NamedTuple

import pytest
from tests.conftest import PROJECT

EXAMPLES = PROJECT / "examples/languages"


class Project(NamedTuple):
    """A directory of the examples."""

    script: str
    packages: str  #: that are found to be needed
    result: str  #: what result.txt holds in the end
    arguments: tuple[str, ...] = ()
    more: str = ""  #: what else comes back


PROJECTS = {
    "cargo": Project("src/main.rs", "cargo librust-itoa+default-dev librust-itoa-dev rustc", "12"),
    "modules": Project("sum.go", "golang-github-google-uuid-dev golang-go", "12 36"),
    "packages": Project("src/org/example/Main.java", "default-jdk-headless libcommons-lang3-java", "6 ada", ("ada",)),
    "rmarkdown": Project("report.Rmd", "pandoc r-base-core r-cran-rmarkdown", "6", more="report.html"),
}


@pytest.fixture(scope="module")
def every(make_server):
    """A server whose bases have what all of them need."""
    needed = {package for project in PROJECTS.values() for package in project.packages.split()}
    packages = ["python3", "ca-certificates", "default-jre-headless", *sorted(needed)]
    return make_server("bubblewrap", CLIF_IMAGES__PACKAGES=",".join(packages))


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_runs_as_it_is(every, name):
    """Its packages are found, it is built away from its files, and what it writes comes back, and nothing else."""
    script, packages, result, arguments, more = PROJECTS[name]
    home = every.work / name
    shutil.copytree(EXAMPLES / name, home)
    words = ["--", *arguments] if arguments else []
    described = every.clif("describe", script, "--json", *words, cwd=home)
    assert described.returncode == 0, described.stderr
    assert set(json.loads(described.stdout)["spec"]["environment"]["system"]) == set(packages.split())
    done = every.clif("run", script, *words, cwd=home, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (home / "result.txt").read_text().strip() == result
    before = {path.relative_to(EXAMPLES / name) for path in (EXAMPLES / name).rglob("*")}
    made = {path.relative_to(home) for path in home.rglob("*")} - before
    assert {str(path) for path in made} == {"result.txt", *more.split()}


def test_a_rendered_document_is_whole(every):
    """Its numbers and its pictures are in the one file that comes back."""
    home = every.work / "document"
    shutil.copytree(EXAMPLES / "rmarkdown", home)
    done = every.clif("run", "report.Rmd", cwd=home, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    html = (home / "report.html").read_text()
    assert "Their sum is 6." in html
    assert "data:image/png;base64" in html


def test_an_archive_of_java_is_run(every):
    """What another job compiled and packed, with its arguments."""
    home = every.work / "jar"
    shutil.copytree(EXAMPLES / "java", home)
    (home / "pack.sh").write_text("javac -d /tmp/classes Sum.java && jar cfe sum.jar Sum -C /tmp/classes .\n")
    packed = every.clif("run", "pack.sh", "--input", "Sum.java", cwd=home, timeout=1800)
    assert packed.returncode == 0, packed.stdout + packed.stderr
    done = every.clif("run", "sum.jar", "--input", "numbers.txt", "--", "ada", cwd=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (home / "result.txt").read_text().strip() == "12 ada"


def test_a_crate_that_nobody_packaged_is_said(every):
    """Before anything is built, with the manifest's name."""
    home = every.work / "unknown"
    shutil.copytree(EXAMPLES / "cargo", home)
    manifest = home / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("itoa", "a-crate-of-nobody"))
    described = every.clif("describe", "src/main.rs", cwd=home)
    assert "needs the Rust module a-crate-of-nobody" in described.stdout + described.stderr
