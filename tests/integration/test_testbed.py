"""Each part of the testbed answers and does a small thing for an ordinary user."""

import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from tests.campus import TESTBED, USER, part
from tests.conftest import wait_for
from tests.contract import rig

from cluster_interface.ports import Face

PARTS = sorted(path.name for path in TESTBED.iterdir() if path.suffix == "" and path.name not in ("up", "down"))


@pytest.fixture
def theirs(place) -> Path:
    """A directory of the ordinary user's."""
    shutil.chown(place, USER)
    return place


@pytest.fixture(scope="module")
def rootfs() -> Path:
    """A directory with a small Debian in it."""
    return rig.image(Face.DIRECTORY).rootfs


def script(directory: Path, text: str) -> Path:
    """A script on the shared file system."""
    path = directory / "job.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    return path


def submitted(slurm, theirs: Path, text: str, *options: str) -> str:
    """What a script printed that sbatch ran to its end."""
    job = slurm.ask("sbatch", "--parsable", f"--output={theirs}/out", *options, script(theirs, text))
    asked = ("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}")
    wait_for(lambda: slurm.ask(*asked) not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING"), 180, 0.2)
    return (theirs / "out").read_text().strip()


def test_slurm_runs_a_script_as_its_user(slurm, theirs):
    """Sbatch runs a script as whoever submitted it."""
    assert submitted(slurm, theirs, "id -un; echo $SLURM_JOB_PARTITION") == f"{USER}\nmain"


def test_slurm_has_features_licences_and_gpus(slurm, theirs):
    """A job may ask for the feature, a licence and the GPU that two nodes are said to have."""
    asked = ("--constraint=fast", "--licenses=matlab:1", "--gres=gpu:a100:1", "--partition=short")
    assert submitted(slurm, theirs, "echo $SLURMD_NODENAME $SLURM_JOB_GPUS", *asked) in ("n1 0", "n2 0")


def test_slurm_takes_a_job_of_several_nodes(slurm, theirs):
    """Srun inside a job reaches every node of it."""
    out = submitted(slurm, theirs, "srun sh -c 'echo $SLURMD_NODENAME'", "--nodes=4", "--ntasks-per-node=1")
    assert sorted(out.split()) == ["n1", "n2", "n3", "n4"]


def test_slurm_speaks_pmix(slurm):
    """The ranks of an MPI program can be started by PMIx, as Debian's Open MPI wants it."""
    done = slurm.run("srun", "--mpi=list")
    assert "pmix" in done.stdout + done.stderr


def test_slurm_remembers_what_ended(slurm_accounting, theirs):
    """With accounting, sacct knows a job that has ended by its comment, account and QOS."""
    mark = f"ci-{theirs.name}-1"
    submitted(slurm_accounting, theirs, "exit 0", f"--comment={mark}", "--account=course", "--qos=normal")

    def found():
        lines = slurm_accounting.ask("sacct", "-nPX", "-o", "comment,account,qos,state").splitlines()
        return [line for line in lines if line.startswith(mark)] == [f"{mark}|course|normal|COMPLETED"]

    wait_for(found, 60, 0.2)


@pytest.mark.parametrize("wrong", [("--account=nobody",), ("--account=course", "--qos=long"), ("-p", "short", "-t11")])
def test_slurm_with_accounting_refuses_what_is_not_allowed(slurm_accounting, theirs, wrong):
    """An account of others', a QOS that the account has not, or more time than the partition gives."""
    done = slurm_accounting.run("sbatch", *wrong, script(theirs, "exit 0"))
    assert done.returncode == 1
    assert "sbatch: error:" in done.stderr


def test_slurm_with_cgroups_holds_a_job_to_its_memory(slurm_accounting, theirs):
    """Where cgroups work, a job that takes more memory than it asked for is killed."""
    if " cgroups: no" in slurm_accounting.control("start").stdout:
        pytest.skip("Slurm has no cgroups on this machine")
    text = "python3 -c 'bytearray(300 << 20)'; echo $?"
    assert "137" in submitted(slurm_accounting, theirs, text, "--mem=100")


def test_gridengine_runs_a_script_as_its_user(gridengine, theirs):
    """Qsub runs a script as whoever submitted it, in all.q unless he says otherwise."""
    asked = ("-pe", "smp", "2", "-l", "h_vmem=500M,matlab=1")
    gridengine.ask("qsub", "-sync", "y", "-j", "y", "-o", theirs / "out", *asked,
                   script(theirs, "id -un; echo $QUEUE $NSLOTS"))  # fmt: skip
    wait_for((theirs / "out").exists)
    assert (theirs / "out").read_text() == f"{USER}\nall.q 2\n"


def test_gridengine_remembers_what_ended(gridengine, theirs):
    """Qacct knows a job that has ended by its name."""
    mark = f"ci-{theirs.name}-1"
    gridengine.run("qsub", "-sync", "y", "-j", "y", "-N", mark, "-o", theirs / "out", "-q", "short.q",
                   script(theirs, "exit 3"))  # fmt: skip
    words = wait_for(lambda: gridengine.run("qacct", "-j", mark).stdout, 60, 0.2)
    facts = dict(line.split(None, 1) for line in words.splitlines() if len(line.split(None, 1)) == 2)
    assert (facts["exit_status"].strip(), facts["owner"].strip(), facts["qname"].strip()) == ("3", USER, "short.q")


def test_postgres_gives_an_empty_database(postgres, postgres_url):
    """A test's database answers, and has no tables."""
    count = "select count(*) from pg_tables where schemaname = 'public'"
    assert postgres.ask("psql", "-XAtc", count, postgres_url.replace("+psycopg", "")) == "0"


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_module_is_loaded_by_a_shell_that_is_nobodys_login(modules, shell):
    """The lines of `env` are all that a shell needs for `module load`."""
    text = f"{modules.control('env').stdout}\nmodule load hello/1.0 && hello && echo $HELLO_HOME"
    first, second = modules.ask(shell, "-c", text, env={"PATH": "/usr/bin:/bin"}).splitlines()
    assert first == "hello from a module"
    assert second.endswith("/hello-1.0")


def test_apptainer_runs_a_directory(apptainer, rootfs):
    """An ordinary user runs a program of a directory."""
    assert apptainer.ask("apptainer", "exec", rootfs, "python3", "-c", "print(6 * 7)") == "42"


def test_charliecloud_runs_a_directory(charliecloud, rootfs):
    """An ordinary user runs a program of a directory."""
    assert charliecloud.ask("ch-run", rootfs, "--", "python3", "-c", "print(6 * 7)") == "42"


PODMAN = """
export XDG_RUNTIME_DIR={place}/run
mkdir -m 700 $XDG_RUNTIME_DIR
podman() {{ command podman --storage-driver overlay --root {place}/storage --runroot $XDG_RUNTIME_DIR/storage "$@"; }}
podman import -q {archive} small >/dev/null
podman run --rm --network none small python3 -c 'print(6 * 7)'
podman system migrate
"""


@pytest.mark.parametrize("scheduler", ["slurm", "slurm_accounting"])
def test_podman_runs_an_image_in_a_job(podman, scheduler, theirs, rootfs, request):
    """An ordinary user's job imports an image and runs a program of it, without and with cgroups of Slurm's."""
    text = PODMAN.format(place=theirs, archive=rig.ARCHIVE)
    assert submitted(request.getfixturevalue(scheduler), theirs, text, "--mem=1000").splitlines()[-1] == "42"


@pytest.mark.parametrize("name", PARTS)
def test_starting_a_part_again_changes_nothing(name):
    """`start` of what is up says so in a line, and leaves the same processes running."""
    found = part(name)
    records = {path: path.read_text() for path in Path("/run/clif-testbed").iterdir()}
    done = found.control("start")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert {path: path.read_text() for path in Path("/run/clif-testbed").iterdir()} == records


def daemons(mine) -> list[psutil.Process]:
    """The processes that a part of our own runs."""
    records = Path("/run", mine.where["CLIF_TESTBED_NAME"]).iterdir()
    return [psutil.Process(int(path.read_text().split()[0])) for path in records if path.suffix != ".lock"]


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("slurm", ("sinfo", "-h")),
        ("slurmdbd", ("sacctmgr", "-n", "show", "cluster")),
        ("gridengine", ("qstat", "-f")),
        ("postgres", ("sh", "-c", "psql -XAtc 'select 1' ${CLIF_TESTBED_POSTGRES%+psycopg*}${CLIF_TESTBED_POSTGRES#*+psycopg}")),
    ],
)  # fmt: skip
def test_a_part_rises_again_and_stops_alone(own_part, name, question):
    """What was killed is started again, with what it knew; `stop` ends it, and nothing of the shared testbed."""
    mine = own_part(name)
    mine.ask(*question)
    before = daemons(mine)
    for process in before:
        process.send_signal(signal.SIGKILL)
    wait_for(lambda: all(rig.gone(process.pid) for process in before))
    assert mine.control("status").returncode != 0
    done = mine.control("start")
    assert done.returncode == 0, done.stderr
    mine.ask(*question)
    after = daemons(mine)
    assert not {process.pid for process in before} & {process.pid for process in after}
    assert mine.control("stop").returncode == 0
    assert all(rig.gone(process.pid) for process in after)
    assert mine.control("status").returncode != 0
    assert part(name).control("status").returncode == 0


def test_up_refuses_what_it_does_not_know():
    """A part that is none is named, with those that are."""
    done = subprocess.run([TESTBED / "up", "nomad"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no nomad" in done.stderr
    assert "gridengine" in done.stderr
