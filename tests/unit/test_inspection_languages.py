"""Programs of other languages than Python and shell: what they need, read, write and declare."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_interface.inspection import inspect
from cluster_interface.inspection.archive.index import Archive
from cluster_interface.inspection.languages import lexis
from cluster_interface.inspection.languages.lexis import Source
from cluster_interface.inspection.software import Software
from cluster_interface.model.errors import Rejected
from cluster_interface.model.executable import Executable, describe, parse
from cluster_interface.model.proposal import Option


def read(name, source, *arguments, **beside):
    """Inspect a program with others beside it."""
    return inspect({"in.csv": "", "data/a.csv": "", **beside, name: source}, name, arguments)


def system(found):
    """The distribution packages of a proposal."""
    return set(found.environment.system)


@pytest.mark.parametrize(
    ("name", "source", "packages"),
    [
        ("a.R", "library(dplyr); require('ggplot2')\nMASS::lda(x)", {"r-base-core", "r-cran-dplyr", "r-cran-ggplot2", "r-cran-mass"}),
        ("a.R", "library(gstat, pos = match(paste('package', 'sp', sep = ':'), search()) + 1)", {"r-base-core", "r-cran-gstat"}),
        ("a.R", "if (x && requireNamespace('MASS', quietly = TRUE)) MASS::lda(x)", {"r-base-core", "r-cran-mass"}),
        ("a.R", "library(mine, lib.loc = c(f(g(1)), 2), character.only = TRUE)", {"r-base-core"}),
        ("a.R", "# library(dplyr)\nx <- 'library(dplyr)'\nlibrary(stats)", {"r-base-core"}),
        ("a.R", "pacman::p_load(dplyr, readr)", {"r-base-core", "r-cran-dplyr", "r-cran-readr", "r-cran-pacman"} - {"r-cran-pacman"}),
        ("a.Rmd", "library(dplyr)\n```{r}\nlibrary(readr)\n```\n", {"r-base-core", "r-cran-rmarkdown", "pandoc", "r-cran-readr"}),
        ("a.pl", "use strict; use JSON;\nuse DBI;\nuse File::Temp;\n=pod\nuse Moose;\n=cut\n", {"perl", "libdbi-perl", "libjson-perl"}),
        ("a.pl", "use List::Util; use Data::Dumper; use POSIX; use Getopt::Long; use Time::HiRes; use Encode;", {"perl"}),
        ("a.pl", "use parent 'Text::CSV';\n", {"perl", "libtext-csv-perl"}),
        ("a.rb", "require 'json'\nrequire 'sinatra'\n# require 'rack'\n", {"ruby", "ruby-sinatra"}),
        ("a.js", "const _ = require('lodash'); import('fs'); // require('express')", {"nodejs", "node-lodash"}),
        ("a.mjs", "import x from 'express'\nimport 'node:path'", {"nodejs", "node-express"}),
        ("a.m", "pkg load statistics\n% pkg load image\n", {"octave", "octave-statistics"}),
        ("a.lua", "local x = require('lpeg') -- require('socket')", {"lua5.4", "lua-lpeg"}),
        ("A.java", "import java.util.*;\nimport org.apache.commons.math3.stat.X;\nclass A {}", {"default-jdk-headless", "libcommons-math3-java"}),
        ("a.rs", "use std::fs;\nfn main() {}", {"rustc"}),
        ("a.go", 'package main\nimport (\n "fmt"\n "github.com/spf13/cobra"\n)\nfunc main() {}', {"golang-go", "golang-github-spf13-cobra-dev"}),
        ("a.c", "#include <stdio.h>\n#include <fftw3.h>\n// #include <zlib.h>\nint main() {}", {"gcc", "libc6-dev", "libfftw3-dev", "pkg-config"}),
        ("a.cpp", "#include <Eigen/Dense>\n#include <vector>\nint main() {}", {"g++", "libc6-dev", "libeigen3-dev", "pkg-config"}),
        ("a.f90", "program a\nuse netcdf\nuse iso_fortran_env\nend", {"gfortran", "libc6-dev", "libnetcdff-dev", "libnetcdf-dev", "pkg-config"}),
        ("a.f90", "program a\nuse mpi\nend", {"gfortran", "libc6-dev", "libopenmpi-dev", "openmpi-bin"}),
    ],
)  # fmt: skip
def test_what_is_asked_for_by_name_becomes_packages(name, source, packages):
    """Comments and strings say nothing; what the language has itself needs no package."""
    assert system(read(name, source)) == packages


@pytest.mark.parametrize(
    ("name", "source", "inputs", "outputs"),
    [
        ("a.R", "x <- read.csv('in.csv')\nwrite.csv(x, file = 'out.csv')\npdf('p.pdf')", {"in.csv"}, {"out.csv", "p.pdf"}),
        ("a.R", "o <- 'out.csv'\nsaveRDS(1, o)\nggsave(file.path('fig', 'a.png'))", set(), {"out.csv", "fig/a.png"}),
        ("a.R", "for (i in 1:3) png(paste0('p', i, '.png'))\nlist.files('data')", {"data/a.csv"} - {"data/a.csv"}, {"p*.png"}),
        ("a.pl", "open(my $i, '<', 'in.csv'); open(my $o, '>', \"out.csv\");", {"in.csv"}, {"out.csv"}),
        ("a.rb", "File.open('in.csv')\nFile.open('out.csv', 'w')\nFile.write('x.txt', 1)", {"in.csv"}, {"out.csv", "x.txt"}),
        ("a.js", "fs.readFileSync('in.csv'); fs.writeFileSync(path.join('o', 'x.txt'), 1)", {"in.csv"}, {"o/x.txt"}),
        ("a.m", "x = csvread('in.csv')'; y = x';\nf = fopen('o.txt', 'w'); save('-ascii', 'x.txt', 'x')", {"in.csv"}, {"o.txt", "x.txt"}),
        ("a.jl", 'readdlm("in.csv")\nopen("o.txt", "w")', {"in.csv"}, {"o.txt"}),
        ("a.c", 'int main() { fopen("in.csv", "r"); fopen("out.csv", "w"); }', {"in.csv"}, {"out.csv"}),
        ("a.cpp", 'int main() { std::ifstream in("in.csv"); std::ofstream out("out.csv"); }', {"in.csv"}, {"out.csv"}),
        ("a.f90", "program a\nopen(unit=1, file='in.csv', status='old')\nopen(2, file='o.txt', status='replace')\nend", {"in.csv"}, {"o.txt"}),
        ("A.java", 'class A { void f() { new FileReader("in.csv"); new FileWriter("o.txt"); } }', {"in.csv"}, {"o.txt"}),
        ("a.rs", 'fn main() { File::open("in.csv"); File::create("o.txt"); }', {"in.csv"}, {"o.txt"}),
        ("a.go", 'package main\nfunc main() { os.Open("in.csv"); os.Create("o.txt") }', {"in.csv"}, {"o.txt"}),
        ("a.lua", "io.open('in.csv', 'r'); io.open('o.txt', 'w')", {"in.csv"}, {"o.txt"}),
    ],
)  # fmt: skip
def test_files_that_are_read_and_written(name, source, inputs, outputs):
    """By what the call does that they are given to."""
    found = read(name, source)
    assert set(found.inputs) == inputs
    assert set(found.outputs) == outputs


def test_absolute_paths_are_asked_about():
    """They are not there in the job."""
    found = read("a.R", "x <- read.csv('/scratch/ada/x.csv')\ny <- '/usr/share/z'")
    assert [guess.value for guess in found.guesses if guess.field == "files"] == ["/scratch/ada/x.csv"]
    assert any("--input /scratch/ada/x.csv" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("name", "beside", "files"),
    [
        ("a.R", {"h.R": "library(readr)"}, {"h.R"}),
        ("a.pl", {"lib/H.pm": "use DBI;"}, {"lib/H.pm"}),
        ("a.rb", {"h.rb": "require 'rack'"}, {"h.rb"}),
        ("a.js", {"h.js": "require('lodash')"}, {"h.js"}),
        ("a.m", {"h.m": "pkg load statistics"}, {"h.m"}),
        ("a.c", {"h.h": "", "h.c": "#include <zlib.h>"}, {"h.h", "h.c"}),
    ],
)
def test_files_that_are_loaded_are_followed(name, beside, files):
    """What they need is needed."""
    source = {
        "a.R": "source('h.R')", "a.pl": "use H;", "a.rb": "require_relative 'h'", "a.js": "require('./h')",
        "a.m": "h(1)", "a.c": '#include "h.h"\nint main() {}',
    }[name]  # fmt: skip
    found = read(name, source, **beside)
    assert set(found.inputs) == files
    wanted = {"r-cran-readr", "libdbi-perl", "ruby-rack", "node-lodash", "octave-statistics", "zlib1g-dev"}
    assert system(found) & wanted


def test_packages_of_r_that_debian_has_not_are_built():
    """Of CRAN and Bioconductor; what is declared beside the script counts."""
    found = read(
        "a.R", "library(frobnicate)\nBiocManager::install('zzbioc')\nlibrary(zzbioc)",
        **{"renv.lock": '{"Packages": {"zzlock": {"Source": "Repository"}}}', "DESCRIPTION": "Imports: dplyr (>= 1),\n zzdesc\n"},
    )  # fmt: skip
    assert set(found.environment.r.packages) == {"frobnicate", "zzlock", "zzdesc"}
    assert found.environment.r.bioconductor == ("zzbioc",)
    assert "r-cran-dplyr" in system(found)


def test_packages_of_r_that_a_script_can_do_without_are_not_built():
    """What is only used if it is there is left out and named; what is installed or attached otherwise is wanted."""
    found = read("a.R", "if (requireNamespace('zzmore', quietly = TRUE)) {\n zzmore::f()\n}\nlibrary(stats)")
    assert found.environment.r is None
    assert any("zzmore" in warning and "left out" in warning for warning in found.warnings)
    found = read("a.R", "if (!requireNamespace('zzmore')) install.packages('zzmore')\nzzmore::f()")
    assert found.environment.r.packages == ("zzmore",)


def test_options_of_r():
    """Optparse and argparse with defaults and types; places of commandArgs()."""
    found = read(
        "a.R",
        "make_option(c('-n', '--num'), type = 'integer', default = 10, help = 'how many')\n"
        "make_option('--all', action = 'store_true')",
    )
    num, every = found.options
    assert (num.name, num.kind, num.default, num.help) == ("--num", "int", "10", "how many")
    assert (every.name, every.flag) == ("--all", True)
    assert [o.name for o in read("a.R", "args <- commandArgs(TRUE); args[2]; args[1]").options] == ["arg1", "arg2"]


R_OPTIONS = """
library(optparse)
opts <- list(
  make_option(c("-i", "--input"), type = "character", default = "mt.csv", help = "input table [default %default]"),
  make_option(c("-n", "--number"), type = "integer", default = 3L, help = "rows, 5%% of them"),
  make_option("--plot", action = "store_true", default = FALSE, help = "draw"))
p$add_argument("infile", help = "a table")
p$add_argument("--mode", choices = c("fast", "exact"), default = "fast")
p$add_argument("more", nargs = "*")
"""


def test_options_of_r_are_as_a_person_would_type_them():
    """Other names, choices, help as it is written, numbers without R's L; what is given by place is required."""
    assert read("a.R", R_OPTIONS).options == (
        Option(name="--input", aliases=("-i",), default="mt.csv", help="input table"),
        Option(name="--number", aliases=("-n",), default="3", help="rows, 5% of them", kind="int"),
        Option(name="--plot", flag=True, help="draw"),
        Option(name="infile", positional=True, required=True, help="a table", kind="path"),
        Option(name="--mode", choices=("fast", "exact"), default="fast"),
        Option(name="more", positional=True, many=True),
    )


def test_arguments_of_r_are_called_like_what_takes_them():
    """`n <- as.integer(args[2])` is n; a ready command line names what has to be given."""
    found = read("a.R", "args <- commandArgs(TRUE)\ntable = args[1]\nn <- as.integer(args[2])\n")
    assert [(o.name, o.kind) for o in found.options] == [("table", "text"), ("n", "int")]
    assert found.suggestions == ("Rscript a.R TABLE N",)
    assert (found.missing.names, found.missing.example) == (("table", "n"), "TABLE N")


@pytest.mark.parametrize(
    ("files", "script", "command"),
    [
        ({"a.R": "x"}, "a.R", "Rscript a.R x"),
        ({"a.Rmd": ""}, "a.Rmd", "Rscript -e 'rmarkdown::render(\"a.Rmd\")' x"),
        ({"a.c": "int main() {}"}, "a.c", "gcc -O2 -o /tmp/a a.c -lm && /tmp/a x"),
        ({"a.c": "#pragma omp parallel\n#include <mpi.h>\nint main() {}"}, "a.c",
         'mpicc -O2 -o /tmp/a a.c -fopenmp -lm && mpirun -np "$((CLIF_CPUS > 2 ? CLIF_CPUS : 2))" /tmp/a x'),
        ({"a.c": "int main() {} // gcc a.c -lsqlite3"}, "a.c", "gcc -O2 -o /tmp/a a.c -lsqlite3 -lm && /tmp/a x"),
        ({"Makefile": "all: p\np: a.o\n\t$(CC) -o $@ $^\n", "a.c": "int main() {}"}, None, "make && ./p x"),
        ({"Makefile": "P = q\n$(P): a.c\n\tcc -o $(P) a.c\nclean:\n\trm $(P)\n", "a.c": "int main() {}"}, None, "make && ./q x"),
        ({"Makefile": "out.txt: in.csv\n\tsort in.csv > out.txt\n", "in.csv": ""}, None, "make x"),
        ({"CMakeLists.txt": "project(p)\nadd_executable(${PROJECT_NAME} a.c)", "a.c": "int main() {}"}, None,
         ("cmake -S . -B /tmp/build -DCMAKE_BUILD_TYPE=Release && "
         'cmake --build /tmp/build --parallel "${CLIF_CPUS:-1}" && /tmp/build/p x')),
        ({"a.rs": "fn main() {}"}, "a.rs", "rustc -O -o /tmp/a a.rs && /tmp/a x"),
        ({"A.java": "class A {}"}, "A.java", "java A.java x"),
        ({"p/A.java": "package p; class A { B b; }", "p/B.java": "package p; class B {}"}, "p/A.java",
         "javac -d /tmp/classes -cp . p/A.java && java -cp /tmp/classes p.A x"),
    ],
)  # fmt: skip
def test_commands(files, script, command):
    """What is to be compiled is compiled first, where it is not among the outputs."""
    assert inspect(files, script, ["x"]).command == command


def test_a_shell_script_follows_what_it_runs():
    """By whatever program: what those files need is needed."""
    found = inspect(
        {
            "run.sh": "Rscript a.R\nmake -j4\n./p in.csv\nperl b.pl | gcc -o c c.c && ./c\n",
            "a.R": "library(dplyr)", "Makefile": "p: p.c\n\tcc -o p p.c\n", "p.c": "#include <zlib.h>\nint main() {}",
            "b.pl": "use JSON;", "c.c": "#include <fftw3.h>\nint main() {}",
        },
        "run.sh",
    )  # fmt: skip
    assert {"r-cran-dplyr", "make", "zlib1g-dev", "libjson-perl", "libfftw3-dev", "gcc"} <= system(found)
    assert not found.warnings


def test_what_an_older_release_has_is_taken_from_there():
    """Julia left the distribution; the environment names the release by its Python."""
    found = read("a.jl", "using Statistics")
    assert (system(found), found.environment.python.version) == ({"julia"}, "3.9")


# --- programs


def text(**facts):
    """The text that stands for a program."""
    return Executable(**{"machine": "x86_64", "interpreter": "/lib64/ld-linux-x86-64.so.2", **facts}).text


@pytest.mark.parametrize(
    ("facts", "packages", "python", "word"),
    [
        ({"libraries": ("libc.so.6", "libgsl.so.27")}, {"libgsl27"}, None, ""),
        ({"libraries": ("libc.so.6",), "glibc": "2.38"}, set(), "3.13", ""),
        ({"libraries": ("libc.so.6",), "glibc": "2.99"}, set(), None, "glibc 2.99"),
        ({"machine": "aarch64"}, set(), None, "aarch64"),
        ({"libraries": ("libnowhere.so.1",)}, set(), None, "libnowhere.so.1"),
        ({"interpreter": None}, set(), None, ""),
    ],
)
def test_programs(facts, packages, python, word):
    """Their libraries are packages; where they cannot run is said."""
    found = inspect({"prog": text(**facts)}, "prog", ["1"])
    assert (found.command, system(found)) == ("./prog 1", packages)
    assert (found.environment.python and found.environment.python.version) == python
    assert any(word in warning for warning in found.warnings) if word else not found.warnings


def test_libraries_beside_a_program_are_found():
    """They go with it."""
    found = inspect({"bin/p": text(libraries=("libq.so.1",)), "lib/libq.so.1": text(runs=False)}, "bin/p")
    assert found.inputs == ("lib/libq.so.1",)
    assert found.environment.variables["LD_LIBRARY_PATH"] == "/job/lib"


def test_the_interpreter_of_the_tests_is_read(tmp_path):
    """A real program of this machine, and what is left of it after some bytes have changed."""
    with open("/proc/self/exe", "rb") as file:
        data = file.read()
    found = describe(lambda offset, length: data[offset : offset + length])
    assert found is not None
    assert found.runs
    assert "libc.so.6" in found.libraries
    assert parse(found.text) == found
    assert describe(lambda *_: b"#!/bin/sh") is None


@given(st.lists(st.tuples(st.integers(4, 400), st.integers(0, 255)), max_size=20))
def test_any_bytes_are_no_program_or_one(changes):
    """Broken headers are no program, never an error."""
    data = bytearray(
        struct.pack("<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    )
    data += struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 400, 400, 4096) + struct.pack(
        "<IIQQQQQQ", 2, 6, 200, 200, 200, 64, 64, 8
    )
    data += bytes(400 - len(data))
    for place, value in changes:
        data[place - 1] = value
    describe(lambda offset, length: bytes(data[offset : offset + length]))


# --- the table, and robustness


def test_the_archive_knows_its_suites():
    """A name may be another package's from one release to the next; the site's choice goes first."""
    assert Archive("bookworm").find("library", "libgsl.so.27") == ("libgsl27",)
    assert Archive("trixie").find("library", "libgsl.so.27") == ()
    assert Archive("bookworm").path("header", "gsl/gsl_math.h") == ("libgsl-dev",)
    assert Archive("nowhere").command("samtools") == ("samtools",)
    assert Archive("bookworm", {"samtools": "mine"}).command("samtools") == ("mine",)
    assert Archive("bookworm").command("a\tb\n") == ()


def test_modules_of_clusters():
    """The site's table, then the shipped one, then the archive's commands; versions and toolchains are left off."""
    site = Software(modules={"r/3": "host"})
    assert site.module("R/4.2.1-foss-2022b").packages == ("r-base-core",)
    assert site.module("r/3").host
    assert site.module("bio/MAFFT/7.505").packages == ("mafft",)
    assert site.module("scipy-stack/2023a").python[:2] == ("numpy", "scipy")
    assert not site.module("frobnicator/1").known


NAMES = ("a.R", "a.Rmd", "a.pl", "a.rb", "a.js", "a.m", "a.jl", "a.lua", "A.java", "a.rs", "a.go", "a.c", "a.cpp", "a.f90",
         "Makefile", "CMakeLists.txt", "configure.ac", "a.sh")  # fmt: skip
FRAGMENTS = ["library(", "require ", "use ", "#include <", "import ", "open(", "'in.csv'", '"w"', ")", "(", "\n", "\t", ";",
             "=", "$(", "${x}", ":", "all", "a.o", "$@", "//", "/*", "*/", "#", "%", "'", '"', "`", "\\", "{", "}", ",", "x",
             "find_package(", "add_executable(", "mod a;", "program a\n", "\0", "\x7fELF\n", "<-", "paste0(", "pkg load "]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
def test_any_mixture_is_answered(name, source):
    """Pieces in any order, most of which are no program."""
    with contextlib.suppress(Rejected):
        read(name, source, "x").model_dump_json()


@pytest.mark.parametrize("name", NAMES)
def test_hostile_texts_end_soon(name):
    """Much of anything takes about as long as much of anything else."""
    for piece in ("(", "'", '"', "/*", "`", "$(", "f(\n", "use A;\n", "#include <a.h>\n", "x = 'a' + ", "a:\n\t"):
        with contextlib.suppress(Rejected):
            read(name, piece * (20_000 // len(piece)))


@given(st.text(alphabet="ab'\"`/*#(){},;=\n\\%-!", max_size=60))
def test_code_keeps_its_places(text):
    """Comments and strings are blanked where they stand, so that lines are right."""
    for language in (lexis.C, lexis.R, lexis.PERL, lexis.OCTAVE, lexis.FORTRAN, lexis.JULIA, lexis.RUST, lexis.LUA):
        code = Source(text, language).code
        assert len(code) == len(text)
        assert [at for at, c in enumerate(code) if c == "\n"] == [at for at, c in enumerate(text) if c == "\n"]


@pytest.mark.parametrize(
    ("name", "source", "flags"),
    [
        ("a.c", "#include <hdf5.h>", "$(pkg-config --cflags --libs hdf5-serial) -lm"),
        ("a.cc", "#include <octave/oct.h>", "$(pkg-config --cflags --libs octave) -lm"),
        ("a.cc", "#include <pcl/io/pcd_io.h>", "$(pkg-config --cflags --libs pcl_io) -lm"),
        ("a.cc", "#include <pcl/point_types.h>", "$(pkg-config --cflags --libs pcl_common) -lm"),
        ("a.c", "#include <hdf5_hl.h>", "$(pkg-config --cflags --libs hdf5-serial) -lhdf5_hl -lm"),
        (
            "a.f90",
            "program a\nuse hdf5\nend",
            "$(pkg-config --cflags --libs hdf5-serial) -lhdf5_serial_fortran -lhdf5_serialhl_fortran -lm",
        ),
        ("a.cpp", '#include "H5Cpp.h"', "$(pkg-config --cflags --libs hdf5-serial) -lhdf5_serial_cpp -lhdf5 -lm"),
    ],
)
def test_a_library_that_is_built_in_several_ways_is_found_by_one_of_them(name, source, flags):
    """Its headers and libraries lie where only pkg-config says, under the name of that build; C++ has a part of its own."""
    command = inspect({name: f"{source}\nint main() {{ return 0; }}\n"}, name).command
    assert command.endswith(f" {name} {flags} && /tmp/a")


@pytest.mark.parametrize(
    ("source", "toolboxes"),
    [
        ("x = unifrnd(0, 1); [b, a] = butter(3, 0.5);", ["statistics", "signal"]),
        ("pkg load statistics\nx = unifrnd(0, 1);", []),
        ("unifrnd = 3; y = unifrnd(1); s.butter(2)", []),
        ("function y = unifrnd(x)\ny = x;\nend\nunifrnd(2)", []),
        ("[q, unifrnd] = f(1);\nunifrnd(2); helper(3)", []),
        ("syms x\nf = cellfun(@normpdf, {1});", ["symbolic", "statistics"]),
        ("m = mean([1 2]); % butter(3)", []),
    ],
)
def test_toolboxes_of_matlab_are_loaded_where_their_functions_are_called(source, toolboxes):
    """Unless the script loads them itself, has such a function itself, or a variable of that name."""
    found = inspect({"a.m": source, "helper.m": "function helper(x)\nend", "kstest.m": ""}, "a.m")
    loads = [f"echo 'pkg load {name}' >>~/.octaverc" for name in toolboxes]
    assert found.command == " && ".join([*loads, "octave-cli --no-window-system a.m"])
    assert {f"octave-{name}" for name in toolboxes} <= set(found.environment.system)


def test_a_julia_script_that_uses_its_own_project_starts_in_it():
    """The Project.toml above that names the package; nearer ones are of something else."""
    files = {
        "Project.toml": 'name = "Tool"\n',
        "bin/Project.toml": "[deps]\n",
        "src/Tool.jl": "module Tool end",
        "bin/a.jl": "using Tool\nprintln(1)",
    }
    found = inspect(files, "bin/a.jl")
    assert found.command == "julia --project=. bin/a.jl"
    assert set(found.inputs) == {"Project.toml", "bin/Project.toml", "src/Tool.jl"}
    assert not found.warnings
    assert inspect(files | {"b.jl": "println(1)"}, "b.jl").command == "julia b.jl"


@pytest.mark.parametrize(
    ("source", "compiles"),
    [("library(rstan)", True), ('Rcpp::cppFunction("int f() { return 1; }")', True), ("library(Rcpp)", False)],
)
def test_r_that_compiles_when_it_runs_has_compilers(source, compiles):
    """Debian's packages of R do not ask for any."""
    assert inspect({"a.R": source}, "a.R").environment.system.count("r-base-dev") == compiles


def test_packages_of_r_that_a_newer_release_has_are_taken_from_there():
    """Rather than built; a release that is older than the site's is no choice."""
    found = inspect({"a.R": "library(writexl)\nlibrary(dplyr)"}, "a.R")
    assert {"r-cran-writexl", "r-cran-dplyr"} <= set(found.environment.system)
    assert found.environment.python.version == "3.13"
    assert found.environment.r is None


@pytest.mark.parametrize(
    ("source", "draws"),
    [("figure;\nplot(1:3)", True), ("x = 1; saveas(gcf, 'a.png')", True), ("line = 3; disp('plot')", False)],
)
def test_octave_that_draws_has_what_draws_without_a_screen(source, draws):
    """The command line's Octave has no graphics of its own."""
    assert ("gnuplot-nox" in inspect({"a.m": source}, "a.m").environment.system) is draws


@pytest.mark.parametrize(
    ("head", "packages", "command"),
    [
        ("output: html_document", set(), 'rmarkdown::render("a.Rmd")'),
        ("output:\n  pdf_document: default", {"texlive-latex-recommended", "lmodern"}, 'rmarkdown::render("a.Rmd")'),
        ("output: bookdown::html_document2", {"r-cran-bookdown"}, 'rmarkdown::render("a.Rmd")'),
        ("output: workflowr::wflow_html", set(), 'rmarkdown::render("a.Rmd", "html_document")'),
        ("output:\n  - rmarkdown::html_document", set(), 'rmarkdown::render("a.Rmd")'),
    ],
)
def test_what_the_format_of_a_document_needs(head, packages, command):
    """The first that it names; one of a package that Debian has not is left for plain HTML, and that is said."""
    found = inspect({"a.Rmd": f"---\ntitle: x\n{head}\n---\n\n```{{r}}\n1\n```\n"}, "a.Rmd")
    assert command in found.command
    assert packages <= set(found.environment.system)
    assert bool(found.warnings) == ("workflowr" in head)


@pytest.mark.parametrize(
    "loop",
    [
        "lapply(wanted, require, character.only = TRUE)",
        "for (one in wanted) library(one, character.only = TRUE)",
        "missing <- wanted[!wanted %in% rownames(installed.packages())]\nsapply(X = wanted, library, character.only=T)",
        "for (one in c('a')) {}\nlapply(c('sf', 'dplyr'), library, character.only = TRUE)",
    ],
)
def test_packages_of_r_that_are_attached_from_a_list(loop):
    """Each of a list that is gone through; other lists name none."""
    found = inspect({"a.R": f"wanted <- c('sf',\n 'dplyr')  # 'terra'\nother <- c('raster')\n{loop}\n"}, "a.R")
    assert set(found.environment.system) == {"r-base-core", "r-cran-sf", "r-cran-dplyr"}


@pytest.mark.parametrize(
    ("line", "brought"),
    [
        ("addpath lib util", {"lib/f.m", "lib/other.m", "util/g.m"}),
        ("addpath('lib');", {"lib/f.m", "lib/other.m"}),
        ("addpath(genpath('lib'))", {"lib/f.m", "lib/other.m", "lib/deep/h.m"}),
        ("addpath(genpath(pwd));", {"lib/f.m", "lib/other.m", "lib/deep/h.m", "util/g.m"}),
        ("addpath = 3;", set()),
    ],
)
def test_directories_that_octave_is_to_look_in_are_brought(line, brought):
    """With all their functions; those that are called are read."""
    function = "function y = {}(x)\n  y = x;\nend\n"
    files = {
        "lib/f.m": "function y = f(x)\n  y = imresize(x, 2);\nend\n",
        **{file: function.format(file[-3]) for file in ("lib/deep/h.m", "util/g.m")},
        "lib/other.m": function.format("other"),
    }
    found = inspect({"main.m": f"{line}\nx = f(1)\n", **files}, "main.m")
    assert set(found.inputs) == brought
    assert ("octave-image" in found.environment.system) == ("lib/f.m" in brought)


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("setwd('/home/ada/project')", True),
        ('setwd("C:/Users/ada/project")', True),
        ("setwd('~/project')", True),
        ("setwd('data')", False),
        ("setwd(here)", False),
    ],
)
def test_r_that_goes_to_a_directory_of_another_machine_stays_where_it_is(line, stays):
    """Many scripts begin so, beside the files that they read."""
    found = inspect({"a.R": f"{line}\n"}, "a.R")
    assert (".Rprofile" in found.command) == stays
    assert any("where that is not there, it stays" in guess.rests_on for guess in found.guesses) == stays


@pytest.mark.parametrize(
    ("line", "stood_in"),
    [
        ("View(d)", 'assign("View"'),
        ("utils::View(d)", 'assign("View"'),
        ("x11(width = 7)", 'assign("X11"'),
        ("windows(); plot(d)", "attach(list(windows"),
        ("setwd(dirname(rstudioapi::getActiveDocumentContext()$path))", 'list(path = file.path(getwd(), "a.R"))'),
        ("View <- function(x) x\nView(d)", ""),
        ("summary(d) # View(d)", ""),
    ],
)
def test_r_that_wants_a_screen_or_an_editor_gets_what_does_without(line, stood_in):
    """Scripts that were written beside RStudio call these."""
    command = inspect({"a.R": f"d <- cars\n{line}\n"}, "a.R").command
    assert stood_in in command
    assert (".Rprofile" in command) == bool(stood_in)


@pytest.mark.parametrize(
    ("text", "brings"),
    [
        ('@printf("%d", 1)\n', "Printf"),
        ("println(mean([1, 2]))\n", "Statistics"),
        ("using Statistics\nprintln(norm([1, 2]))\n", "LinearAlgebra"),
        ("using Statistics\nprintln(mean([1, 2]))\n", ""),
        ("mean(x) = sum(x) / length(x)\nprintln(mean([1, 2]))\n", ""),
        ("function norm(x)\n  x\nend\nprintln(norm(1))\n", ""),
        ("println(1) # mean(x)\n", ""),
    ],
)
def test_julia_of_before_its_first_release_finds_what_moved_since(text, brings):
    """It was Julia's own and wants `using` now."""
    command = inspect({"a.jl": text}, "a.jl").command
    assert (f"echo 'using {brings}' >>~/.julia/config/startup.jl" in command) == bool(brings)
    assert brings or command == "julia a.jl"


@pytest.mark.parametrize(
    ("name", "text", "module"),
    [
        ("a.js", "import fs from 'fs'\n", True),
        ("a.js", "console.log(1)\nexport { a }\n", True),
        ("a.mjs", "import fs from 'fs'\n", False),  # which says so by its name
        ("a.js", "const fs = require('fs')\n", False),
        ("a.js", "import('fs').then(console.log)\n", False),
    ],
)
def test_javascript_modules_are_run_as_such(name, text, module):
    """Older Nodes take every .js for a script, where no package.json says another thing."""
    assert ("--experimental-default-type=module" in inspect({name: text}, name).command) == module


def test_perl_modules_in_small_letters_are_looked_up_too():
    """What comes with Perl, its pragmas, needs no package."""
    found = inspect({"a.pl": "use strict;\nuse bigint;\nuse ntheory qw(powmod);\nuse nobodys;\n"}, "a.pl")
    assert found.environment.system == ("perl", "libmath-prime-util-perl")
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("name", "text", "needed"),
    [
        ("a.R", 'write.csv(cars, "r.csv")\nread.csv("r.csv")\n', set()),
        ("a.R", 'read.csv("r.csv")\nwrite.csv(cars, "r.csv")\n', {"r.csv"}),
        ("a.R", 'f <- function() {\n  write.csv(cars, "r.csv")\n}\nread.csv("r.csv")\n', {"r.csv"}),
        ("a.R", 'cat("x", file = "r.csv", append = TRUE)\nreadLines("r.csv")\n', {"r.csv"}),
        ("a.jl", 'open("r.csv", "w") do f\nend\nreadlines("r.csv")\n', set()),
        ("a.rb", 'File.write("r.csv", "")\nputs File.read("r.csv")\n', set()),
    ],
)
def test_what_a_program_makes_anew_is_none_of_its_inputs(name, text, needed):
    """So a second run in the same directory takes along no results of the first."""
    assert set(inspect({name: text, "r.csv": ""}, name).inputs) == needed


def test_perl_opens_files_as_it_always_did():
    """The mode stands in front of the name."""
    text = 'open(IN, "<in.txt"); open(OUT, ">out.txt"); open(ALL, ">> all.txt"); open(RUN, "zcat in.gz |");\n'
    found = inspect({"a.pl": text, "in.txt": "", "out.txt": "", "all.txt": ""}, "a.pl")
    assert found.inputs == ("in.txt",)
    assert set(found.outputs) == {"out.txt", "all.txt"}


def test_a_package_of_julia_comes_by_its_own_packages():
    """Debian has none of them under any name."""
    (warning,) = inspect({"a.jl": "using Memoize\n"}, "a.jl").warnings
    assert warning.endswith(
        'where jobs may (--network), `using Pkg; Pkg.add("Memoize")` at the top of the script brings it'
    )
