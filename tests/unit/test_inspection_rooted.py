"""Programs of other languages than Python that start in a directory below the job's own."""

from __future__ import annotations

import pytest

from cluster_interface.inspection import inspect

FILES: dict[str, str | None] = {
    "code/a.R": "source('f.R')\nx <- read.csv('../data/a.csv')\nwrite.csv(x, '../out/b.csv')\n",
    "code/f.R": "library(sf)\n",
    "data/a.csv": "1\n",
    "out/.keep": "",
}


@pytest.mark.parametrize("start", [None, "code"])
def test_what_a_program_names_counts_from_where_it_starts(start: str | None) -> None:
    """As asked, or where it finds more than from the top; what comes out of it are names in the job."""
    found = inspect(FILES, "code/a.R", start=start)
    assert found.command == "cd code && Rscript a.R"
    assert set(found.inputs) == {"code/f.R", "data/a.csv"}
    assert (found.script, found.outputs, found.warnings) == ("code/a.R", ("out/b.csv",), ())
    assert "r-cran-sf" in found.environment.system
    assert {guess.value for guess in found.guesses if guess.field == "files"} == {"code/f.R", "data/a.csv"}


def test_the_top_may_be_asked_for() -> None:
    """Who says so has it started there, whatever it finds; what then leads outside is said."""
    found = inspect(FILES, "code/a.R", start="")
    assert found.command == "Rscript code/a.R"
    assert "outside the job's directory" in found.warnings[0]


@pytest.mark.parametrize(
    ("files", "script", "command"),
    [
        ({"c/m.m": "x = f(1)\n", "c/f.m": "function y = f(x)\ny = x;\nend\n"}, "c/m.m",
         "cd c && octave-cli --no-window-system m.m"),
        ({"c/m.m": "load('d/x.mat')\n", "d/x.mat": None}, "c/m.m", "octave-cli --no-window-system c/m.m"),
        ({"s/go.sh": "cat in.txt\n", "s/in.txt": ""}, "s/go.sh", "cd s && bash go.sh"),
        ({"s/go.sh": "text=${1:-in.txt}\nsort $text\n", "s/in.txt": ""}, "s/go.sh", "cd s && bash go.sh"),
        ({"s/go.sh": "cat s/in.txt\n", "s/in.txt": ""}, "s/go.sh", "bash s/go.sh"),
        ({"s/m.c": '#include "m.h"\nint main() { return fopen("d/x.txt", "r") == 0; }', "s/m.h": "", "d/x.txt": ""},
         "s/m.c", "gcc -O2 -o /tmp/m s/m.c -lm && /tmp/m"),
        ({"s/m.c": "#include <t.h>\nint main() {}", "inc/t.h": '#include "u.h"', "lib/u.h": "", "other/t.h": ""},
         "s/m.c", "gcc -O2 -Iinc -Ilib -o /tmp/m s/m.c -lm && /tmp/m"),
        ({"b/Makefile": "m: m.c\n\tcc -o m m.c\n", "b/m.c": "int main() {}"}, "b/Makefile", "cd b && make && ./m"),
        ({"s/r.Rmd": "---\noutput: html_document\n---\n", "x.csv": ""}, "s/r.Rmd",
         "cd s && Rscript -e 'rmarkdown::render(\"r.Rmd\")'"),
    ],
)  # fmt: skip
def test_it_starts_where_it_finds_more(files: dict[str, str | None], script: str, command: str) -> None:
    """Functions of Octave count, an #include does not; a document is always rendered in its own directory."""
    assert inspect(files, script).command == command


def test_a_batch_script_that_goes_back_to_where_it_was_submitted_finds_its_own_directory() -> None:
    """And a program of Python that it starts is seen from there, too."""
    text = "#!/bin/bash\n#SBATCH -n 2\ncd $SLURM_SUBMIT_DIR\npython fit.py ../data/x.csv\n"
    files = {"j/run.slurm": text, "j/fit.py": "open('../data/y.csv')\n", "data/x.csv": "", "data/y.csv": ""}
    found = inspect(files, "j/run.slurm")
    assert found.command == 'cd j && export SLURM_SUBMIT_DIR="$PWD" && bash run.slurm'
    assert set(found.inputs) == {"j/fit.py", "data/x.csv", "data/y.csv"}


def test_arguments_count_from_where_the_person_stands() -> None:
    """What is given from the top speaks for the top."""
    files = {"s/go.sh": "cat $1 in.txt more.txt\n", "s/in.txt": "", "s/more.txt": "", "data/x.csv": ""}
    assert inspect(files, "s/go.sh", ["data/x.csv"]).command == "bash s/go.sh data/x.csv"
    assert inspect(files, "s/go.sh", ["in.txt"]).command == "cd s && bash go.sh in.txt"
    files = {"s/go.py": "open('in.txt'), open('more.txt')\n", **{name: "" for name in files if name != "s/go.sh"}}
    assert inspect(files, "s/go.py", ["data/x.csv"]).command == "python s/go.py data/x.csv"
    files |= {"s/Makefile": "m: m.c\n\tcc -o m m.c\n", "s/m.c": "int main() {}"}
    assert inspect(files, "s/Makefile", ["data/x.csv"]).command == "make -C s && ./s/m data/x.csv"
    assert inspect(files, "s/go.py", ["in.txt"]).command == "cd s && python go.py in.txt"


def test_what_is_built_is_what_lies_there() -> None:
    """The sources of other directories are neither built nor brought, and a pattern does not reach them."""
    mpi = "program p\nuse mpi\nend program\n"
    files = {
        "b/Makefile": "m: m.c\n\tcc -o m m.c\n",
        "b/m.c": "int main() {}",
        "f/p.f90": mpi,
        "b/x.csv": "",
        "y.csv": "",
    }
    found = inspect(files, "b/Makefile")
    assert found.command == "cd b && make && ./m"
    assert set(found.inputs) == {"b/m.c", "b/x.csv"}
    assert found.environment.system == ("make", "gcc", "libc6-dev")
    files = {"s/go.sh": "cat **/*.csv in.txt\n", "s/in.txt": "", "s/d/x.csv": "", "other/y.csv": ""}
    assert "other/y.csv" not in inspect(files, "s/go.sh").inputs
