"""What shell scripts take on their command lines: places, what there must be of them, loops that shift, getopts."""

from __future__ import annotations

import pytest
from tests.unit.test_options_of_languages import brief

from cluster_interface.inspection import inspect
from cluster_interface.inspection.sweeps import with_places

LOOP = """
THREADS=4
OUT=results
usage() {
  cat <<END
Usage: b.sh -i FILE [options] [sample...]
  -i, --input FILE     the input table
  -t, --threads N      how many threads
END
}
SAMPLES=()
while [[ $# -gt 0 ]]; do
  key="$1"
  case $key in
    -i|--input)
      INPUT="$2"
      shift
      shift ;;
    -t|--threads) THREADS="$2"; shift 2 ;;
    --out=*) OUT="${1#*=}"; shift ;;
    --tag) TAGS+=("$2"); shift 2 ;;
    --keep) KEEP=1; shift ;;  # keep what is temporary
    -h|--help) usage; exit 0 ;;
    -*) echo "unknown $1" >&2; exit 1 ;;
    *) SAMPLES+=("$1"); shift ;;
  esac
done
if [[ -z "${INPUT:-}" ]]; then usage; exit 1; fi
"""

GETOPT = """
OPTS=$(getopt -o vhn: --long verbose,help,num: -n 'i.sh' -- "$@")
eval set -- "$OPTS"
NUM=7
while true; do
  case "$1" in
    -v | --verbose ) VERBOSE=true; shift ;;
    -h | --help ) usage; shift ;;
    -n | --num ) NUM="$2"; shift 2 ;;
    -- ) shift; break ;;
    * ) break ;;
  esac
done
TABLE="$1"
"""

CASES = {
    "a count, and a default": (
        (
            'usage() { echo "Usage: $0 <reads> <genome> [threads]"; exit 1; }\nif [ "$#" -lt 2 ]; then usage; fi\n'
            'READS=$1\nGENOME="$2"\nTHREADS=${3:-4}\nlog() { echo "$1 $2 $4"; }\nbwa mem $GENOME | awk \'{print $1, $5}\'\n'
        ),
        ["reads!", "genome!", "threads=4:int"],
    ),
    "empty, or demanded": (
        '[ -z "$1" ] && echo "a sample is needed" && exit 1\nsample=$1\nseed=${2:?a seed is needed}\n',
        ["sample!", "seed!"],
    ),
    "too few otherwise": (
        'if [ $# -eq 2 ]; then\n  a=$1; b=$2\nelse\n  echo "usage: j.sh A B"; exit 1\nfi\n',
        ["a!", "b!"],
    ),
    "looked for": ('OUT=here\nif [ -n "$1" ]; then OUT=$1; fi\n', ["out"]),
    "filled in": ('N=$1\nif [ -z "$N" ]; then N=10; fi\n', ["n=10:int"]),
    "names of usage": (
        '# usage: c.sh <table> [seed]\n[ $# -ge 1 ] || exit 1\npython x.py "$1" "$2"\n',
        ["table!", "seed"],
    ),
    "a choice": (
        'case "$1" in\n  start) go ;;\n  stop) end "$2" ;;\n  *) echo "Usage: $0 {start|stop}"; exit 1 ;;\nesac\n',
        ["command!|start|stop", "arg2"],
    ),
    "shifted": ('IN=$1; shift\nOUT=$1\nshift\nfor f in "$@"; do gzip $f; done\n', ["in!", "out!", "args..."]),
    "the rest is needed": (
        'if [ "$2" == "" ]; then echo usage; exit 1; fi\nOUT=$1\nshift\necho "$@"\n',
        ["out!", "args!..."],
    ),
    "a function that gets all": (
        'main() {\n  local table="$1"\n  local n="${2:-10}"\n}\nmain "$@"\n',
        ["table!", "n=10:int"],
    ),
    "a loop that shifts": (
        LOOP,
        ["--input!", "--threads=4:int", "--out=results", "--tag...", "--keep~", "samples..."],
    ),
    "getopt": (GETOPT, ["--verbose~", "--num=7:int", "table!"]),
    "one by one": (
        'for i in "$@"; do\ncase $i in\n  -e=*|--ending=*) ENDING="${i#*=}"; shift ;;\n  --all) ALL=YES ;;\nesac\ndone\n',
        ["--ending", "--all~"],
    ),
    "getopts, then places": (
        (
            'while getopts "n:o:v" opt; do\n  case $opt in n) N=$OPTARG;; o) OUT=$OPTARG;; v) V=1;; esac\ndone\n'
            'shift $((OPTIND-1))\n[ -n "$OUT" ] || { echo "-o is needed"; exit 2; }\nTABLE=$1\nf() { echo $2; }\n'
        ),
        ["-n", "-o!", "-v~", "table!"],
    ),
    "other words": ("set -- a b c\necho $1 $2\nls | awk '{print $2}'\n", []),
    "functions alone": ('f() { echo "$1"; }\nf x\nif [ $# -gt 9 ]; then :; fi\n', []),
    "a word in another program": ("perl -e 'print $1' x\nssh host \"echo \\$1\"\n", []),
}


@pytest.mark.parametrize(("source", "wanted"), CASES.values(), ids=CASES)
def test_arguments_of_shell_scripts(source, wanted):
    """Each by its place or its name, whether it must be given, and what it is otherwise."""
    assert brief(f"#!/bin/bash\n{source}", "a.sh") == wanted


def test_help_comes_from_usage_and_comments():
    """What usage says of an option, else the comment behind its branch."""
    found = {option.name: option for option in inspect({"a.sh": f"#!/bin/bash\n{LOOP}"}, "a.sh").options}
    assert found["--input"].help == "the input table"
    assert found["--keep"].help == "keep what is temporary"
    assert found["--out"].joined
    assert found["--input"].aliases == ("-i",)


def test_a_comment_tells_of_a_place():
    """A comment behind the line that gives an argument its name is its help."""
    source = "#!/bin/sh\nTABLE=$1   # the measurements\nSEED=$2\n"
    assert [option.help for option in inspect({"a.sh": source}, "a.sh").options] == ["the measurements", ""]


def test_batch_scripts_have_arguments():
    """A script with directives takes arguments as any other does."""
    found = inspect({"a.sbatch": "#!/bin/bash\n#SBATCH --time=1:00\npython fit.py --sample $1\n"}, "a.sbatch")
    assert [option.name for option in found.options] == ["arg1"]
    assert found.missing.example == "ARG1"


def test_a_sweep_writes_a_value_as_the_option_wants_it():
    """What is one word with its name stays one; what a parameter gives is not missing."""
    found = with_places(inspect({"a.sh": f"#!/bin/bash\n{LOOP}"}, "a.sh"), ["out", "input"])
    assert found.command == "bash a.sh --out={out} --input {input}"
    assert found.missing is None
