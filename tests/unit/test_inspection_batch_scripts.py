"""Whole batch scripts, in the style of clusters' documentation: what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cluster_interface.inspection import inspect
from cluster_interface.inspection.batch.queues import with_known_queue, with_known_runtime, with_what_there_is
from cluster_interface.inspection.software import Software
from cluster_interface.model.host import HostModule
from cluster_interface.model.queue import Queue
from cluster_interface.model.resources import GIB, MIB, Resources

DATA = Path(__file__).parent / "inspection_data/batch"
BESIDE = {
    **dict.fromkeys(["book.txt", "train.py", "step.awk", "query.fa"], ""),
    "fit.py": "import numpy",
    **{f"data/input_{n}.txt": "" for n in range(12)},
}
HOUR = 3600


def read(name, text=None, *, software=None, **more):
    """Inspect one of the scripts, with files beside it."""
    text = (DATA / f"{name}.txt").read_text() if text is None else text
    return inspect({**BESIDE, **more, name: text}, name, software=software)


def inputs(*indices):
    """Name the inputs of these indices."""
    return {f"data/input_{index}.txt" for index in indices}


EXPECTED = {
    "serial.sbatch": ("slurm", {"memory": 500 * MIB, "time": HOUR // 2}, None, {"book.txt"}),
    "threaded.sbatch": (
        "slurm",
        {"nodes": 1, "tasks_per_node": 1, "cpus": 8, "memory": 16 * GIB, "time": 30 * HOUR, "queue": "short",
         "account": "bio-101", "qos": "normal"},
        None,
        {"fit.py"},
    ),
    "mpi.slurm": (
        "slurm",
        {"nodes": 4, "tasks_per_node": 16, "memory": 64 * GIB, "time": 12 * HOUR, "constraint": "skylake&ib",
         "exclusive": True},
        None,
        set(),
    ),
    "gpu.sbatch": (
        "slurm",
        {"cpus": 12, "gpus": 2, "gpu_type": "a100", "time": 8 * HOUR, "queue": "gpu", "licenses": ("matlab:1",)},
        None,
        {"train.py"},
    ),
    "array.sbatch": ("slurm", {"time": 1200}, ((1, 2, 3, 4, 5, 9), 2), inputs(1, 2, 3, 4, 5, 9)),
    "parallel.sge": (
        "gridengine",
        {"cpus": 8, "memory": 24 * GIB, "time": 24 * HOUR, "queue": "long.q", "account": "bio"},
        None,
        {"query.fa"},
    ),
    "array.sge": (
        "gridengine", {"memory": GIB, "time": 600}, ((2, 4, 6, 8, 10), 3), {"step.awk", *inputs(2, 4, 6, 8, 10)},
    ),
    "soft.qsub": ("gridengine", {"memory": 8 * GIB, "time": 4 * HOUR, "gpus": 1, "exclusive": True}, None, set()),
    "select.pbs": (
        "pbs",
        {"nodes": 2, "tasks_per_node": 16, "cpus": 2, "memory": 100 * GIB, "time": 6 * HOUR, "exclusive": True,
         "queue": "workq", "account": "climate"},
        None,
        set(),
    ),
    "array.pbs": ("pbs", {"nodes": 1, "cpus": 1, "memory": 2 * GIB, "time": 600}, ((0, 4, 8), 2), inputs(0, 4, 8)),
    "torque.pbs": (
        "pbs", {"nodes": 1, "cpus": 4, "memory": 16 * GIB, "time": 100 * HOUR}, ((1, 3, 4, 5), 2), set(),
    ),
    "nodes.pbs": (
        "pbs", {"nodes": 2, "tasks_per_node": 8, "cpus": 1, "memory": 16 * GIB, "time": HOUR}, None, set(),
    ),
    "array.lsf": (
        "lsf", {"cpus": 1, "memory": 2 * GIB, "time": 1200, "queue": "normal"}, ((1, 5, 9), 2),
        {"step.awk", *inputs(1, 5, 9)},
    ),
    "threaded.lsf": (
        "lsf",
        {"cpus": 8, "memory": 16000 * MIB, "time": 30 * HOUR, "queue": "medium", "account": "bio-101",
         "exclusive": True},
        None,
        {"query.fa"},
    ),
    "gpu.lsf": (
        "lsf",
        {"cpus": 4, "memory": 8 * GIB, "time": 8 * HOUR, "gpus": 2, "gpu_type": "TeslaV100", "queue": "gpuv100"},
        None,
        {"train.py"},
    ),
    "mpi.lsf": ("lsf", {"nodes": 2, "tasks_per_node": 16, "time": 12 * HOUR}, None, set()),
    "both.job": ("slurm", {"cpus": 4, "time": HOUR}, None, set()),
    "heredoc.slurm": ("slurm", {"tasks_per_node": 1, "cpus": 1, "time": 48 * HOUR}, None, set()),
    "program.py": ("slurm", {"memory": 2 * GIB, "time": 900}, None, set()),
    "bare.sub": ("slurm", {"cpus": 2, "time": 300}, None, set()),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(path.name.removesuffix(".txt") for path in DATA.glob("*.txt")))
def test_scripts(name):
    """What they ask for and what they read; all of it is as the job spec has it, and rests on something."""
    dialect, resources, array, files = EXPECTED[name]
    found = read(name)
    assert found.dialect == dialect
    assert found.resources == resources
    assert set(found.inputs) == files
    swept = found.sweep and (found.sweep.parameters["array"], found.sweep.max_running)
    assert swept == (array and (tuple(map(str, array[0])), array[1]))
    Resources.model_validate(found.resources)
    stated = {guess.field: guess for guess in found.guesses if guess.field.startswith("resources.")}
    assert stated.keys() == {f"resources.{field}" for field in resources}
    assert all(", line " in guess.rests_on and guess.sure == "stated" for guess in stated.values())
    assert found == type(found).model_validate_json(found.model_dump_json())


@pytest.mark.parametrize(
    ("name", "modules"),
    [("mpi.slurm", ("gcc/12.2", "openmpi/4.1")), ("parallel.sge", ("blast/2.14",)), ("serial.sbatch", ())],
)
def test_modules_are_recorded(name, modules):
    """And what is known of them stands in for them in a container."""
    found = read(name)
    assert found.environment.modules == modules
    assert not [warning for warning in found.warnings if "modules of the site" in warning]
    expected = {"gcc/12.2": {"gcc", "openmpi-bin"}, "blast/2.14": {"ncbi-blast+"}}
    assert expected.get(modules[0] if modules else "", set()) <= set(found.environment.system)


def test_unknown_modules_are_told_once():
    """A container has none of the site's modules."""
    found = read("a.sh", "module load frobnicator other/1\n")
    assert len([warning for warning in found.warnings if "modules of the site" in warning]) == 1
    assert found.environment.modules == ()


LENT = Software(
    modules={"matlab": HostModule(trees=("/opt/matlab",), licenses=("27000@lic.campus.edu",), packages="xz-utils")}
)


@pytest.mark.parametrize("lines", ["module load matlab/R2023b\nmatlab -batch fit\nmatlab_helper", "matlab -batch fit"])
def test_what_the_host_lends_runs_in_a_container(lines):
    """A licensed program whose tree the site names does not want the host; what it takes is said."""
    found = read("a.sh", f"#SBATCH -c 2\n{lines}\n", software=LENT)
    assert "runtime" not in found.resources
    assert [name.partition("/")[0] for name in found.environment.modules] == ["matlab"]
    assert found.environment.system == ("xz-utils",)
    (guess,) = [guess for guess in found.guesses if guess.field == "environment.modules"]
    assert "the host lends /opt/matlab (the site's table of modules)" in guess.rests_on
    assert found.warnings == (
        f"{guess.value} asks 27000@lic.campus.edu for its licence: say --network, a job has none unless you do",
    )


def test_another_licensed_program_still_wants_the_host():
    """What one module lends is not what another one is for; a version that is lent alone is the program's own."""
    found = read("a.sh", "module load matlab/R2023b\nmatlab -batch fit\nabaqus job=x\n", software=LENT)
    assert found.resources == {"runtime": "none"}
    site = Software(modules={"matlab/r2023b": LENT.modules["matlab"]})
    assert read("a.sh", "module load matlab/R2023b\nmatlab -batch fit\n", software=site).resources == {}


def test_what_stays_on_the_host_is_no_module_of_a_container():
    """Where the queue allows no job on the host's own software, what only that has is left out, and it is said."""
    found = read("a.sh", "module load matlab blast/2.14\n")
    assert (found.environment.modules, found.resources) == (("matlab", "blast/2.14"), {"runtime": "none"})
    queue = Queue(
        name="q",
        cpus=4,
        memory=GIB,
        time=None,
        default_cpus=1,
        default_memory=MIB,
        default_time=60,
        runtimes=("bubblewrap",),
    )
    found = with_known_runtime(found, [queue], "q", Software())
    assert (found.environment.modules, found.resources) == (("blast/2.14",), {})
    assert "queue q does not let jobs run on the host's own software" in found.warnings[-1]


def test_where_the_job_stays_on_the_host_every_module_is_loaded_there():
    """In the order of the script: what no table knows may be what the licensed program wants."""
    found = read("a.sh", "module load frobnicator matlab other/1\n")
    assert found.environment.modules == ("frobnicator", "matlab", "other/1")


@pytest.mark.parametrize(
    ("line", "modules"),
    [
        ("module load a/1 b/2.3-gcc", ("a/1", "b/2.3-gcc")),
        ("module -q add a > /dev/null 2>&1", ("a",)),
        ("ml a b", ("a", "b")),
        ("ml load a", ("a",)),
        ("ml purge; module list; module avail x", ()),
        ("module swap a b", ("b",)),
        ("module load $X", ()),
        ("module load 'a b'", ()),
        ('eval "$(modulecmd bash load blast/2.14)"', ("blast/2.14",)),
    ],
)
def test_which_words_are_modules(line, modules):
    """module(1) and Lmod's `ml`."""
    site = Software(modules={"a": "", "b": "", "blast": ""})
    assert read("a.sh", f"{line}\n", software=site).environment.modules == modules


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("mpi.slurm", "no further than one node"),
        ("select.pbs", "mpiexec"),
    ],
)
def test_what_is_not_there_inside_is_said(name, word):
    """Programs that start processes on other nodes, and lists of nodes."""
    assert [warning for warning in read(name).warnings if word in warning]


def test_srun_on_one_node_needs_no_word():
    """It comes with the job."""
    assert not [warning for warning in read("threaded.sbatch").warnings if "srun" in warning]


@pytest.mark.parametrize(
    ("line", "dialect"),
    [
        ("srun -n 2 date", "slurm"),
        ("echo $SLURM_JOB_ID", "slurm"),
        ("echo ${NSLOTS}", "gridengine"),
        ("cd $PBS_O_WORKDIR", "pbs"),
        ("# $SLURM_JOB_ID", None),
        ("date", None),
    ],
)
def test_variables_tell_the_dialect(line, dialect):
    """Where no directives do."""
    assert read("a.sh", f"{line}\n").dialect == dialect


@pytest.mark.parametrize("words", ["cat $PE_HOSTFILE", "mpirun -machinefile ${TMPDIR}/machines x"])
def test_files_of_the_batch_system_are_warned_of(words):
    """They are not made for a container."""
    assert [warning for warning in read("a.sh", f"#$ -cwd\n{words}\n").warnings if "no such file" in warning]


def test_an_array_that_nothing_asks_for_is_warned_of():
    """It was given on the command line of the batch system; any file that fits may be read."""
    found = read("a.sh", "#SBATCH -N 1\nwc data/input_$SLURM_ARRAY_TASK_ID.txt\n")
    assert [warning for warning in found.warnings if "--sweep array=" in warning]
    assert len(found.inputs) == 12


def test_another_systems_variables_are_warned_of():
    """Nothing sets them."""
    assert [warning for warning in read("a.sh", "#SBATCH -N 1\necho $NSLOTS\n").warnings if "$NSLOTS" in warning]


def test_the_directory_of_submission_is_where_the_job_starts():
    """And TMPDIR is no place for outputs."""
    found = read("a.sh", "#PBS -N x\nsort $PBS_O_WORKDIR/book.txt > $TMPDIR/a; cp $TMPDIR/a ${PBS_O_WORKDIR}/b\n")
    assert found.inputs == ("book.txt",)
    assert found.outputs == ()


def test_a_large_array_of_few_files_is_a_pattern():
    """Not every index is tried."""
    found = read("a.sh", "#SBATCH -a 1-90000\nwc data/input_$SLURM_ARRAY_TASK_ID.txt\n")
    assert set(found.inputs) == inputs(*range(12))


def test_a_queue_that_is_not_here_gives_way():
    """The script may come from another site; it is said."""
    proposal = read("parallel.sge")
    assert with_known_queue(proposal, ["long.q"]) is proposal
    found = with_known_queue(proposal, ["main"])
    assert "queue" not in found.resources
    assert "resources.queue" not in {guess.field for guess in found.guesses}
    assert "no queue 'long.q' here (#$ -q long.q@@big, line 7)" in found.warnings[-1]


HERE = Queue(
    name="local", cpus=2, memory=8 * GIB, time=None, default_cpus=1, default_memory=GIB, default_time=60,
    runtimes=("bubblewrap",),
)  # fmt: skip
LARGE = "#SBATCH -N 4 -n 64 -c 8 --mem=512G --gres=gpu:a100:2 -t 10\npython fit.py\n"


def test_a_machine_alone_gives_what_it_has():
    """A script for a large cluster is tried out here with less, and that is said; what fits stays."""
    found = with_what_there_is(read("large.sh", LARGE), [HERE], "local")
    assert found.resources == {"nodes": 1, "cpus": 2, "tasks_per_node": 1, "memory": 8 * GIB, "time": 600}
    said = "\n".join(found.warnings)
    for words in ("nodes: 4 asked for (#SBATCH -N 4", "cpus: 8 asked", "memory: 512", "gpus: 2 asked", "none taken"):
        assert words in said, said
    assert {guess.value for guess in found.guesses if guess.field == "resources.cpus"} == {"2"}


def test_a_cluster_refuses_what_it_has_not():
    """There the person, or the steward, knows better."""
    proposal = read("large.sh", LARGE)
    main = replace(HERE, name="main", scheduler="slurm")
    assert with_what_there_is(proposal, [main], "main") is proposal
    named = read("large.sh", f"#SBATCH -p main\n{LARGE}")
    assert with_what_there_is(named, [HERE, main], "local") is named
    small = read("small.sh", "#SBATCH -c 2 --mem=1G\npython fit.py\n")
    assert with_what_there_is(small, [HERE], "local") == small


def test_the_batch_script_of_a_directory_is_what_is_run():
    """It uses the others."""
    found = inspect({"run.sbatch": "#!/bin/bash\n#SBATCH -c 2\npython fit.py\n", "fit.py": "import numpy"})
    assert found.script == "run.sbatch"
    assert found.resources == {"cpus": 2}
