"""The srun of a container: options, variables, files, signals and exit status as srun(1) has them, on one node."""

import signal
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from cluster_interface.adapters.runtimes import script
from cluster_interface.model.job import Account
from cluster_interface.model.plan import Ask
from cluster_interface.ports import Face, ImageRef, Run

SRUN = str(resources.files("cluster_interface.adapters.runtimes") / "srun.sh")


@pytest.fixture
def tools(tmp_path):
    """A path that has no mpirun and no srun."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "env", "sed", "cat", "chmod", "mkdir", "mkfifo", "mktemp", "rm", "sleep", "true"):
        (tools / name).symlink_to(f"/bin/{name}")
    return str(tools)


@pytest.fixture
def start(tmp_path, tools):
    """Start a step as a job does that asks for three processes."""
    here = tmp_path / "here"
    here.mkdir()
    environ = {"PATH": tools, "SLURM_NTASKS": "3", "SLURM_JOB_ID": "77", "USER": "ada", "TMPDIR": str(tmp_path)}

    def start(*words, **more):
        argv = ["/bin/sh", SRUN, *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.PIPE}
        return subprocess.Popen(argv, cwd=here, env=environ | more, text=True, **pipes)

    start.here = here
    return start


def done(process, given=""):
    """Wait; return exit status, lines of output sorted, and errors."""
    out, error = process.communicate(given)
    return process.returncode, sorted(out.splitlines()), error


def test_as_many_processes_as_the_job_asks_for(start):
    """Each knows its number and how many there are; -n says otherwise."""
    text = "echo $SLURM_PROCID $SLURM_LOCALID $SLURM_NTASKS"
    assert done(start("sh", "-c", text)) == (0, ["0 0 3", "1 1 3", "2 2 3"], "")
    for words in (["-n", "2"], ["-n2"], ["--ntasks=2"], ["--ntasks", "2"], ["-N", "1", "--ntasks-per-node=2"]):
        assert done(start(*words, "sh", "-c", text)) == (0, ["0 0 2", "1 1 2"], ""), words


@pytest.mark.parametrize(
    "options",
    [
        [
            "-p",
            "debug",
            "-A",
            "lab",
            "--mem=1G",
            "--time",
            "10",
            "--exclusive",
            "-u",
            "--mpi=pmix",
            "--cpu-bind",
            "none",
        ],
        ["-K", "--kill-on-bad-exit=1", "-Jname", "--gres", "gpu:1", "--export=ALL", "--overlap", "-l"],
        ["-c", "4", "--"],
    ],
)
def test_options_without_meaning_here_are_skipped(start, options):
    """With their values, however they are written, and never a word of the program."""
    status, lines, _ = done(start("-n", "1", *options, "sh", "-c", "echo got $0 $1", "-n", "x"))
    assert (status, [line.removeprefix("0: ") for line in lines]) == (0, ["got -n x"])


@pytest.mark.parametrize("count", [1, 2])
def test_variables_are_exported_with_their_values(start, count):
    """As they are written, beside all that the job has; none of them is one of srun's own."""
    awkward = "$(touch canary) `id` * \\n;  x=y"
    text = r'printf "%s\n" "$A|$number|$tasks|$E|$KEPT|$SLURM_NTASKS"'
    exported = f"ALL,A={awkward},KEPT,number=7,tasks=first,E=,tasks=9"
    for option in (["--export", exported], [f"--export={exported}"]):
        status, lines, error = done(start("-n", str(count), *option, "sh", "-c", text, KEPT="kept"))
        assert (status, lines, error) == (0, [f"{awkward}|7|9||kept|{count}"] * count, "")


def test_the_highest_exit_status_counts(start):
    """And each that is not zero is told with its process."""
    status, _, error = done(start("sh", "-c", "exit $((SLURM_PROCID * 4))"))
    assert status == 8
    assert "task 1: exited with exit code 4" in error
    assert "task 0" not in error


def test_the_first_process_alone_reads_standard_input(start):
    """The others find it empty."""
    lines = done(start("sh", "-c", "echo $SLURM_PROCID $(cat)"), "hello")[1]
    assert lines == ["0 hello", "1", "2"]


def test_output_goes_to_files_by_pattern(start):
    """One for each process, or one for all, emptied before; input comes from one by name."""
    (start.here / "all.err").write_text("old\n")
    (start.here / "given").write_text("text\n")
    words = [
        "-o",
        "out-%j-%2t-%u.txt",
        "-e",
        "all.err",
        "-i",
        "given",
        "sh",
        "-c",
        "echo $SLURM_PROCID $(cat); echo e >&2",
    ]
    assert done(start(*words)) == (0, [], "")
    assert [(start.here / f"out-77-{n}-ada.txt").read_text() for n in range(3)] == [f"{n} text\n" for n in range(3)]
    assert (start.here / "all.err").read_text() == "e\n" * 3


def test_labels(start):
    """Lines are told apart by the process's number, and the status stays."""
    assert done(start("-l", "-n", "2", "sh", "-c", "echo out; exit 3"))[:2] == (3, ["0: out", "1: out"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-N", "2", "true"], "one node"),
        (["--multi-prog", "x"], "--multi-prog"),
        (["-n", "many", "true"], "numbers"),
        (["-n", "0", "true"], "no process"),
        (["-n"], "needs a value"),
        (["-n", "2"], "no program"),
        (["--export=NONE", "true"], "write --export=ALL"),
        (["--export", "A=1", "true"], "write --export=ALL"),
        (["--export=ALL,A='1,2'", "true"], "quotes"),
        (["--export=ALL,2=1", "true"], "no variable's name"),
        (["--export=ALL,=1", "true"], "no variable's name"),
        (["--export=ALL,a b=1", "true"], "no variable's name"),
    ],
)
def test_what_cannot_be_is_refused_in_words(start, words, said):
    """Before anything is started."""
    status, lines, error = done(start(*words))
    assert (status, lines) == (1, [])
    assert said in error


def test_a_job_of_several_nodes_is_refused_too(start):
    """The container is on the first of them."""
    status, _, error = done(start("true", SLURM_JOB_NUM_NODES="2"))
    assert status == 1
    assert "one node" in error


@pytest.mark.parametrize("count", [1, 3])
def test_a_signal_reaches_every_process(start, count):
    """Each handles it, and what it leaves with is what srun leaves with."""
    text = "trap 'echo heard; exit 5' TERM; echo ready; while :; do sleep 0.1; done"
    process = start("-n", str(count), "sh", "-c", text)
    for _ in range(count):
        assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert done(process)[:2] == (5, ["heard"] * count)


def run_of(**more):
    """A small job whose command tells of srun."""
    ask = Ask(cpus=2, memory=2**30, time=60, queue="long", runtime="x", disk=1)
    account = Account(name="ada", uid=1234, gid=1234)
    parts = {
        "mark": "ci-j-1",
        "job_dir": Path("/nowhere/j"),
        "attempt": 1,
        "account": account,
        "ask": ask,
        "dialect": "slurm",
    }
    return Run(**(parts | {"command": "srun -n 2 sh -c 'echo $SLURM_PROCID'", "image": None} | more))


def test_a_job_with_an_image_finds_it(tmp_path, tools):
    """The text that starts a program puts it on the path; where there is one, that counts; on a host there is."""
    image = ImageRef(key="x", face=Face.DIRECTORY)
    text = script.program(run_of(image=image)).replace("/tmp/.srun", str(tmp_path / "srun"))
    environ = {"PATH": tools}
    found = subprocess.run(["/bin/dash", "-c", text], env=environ, capture_output=True, text=True, check=True)
    assert sorted(found.stdout.split()) == ["0", "1"]
    own = tmp_path / "own"
    own.mkdir()
    (own / "srun").write_text("#!/bin/sh\necho own\n")
    (own / "srun").chmod(0o755)
    environ = {"PATH": f"{own}:{tools}"}
    found = subprocess.run(["/bin/dash", "-c", text], env=environ, capture_output=True, text=True, check=True)
    assert found.stdout == "own\n"
    assert ".srun" not in script.program(run_of())
    assert ".srun" not in script.program(run_of(image=image, dialect=None))
