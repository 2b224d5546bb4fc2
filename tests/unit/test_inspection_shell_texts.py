"""Scripts of shells: other shells than bash, directories that are gone to, and texts that interpreters are given."""

from __future__ import annotations

import pytest

from cluster_interface.inspection import inspect
from cluster_interface.model.errors import Rejected


@pytest.mark.parametrize(
    ("name", "text", "command", "package"),
    [
        ("run.sh", "#!/bin/tcsh\nsetenv X 1\nforeach i (1 2)\n echo $i\nend\n", "tcsh run.sh", "tcsh"),
        ("run", "#!/bin/csh -f\nset x = 1\n", "tcsh -f run", "tcsh"),
        ("run.csh", "setenv X 1\n", "tcsh run.csh", "tcsh"),
        ("run.sge", "#$ -S /bin/tcsh\nsetenv X 1\n", "tcsh run.sge", "tcsh"),
        ("run.zsh", "setopt nullglob\n", "zsh run.zsh", "zsh"),
        ("run.sh", "#!/usr/bin/env ksh\nprint hello\n", "ksh93 run.sh", "ksh93u+m"),
        ("run.sge", "#$ -S /bin/sh\necho\n", "sh run.sge", None),
    ],
)
def test_the_shell_that_a_script_is_for_runs_it(name, text, command, package):
    """By its first line, its directives or its ending; words of that shell are no programs."""
    found = inspect({name: text}, name)
    assert found.command == command
    assert found.environment.system == ((package,) if package else ())
    assert not [warning for warning in found.warnings if "no package" in warning]


def test_a_shell_that_nobody_has_is_refused():
    """In words."""
    with pytest.raises(Rejected, match="pwsh"):
        inspect({"run": "#!/usr/bin/pwsh\n"}, "run")


@pytest.mark.parametrize(
    ("lines", "inputs", "system", "python"),
    [
        ("cd sub\npython fit.py x.csv", {"sub/fit.py", "sub/x.csv", "sub/Makefile", "sub/p.c"}, set(), ("numpy",)),
        ("D=sub\ncd $D && make && ./p", {"sub/fit.py", "sub/x.csv", "sub/Makefile", "sub/p.c"},
         {"make", "gcc", "libc6-dev", "zlib1g-dev", "pkg-config"}, None),
        ("cd sub\ncd $SLURM_SUBMIT_DIR\nRscript top.R", {"top.R", "sub/fit.py", "sub/x.csv", "sub/Makefile", "sub/p.c"},
         {"r-base-core", "r-cran-sf"}, None),
        ("cd sub\ncd ..\nRscript top.R", {"top.R", "sub/fit.py", "sub/x.csv", "sub/Makefile", "sub/p.c"},
         {"r-base-core", "r-cran-sf"}, None),
        ("cd nowhere\nRscript top.R", {"top.R"}, {"r-base-core", "r-cran-sf"}, None),
    ],
)  # fmt: skip
def test_what_is_started_after_cd_is_looked_for_there(lines, inputs, system, python):
    """And where the script began, where it is not."""
    files = {
        "run.sh": f"#!/bin/bash\n{lines}\n",
        "sub/fit.py": "import numpy\nopen('x.csv')\n",
        "sub/x.csv": "",
        "sub/Makefile": "p: p.c\n\tgcc -o p p.c -lz\n",
        "sub/p.c": "#include <zlib.h>\nint main() {}\n",
        "top.R": "library(sf)\n",
    }
    found = inspect(files, "run.sh")
    assert set(found.inputs) == inputs
    assert set(found.environment.system) == system
    assert (found.environment.python.packages if found.environment.python else None) == python


@pytest.mark.parametrize(
    ("line", "packages", "python"),
    [
        ("Rscript -e 'library(sf); source(\"a.R\")'", {"r-base-core", "r-cran-sf", "r-cran-dplyr"}, None),
        ("R --vanilla <<EOF\nlibrary(sf)\nEOF", {"r-base-core", "r-cran-sf"}, None),
        ("R CMD BATCH --no-save a.R", {"r-base-core", "r-cran-dplyr"}, None),
        ("R --no-save <a.R", {"r-base-core", "r-cran-dplyr"}, None),
        ("octave --eval 'pkg load statistics'", {"octave", "octave-statistics"}, None),
        ("perl -MBio::SeqIO -lne 'use JSON; print'", {"perl", "libbio-perl-perl", "libjson-perl"}, None),
        ("python3 -c 'import numpy'", set(), ("numpy",)),
        ("python3 - <<EOF\nimport numpy\nEOF", set(), ("numpy",)),
        ("cat <<EOF\nimport numpy\nEOF", set(), None),
        ("python3 -c 'import $NAME'", set(), ()),
    ],
)
def test_texts_that_interpreters_are_given_are_read(line, packages, python):
    """On their command line, below it, or from a file that they read."""
    found = inspect({"run.sh": f"#!/bin/bash\n{line}\n", "a.R": "library(dplyr)\n"}, "run.sh")
    assert set(found.environment.system) == packages
    assert (found.environment.python.packages if found.environment.python else None) == python


def test_every_source_that_a_compiler_is_given_is_read():
    """Those of a pattern, too, and whichever compiler it is."""
    files = {"run.sh": "mpicc *.c -o p\nmpirun ./p\n", "a.c": "int main() {}\n", "b.c": "#include <zlib.h>\n"}
    found = inspect(files, "run.sh")
    assert {"openmpi-bin", "libopenmpi-dev", "gcc", "zlib1g-dev"} <= set(found.environment.system)


def test_what_a_script_of_the_c_shell_calls_is_found():
    """With its variables, in loops and in both branches of a condition, each in its line."""
    text = """#!/bin/csh
    set where = data
    setenv TOOL samtools
    if ($#argv == 0) then
      bc $where/a.txt
    else if (-e x) then
      jq . $where/b.json
    endif
    foreach f (data/c.txt data/d.txt)
      fastqc $f
    end
    while (1)
      @ i = $i + 1
      break
    end
    if (! -e out) mkdir out
    $TOOL view $where/e.bam >& out/log.txt
    switch ($x)
    case a:
      nobody-has-this
      breaksw
    endsw
    """.replace("\n    ", "\n")
    names = ["data/a.txt", "data/b.json", "data/c.txt", "data/d.txt", "data/e.bam"]
    found = inspect({"run.csh": text, **dict.fromkeys(names, "")}, "run.csh")
    assert set(found.environment.system) == {"tcsh", "bc", "jq", "fastqc", "samtools"}
    assert set(found.inputs) == set(names)
    assert [warning.split(",")[0] for warning in found.warnings] == ["line 20 calls nobody-has-this"]


def test_commands_in_an_array_are_read_as_commands():
    """So that what the element of a job array runs is there, whichever it is."""
    script = 'declare -a RUN\nRUN[1]="Rscript fit.R a.csv"\nRUN[2]="Rscript fit.R b.csv"\nbash -c "${RUN[${N}]}"\n'
    found = inspect({"run.sh": script, "fit.R": "library(lme4)\n", "a.csv": "", "b.csv": ""}, "run.sh")
    assert set(found.inputs) == {"fit.R", "a.csv", "b.csv"}
    assert "r-cran-lme4" in found.environment.system


@pytest.mark.parametrize(
    "lines",
    ['for s in one.py two.py; do python3 "$s"; done', 'RUN="python3 one.py"\n$RUN\neval "python3 two.py"'],
)
def test_programs_in_variables_are_followed(lines):
    """Those that a loop goes over, and a command that a variable holds."""
    found = inspect({"run.sh": f"{lines}\n", "one.py": "import numpy\n", "two.py": "import scipy\n"}, "run.sh")
    assert found.inputs == ("one.py", "two.py")


def test_a_word_of_several_variables_is_one_word():
    """The grammar takes what stands behind the last of them for a command."""
    found = inspect({"run.sh": "A=x\nB=y\nLOG=$A-$B.log\necho hello >$LOG\n"}, "run.sh")
    assert found.outputs == ("x-y.log",)
    assert found.warnings == ()


@pytest.mark.parametrize("line", ["Rscript fit.R a.csv", "python fit.py", "bash fit.sh", "perl fit.pl"])
def test_a_script_that_is_not_among_the_files_is_missed_before_the_job_runs(line):
    """Who has only handed over the batch script hears it then."""
    (warning,) = inspect({"run.sh": f"{line}\n", "a.csv": ""}, "run.sh").warnings
    assert warning == f"line 1 starts '{line.split()[1]}', which is not among the files: bring it with --input"


@pytest.mark.parametrize("before", ["cat >fit.py <<END\nimport os\nEND", "cd /data", "cd $HOME", "tar xf all.tar"])
def test_a_script_that_may_come_into_being_is_not_missed(before):
    """It is written by the script itself, unpacked, or lies where that goes to."""
    found = inspect({"run.sh": f"{before}\npython fit.py\n", "all.tar": None}, "run.sh")
    assert not any("fit.py" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("source env.sh", "bash"),
        ("if [[ -f a ]]; then echo a; fi", "bash"),
        ("for ((i = 0; i < 3; i++)); do echo $i; done", "bash"),
        ("ALL=(a b)", "bash"),
        ("cat a &>all.log", "bash"),
        ("echo ${NAME//a/b}", "bash"),
        (". ./env.sh", "sh"),
        ("N=$((N + 1)); ALL=$(ls)", "sh"),
        ("echo ${NAME:-a} 'source of it' # source env.sh", "sh"),
        ("cat a & >b", "sh"),
    ],
)
def test_a_script_for_sh_that_speaks_bash_is_run_by_bash(line, program):
    """On many clusters sh is bash, so nobody notices."""
    assert inspect({"run.sh": f"#!/bin/sh\n{line}\n", "a": ""}, "run.sh").command == f"{program} run.sh"


@pytest.mark.parametrize(
    ("script", "needed"),
    [
        ("sort in.txt >all.txt\nuniq all.txt >one.txt\ncat one.txt\n", {"in.txt"}),
        ("cat in.txt >>all.txt\ncat all.txt\n", {"in.txt", "all.txt"}),
        ("cat all.txt\nsort in.txt >all.txt\n", {"in.txt", "all.txt"}),
        ("cp in.txt all.txt\ncat all.txt\n", {"in.txt"}),
        ("gcc -o prog prog.c\n./prog in.txt\n", {"in.txt", "prog.c"}),
        ("rm -f all.txt one.txt\n", set()),
    ],
)
def test_what_a_script_makes_anew_is_none_of_its_inputs(script, needed):
    """So a second run in the same directory takes along no results of the first."""
    files = dict.fromkeys(("in.txt", "all.txt", "one.txt", "prog", "prog.c"), "")
    assert set(inspect({"run.sh": script, **files}, "run.sh").inputs) == needed
