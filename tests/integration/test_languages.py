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
    "java": Program("Sum.java", "default-jdk-headless", "12 ada", ("ada",)),
    "rust": Program("sum.rs", "rustc", "12"),
    "cargo": Program("src/main.rs", "cargo librust-itoa-dev rustc", "12"),
    "go": Program("sum.go", "golang-go", "12"),
    "modules": Program("sum.go", "golang-github-google-uuid-dev golang-go", "12 36"),
    "packages": Program("src/org/example/Main.java", "default-jdk-headless libcommons-lang3-java", "6 ada", ("ada",)),
    "rmarkdown": Program("report.Rmd", "pandoc r-base-core r-cran-rmarkdown", "6"),
}


@pytest.fixture(scope="module")
def every(make_server):
    """A server whose bases have every language."""
    needed = {package for program in PROGRAMS.values() for package in program.packages.split()}
    return make_server(
        "bubblewrap",
        CLIF_IMAGES__PACKAGES=",".join(
            ["python3", "ca-certificates", "libgsl27", "default-jre-headless", *sorted(needed)]
        ),
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
    assert_kept(name, home)
    programs = {path.name for path in home.iterdir() if path.is_file() and os.access(path, os.X_OK)}
    assert programs <= ({"sum"} if name == "make" else set())  # make builds where it is, the others elsewhere


def assert_kept(name, home):
    """What is made beside the result: the rendered report, and nothing of what was built."""
    made = {path.name for path in home.iterdir()} - {path.name for path in (EXAMPLES / name).iterdir()}
    more = {"make": {"sum", "sum.o", "twice.o"}, "rmarkdown": {"report.html"}}.get(name, set())
    assert "result.txt" in made
    assert made - {"result.txt"} <= more
    if name == "rmarkdown":
        html = (home / "report.html").read_text()
        assert "Their sum is 6." in html
        assert "data:image/png;base64" in html


def test_an_archive_of_java_is_run(every):
    """What another job compiled and packed, with its arguments."""
    home = every.work / "jar"
    shutil.copytree(EXAMPLES / "java", home)
    (home / "pack.sh").write_text("javac -d /tmp/classes Sum.java && jar cfe sum.jar Sum -C /tmp/classes .\n")
    packed = every.clif("run", "pack.sh", cwd=home)
    assert packed.returncode == 0, packed.stdout + packed.stderr
    done = every.clif("run", "sum.jar", "--input", "numbers.txt", "--", "ada", cwd=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (home / "result.txt").read_text().strip() == "12 ada"


STEPS = """#!/bin/bash
#SBATCH --ntasks=2
mpicc ring.c -o /tmp/ring
srun -l sh -c 'echo $SLURM_PROCID of $SLURM_NTASKS' | sort > steps.txt
srun /tmp/ring | sort > srun.txt
mpirun -n 3 /tmp/ring | sort > mpirun.txt
srun -n 3 -o each-%t.txt sh -c 'echo $SLURM_LOCALID'
"""
RING = """#include <mpi.h>
#include <stdio.h>
int main(int n, char **words) {
  int rank, size, sum = 0;
  MPI_Init(&n, &words);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  printf("%d of %d: %d\\n", rank, size, sum);
  MPI_Finalize();
}
"""


def test_srun_and_mpirun_start_processes_on_one_node(every):
    """A batch script for Slurm, run by this machine's own scheduler: steps, an MPI program by either, files by pattern."""
    home = every.work / "steps"
    home.mkdir()
    (home / "job.sbatch").write_text(STEPS)
    (home / "ring.c").write_text(RING)
    done = every.clif("run", "job.sbatch", cwd=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (home / "steps.txt").read_text() == "0: 0 of 2\n1: 1 of 2\n"
    assert (home / "srun.txt").read_text() == "0 of 2: 1\n1 of 2: 1\n"
    assert (home / "mpirun.txt").read_text() == "0 of 3: 3\n1 of 3: 3\n2 of 3: 3\n"
    assert [(home / f"each-{number}.txt").read_text() for number in range(3)] == ["0\n", "1\n", "2\n"]


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
