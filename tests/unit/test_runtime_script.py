"""What job.sh is put together from: words of shell that mean what was meant, whatever is in them."""

import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_interface.adapters.runtimes import dialects, script
from cluster_interface.model.job import Account
from cluster_interface.model.parameters import parameter_lines
from cluster_interface.model.plan import Ask
from cluster_interface.ports import Face, ImageRef, Run

ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
IMAGE = ImageRef(key="x", face=Face.DIRECTORY)
AWKWARD = "'\"$(touch /tmp/canary)`id`\\ \n\n ${nl} $nl *;&|<>#!~\té\x01\x7f\x81\x88\u0101\u2028 end\n"


def run_of(**more):
    """A small job."""
    account = Account(name="ada", uid=1234, gid=1234)
    ask = more.pop("ask", {})
    return Run(
        mark="ci-j-1",
        job_dir=Path("/nowhere/j"),
        attempt=1,
        image=None,
        command="true",
        account=account,
        ask=Ask(**{"cpus": 2, "memory": 2**30, "time": 60, "queue": "long", "runtime": "x", "disk": 1, **ask}),
        **more,
    )


def evaluated(run, shell="dash", lines="", task=0, **outer):
    """Evaluate the variables as job.sh does, and return the environment that a program gets."""
    words = " ".join(f"{name}={word}" for name, word in script.variables(run))
    text = f"nl='\n'; task={task} native=4711 node=n1 nodes=n1; {lines}\nexec env -i {words} /usr/bin/env -0"
    done = subprocess.run(
        [shell, "-uc", text], env={"PATH": os.environ["PATH"], **outer}, capture_output=True, check=True
    )
    return dict(item.decode().split("=", 1) for item in done.stdout.split(b"\0")[:-1])


@pytest.mark.parametrize("shell", ["dash", "bash"])
@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.fixed_dictionaries({"a": ANY_TEXT, "b_2": ANY_TEXT}), min_size=1, max_size=3))
def test_any_parameter_survives(shell, rows):
    """Each row is one line, and each value reaches the environment as it is."""
    text = parameter_lines(rows)
    lines = text.split("\n")
    assert len(lines) == len(rows) + 1
    assert lines[-1] == ""
    run = run_of(parameters=("a", "b_2"))
    got = evaluated(run, shell, lines[len(rows) - 1], task=len(rows) - 1)
    assert (got["CLIF_PARAM_a"], got["CLIF_PARAM_b_2"]) == (rows[-1]["a"], rows[-1]["b_2"])


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_awkward_words_survive(shell):
    """What shells are known to trip over reaches the program: as parameter, as variable and as the job's name."""
    run = run_of(parameters=("p",), variables={"V": AWKWARD}, name=AWKWARD, dialect="slurm")
    got = evaluated(run, shell, parameter_lines([{"p": AWKWARD}]).rstrip("\n"))
    assert (got["CLIF_PARAM_p"], got["V"], got["SLURM_JOB_NAME"]) == (AWKWARD, AWKWARD, AWKWARD)


def test_the_users_variables_win_over_defaults_alone():
    """PATH may be the user's; what says who and where a task is may not."""
    values = {"PATH": "/mine", "CLIF_TASK": "9", "HOME": "/x", "SLURM_JOB_ID": "1", "CLIF_PARAM_p": "forged"}
    run = run_of(variables=values, parameters=("p",), dialect="slurm", tasks=5)
    got = evaluated(run, lines="CLIF_PARAM_p=true", task=3)
    assert got["PATH"] == "/mine"
    assert (got["CLIF_TASK"], got["CLIF_TASKS"], got["HOME"]) == ("3", "5", "/home/ada")
    assert (got["SLURM_JOB_ID"], got["CLIF_PARAM_p"], got["CLIF_NATIVE_ID"]) == ("4711", "true", "4711")


def test_slurm_sets_an_array_only_where_there_is_one():
    """A single job has no array; with one, its numbers are the script's own."""
    got = evaluated(
        run_of(dialect="slurm", ask={"memory": 3 * 2**30, "account": "bio", "tasks_per_node": 2, "nodes": 3})
    )
    assert not [name for name in got if "ARRAY" in name]
    assert (got["SLURM_CPUS_PER_TASK"], got["SLURM_CPUS_ON_NODE"], got["SLURM_NTASKS"]) == ("2", "4", "6")
    assert (got["SLURM_MEM_PER_NODE"], got["SLURM_JOB_PARTITION"], got["SLURM_JOB_ACCOUNT"]) == ("3072", "long", "bio")
    assert (got["SLURM_JOB_NUM_NODES"], got["SLURM_PROCID"], got["SLURM_SUBMIT_DIR"]) == ("3", "0", "/job")
    run = run_of(dialect="slurm", parameters=("array",), tasks=4, array=(10, 16, 2))
    got = evaluated(run, lines="CLIF_PARAM_array=12", SLURM_JOB_ID="815", SLURM_JOB_NODELIST="n[1-2]")
    kinds = ("JOB_ID", "TASK_ID", "TASK_COUNT", "TASK_MIN", "TASK_MAX", "TASK_STEP")
    assert [got[f"SLURM_ARRAY_{kind}"] for kind in kinds] == ["4711", "12", "4", "10", "16", "2"]
    assert (got["SLURM_JOB_ID"], got["SLURM_JOB_NODELIST"]) == ("815", "n[1-2]")


def test_grid_engine_says_undefined_without_an_array():
    """SGE_TASK_ID and its like are there in any case, as Grid Engine has it."""
    got = evaluated(run_of(dialect="gridengine", name="blast"))
    assert [got[f"SGE_TASK_{kind}"] for kind in ("ID", "FIRST", "LAST", "STEPSIZE")] == ["undefined"] * 4
    assert (got["JOB_ID"], got["JOB_NAME"], got["NSLOTS"], got["NHOSTS"]) == ("4711", "blast", "2", "1")
    assert (got["QUEUE"], got["SGE_O_HOST"], got["SGE_O_HOME"], got["TMPDIR"]) == ("long", "n1", "/home/ada", "/tmp")
    run = run_of(dialect="gridengine", parameters=("array",), tasks=3, array=(1, 3, 1))
    got = evaluated(run, lines="CLIF_PARAM_array=2")
    assert [got[f"SGE_TASK_{kind}"] for kind in ("ID", "FIRST", "LAST", "STEPSIZE")] == ["2", "1", "3", "1"]


def test_pbs_has_a_file_of_nodes():
    """PBS_NODEFILE names a file that the program finds made."""
    run = run_of(dialect="pbs", parameters=("array",), tasks=3)
    got = evaluated(run, lines="CLIF_PARAM_array=2")
    assert (got["PBS_JOBID"], got["PBS_ARRAY_INDEX"], got["PBS_ARRAYID"], got["NCPUS"]) == ("4711", "2", "2", "2")
    assert got["PBS_NODEFILE"] == dialects.NODE_FILE
    assert "PBS_NODEFILE" in script.program(run)
    assert "PBS" not in script.program(run_of())


def test_lsf_counts_from_zero_without_an_array():
    """LSB_JOBINDEX is 0 then, and the hosts are listed once for each slot."""
    got = evaluated(run_of(dialect="lsf", name="blast"))
    assert (got["LSB_JOBID"], got["LSB_JOBNAME"], got["LSB_JOBINDEX"], got["LS_SUBCWD"]) == (
        "4711",
        "blast",
        "0",
        "/job",
    )
    assert (got["LSB_HOSTS"], got["LSB_MCPU_HOSTS"], got["LSB_DJOB_NUMPROC"]) == ("n1 n1", "n1 2", "2")
    run = run_of(dialect="lsf", parameters=("array",), tasks=3, array=(1, 5, 2))
    got = evaluated(run, lines="CLIF_PARAM_array=3")
    assert (got["LSB_JOBINDEX"], got["LSB_JOBINDEX_END"], got["LSB_JOBINDEX_STEP"]) == ("3", "5", "2")


@pytest.mark.parametrize("dialect", dialects.TABLES)
def test_every_fact_of_a_table_is_known(dialect):
    """A job that has everything gets every variable of its dialect: no fact is misspelt."""
    full = {"account": "bio", "qos": "high", "tasks_per_node": 2}
    run = run_of(dialect=dialect, parameters=("array",), tasks=2, array=(1, 2, 1), ask=full)
    assert dict(script.variables(run)).keys() >= dialects.TABLES[dialect].keys()


def test_task_variables_need_nothing_else():
    """What differs between tasks knows only the task and its parameters: a shared container has no more."""
    run = run_of(dialect="pbs", parameters=("array", "x"), variables={"A": "$native"}, tasks=2)
    for _, word in script.task_variables(run):
        assert word in ('"$task"', '"$CLIF_PARAM_array"', '"$CLIF_PARAM_x"')
    names = [name for name, _ in script.variables(run)]
    assert len(names) == len(set(names))
    assert shlex.split(dict(script.lasting_variables(run))["A"]) == ["$native"]


ELEMENTS = [
    ({}, 0, 0),
    ({"CLIF_ELEMENT": "3", "SLURM_JOB_ID": "1", "SLURM_ARRAY_TASK_ID": "9"}, 0, 3),
    ({"SLURM_JOB_ID": "1", "SLURM_ARRAY_TASK_ID": "2"}, 10, 12),
    ({"SLURM_JOB_ID": "1"}, 10, 10),
    ({"JOB_ID": "1", "SGE_TASK_ID": "1"}, 0, 0),
    ({"JOB_ID": "1", "SGE_TASK_ID": "4"}, 5, 8),
    ({"JOB_ID": "1", "SGE_TASK_ID": "undefined"}, 5, 5),
    ({"PBS_JOBID": "1[2].s", "PBS_ARRAY_INDEX": "2"}, 0, 2),
    ({"PBS_JOBID": "1.s"}, 1, 1),
]


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(("outer", "offset", "element"), ELEMENTS)
def test_the_element_is_known_by_what_the_scheduler_says(tmp_path, outer, offset, element, listed):
    """The element's number comes from whichever scheduler runs job.sh, and its tasks from the list, if there is one."""
    if listed:
        lines = "".join(f"{100 + number} {200 + number}\n" for number in range(13))
        (tmp_path / "elements").write_text(lines)
    text = f"""
attempt_dir={tmp_path} mark=m packed=yes
open_element() {{ :; }}; close_element() {{ :; }}
line_of() {{ line=$(tail -n "+$(($2 + 1))" "$1" | head -n 1); }}
run_task() {{ echo "$task"; }}
{script.shipped("job.sh")}
"""
    done = subprocess.run(
        ["sh", "-uc", text, "job.sh", str(offset)],
        env={"PATH": os.environ["PATH"], **outer},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ([str(100 + element), str(200 + element)] if listed else [str(element)])


def test_an_element_that_is_not_listed_is_an_error(tmp_path):
    """An element beyond the list runs nothing, and says so."""
    (tmp_path / "elements").write_text("0 1\n")
    text = f'attempt_dir={tmp_path} mark=m\nline_of() {{ line=$(tail -n "+$(($2 + 1))" "$1" | head -n 1); }}\n{script.shipped("job.sh")}'
    done = subprocess.run(
        ["sh", "-uc", text], env={"CLIF_ELEMENT": "1", "PATH": os.environ["PATH"]}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "no tasks are listed for element 1" in done.stderr


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("module load R/4.1; ml purge", ""),
        ("module use /opt/site/modules; module list 2>&1", ""),
        ('. "$MODULESHOME/init/sh"; . $LMOD_PKG/init/sh', ""),
        ('eval "$($LMOD_CMD sh load R)"; eval `$LMOD_CMD sh load R`', ""),
        (". ~/.bashrc", ""),
        ("conda activate fit", ""),
        ('eval "$(conda shell.posix hook)"; . activate fit', ""),
        ('. "$(conda info --base)/etc/profile.d/conda.sh"', ""),
        ("conda run -n fit --no-capture-output echo 'a  b'", "a  b\n"),
    ],
)
def test_scripts_that_load_modules_and_activate_go_on_in_a_container(shell, line, says, tmp_path):
    """What would bring software is there and does nothing; `conda run` runs its program."""
    command = f"set -e; {line}; echo went on"
    for more in ({"modules": ("R/4.1",)}, {"dialect": "slurm"}):
        run = replace(run_of(**more), image=IMAGE, command=command)
        text = script.program(run).replace("/tmp/.stand-ins", str(tmp_path / "made"))
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        done = subprocess.run([shell, "-c", text], env=environ, capture_output=True, text=True, check=True)
        assert done.stdout == f"{says}went on\n"


@pytest.mark.parametrize(
    ("command", "stands_in"),
    [
        ("bash x.sh", True),
        ("make && sh x.sh", True),
        ("tcsh -f x.csh", True),
        ("python show.py", False),
        ("shasum x", False),
    ],
)
def test_what_stands_in_is_for_scripts_of_shells(command, stands_in):
    """A program of another kind that asks whether there is conda is told the truth; on a host its own are there."""
    assert ("stand-ins" in script.program(replace(run_of(), image=IMAGE, command=command))) == stands_in
    assert "stand-ins" not in script.program(replace(run_of(modules=("R",)), command=command))


@pytest.mark.parametrize(
    ("command", "saved"),
    [
        ("python plot.py", True),
        ("cd fits && python3.11 plot.py", True),
        ("papermill a.ipynb b.ipynb", False),
        ("bash plot.sh", False),
    ],
)
def test_figures_of_a_python_program_are_saved(command, saved, tmp_path):
    """Where there is matplotlib, its screen is a file; who says another one is believed, on a host there may be one."""
    run = replace(run_of(), image=IMAGE, command=command)
    assert ("MPLBACKEND" in script.program(run)) == saved
    assert "MPLBACKEND" not in script.program(replace(run, variables={"MPLBACKEND": "svg"}))
    assert "MPLBACKEND" not in script.program(replace(run, image=None))
    (tmp_path / "lib/python3.11/site-packages/matplotlib").mkdir(parents=True)
    text = script.program(run).replace("/tmp/.figures", str(tmp_path / "made")).replace("/opt/env", str(tmp_path))
    text = text.removesuffix(command) + "env"
    said = subprocess.run(["dash", "-c", text], env={"PYTHONPATH": "/job"}, capture_output=True, text=True, check=True)
    assert (f"PYTHONPATH=/job:{tmp_path}/made\n" in said.stdout) == saved
    assert (tmp_path / "made/clif_figures.py").exists() == saved
