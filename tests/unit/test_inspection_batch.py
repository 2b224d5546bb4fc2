"""Directives of batch scripts: each spelling, and what it asks for."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_interface.inspection import inspect
from cluster_interface.inspection.batch.directives import begins_with_directives, cut, find_directives
from cluster_interface.inspection.batch.reading import read_batch
from cluster_interface.model.errors import Rejected
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.resources import GIB, MIB, Resources

PREFIX = {"slurm": "#SBATCH", "gridengine": "#$", "pbs": "#PBS", "lsf": "#BSUB"}


def read(dialect, *lines):
    """Read directives, one a line, that stand below a first line."""
    return read_batch("\n".join(["#!/bin/bash", *(f"{PREFIX[dialect]} {line}" for line in lines), "date", ""]))


def refused(dialect, *lines):
    """Return the one problem for which directives are refused."""
    with pytest.raises(Rejected) as caught:
        read(dialect, *lines)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("-N1", {"nodes": 1}),
        ("-N 2", {"nodes": 2}),
        ("--nodes=2", {"nodes": 2}),
        ("--nodes 2-4", {"nodes": 2}),
        ("--cpus-per-t=3", {"cpus": 3}),
        ("-n 4", {"tasks_per_node": 4, "cpus": 1}),
        ("-n 8 -N 2", {"nodes": 2, "tasks_per_node": 4, "cpus": 1}),
        ("-n 7 -N 2", {"nodes": 2, "tasks_per_node": 4, "cpus": 1}),
        ("-n 8 --ntasks-per-node=4", {"nodes": 2, "tasks_per_node": 4, "cpus": 1}),
        ("--ntasks-per-node=4 --nodes=2", {"nodes": 2, "tasks_per_node": 4, "cpus": 1}),
        ("-n 1 -N 2", {"nodes": 1, "tasks_per_node": 1, "cpus": 1}),
        ("--cpus-per-task=4", {"cpus": 4}),
        ("-c4", {"cpus": 4}),
        ("--time 1:00", {"time": 60}),
        ("--time=90", {"time": 5400}),
        ("-t 1-12", {"time": 36 * 3600}),
        ("--mem=500", {"memory": 500 * MIB}),
        ("--mem=4G", {"memory": 4 * GIB}),
        ("--mem=4gb", {"memory": 4 * GIB}),
        ("--mem-per-cpu=2G", {"memory": 2 * GIB}),
        ("--mem-per-cpu=2G -n 3 -c 2", {"memory": 12 * GIB, "tasks_per_node": 3, "cpus": 2}),
        ("--mem-per-gpu=16G --gres=gpu:2", {"memory": 32 * GIB, "gpus": 2}),
        ("--gres=gpu", {"gpus": 1}),
        ("--gres=gpu:2", {"gpus": 2}),
        ("--gres=gpu:a100:2", {"gpus": 2, "gpu_type": "a100"}),
        ("--gres=gpu:a100", {"gpus": 1, "gpu_type": "a100"}),
        ("--gres=gpu:0", {}),
        ("--gres=none", {}),
        ("--gpus=4 --nodes=2", {"gpus": 2, "nodes": 2}),
        ("-G v100:1", {"gpus": 1, "gpu_type": "v100"}),
        ("--gpus-per-node=2", {"gpus": 2}),
        ("--gpus-per-task=1 --ntasks=2", {"gpus": 2, "tasks_per_node": 2, "cpus": 1}),
        ("--cpus-per-gpu=6 --gpus=2", {"gpus": 2, "cpus": 12}),
        ("--gres=gpu:2 --gpus-per-node=2", {"gpus": 2}),
        ("-p long", {"queue": "long"}),
        ("--partition=long,short", {"queue": "long"}),
        ("--account=lab -q high --reservation=course", {"account": "lab", "qos": "high", "reservation": "course"}),
        ("-C 'intel&ib'", {"constraint": "intel&ib"}),
        ("--exclusive", {"exclusive": True}),
        ("--exclusive=user", {}),
        ("--licenses=matlab:2,ansys", {"licenses": ("matlab:2", "ansys")}),
        ("--mem=1G # --mem=2G", {"memory": GIB}),
        ("-Hn4", {"tasks_per_node": 4, "cpus": 1}),
        ("-n 4 --exclusive", {"tasks_per_node": 4, "exclusive": True}),
        ("--time=0", {}),
        ("--mem=0", {}),
        ("--output x.log --wrap='ls' --chdir=/x --mail-type ALL", {}),
    ],
)
def test_slurm(line, asked):
    """sbatch(1): long and short options, values attached or not, unique beginnings."""
    assert read("slurm", line).resources == asked


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("-cwd -V -j y -S /bin/bash", {}),
        ("-l h_rt=1:00:00,h_vmem=4G", {"time": 3600, "memory": 4 * GIB}),
        ("-l h_rt=3600 -l mem_free=1g", {"time": 3600, "memory": 10**9}),
        ("-l h_vmem=4G -pe smp 4", {"cpus": 4, "memory": 16 * GIB}),
        ("-pe openmp 4-8", {"cpus": 4}),
        ("-pe threaded -8", {"cpus": 1}),
        ("-pe mpi 16", {"tasks_per_node": 16, "cpus": 1}),
        ("-pe openmpi 2 -l rmem=2G", {"tasks_per_node": 2, "cpus": 1, "memory": 4 * GIB}),
        ("-l mem_free=8G,h_vmem=4G", {"memory": 4 * GIB}),
        ("-l h_vmem=INFINITY", {}),
        ("-l gpu=2", {"gpus": 2}),
        ("-l gpu=0", {}),
        ("-l exclusive=true", {"exclusive": True}),
        ("-l exclusive", {"exclusive": True}),
        ("-l excl=false", {}),
        ("-q all.q", {"queue": "all.q"}),
        ("-q all.q@@big,b.q", {"queue": "all.q"}),
        ("-q '*@@big'", {}),
        ("-P lab -ar 12", {"account": "lab", "reservation": "12"}),
        ("-soft -l h_rt=60 -hard -l h_rt=120", {"time": 120}),
        ("-l s_rt=1:0:0", {"time": 3600}),
        ("-h -binding linear:4 -l matlab=1", {}),
    ],
)
def test_gridengine(line, asked):
    """qsub(1) of Grid Engine: words of one dash, resources in lists, memory per slot."""
    assert read("gridengine", line).resources == asked


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("-l walltime=1:00:00", {"time": 3600}),
        ("-l walltime=0:00:10:0", {"time": 600}),
        ("-lwalltime=90", {"time": 90}),
        ("-l select=1:ncpus=4:mem=8gb", {"nodes": 1, "cpus": 4, "memory": 8 * GIB}),
        ("-l select=2:ncpus=8:mpiprocs=4", {"nodes": 2, "cpus": 2, "tasks_per_node": 4}),
        ("-l select=1:ncpus=4:ngpus=1:gpu_type=v100", {"nodes": 1, "cpus": 4, "gpus": 1, "gpu_type": "v100"}),
        ("-l select=ncpus=2", {"nodes": 1, "cpus": 2}),
        ("-l select=1:ncpus=1+2:ncpus=4", {"nodes": 3, "cpus": 4}),
        (
            "-l select=4:ncpus=1:mem=1gb -l place=pack",
            {"nodes": 1, "cpus": 1, "tasks_per_node": 4, "memory": 4 * GIB},
        ),
        ("-l place=scatter:excl", {"exclusive": True}),
        ("-l nodes=1:ppn=4,walltime=60", {"nodes": 1, "cpus": 4, "time": 60}),
        ("-l nodes=2:ppn=8", {"nodes": 2, "cpus": 1, "tasks_per_node": 8}),
        ("-l nodes=2:ppn=8,mem=16gb", {"nodes": 2, "cpus": 1, "tasks_per_node": 8, "memory": 8 * GIB}),
        ("-l nodes=node7", {"nodes": 1}),
        ("-l nodes=1:ppn=2 -l pmem=1gb", {"nodes": 1, "cpus": 2, "memory": 2 * GIB}),
        ("-l ncpus=4 -l mem=1000mb", {"cpus": 4, "memory": 1000 * MIB}),
        ("-l mem=4gb:ncpus", None),
        ("-q workq@server", {"queue": "workq"}),
        ("-A charge -P project", {"account": "charge"}),
        ("-P project", {"account": "project"}),
        ("-l qos=high", {"qos": "high"}),
        ("-j oe -o x -e y -m abe -M a@b -V -r n -W umask=022", {}),
    ],
)
def test_pbs(line, asked):
    """qsub(1B) of PBS Professional and Torque: chunks, nodes, memory of the whole job."""
    if asked is None:
        assert refused("pbs", line).field == "resources.memory"
    else:
        assert read("pbs", line).resources == asked


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("-W 90", {"time": 5400}),
        ("-W 1:30/host7", {"time": 5400}),
        ("-n 4", {"cpus": 4}),
        ("-n 4,8 -R 'span[hosts=1]'", {"cpus": 4}),
        ("-n 4 -R span[ptile=4]", {"cpus": 4}),
        ("-n 10 -R 'span[ptile=4]'", {"nodes": 3, "tasks_per_node": 4}),
        ("-R 'rusage[mem=2GB:duration=30]'", {"memory": 2 * GIB}),
        ("-R 'select[mem>100] rusage[mem=500MB,ngpus_physical=2]'", {"memory": 500 * MIB, "gpus": 2}),
        ("-M 4GB -R 'rusage[mem=2GB]'", {"memory": 4 * GIB}),
        ("-M 4000000", {"memory": 4000000 * 1024}),
        ("-M 4000", {"memory": 4000 * MIB}),
        ("-M 8", {"memory": 8 * GIB}),
        ("-gpu num=1:gmodel=NVIDIAA100-SXM4", {"gpus": 1, "gpu_type": "NVIDIAA100"}),
        ("-gpu -", {"gpus": 1}),
        ("-q 'short long' -P lab -U maint#1", None),
        ("-q 'short long' -P lab -x", {"queue": "short", "account": "lab", "exclusive": True}),
        ("-oo x -eo y -u a@b -N -r -m 'h1 h2' -L /bin/bash -cwd /x -app big -Is", {}),
    ],
)
def test_lsf(line, asked):
    """bsub(1): slots are processors, on one node unless ptile says otherwise; memory without a unit is guessed."""
    if asked is None:
        assert refused("lsf", line).field == "resources.reservation"
    else:
        assert read("lsf", line).resources == asked


def test_what_lsf_leaves_open_is_said():
    """The unit of memory that is the site's own, where slots are, what stands for nothing here."""
    request = read("lsf", "-n 4", "-M 4000", "-R 'affinity[core(2)] span[hosts=1]'", "-w 'done(a)'", "-zap")
    assert request.warnings == ["line 3: #BSUB -M 4000 names no unit for 4000: MB taken"]
    assert [one.line for one in request.left_out] == [4, 5, 6]
    assert "on one node" in read("lsf", "-n 4").warnings[0]


@pytest.mark.parametrize(
    ("dialect", "line", "indices", "most"),
    [
        ("slurm", "--array=1,3-7%2", (1, 3, 4, 5, 6, 7), 2),
        ("slurm", "-a 0-15:5", (0, 5, 10, 15), None),
        ("slurm", "-a 5", (5,), None),
        ("gridengine", "-t 1-10:2 -tc 3", (1, 3, 5, 7, 9), 3),
        ("gridengine", "-t 4", (4,), None),
        ("pbs", "-J 1-10:4%2", (1, 5, 9), 2),
        ("pbs", "-t 1,5,7-8%1", (1, 5, 7, 8), 1),
        ("lsf", "-J 'name[1-10:4]%2'", (1, 5, 9), 2),
        ("lsf", "-J [1,3-4]", (1, 3, 4), None),
    ],
)
def test_arrays(dialect, line, indices, most):
    """An array job is a sweep of the parameter `array`."""
    sweep = read(dialect, line).sweep
    assert sweep.parameters == {"array": tuple(map(str, indices))}
    assert sweep.max_running == most


@pytest.mark.parametrize(
    ("dialect", "line", "before", "resume"),
    [
        ("slurm", "--signal=B:USR1@120", 120, False),
        ("slurm", "--signal=USR1 --requeue", 60, True),
        ("gridengine", "-l s_rt=3000,h_rt=3600", 600, False),
        ("gridengine", "-notify", 60, False),
        ("lsf", "-wa USR1 -wt 10", 600, False),
    ],
)
def test_being_told_before_the_end(dialect, line, before, resume):
    """Is the job spec's checkpoint; to be started again as well means to go on."""
    checkpoint = read(dialect, line).checkpoint
    assert (checkpoint.signal_before, checkpoint.resume) == (before, resume)


@pytest.mark.parametrize(
    ("dialect", "line", "variables"),
    [
        ("slurm", "--export=ALL,A=1,B=x=y", {"A": "1", "B": "x=y"}),
        ("slurm", "--export=NONE", {}),
        ("gridengine", "-v A=1,PATH", {"A": "1"}),
        ("pbs", "-v A='x y'", {"A": "x y"}),
        ("lsf", "-env 'all, A=1'", {"A": "1"}),
        ("pbs", "-l select=1:ncpus=4:ompthreads=4", {"OMP_NUM_THREADS": "4"}),
    ],
)
def test_variables_with_a_value_are_carried_over(dialect, line, variables):
    """Those without one would come from the person's shell."""
    assert {name: fact.value for name, fact in read(dialect, line).variables.items()} == variables


@pytest.mark.parametrize(
    ("dialect", "lines", "field", "words"),
    [
        ("slurm", ["--mem=4G", "--mem-per-cpu=1G"], "resources.memory", ["line 2", "line 3", "exclude"]),
        ("slurm", ["--array=a"], "sweep.parameters", ["line 2", "'a'", "1-10"]),
        ("slurm", ["--array=7-1"], "sweep.parameters", ["ends before"]),
        ("slurm", ["--array=1-999999999"], "sweep.parameters", ["more than"]),
        ("slurm", ["-n 4", "--ntasks-per-node=1 -N 2"], "resources.tasks_per_node", ["line 2", "line 3", "do not fit"]),
        ("slurm", ["--time=abc"], "resources.time", ["line 2", "'abc'", "1:30:00"]),
        ("slurm", ["--mem=4.5G"], "resources.memory", ["'4.5G'", "4G or 500M"]),
        ("slurm", ["--nodes=4-2"], "resources.nodes", ["smaller number first"]),
        ("slurm", ["-c 0"], "resources.cpus", ["'0'", "1 or more"]),
        ("slurm", ["-c"], "script", ["has no value"]),
        ("slurm", ["--time='1:00"], "script", ["line 2", "never closed"]),
        ("slurm", ["--gres=gpu:2x"], "resources.gpus", ["gpu:a100:2"]),
        ("slurm", ["--gres=gpu:2 --gpus=4"], "resources.gpus", ["different GPUs"]),
        ("slurm", ["--signal=USR1@x"], "checkpoint.signal_before", ["B:USR1@60"]),
        ("slurm", ["-p 'p --uid=0'"], "resources.queue", ["line 2", "not a name"]),
        ("slurm", ["-A --uid=0"], "resources.account", ["not a name"]),
        ("slurm", ["-C 'a;b'"], "resources.constraint", ["not a constraint"]),
        ("slurm", ["-L 'a b'"], "resources.licenses", ["not a licence"]),
        ("slurm", ["-A <project name>"], "resources.account", ["your own"]),
        ("gridengine", ["-t 0-5"], "sweep.parameters", ["1-10"]),
        ("gridengine", ["-pe smp"], "script", ["has no value"]),
        ("gridengine", ["-pe smp x"], "resources.cpus", ["'x'"]),
        ("gridengine", ["-pe smp 8-4"], "resources.cpus", ["smaller number first"]),
        ("gridengine", ["-l h_rt=1h"], "resources.time", ["'1h'"]),
        ("gridengine", ["-l s_rt=60", "-l h_rt=30"], "resources.time", ["line 2", "line 3"]),
        ("pbs", ["-l select=1:ncpus=2 -l nodes=2"], "resources.nodes", ["select"]),
        ("pbs", ["-l select=1:ncpus=2 -l mem=2gb"], "resources.memory", ["keep one"]),
        ("pbs", ["-l select=0:ncpus=2"], "script", ["'0'"]),
        ("pbs", ["-l walltime=soon"], "resources.time", ["'soon'"]),
        ("lsf", ["-W soon"], "resources.time", ["'soon'", "1:30"]),
        ("lsf", ["-M lots"], "resources.memory", ["'lots'", "4GB"]),
        ("lsf", ["-J 'x[7-1]'"], "sweep.parameters", ["ends before"]),
        ("lsf", ["-n 8", "-R span[hosts=1]", "-R span[ptile=4]"], "resources.nodes", ["line 3", "line 4", "keep one"]),
    ],
)
def test_contradictions_are_refused(dialect, lines, field, words):
    """With the field, the lines, what is wrong and what to do."""
    problem = refused(dialect, *lines)
    assert problem.field == field
    for word in words:
        assert word in problem.message


def test_the_last_of_one_option_counts():
    """As in sbatch, qsub and PBS; it is said, since it may be a slip."""
    request = read("slurm", "--mem=1G", "--mem=2G", "--mem=2G")
    assert request.resources == {"memory": 2 * GIB}
    assert request.warnings == ["line 3: #SBATCH --mem=2G replaces #SBATCH --mem=1G of line 2"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("#!/bin/sh\n\n# note\n \t\n#SBATCH -N 1\ndate\n#SBATCH -n 1\n", [5]),
        ("##SBATCH -N 1\n# SBATCH -N 1\n #SBATCH -N 1\n#sbatch -N 1\n#SBATCHES -N 1\n", []),
        ("#SBATCH--mem=1\n#SBATCH\t-n 1\n#SBATCH\n", [1, 2]),
        ("cat <<E\n#SBATCH -N 1\n#PBS -q x\nE\n", []),
        ("date\n#$ -cwd\n #$ -V\n#$VAR\n#$ word\n", [2]),
        ("#$-cwd\n", [1]),
        ("  #PBS -q x\n#PBS -N y\ndate\n#PBS -A z\n", [1, 2]),
    ],
)
def test_which_lines_are_directives(text, lines):
    """Slurm's and PBS's stand before the first command, Grid Engine's anywhere."""
    assert [directive.line for directive in find_directives(text)] == lines


def test_directives_that_nobody_reads_are_warned_of():
    """They stand behind the first command, a common slip; in a here-document they are another script's."""
    late = "#SBATCH -n 1\ndate\n#SBATCH --mem=4G\n"
    assert [warning for warning in inspect({"a.sh": late}, "a.sh").warnings if warning.startswith("line 3: ")]
    inner = "#SBATCH -n 1\ncat <<E > x.sh\n#SBATCH --mem=4G\nE\n"
    assert not inspect({"a.sh": inner}, "a.sh").warnings


def test_the_first_part_of_a_heterogeneous_job_is_asked_for():
    """The others have no place in a job spec."""
    request = read("slurm", "-c 1", "hetjob", "-c 16 --mem=4G")
    assert request.resources == {"cpus": 1}
    assert [one.line for one in request.left_out] == [3, 4, 4]


def test_two_dialects_that_agree():
    """The first decides; the other is listed."""
    request = read_batch("#SBATCH --mem=1G -c 2 -p a\n#$ -l h_vmem=512M -pe smp 2 -q b\n#$ -t 1-2\n")
    assert request.resources == {"memory": GIB, "cpus": 2, "queue": "a"}
    assert [(one.line, "Grid Engine" in one.why) for one in request.left_out] == [(2, True), (3, True)]


@pytest.mark.parametrize(
    ("one", "other", "field"),
    [
        ("#SBATCH --mem=1G", "#$ -l h_vmem=2G", "resources.memory"),
        ("#SBATCH --time=60", "#PBS -l walltime=60", "resources.time"),
        ("#$ -t 1-3", "#PBS -J 1-4", "sweep.parameters"),
    ],
)
def test_two_dialects_that_contradict_each_other(one, other, field):
    """They would make two different jobs."""
    with pytest.raises(Rejected) as caught:
        read_batch(f"{one}\n{other}\n")
    (problem,) = caught.value.problems
    assert problem.field == field
    assert "line 1" in problem.message
    assert "line 2" in problem.message


@pytest.mark.parametrize(
    ("dialect", "line", "why"),
    [
        ("slurm", "--mail-user=ada@example.org", "who is told"),
        ("slurm", "--output=x.log", "clif logs"),
        ("slurm", "--dependency=afterok:12", "--after"),
        ("slurm", "--time=UNLIMITED", "time limit"),
        ("slurm", "--signal=TERM@60", "USR1"),
        ("slurm", "--nonsense=1", "not known"),
        ("slurm", "word", "no option"),
        ("gridengine", "-V", "clean environment"),
        ("gridengine", "-hold_jid 12", "--after"),
        ("gridengine", "-l tmpfs=10G", "of that site"),
        ("gridengine", "-soft -l gpu=1", "only wished for"),
        ("pbs", "-W depend=afterok:12", "--after"),
        ("pbs", "-l nodes=1:ppn=2:bigmem", "of that site"),
        ("pbs", "-r y", "retry"),
    ],
)
def test_what_is_not_carried_over_is_listed(dialect, line, why):
    """With its line, itself, and why."""
    (one,) = read(dialect, line).left_out
    assert one.line == 2
    assert one.directive.startswith(PREFIX[dialect])
    assert why in one.why


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" a  b\t", ["a", "b"]),
        ("'a b' \"c d\" e\\ f", ["a b", "c d", "e f"]),
        ("a'b'c \"\"", ["abc", ""]),
        ("a # b", ["a"]),
        ("a#b", ["a#b"]),
        ("'#' \"a'b\"", ["#", "a'b"]),
    ],
)
def test_words_are_cut_as_a_shell_does(text, words):
    """Quotes, backslashes and comments."""
    assert cut(text) == words


@pytest.mark.parametrize(
    ("name", "text", "command"),
    [
        ("old", "#SBATCH -N 1\ndate", "bash old"),
        ("old.sub", "# note\n#PBS -q x\ndate", "bash old.sub"),
        ("old.cmd", "#$ -cwd\ndate", "bash old.cmd"),
        ("old.sbatch", "#!/bin/sh\n#SBATCH -N 1\ndate", "sh old.sbatch"),
        ("old.sge", "#$ -S /bin/sh\ndate", "sh old.sge"),
        ("old.pbs", "date", "bash old.pbs"),
        ("old.py", "#!/usr/bin/env python3\n#SBATCH -N 1\n", "python old.py"),
    ],
)
def test_batch_scripts_are_recognised(name, text, command):
    """By their first line, their ending, or their directives."""
    assert inspect({name: text}, name).command == command


@pytest.mark.parametrize(
    ("name", "text"), [("old.do", "#SBATCH -N 1\n"), ("old.sub", "date\n#SBATCH -N 1\n"), ("a.txt", "#$ cwd\n")]
)
def test_other_files_are_not(name, text):
    """Another language without a first line, or text that has directives further down."""
    assert begins_with_directives(text) == (name == "old.do")
    with pytest.raises(Rejected):
        inspect({name: text}, name)


def test_a_job_name_is_taken_over_without_what_a_name_cannot_have():
    """It becomes the job's name, and goes into the spec."""
    found = inspect({"a.sh": "#SBATCH -J 'my job'\ndate"}, "a.sh")
    assert found.name == "my job"
    assert [guess.rests_on for guess in found.guesses if guess.field == "name"] == ["#SBATCH -J my job, line 1"]
    JobSpec(name=found.name, command="x")


def answer(ask):
    """Return what is answered, and the problems for which it is refused."""
    try:
        return ask(), ()
    except Rejected as error:
        return None, error.problems


ANYTHING = st.text(alphabet="ab019 -=:,%@+'\"\\#.GgMm/\t<>_", max_size=40)
OPTIONS = st.sampled_from(
    [
        "-N",
        "--nodes=",
        "-n",
        "-c",
        "--mem=",
        "--mem-per-cpu=",
        "-t",
        "--time=",
        "-a",
        "--array=",
        "--gres=gpu:",
        "-G",
        "--gpus-per-node=",
        "-p",
        "--signal=",
        "--export=",
        "-l",
        "-lselect=",
        "-lnodes=",
        "-lwalltime=",
        "-pe",
        "-tc",
        "-q",
        "-P",
        "-S",
        "-J",
        "-v",
        "-W",
        "-j",
        "-h",
        "-soft",
        "-lmem=",
        "-lplace=",
        "--exclusive",
        "--requeue",
    ]
)


@given(st.sampled_from(sorted(PREFIX)), st.lists(st.tuples(OPTIONS, ANYTHING), max_size=5))
def test_any_directives_are_answered(dialect, options):
    """A refusal with a field and a line, or a request that the job spec takes."""
    lines = [f"{option}{value}" for option, value in options] + [f"{option} {value}" for option, value in options]
    request, problems = answer(lambda: read(dialect, *lines))
    assert all(re.search(r"line \d", problem.message) for problem in problems)
    if request:
        Resources.model_validate(request.resources)


@pytest.mark.parametrize("prefix", PREFIX.values())
@given(text=st.text(max_size=80))
def test_any_text_behind_a_prefix_is_answered(prefix, text):
    """Whatever stands there."""
    found, problems = answer(lambda: inspect({"a.sh": f"{prefix} {text}\ndate"}, "a.sh"))
    assert problems or found.model_dump_json()
