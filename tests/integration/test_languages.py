"""Programs of every language that is read, handed over as they are: described, built in a generated image, run.

One image has what all of them need, so that it is made once; what each asks for by itself is compared with what
its proposal says.
"""

import json
import os
import shutil
from typing import NamedTuple

import pytest
from tests.conftest import PROJECT

EXAMPLES = PROJECT / "examples/languages"


class Program(NamedTuple):
    """A directory of the examples."""

    script: str
    packages: str  #: that are found to be needed
    result: str  #: what result.txt holds in the end
    arguments: tuple[str, ...] = ()


PROGRAMS = {
    "shell": Program("run.sh", "jq", "6 3"),
    "r": Program("sum.R", "r-base-core r-cran-jsonlite", '{"sum":12,"by":"ada"}', ("ada",)),
    "c": Program("sum.c", "gcc libc6-dev libgsl-dev pkg-config", "12 1.000"),
    "cpp": Program("sum.cpp", "g++ libc6-dev pkg-config zlib1g-dev", "6 1"),
    "fortran": Program("ring.f90", "gfortran libc6-dev libopenmpi-dev openmpi-bin", "3 2"),
    "make": Program("Makefile", "gcc libc6-dev libgsl-dev make pkg-config", "12 1.000"),
    "cmake": Program("CMakeLists.txt", "cmake g++ gcc libc6-dev libgsl-dev make pkg-config", "12 1.000"),
    "autotools": Program(
        "configure.ac", "autoconf automake gcc libc6-dev libgsl-dev libtool make pkg-config", "12 1.000"
    ),
    "perl": Program("sum.pl", "libjson-perl perl", "[12]"),
    "ruby": Program("sum.rb", "ruby ruby-rack", '[12,"a+b"]'),
    "javascript": Program("sum.js", "node-lodash nodejs", "12"),
    "octave": Program("total.m", "octave", "12"),
    "lua": Program("sum.lua", "lua5.4", "12"),
    "tcl": Program("sum.tcl", "tcl", "12"),
    "awk": Program("sum.awk", "gawk", "12"),
    "php": Program("sum.php", "php-cli", "12"),
    "sql": Program("sum.sql", "sqlite3", "12"),
    "gnuplot": Program("sum.plt", "gnuplot-nox", "12"),
    "snakemake": Program("Snakefile", "bc", "12"),
    "java": Program("Sum.java", "default-jdk-headless", "12 ada", ("ada",)),
    "rust": Program("sum.rs", "rustc", "12"),
    "go": Program("sum.go", "golang-go", "12"),
}


@pytest.fixture(scope="module")
def every(make_server):
    """A server whose bases have every language."""
    needed = {package for program in PROGRAMS.values() for package in program.packages.split()}
    return make_server(
        "bubblewrap", CLIF_IMAGES__PACKAGES=",".join(["python3", "ca-certificates", "libgsl27", *sorted(needed)])
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs_as_it_is(every, name):
    """Its packages are found, it is built where that is needed, and what it writes comes back, and nothing else."""
    script, packages, result, arguments = PROGRAMS[name]
    home = every.work / name
    shutil.copytree(EXAMPLES / name, home)
    words = ["--", *arguments] if arguments else []
    described = every.clif("describe", script, "--json", *words, cwd=home)
    assert described.returncode == 0, described.stderr
    spec = json.loads(described.stdout)["spec"]
    assert set(spec["environment"].get("system", ())) == set(packages.split())
    cpus = ["--cpus", "2"] if "mpirun" in spec["command"] else []
    done = every.clif("run", *cpus, script, *words, cwd=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (home / "result.txt").read_text().strip() == result
    programs = {path.name for path in home.iterdir() if path.is_file() and os.access(path, os.X_OK)}
    assert programs <= ({"sum"} if name == "make" else set())  # make builds where it is, the others elsewhere


def test_a_compiled_program_gets_its_libraries(every):
    """What was built elsewhere, here by another job, is run with the libraries that its headers name."""
    home = every.work / "program"
    shutil.copytree(EXAMPLES / "make", home)
    assert every.clif("run", "Makefile", cwd=home).returncode == 0
    (home / "result.txt").unlink()
    described = every.clif("describe", "sum", "--json", cwd=home)
    assert "libgsl27" in json.loads(described.stdout)["spec"]["environment"]["system"]
    done = every.clif("run", "sum", "--input", "numbers.txt", cwd=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (home / "result.txt").read_text().strip() == "12 1.000"
