"""Where programs start, and which directory above them they need."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster_interface.client.tops import start_of


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project two directories deep, with data at its top."""
    top = tmp_path / "project"
    (top / "code" / "figures").mkdir(parents=True)
    (top / "code" / "figures" / "theme.R").write_text("1\n")
    (top / "data").mkdir()
    (top / "data" / "runs.csv").write_text("1\n")
    (top / "project.Rproj").write_text("Version: 1.0\n")
    return top


@pytest.mark.parametrize(
    ("text", "base", "start"),
    [
        ("read.csv('../../data/runs.csv')", 2, 0),
        ("read.csv('data/runs.csv')", 2, 2),
        ("ggsave('data/plot.png')", 2, 2),
        ("source('figures/theme.R')", 1, 1),
        ("source('code/figures/theme.R'); read.csv('data/runs.csv')", 2, 2),
        ("source('theme.R')", 0, 0),
        ("source('theme.R'); ggsave('data/plot.png')", 0, 0),
        ("read.csv('nothing/there.csv')", 0, 0),
        ("read.csv(here::here('data', 'runs.csv'))", 2, 2),
        ("x <- a/b", 0, 0),
    ],
)
def test_it_starts_where_it_finds_what_it_names(project: Path, text: str, base: int, start: int) -> None:
    """Its own directory where that finds as much; else one above, or what leads there is brought along."""
    script = project / "code" / "figures" / "plot.R"
    places = [script.parent, *script.parents[1:]]
    assert start_of(script, text) == (places[base], places[start])


def test_a_workflow_starts_where_projects_of_its_kind_do(project: Path) -> None:
    """Above `workflow/`; else where it finds its files."""
    below = project / "workflow" / "Snakefile"
    below.parent.mkdir()
    assert start_of(below, "configfile: 'config.yaml'") == (project, project)
    assert start_of(project / "Snakefile", "input: 'data/runs.csv'") == (project, project)


def test_words_of_a_shell_script_count(project: Path) -> None:
    """They are not quoted."""
    script = project / "code" / "run.sbatch"
    assert start_of(script, "#!/bin/bash\nsrun code/figures/plot.sh <data/runs.csv\n") == (project, project)
    assert start_of(script, "cat ../data/*.csv\n") == (project, script.parent)


def test_what_leads_a_program_of_python_above_is_another_rule(project: Path) -> None:
    """Here only those count that are written to be started from above, not those that look there by themselves."""
    script, here = project / "code" / "a.py", project / "code"
    assert start_of(script, "open('data/runs.csv')") == (project, project)
    assert start_of(script, "open('../data/runs.csv')") == (here, here)
    (here / "own.txt").write_text("1\n")
    assert start_of(script, "open('own.txt'), open('data/runs.csv', 'w')") == (here, here)


def test_what_is_not_ones_own_stays(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script right below the home directory does not send what else is there."""
    monkeypatch.setenv("HOME", str(project))
    assert start_of(project / "code" / "a.R", "read.csv('data/runs.csv')") == (project / "code", project / "code")


@pytest.mark.parametrize(
    ("manifest", "script", "text", "top"),
    [
        ("Cargo.toml", "examples/a.rs", "fn main() {}", True),
        ("go.mod", "cmd/tool/main.go", "package main", True),
        ("pom.xml", "src/main/java/org/example/deep/down/A.java", "package org.example.deep.down;", True),
        ("Project.toml", "test/a.jl", "using Test, Mine", True),
        ("Project.toml", "test/a.jl", "using Test, Others", False),
        ("Cargo.toml", "examples/a.go", "package main", False),
    ],
)
def test_what_is_built_with_its_project_starts_at_its_manifest(
    tmp_path: Path, manifest: str, script: str, text: str, *, top: bool
) -> None:
    """However deep below it; a script of Julia only where it uses that project."""
    home = tmp_path / "project"
    file = home / script
    file.parent.mkdir(parents=True)
    (home / manifest).write_text('name = "Mine"\n')
    expected = home if top else file.parent
    assert start_of(file, text) == (expected, expected)


@pytest.mark.parametrize(
    ("line", "file", "top"),
    [
        ("cmake -S . -B build -DCMAKE_BUILD_TYPE=Release", "CMakeLists.txt", True),
        ("cmake --build build", "CMakeLists.txt", False),
        ("make -j4 all", "Makefile", True),
        ("make -C ../solver", "Makefile", False),
        ("cargo build --release", "Cargo.toml", True),
        ("pip install -e .", "pyproject.toml", True),
        ("pip install numpy", "pyproject.toml", False),
        ("echo make", "Makefile", False),
    ],
)
def test_a_script_that_builds_a_project_starts_at_its_top(tmp_path: Path, line: str, file: str, top: bool) -> None:
    """`scripts/build.sh` is meant to be started from where the build file lies."""
    home = tmp_path / "project"
    (home / "scripts").mkdir(parents=True)
    (home / file).write_text("\n")
    expected = home if top else home / "scripts"
    assert start_of(home / "scripts" / "build.sh", f"#!/bin/sh\n{line}\n") == (expected, expected)
    (home / "scripts" / file).write_text("\n")  # unless it lies beside the script
    assert start_of(home / "scripts" / "build.sh", f"#!/bin/sh\n{line}\n")[1] == home / "scripts"


@pytest.mark.parametrize("listed", ["src/main.cpp", "lib/other.cpp src/main.cpp", "lib/other.cpp"])
def test_a_source_brings_the_cmake_project_that_makes_it(tmp_path: Path, listed: str) -> None:
    """And is started where it lies."""
    top = tmp_path / "project"
    (top / "src").mkdir(parents=True)
    (top / "CMakeLists.txt").write_text(f"project(waves)\nadd_executable(waves {listed})\n")
    script = top / "src" / "main.cpp"
    expected = top if "main" in listed else script.parent
    assert start_of(script, "int main() {}\n") == (expected, script.parent)
