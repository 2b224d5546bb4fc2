"""Shell scripts: what they call, read and write."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cluster_interface.inspection import inspect
from cluster_interface.inspection.shell.words import HOLE, read_commands
from cluster_interface.inspection.software import Software
from cluster_interface.model.errors import Rejected

BESIDE = dict.fromkeys(["in.txt", "data/a.csv", "data/b.csv", "script.awk"], "")


def read(source, *arguments, script="run.sh", **more):
    """Inspect a shell script with a few files beside it."""
    return inspect({**BESIDE, script: source, **more}, script, arguments)


@pytest.mark.parametrize(
    ("name", "first", "command"),
    [
        ("x.sh", "", "bash x.sh a 'b c'"),
        ("x.sh", "#!/bin/sh\n", "sh x.sh a 'b c'"),
        ("x", "#!/bin/bash -e\n", "bash -e x a 'b c'"),
        ("x", "#!/usr/bin/env bash\n", "bash x a 'b c'"),
        ("x.slurm", "#!/bin/bash -euo pipefail\n", "bash -euo pipefail x.slurm a 'b c'"),
        ("x", "#!/bin/dash\n", "dash x a 'b c'"),
    ],
)
def test_the_first_line_says_which_shell(name, first, command):
    """And with which options; without one it is bash."""
    assert inspect({name: first}, name, ["a", "b c"]).command == command


@pytest.mark.parametrize(
    ("source", "inputs", "outputs"),
    [
        ("sort < in.txt > out.txt", {"in.txt"}, {"out.txt"}),
        ("sort<in.txt>out.txt", {"in.txt"}, {"out.txt"}),
        ("cat in.txt >> log 2>&1", {"in.txt"}, {"log"}),
        ("cat ./in.txt &> all.log", {"in.txt"}, {"all.log"}),
        ("cat in.txt 2> err.log | tee -a x.log", {"in.txt"}, {"err.log", "x.log"}),
        ("echo a > /dev/null; echo b >&2", set(), set()),
        ("OUT=res; mkdir -p $OUT; date > ${OUT}/d.txt", set(), {"res/**", "res/d.txt"}),
        ("date > ${OUT:-res}/d.txt", set(), {"res/d.txt"}),
        ("for f in data/*.csv; do wc $f > $(basename $f).n; done", {"data/a.csv", "data/b.csv"}, {"*.n"}),
        ('wc "data/$x.csv" > "$(echo "a b" | tr " " _).n"', {"data/a.csv", "data/b.csv"}, {"*.n"}),
        ("awk -f script.awk --in=in.txt", {"script.awk", "in.txt"}, set()),
        ("ls data", {"data/a.csv", "data/b.csv"}, set()),
        ("# cat in.txt > out.txt", set(), set()),
        ("echo 'x > in.txt'", set(), set()),
        ("cat <<EOF > note.txt\nin.txt > no.txt\nEOF\n", set(), {"note.txt"}),
        ("cat <<'END' > a\n$x\nEND\ncat <<-E > b\n\tx > y\n\tE\n", set(), {"a", "b"}),
        ("sort \\\n  in.txt \\\n  > out.txt", {"in.txt"}, {"out.txt"}),
        ("cp $1 $2.bak", {"in.txt"}, set()),
        ("if [ -f in.txt ]; then cat in.txt; fi", {"in.txt"}, set()),
    ],
)
def test_reads_and_writes(source, inputs, outputs):
    """Words that name files are inputs, redirections outputs; what is not known is a wildcard."""
    found = read(source, "in.txt") if "$1" in source else read(source)
    assert set(found.inputs) == inputs
    assert set(found.outputs) == outputs


def test_python_scripts_that_are_called_are_inspected():
    """Their imports, modules and files count; their own options do not."""
    found = read(
        "python3 -u tool.py --x in.txt | srun -n 4 python other.py\n",
        **{
            "tool.py": "import numpy, helper\nopen('o.csv', 'w')",
            "helper.py": "import scipy",
            "other.py": "import yaml",
        },
    )
    assert set(found.environment.python.packages) == {"numpy", "scipy", "PyYAML"}
    assert {"tool.py", "helper.py", "other.py", "in.txt"} <= set(found.inputs)
    assert found.outputs == ("o.csv",)
    assert found.options == ()


def test_scripts_that_are_called_are_followed():
    """By interpreter, by source, or started themselves; a ring of calls ends."""
    found = read(
        "bash two.sh in.txt\n. ./env.sh\n./three\n",
        **{
            "two.sh": "cat $1 > two.out; bash run.sh",
            "env.sh": "date > env.out",
            "three": "#!/usr/bin/env python3\nimport numpy\n",
        },
    )
    assert set(found.outputs) == {"two.out", "env.out"}
    assert found.environment.python.packages == ("numpy",)


def test_without_python_there_is_no_python_environment():
    """A plain shell script needs none."""
    assert read("date").environment.python is None


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("frobnicate x.bam", "--system"),
        ("module load frobnicator/2", "modules of the site"),
        ("curl -O https://e.org/x", "--network"),
        ("pip install numpy 'pandas>=2'", "pip install"),
        ("#COBALT -t 4\ndate", "--memory"),
        ("#$ -N x\nsrun date", "srun"),
        ("#SBATCH -N 2\nsrun date", "--nodes 1"),
        ("#SBATCH -N 2\nmpirun date", "--nodes 1"),
        ("module load matlab/R2023a", "--runtime none"),
        ("matlab -batch x", "--runtime none"),
        ("/opt/tools/prog x", "--input /opt/tools/prog"),
        ("wc /scratch/ada/x.csv", "--input /scratch/ada/x.csv"),
        ("conda activate genomics", "environment.conda"),
        ("source venv/bin/activate", "environment.venv"),
        ("date > /home/me/x", "/home/me/x"),
        ("date > ../x", "outside"),
    ],
)
def test_what_will_not_work_is_said(source, word):
    """With the line and what to do instead."""
    found = read(source)
    assert any(word in warning for warning in found.warnings), found.warnings


@pytest.mark.parametrize(
    ("source", "packages"),
    [
        ("samtools view in.txt | bwa mem - x", {"samtools", "bwa"}),
        ("x=$(bedtools merge -i in.txt); echo `jq . in.txt`", {"bedtools", "jq"}),
        ('for f in data/*.csv; do blastn -query "$f" || exit 1; done', {"ncbi-blast+"}),
        ("find . -name '*.c' -exec samtools view {} \\; -o -exec jq . {} +", {"samtools", "jq"}),
        ("ls | xargs -n 1 -P 4 samtools index", {"samtools"}),
        ("ls | parallel -j 2 samtools index {} ::: a b", {"samtools", "parallel"}),
        ("parallel 'bwa mem {} | samtools sort' ::: a b", {"bwa", "samtools", "parallel"}),
        ("nohup nice -n 5 env A=b timeout 10m samtools view &", {"samtools"}),
        ("/usr/bin/time -v samtools view", {"samtools", "time"}),
        ("bash -c 'samtools view x | jq .'", {"samtools", "jq"}),
        ("trap 'samtools quickcheck x' EXIT; eval samtools view", {"samtools"}),
        ("samtools() { date; }; samtools view", set()),
        ("alias st='samtools view'; st x", {"samtools"}),
        ("command -v samtools || exit 1", set()),
        ("cat <<E\n$(jq . in.txt)\nsamtools view\nE", {"jq"}),
        ("bash <<'E'\nsamtools view x\nE", {"samtools"}),
        ("convert a.png b.jpg; java -version", {"imagemagick", "default-jre-headless"}),
        ("if ! samtools view; then jq .; fi; while bwa; do date; done", {"samtools", "jq", "bwa"}),
        ("mpirun -np 4 --hostfile h samtools", {"openmpi-bin", "samtools"}),
        ("module load bio/SAMtools/1.17-GCC-12.2.0 BLAST+/2.14.0-gompi-2022b", {"samtools", "ncbi-blast+"}),
        ("module load bcftools", {"bcftools"}),
        ("if broken; then samtools view", {"samtools"}),
        ("\\samtools view; 'bwa' mem; \"$HOME/bin/prog\" x; $TOOLS/jq x", {"samtools", "bwa"}),
        ("./prog x; run.sh", set()),
    ],
)
def test_commands_come_from_packages(source, packages):
    """Every command outside the base is looked up in the archive's index, wherever it is called."""
    found = read(f"#!/bin/bash\n{source}")
    assert set(found.environment.system) == packages


def test_a_site_says_what_it_prefers():
    """Which package has a command, what a module is, and of which release."""
    site = Software(prefer={"samtools": "samtools-legacy"}, modules={"prog/2": "gcc python:six", "secret": "host"})
    found = inspect({"a.sh": "samtools x\nmodule load prog/2"}, "a.sh", (), site)
    assert set(found.environment.system) == {"samtools-legacy", "gcc"}
    assert found.environment.python.packages == ("six",)
    host = inspect({"a.sh": "module load gcc secret"}, "a.sh", (), site)
    assert host.resources["runtime"] == "none"
    assert host.environment.modules == ("gcc", "secret")


def test_environments_that_are_there_are_taken():
    """By their full paths, as the script activates them."""
    found = read("source /apps/venv/bin/activate\npython x")
    assert found.environment.venv == "/apps/venv"
    assert not any("--input" in warning for warning in found.warnings)
    assert read("source activate /apps/env").environment.conda.path == "/apps/env"
    assert read("conda activate /apps/env\npython -c 1").environment.conda.path == "/apps/env"


@pytest.mark.parametrize("line", ["source /apps/venv/bin/activate", "conda activate /apps/venv"])
def test_an_environment_that_jobs_do_not_see_is_done_without(line):
    """A script of another machine: its packages are those of its imports, and that is said."""
    files = {"a.sh": f"{line}\npython fit.py\n", "fit.py": "import numpy\n"}
    for roots, taken in ((("/data",), False), ((), False), (("/apps",), True), (("/app",), False)):
        found = inspect(files, "a.sh", (), Software(mountable=roots))
        assert bool(found.environment.venv or found.environment.conda) == taken
        assert any("which jobs do not see here" in warning for warning in found.warnings) != taken
        assert taken or found.environment.python.packages == ("numpy",)


def test_getopts_are_options():
    """A letter each, with a value where a colon follows; what only shows the usage is none."""
    found = read('while getopts ":a:bh" opt; do case $opt in a) A=$OPTARG;; esac; done')
    assert [(option.name, option.flag) for option in found.options] == [("-a", False), ("-b", True)]


GETOPTS = """
usage() {
  cat <<EOF
  -i FILE   input table
  -t N      how many threads
EOF
}
threads=4 out="my results"
while getopts "i:t:o:dhx" opt; do
  case "$opt" in
    i) infile="$OPTARG";;
    t)
      threads=$OPTARG
      ;;
    o) out=$OPTARG ;;  # where to write
    (d) dry=1  # only show
      ;;
    h) usage; exit 0 ;;
  esac
done
"""


def test_getopts_say_defaults_and_help():
    """What a variable is before, what the usage says of a letter, and the comment of its branch."""
    found = {option.name: option for option in read(GETOPTS).options}
    assert {name: (option.default, option.help, option.kind) for name, option in found.items()} == {
        "-i": (None, "input table", "path"),
        "-t": ("4", "how many threads", "int"),
        "-o": ("my results", "where to write", "text"),
        "-d": (None, "only show", "text"),
        "-x": (None, "", "text"),
    }


ASTRAY = r"""bedtools sort -i "$out/x.bam" | tee "$out/x.bed" | awk '{print $3}' | sort -n | datamash mean 1
seq 4 | parallel -j2 'echo {} | bc' > "$out/fig.txt"
xmllint --version 2>&1 | head -1
if command -v pigz >/dev/null; then pigz -k "$out/x.bed"; else gzip -k "$out/x.bed"; fi
jq -n \
  --arg q 1 '{q: $q}' > "$out/par.json"
cat > notes.txt <<EOF
convert
EOF
for f in *.gz
do
  tabix $f
done
"""


def test_commands_that_alternatives_make_have_packages():
    """Figlet is installed as figlet-figlet; gnuplot as gnuplot-nox; a name that only begins alike is none."""
    found = read("figlet a\ngnuplot x.gp\nrename s/a/b/ x\nyet-another-tool\nseqk\n")
    assert found.environment.system == ("figlet", "gnuplot-nox", "rename")


def test_where_the_grammar_goes_astray_statements_are_read_one_by_one():
    """The grammar takes lines for the words of the command before them; each is a command all the same."""
    found = read(ASTRAY)
    assert set(found.environment.system) == {
        "bedtools", "datamash", "parallel", "bc", "libxml2-utils", "pigz", "jq", "tabix",
    }  # fmt: skip
    lines = {guess.value: guess.rests_on for guess in found.guesses}
    assert lines["jq"].startswith("line 5 ")
    assert lines["tabix"].startswith("line 12 ")
    assert "notes.txt" in found.outputs


def test_pip_install_states_packages():
    """What the script would install is in the environment."""
    assert read("pip install -q numpy 'pandas>=2'").environment.python.packages == ("numpy", "pandas>=2")


def test_pip_installs_no_values_of_options():
    """Neither the files that options name nor what they are set to is a package; a requirements file is read."""
    text = "pip install -r needs/all.txt -t lib --config-settings verbose=true -c limits.txt $MORE numpy ./mine"
    found = read(text, **{"needs/all.txt": "scipy>=1\n"})
    assert found.environment.python.packages == ("scipy>=1", "numpy")
    assert any("'./mine' is not a package by name" in warning for warning in found.warnings)


def test_requirements_that_are_taken_whole_are_not_said_twice():
    """What lies beside the script and is installed by it is one file."""
    found = read("pip install -r requirements.txt", **{"requirements.txt": "scipy>=1\n"})
    assert (found.environment.python.requirements, found.environment.python.packages) == ("requirements.txt", ())


@pytest.mark.parametrize(
    "source",
    [
        "set -e\ncd x\nfor i in 1 2; do echo $i | sed s/a/b/ | sort -u; done",
        "f() { date; }\nf\n",
        "function g {\n date\n}\ng",
        "x=1 y=2 env",
        "case $1 in\nstart|go) date;;\n  stop) exit;;\n*) echo no;;\nesac\n(cd x; date)",
    ],
)
def test_ordinary_commands_are_no_warning(source):
    """Builtins, the base system's tools and the script's own functions are there."""
    assert not read(source).warnings


def test_a_broken_python_script_that_is_called_is_refused():
    """It would fail as surely as the script itself."""
    with pytest.raises(Rejected, match=r"tool\.py"):
        read("python tool.py", **{"tool.py": "print 'x'"})


def test_words_and_redirections():
    """Quotes, variables and substitutions come out as words."""
    commands = read_commands("""A='x y'; cmd "$A" '$A' \\$A a"b"'c' $(date) `date` ${B:-d} $B >"o u t" & next""")
    assert commands[0].words == ("cmd", "x y", "$A", "$A", "abc", HOLE, HOLE, "d", HOLE)
    assert commands[0].redirections[0].target == "o u t"
    assert [command.words for command in commands[1:]] == [("date",), ("date",), ("next",)]


def test_variables_that_double_themselves_stay_small():
    """A word never grows beyond what a file name can be."""
    (command,) = read_commands("a=xxxxxxxx\n" + "a=$a$a\n" * 60 + "echo $a\n")
    assert len(command.words[1]) < 10_000


@given(st.text(alphabet="ab \n\t'\"`$(){}<>|&;\\#=*!1-", max_size=80))
@example("cat <<A\n")
@example("$(")
@example("a=$a\\")
def test_any_text_is_read(text):
    """No arrangement of shell's characters raises anything."""
    read_commands(text, ["x", "$y"])
    read(f"\n{text}").model_dump_json()  # not a first line that asks for some other program
