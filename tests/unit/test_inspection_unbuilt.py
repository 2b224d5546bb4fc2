"""Programs that a batch script starts and that nobody has built: they are built first."""

from __future__ import annotations

import pytest

from cluster_interface.inspection import inspect

MAIN = "int main() { return 0; }"
JOB = "#!/bin/bash\n#SBATCH --time=1:00\nsrun ./{}\n"
NAMED = "PRO = dot\n${PRO}.x: dot.o\n\t$(CC) -o $@ dot.o\n"
CMAKE = "project(x)\nadd_executable(stencil stencil.c)\n"


@pytest.mark.parametrize(
    ("files", "first"),
    [
        ({"job.sh": JOB.format("dot.x"), "Makefile": NAMED, "dot.c": MAIN}, "make dot.x"),
        ({"job.sh": JOB.format("dot.x"), "Makefile": "%.x: %.c\n\tcc -o $@ $<\n", "dot.c": MAIN}, "make dot.x"),
        ({"job.sh": JOB.format("bin/dot"), "bin/Makefile": "all:\n\tcc -o dot d.c\n", "bin/d.c": MAIN}, "make -C bin"),
        (
            {"job.sh": JOB.format("pi-mpi"), "pi-mpi.cpp": f"#include <mpi.h>\n{MAIN}"},
            "mpicxx -O2 -fpermissive -o pi-mpi pi-mpi.cpp",
        ),
        (
            {"job.sh": JOB.format("sum.x"), "sum.F90": "program s\nend"},
            "gfortran -O2 -std=legacy -J/tmp -o sum.x sum.F90",
        ),
        ({"job.sh": JOB.format("a.out"), "one.c": MAIN, "two.c": "int f() { return 1; }"}, "gcc -O2 -o a.out one.c"),
        ({"job.sh": JOB.format("stencil"), "CMakeLists.txt": CMAKE, "stencil.c": MAIN}, "cmake -S . -B /tmp/build"),
        ({"job.sh": JOB.format("build/stencil"), "CMakeLists.txt": CMAKE}, "cmake -S . -B /tmp/build"),
    ],
)
def test_what_is_not_there_is_built_by_what_lies_beside_it(files, first):
    """By a Makefile's target, by CMake to where it is looked for, or by the compiler from the source called like it."""
    found = inspect(files, "job.sh")
    assert found.command.startswith(first)
    assert found.command.endswith(" && bash job.sh")
    assert not [warning for warning in found.warnings if "not among the files" in warning]
    assert {"make", "gcc", "g++", "gfortran", "cmake"} & set(found.environment.system)


@pytest.mark.parametrize(
    "line",
    [
        "make\n./dot",
        "gcc -o dot dot.c\n./dot",
        "gcc dot.c\nmv a.out dot\n./dot",
        "cmake .\nmake\n./dot",
        "echo x >dot\n./dot",
    ],
)
def test_a_script_that_builds_by_itself_is_left_alone(line):
    """What it makes, or moves to where it is started, is there by then."""
    files = {"job.sh": f"#!/bin/sh\n{line}\n", "dot.c": MAIN, "Makefile": "dot: dot.c\n\tcc -o dot dot.c\n"}
    found = inspect(files, "job.sh")
    assert found.command == "sh job.sh"
    assert not found.warnings


def test_what_nothing_says_how_to_build_is_said():
    """Neither build file nor source of that name; nor is anything built above the job's directory."""
    files = {"job.sh": "./nowhere\n../dot\n", "a.c": MAIN, "b.c": MAIN}
    found = inspect(files, "job.sh")
    assert found.command == "bash job.sh"
    assert sum("not among the files" in warning for warning in found.warnings) == 2


@pytest.mark.parametrize(
    ("lines", "runtime"),
    [
        ("Rscript a.R", None),
        ("make dot\n./dot", None),
        ("./dot", None),
        ("ifort a.f90", "none"),
        ("./nowhere", "none"),
        ("/home/ada/bin/model", "none"),
        ("mymodel", "none"),
        ("module load matlab\n./dot", "none"),
    ],
)
def test_compilers_of_the_host_are_taken_where_they_are_needed(lines, runtime):
    """Who only loads them has gcc in their place; who calls them, or starts what is not seen here, has them."""
    files = {
        "job.sh": f"#!/bin/bash\nmodule load intel/19.1 intel-mpi\n{lines}\n",
        "a.R": "1",
        "dot.c": MAIN,
        "Makefile": "dot: dot.c\n\t$(CC) -o dot dot.c\n",
    }
    found = inspect(files, "job.sh")
    assert found.resources.get("runtime") == runtime
    assert found.environment.modules[:2] == ("intel/19.1", "intel-mpi")
    if runtime is None:
        assert {"gcc", "gfortran", "openmpi-bin"} <= set(found.environment.system)
        assert not found.warnings


@pytest.mark.parametrize(
    ("text", "command"),
    [('exec "$0" again', "bash ./job.sh"), ("x=1; ${0} a", "bash ./job.sh"), ('echo "usage: $0"', "bash job.sh")],
)
def test_a_script_that_starts_itself_is_found_where_it_lies(text, command):
    """Its name alone would be looked for on the PATH."""
    assert inspect({"job.sh": f"#!/bin/bash\n{text}\n"}, "job.sh").command == command
