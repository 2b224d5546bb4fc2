"""Many tasks on the command line: counted, explained, listed, run again, fetched and gathered."""

import json

import click
import pytest
from tests.unit.client_server import spec
from tests.unit.test_cli_commands import Shell

from cluster_interface.cli.gathering import renamed
from cluster_interface.cli.sweeping import bar, show_counts, show_waiting
from cluster_interface.client.outputs import Output

ROWS = [{"n": str(n), "word": "a,b"} for n in range(4)]


@pytest.fixture
def shell(tmp_path):
    made = Shell(tmp_path)
    made.start()
    yield made
    made.close()


def sweeps(*failed: int):
    """Make what the server does with a sweep of four."""

    def on_submit(server, job):
        server.sweep(job, ROWS, failed=list(failed))
        server.outputs[job] = {f"{n}:r.csv": b"x,y\n%d,2\n" % n for n in range(4) if n not in failed}
        words = f"{len(failed)} of 4 tasks failed" if failed else ""
        server.write(job, "err", b"no such grid\n" * bool(failed))
        server.finish(job, "failed" if failed else "completed", words, "tasks_failed" if failed else None)

    return on_submit


def done_sweep(shell, *failed: int) -> str:
    job = shell.server.add(spec(sweep={"parameters": {"n": [0, 1, 2, 3]}}))
    sweeps(*failed)(shell.server, job)
    return job


def test_a_sweep_is_counted_and_its_failures_are_grouped(shell):
    """No log, but counts; at the end reasons with numbers, how to see one, how to run those again; exit status 1."""
    shell.write("fit.py", "print(1)")
    shell.server.on_submit = sweeps(1, 3)
    done = shell.clif("run", "fit.py", "--sweep", "n=0..3", "--sweep", 'word="a,b"', "--max-running", "2")
    talk = done.stderr.decode()
    assert (done.returncode, done.stdout) == (1, b"")
    for words in (
        "sweep        4: n (4), word (1)", "at most 2 at a time", "$CLIF_PARAM_n", "2 failed, 4 of 4 done",
        "2  a task exited with 1: tasks 1, 3", "task 1's stderr ended with", "| no such grid", "--task 1 --err", "--failed",
    ):  # fmt: skip
        assert words in talk, talk
    submitted = next(json.loads(body)["spec"] for body in shell.server.bodies if b'"sweep"' in body)
    assert submitted["sweep"] == {"parameters": {"n": ["0", "1", "2", "3"], "word": ["a,b"]}, "max_running": 2}
    job = next(iter(shell.server.jobs))
    assert (shell.directory / job / "2/r.csv").read_bytes() == b"x,y\n2,2\n"
    table = (shell.directory / job / "tasks.csv").read_text().splitlines()
    assert table[0] == "task,n,word,state,exit_code,seconds,memory"
    assert table[2] == '1,1,"a,b",failed,1,2.000,1048576'


def test_a_sweep_without_failures_is_exit_status_zero(shell):
    """And says how many were done."""
    shell.write("fit.py", "print(1)")
    shell.server.on_submit = sweeps()
    done = shell.clif("run", "fit.py", "--sweep", "n=0..3", "--to", "out")
    assert done.returncode == 0, done.stderr
    assert b"4 of 4 done" in done.stderr
    assert (shell.directory / "out/3/r.csv").exists()


def test_status_shows_counts_waiting_and_advice(shell):
    """At a glance: a bar, how many failed, why it waits, how often it was tried."""
    job = done_sweep(shell, 2)
    data = shell.server.jobs[job]
    data["attempts"] = [{**data["attempts"][0], "number": n} for n in (1, 2)]
    data["advice"] = "asked 8 cores, kept 1.1 busy: next time ask 2"
    data["waiting"] = {"reason": "waits for nodes", "native_reason": "Resources", "position": 3}
    seen = shell.clif("status", job).stdout.decode()
    for words in (
        "1 of 4 failed",
        "4 of 4 done",
        "attempts   2",
        "kept 1.1 busy",
        "waits for nodes (Resources); place 3",
    ):
        assert words in seen, seen


def test_tasks_are_listed(shell):
    """With parameters, exit codes, time and memory; by state; as the API's JSON."""
    job = done_sweep(shell, 1)
    lines = shell.clif("tasks", job).stdout.decode().splitlines()
    assert lines[0] == "0\tcompleted\t0\ta,b\t0\t2 s\t1 MiB\t"
    assert len(lines) == 4
    failed = shell.clif("tasks", job, "--state", "failed").stdout.decode().splitlines()
    assert [line.split("\t")[0] for line in failed] == ["1"]
    page = json.loads(shell.clif("tasks", job, "--json", "--limit", "2").stdout)
    assert ([task["index"] for task in page["tasks"]], page["next"]) == ([0, 1], 1)
    assert "parameter" not in shell.on_terminal("tasks", job)[1]


def test_hostile_parameters_are_harmless_on_a_terminal(shell):
    """A terminal obeys nothing that stands in a table of parameters."""
    job = shell.server.add(spec(sweep={"parameters": {"n": [0]}}))
    shell.server.sweep(job, [{"n": "\x1b]52;c;ZXZpbA==\x07\x1b[2J\u202e"}])
    shell.server.finish(job)
    seen = shell.on_terminal("tasks", job)[1]
    assert "]52;" not in seen
    assert "\x1b[2J" not in seen
    assert "\u202e" not in seen


def test_only_the_failed_tasks_run_again(shell):
    """`rerun --failed` says so to the server and prints the new id."""
    job = done_sweep(shell, 1)
    done = shell.clif("rerun", job, "--failed")
    assert done.stdout.decode().strip() in shell.server.jobs
    assert ("POST", f"/jobs/{job}/rerun") in shell.server.asked


def test_outputs_of_a_sweep_are_listed_and_fetched_by_task(shell):
    """Each task's files in a directory of its number, with a table of what each was."""
    job = done_sweep(shell)
    assert b"3/r.csv\t8" in shell.clif("outputs", job).stdout
    assert shell.clif("outputs", job, "r.csv", "--task", "2").stdout == b"x,y\n2,2\n"
    assert shell.clif("outputs", job, "r.csv").returncode == 2
    assert shell.clif("outputs", job, "--to", "d").returncode == 0
    assert sorted(path.name for path in (shell.directory / "d").iterdir()) == ["0", "1", "2", "3", "tasks.csv"]


def test_tables_are_gathered(shell):
    """To stdout, or into a directory; what is no table gets the parameters into its name."""
    job = done_sweep(shell, 1)
    expected = b'task,n,word,x,y\r\n0,0,"a,b",0,2\n'
    assert (
        shell.clif("outputs", job, "--gather", "r.csv")
        .stdout.replace(b"\r", b"")
        .startswith(expected.replace(b"\r", b""))
    )
    done = shell.clif("outputs", job, "--gather", "*.csv", "--to", "all")
    assert done.returncode == 0, done.stderr
    assert (shell.directory / "all/r.csv").read_bytes().count(b"\n") == 4
    shell.server.outputs[job] = {"0:p.png": b"p", "2:p.png": b"q"}
    assert shell.clif("outputs", job, "--gather", "*.png", "--to", "pics").returncode == 0
    assert sorted(path.name for path in (shell.directory / "pics").iterdir()) == [
        "p-0-n=0-word=a_b.png",
        "p-2-n=2-word=a_b.png",
    ]
    assert shell.clif("outputs", job, "--gather", "nothing").returncode == 2


def test_flags_become_the_spec(shell):
    """Everything that can be said of a job, said by flag; another job by the beginning of its id."""
    first = shell.server.add(spec())
    shell.write("fit.py", "print(1)")
    done = shell.clif(
        "describe", "fit.py", "--json", "--each", "*.fq", "--first-alone", "--pack", "3", "--after", f"{first[:4]}:any",
        "--retry", "node_failed=2", "--retry", "memory_factor=1.5", "--resume", "--signal-before", "10m",
        "--gpus", "a100:2", "--tasks-per-node", "4", "--exclusive", "--account", "a", "--qos", "q", "--reservation", "r",
        "--constraint", "x&y", "--license", "m:2", "--scheduler", "slurm",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["spec"]
    assert found["sweep"] == {"files": "*.fq", "first_alone": True, "pack": 3}
    assert found["after"] == [f"{first}:any"]
    assert found["retry"] == {"node_failed": 2, "memory_factor": 1.5}
    assert found["checkpoint"] == {"resume": True, "signal_before": "10m"}
    assert found["resources"] == {
        "gpus": 2, "gpu_type": "a100", "tasks_per_node": 4, "exclusive": True, "account": "a", "qos": "q",
        "reservation": "r", "constraint": "x&y", "licenses": ["m:2"], "scheduler": "slurm",
    }  # fmt: skip
    assert shell.clif("describe", "fit.py", "--retry", "often").returncode == 2
    assert b"--sweep" in shell.clif("describe", "fit.py", "--sweep", "nonsense").stderr


def test_a_parameter_goes_to_an_option_of_what_is_inferred(shell):
    """A command that was written stays as it is, and it is said how the program finds the value."""
    shell.server.proposal = {"options": [{"name": "--n"}]}
    shell.write("fit.py", "print(1)")
    done = shell.clif("describe", "fit.py", "--json", "--sweep", "n=1,2")
    assert json.loads(done.stdout)["spec"]["command"] == "python fit.py --n {n}"
    shell.write("job.yaml", "{apiVersion: 1, script: fit.py, command: python fit.py --x}")
    done = shell.clif("describe", "job.yaml", "--sweep", "n=1,2")
    assert b"python fit.py --x\n" in done.stdout
    assert b"$CLIF_PARAM_n" in done.stdout + done.stderr


def test_counts_are_words_and_a_bar():
    """However many there are of each, every kind is seen and the bar is as wide as it is."""
    counts = {"running": 12, "failed": 37, "completed": 375, "queued": 576}
    assert show_counts(counts) == "12 running, 37 failed, 412 of 1,000 done"
    for some in (
        counts,
        {"failed": 1, "completed": 99_999},
        {},
        {"running": 3},
        {"failed": 1, "canceled": 1, "running": 1},
    ):
        drawn = click.unstyle(bar(some, 10))
        assert len(drawn) == 10
    assert click.unstyle(bar({"failed": 1, "completed": 99_999}, 10)) == "█" * 10


def test_waiting_is_told_with_how_good_guesses_were():
    """Reason, place, expected start, and how far such guesses were off."""
    waiting = {
        "reason": "waits",
        "native_reason": "",
        "position": None,
        "start": 700.0,
        "usually_off": 90.0,
        "guesses": 5,
    }
    assert show_waiting(waiting, 100.0) == (
        "waits; expected to start in 10 min; such guesses were off by 1 min 30 s (the median of 5)"
    )
    assert show_waiting(None, 0) == ""


def test_renamed_files_stay_where_they_are():
    """No parameter leads a file out of its directory."""
    output = Output(None, "j", path="plots/a.tar.gz", size=1, sha256="", task=7, partial=False)
    assert renamed(output, {"n": "../../etc/passwd", "m": "a b"}) == "plots/a.tar-7-n=.._.._etc_passwd-m=a_b.gz"


def test_a_task_that_only_printed_is_heard(shell):
    """Some programs complain on their standard output."""
    shell.write("fit.py", "print(1)")

    def on_submit(server, job):
        server.sweep(job, ROWS, failed=[0])
        server.write(job, "out", b"cannot open file\n")
        server.finish(job, "failed", "1 of 4 tasks failed", "tasks_failed")

    shell.server.on_submit = on_submit
    talk = shell.clif("run", "fit.py", "--sweep", "n=0..3").stderr.decode()
    assert "task 0's stdout ended with" in talk
    assert "| cannot open file" in talk
