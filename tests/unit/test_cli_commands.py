"""The command line as a shell sees it: what goes to stdout, what to stderr, and the exit status."""

import contextlib
import errno
import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import click
import pytest
from tests.unit.client_server import Place, spec

from cluster_interface.cli import app
from cluster_interface.cli.app import COMMANDS
from cluster_interface.cli.talk import ago
from cluster_interface.model.jobspec import JobSpec
from cluster_interface.model.plan import Ask, Lock, Plan

CLIF = [sys.executable, "-m", "cluster_interface.main"]
EVIL = "\x1b]52;c;ZXZpbA==\x07evil\x1b[2J\u202e"


class Shell(Place):
    """A place with a server, and a shell to call `clif` from."""

    def __init__(self, tmp_path):
        super().__init__(tmp_path)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLIF_")}
        self.environment = inherited | self.env | {"PYTHONWARNINGS": "error", "TERM": "xterm", "COLUMNS": "120"}

    def clif(self, *arguments, **options):
        """Call it with pipes; return what subprocess does, in bytes."""
        return subprocess.run(
            [*CLIF, *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            check=False,
            timeout=60,
            **options,
        )

    def on_terminal(self, *arguments, keys: str = "") -> tuple[int, str]:
        """Call it on a terminal, with these keys hit; return the exit status and all that was to be seen."""
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(self.directory)
            os.execvpe(CLIF[0], [*CLIF, *arguments], self.environment)
        os.write(fd, keys.encode())
        seen = b""
        with contextlib.suppress(OSError):  # EIO, when the other end is closed
            while piece := os.read(fd, 65536):
                seen += piece
        os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


@pytest.fixture
def shell(tmp_path):
    """A shell beside a running server."""
    made = Shell(tmp_path)
    made.start()
    yield made
    made.close()


def prints(out=b"", err=b"", **end):
    """Make what the server does with a job: it prints, leaves outputs and ends."""

    def on_submit(server, job):
        server.write(job, "out", out)
        server.write(job, "err", err)
        server.outputs[job] = {"result.txt": b"42\n"}
        server.finish(job, **end)

    return on_submit


def lacks(package, *more):
    """Make what the server does with a job that lacks a package, and with those after it."""
    ends = iter([package, *more, None])

    def on_submit(server, job):
        if lacking := next(ends):
            missing = {"field": "environment.system", "package": lacking}
            server.jobs[job]["missing"] = missing
            server.finish(job, state="failed", why="the program exited with 127", code="exit_code")
        else:
            prints(b"done\n")(server, job)

    return on_submit


def test_a_missing_package_is_asked_about(shell):
    """On a terminal: return runs it again with it, n does not; what is brought back is of the run that went well."""
    shell.write("x.sh", "")
    shell.server.on_submit = lacks("jq", "graphviz")
    status, seen = shell.on_terminal("run", "x.sh", keys="\ny\n")
    assert status == 0, seen
    assert "Run it again with jq? [Y/n]" in seen
    assert "Run it again with graphviz? [Y/n]" in seen
    assert [rerun["with_missing"] for rerun in shell.server.reruns] == ["true", "true"]
    assert (shell.directory / "result.txt").read_bytes() == b"42\n"
    shell.server.on_submit = lacks("jq")
    status, seen = shell.on_terminal("run", "x.sh", keys="n\n")
    assert status == 1
    assert len(shell.server.reruns) == 2


def test_where_nobody_can_be_asked_the_command_is_named(shell):
    """A pipe is told how to go on, or goes on by itself with --with-missing; --json stays one document."""
    shell.write("x.sh", "")
    shell.server.on_submit = lacks("jq")
    done = shell.clif("run", "x.sh")
    assert done.returncode == 1
    job = list(shell.server.jobs)[-1]
    assert f"again        clif rerun {job} --with-missing (adds jq)" in done.stderr.decode()
    assert f"clif rerun {job} --with-missing (adds jq)" in shell.clif("status", job).stdout.decode()
    assert not shell.server.reruns
    shell.server.on_submit = lacks("jq", "graphviz")
    done = shell.clif("run", "x.sh", "--with-missing", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["state"] == "completed"
    assert len(shell.server.reruns) == 2
    shell.server.on_submit = lacks(*["jq"] * 20)
    assert shell.clif("run", "x.sh", "--with-missing").returncode == 1, "not for ever"


def test_only_the_programs_output_goes_to_stdout(shell):
    """`clif run x > out` holds the program's bytes as they are; our own talk and its stderr are on stderr."""
    shell.write("count.py", "print(1)")
    raw = b"one\n\xff\x1b[2Jtwo"
    shell.server.on_submit = prints(raw, b"careful\n")
    done = shell.clif("run", "count.py", "--", "--top", "10")
    assert (done.returncode, done.stdout) == (0, raw), done.stderr
    talk = done.stderr.decode()
    for words in (
        "python count.py --top 10",
        "careful\n",
        "submitted",
        "preparing",
        "queued",
        "running",
        "completed",
        "result.txt",
    ):
        assert words in talk
    assert "\x1b" not in talk
    assert (shell.directory / "result.txt").read_bytes() == b"42\n"


def test_output_comes_while_the_program_runs(shell):
    """The first line is there long before the job ends."""
    shell.write("slow.py", "")
    ended = threading.Event()

    def on_submit(server, job):
        server.move(job, "preparing")
        server.move(job, "queued")
        server.write(job, "out", b"first\n")
        ended.wait(60)
        server.finish(job)

    shell.server.on_submit = on_submit
    process = subprocess.Popen(
        [*CLIF, "run", "slow.py"],
        cwd=shell.directory,
        env=shell.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout.readline() == b"first\n"
    ended.set()
    assert process.wait(60) == 0
    process.stdout.close()


def test_a_failed_job_is_told_with_code_sentence_and_last_lines(shell):
    """Exit status 1; the outputs are fetched all the same."""
    shell.write("bad.py", "")
    shell.server.on_submit = prints(
        err=b"Traceback\nValueError: no\n", state="failed", why="the program exited with 3", code="exit_code"
    )
    done = shell.clif("run", "bad.py")
    assert done.returncode == 1
    assert re.search(r"clif: job \w+ failed \(exit_code\): the program exited with 3", done.stderr.decode())
    assert "| ValueError: no" in done.stderr.decode()
    assert (shell.directory / "result.txt").exists()


@pytest.mark.parametrize("warnings", [("six==1.0 was withdrawn: \x1b[2Jbad",), None])
def test_status_says_what_the_image_is(shell, warnings):
    """And what is to be known of its packages; in the host's own software there is none."""
    job = shell.server.add(spec())
    lock = None if warnings is None else Lock(base="b", image="img-77", warnings=warnings)
    ask = Ask(cpus=1, memory=2**30, time=60, queue="q", runtime="r", disk=2**30)
    plan = Plan(spec=JobSpec(command="true"), command="true", lock=lock, ask=ask, bounds={})
    shell.server.jobs[job]["plan"] = plan.model_dump(mode="json")
    done = shell.clif("status", job)
    assert done.returncode == 0, done.stderr
    assert (b"img-77" in done.stdout, b"six==1.0 was withdrawn" in done.stdout) == (lock is not None,) * 2
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize(("state", "status"), [("completed", 0), ("failed", 1), ("canceled", 1), ("rejected", 3)])
def test_the_end_of_a_job_is_the_exit_status(shell, state, status):
    """Of `run` and of `wait` alike."""
    shell.write("x.py", "")
    shell.server.on_submit = prints(state=state)
    assert shell.clif("run", "x.py").returncode == status
    assert shell.clif("wait", "last").returncode == status


@pytest.mark.parametrize(("status", "exits"), [(422, 2), (404, 2), (409, 2), (403, 3), (401, 3), (500, 4), (503, 4)])
def test_a_refusal_is_one_sentence_and_an_exit_status(shell, status, exits):
    """The server's words, without a traceback and without anything for a terminal to obey."""

    def refuse(handler, path):
        handler.problem(status, f"in {EVIL} words")
        return True

    shell.server.troubles = [refuse]
    done = shell.clif("queues")
    assert (done.returncode, done.stdout) == (exits, b"")
    assert done.stderr.decode() == "clif: in evil  words\n"


def test_a_bad_field_is_said_with_its_flag(shell):
    """`resources.memory` is what the spec calls it; the person wrote --memory."""
    shell.write("x.py", "")
    done = shell.clif("submit", "x.py", "--memory", "lots")
    assert done.returncode == 2
    assert (
        "--memory (spec.resources.memory)" in done.stderr.decode()
        or "--memory (resources.memory)" in done.stderr.decode()
    )
    job = shell.server.add(spec())
    shell.server.finish(job)
    shell.server.troubles = [lambda handler, _: handler.problem(422, "no", ("seconds", "0d is no time")) or True]
    done = shell.clif("keep", job, "--for", "0d")
    assert (done.returncode, done.stderr) == (2, b"clif: --for (seconds): 0d is no time\n")


@pytest.mark.parametrize(
    "arguments",
    [["run"], ["run", "none.py"], ["frobnicate"], ["status", "nosuchjob"], ["wait"], ["run", "x.py", "--top", "3"],
     ["run", "x.py", "--input", "gone"], ["list", "--state", "odd"], ["outputs", "last", "gone.txt"],
     ["logs", "--task", "-1"]],
)  # fmt: skip
def test_mistakes_are_exit_status_two(shell, arguments):
    """Every mistake has words on stderr, nothing on stdout, and no traceback."""
    shell.write("x.py", "")
    shell.server.finish(shell.server.add(spec()))
    done = shell.clif(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr
    assert b"Traceback" not in done.stderr


def test_the_scripts_own_options_are_pointed_to_their_place(shell):
    """Who forgets the -- is told of it."""
    assert b"The script's own options go after --" in shell.clif("run", "x.py", "--top", "3").stderr


def test_an_unreachable_server_is_exit_status_four(shell):
    """Over the network nothing can be started: one sentence, status 4."""
    shell.environment["CLIF_SERVER"] = "http://127.0.0.1:9"
    done = shell.clif("list")
    assert done.returncode == 4
    assert done.stderr.decode() == "clif: cannot reach the server at http://127.0.0.1:9: Connection refused\n"


def test_without_a_server_the_doctor_still_shows_the_settings(shell):
    """The reason, every setting and where it came from; exit status 4."""
    shell.environment["CLIF_SERVER"] = "http://127.0.0.1:9"
    shell.environment["CLIF_RUNTIME"] = "bubblewrap"
    done = shell.clif("doctor")
    assert done.returncode == 4
    assert b"Connection refused" in done.stderr
    assert b"runtime\tbubblewrap\tCLIF_RUNTIME\n" in done.stdout


def test_the_doctor_tells_findings_and_settings(shell):
    """What is wrong makes status 1 and comes with advice."""
    done = shell.clif("doctor")
    assert done.returncode == 1
    assert "✓ runtime: works\n✗ bases: none\n  → make one\n" in done.stdout.decode()
    assert json.loads(shell.clif("doctor", "--json").stdout)["settings"][0]["origin"] == "default"


def test_the_doctor_names_settings_that_no_server_starts_with(shell):
    """As a finding in words, with where settings come from; whatever else is asked ends with status 2."""
    shell.environment = {name: value for name, value in shell.environment.items() if not name.startswith("CLIF_")}
    shell.environment["CLIF_FILES__MOUNT_ROOTS"] = "/etc"
    done = shell.clif("doctor")
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.decode().startswith("✗ setting files.mount_roots: /etc cannot be mounted: ")
    assert json.loads(shell.clif("doctor", "--json").stdout)["findings"][0]["about"] == "setting files.mount_roots"
    assert shell.clif("list").returncode == 2


def test_an_unexpected_error_is_one_sentence_and_a_file(monkeypatch, capsys):
    """Whatever breaks: no traceback on the screen; its details are where the sentence says."""

    @click.command()
    def broken():
        raise ZeroDivisionError

    monkeypatch.setitem(app.commands, "broken", broken)
    with pytest.raises(SystemExit) as left:
        app(["broken"], prog_name="clif")
    assert left.value.code == 1
    said = capsys.readouterr().err
    found = re.fullmatch(r"clif: unexpected error: ZeroDivisionError; its details are in (\S+)\n", said)
    assert "raise ZeroDivisionError" in Path(found[1]).read_text()
    Path(found[1]).unlink()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileExistsError(errno.EEXIST, "File exists", "here\x1b[2J"), "clif: here: file exists\n"),
        (PermissionError(errno.EACCES, "Permission denied", b"/root/x"), "clif: /root/x: permission denied\n"),
    ],
)
def test_what_the_system_refuses_of_a_file_is_told_with_its_name(monkeypatch, capsys, error, said):
    """That is nothing unexpected: it is a matter of the person's own files."""

    @click.command()
    def refused():
        raise error

    monkeypatch.setitem(app.commands, "refused", refused)
    with pytest.raises(SystemExit) as left:
        app(["refused"], prog_name="clif")
    assert (left.value.code, capsys.readouterr().err) == (2, said)


def test_a_full_disk_is_told_in_words(shell):
    """Whatever was to be printed did not arrive, and that is said."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*CLIF, "list", "--json"], env=shell.environment, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (2, b"clif: the output cannot be written: no space left on device\n")


def test_submit_prints_the_id_alone(shell):
    """For shell scripts: `job=$(clif submit x.py)`; the same key again is the same job."""
    shell.write("x.py", "")
    first = shell.clif("submit", "x.py", "--key", "k" * 8)
    assert first.stdout.decode().strip() in shell.server.jobs
    assert shell.clif("submit", "x.py", "--key", "k" * 8).stdout == first.stdout


def test_describing_prints_a_spec_and_changes_nothing(shell):
    """YAML that can be submitted as it is; with --json the spec and the inspection; the unsure is shown."""
    shell.write("x.py", "")
    guess = {
        "field": "environment.python.packages",
        "value": "cronyo",
        "rests_on": "import yaml, line 1",
        "sure": "ask",
    }
    shell.server.proposal = {"guesses": [guess], "environment": {"python": {"packages": ["cronyo"]}}}
    done = shell.clif("describe", "x.py")
    assert "cronyo" not in done.stdout.decode()
    assert "--with cronyo" in done.stderr.decode()
    shell.write("again.yaml", done.stdout)
    assert json.loads(shell.clif("describe", "x.py", "--json").stdout)["spec"]["script"] == "x.py"
    assert shell.clif("run", "x.py", "--dry-run").returncode == 0
    assert (shell.server.jobs, shell.server.uploads) == ({}, {})
    assert shell.clif("submit", "again.yaml").returncode == 0


def test_what_a_batch_script_asks_for_is_shown(shell):
    """Each resource with its directive; what flags say wins; what is not carried over has a line of its own."""
    shell.write("x.sbatch", "#SBATCH --mem=4G --time=60 --mail-user=me\n#SBATCH -a 1-2\n")
    shell.server.proposal = {
        "resources": {"memory": 2**32, "time": 3600},
        "sweep": {"parameters": {"array": ["1", "2"]}},
        "dialect": "slurm",
        "checkpoint": {"signal_before": 60},
        "left_out": [{"line": 1, "directive": "#SBATCH --mail-user=me", "why": "because"}],
        "guesses": [
            {"field": "resources.memory", "value": "4 GiB", "rests_on": "#SBATCH --mem=4G, line 1"},
            {"field": "resources.time", "value": "1 h", "rests_on": "#SBATCH --time=60, line 1"},
            {"field": "sweep", "value": "array: 2 tasks (1, 2)", "rests_on": "#SBATCH -a 1-2, line 2"},
        ],
    }
    done = shell.clif("describe", "x.sbatch", "--time", "2h", "--json")
    shown = " ".join(done.stderr.decode().split())
    assert "memory 4 GiB (#SBATCH --mem=4G, line 1)" in shown
    assert "time 2h" in shown
    assert "--time=60" not in shown
    assert "sweep array: 2 tasks (1, 2) (#SBATCH -a 1-2, line 2)" in shown
    assert "left out #SBATCH --mail-user=me (line 1): because" in shown
    spec = json.loads(done.stdout)["spec"]
    assert spec["resources"] == {"memory": 2**32, "time": "2h"}
    assert spec["sweep"] == {"parameters": {"array": ["1", "2"]}, "method": "grid"}
    assert (spec["dialect"], spec["checkpoint"]) == ("slurm", {"signal_before": 60})
    shell.write("again.yaml", shell.clif("describe", "x.sbatch").stdout)
    assert shell.clif("submit", "again.yaml").returncode == 0


def test_json_is_the_apis_own(shell):
    """What --json prints can be read back as the wire's models."""
    from cluster_interface import wire

    job = shell.server.add(spec(), name=EVIL.replace("\x1b", "").replace("\x07", ""))
    shell.server.finish(job)
    shell.server.outputs[job] = {"a": b"1"}
    for arguments, model in [
        (["list"], wire.JobPage), (["status"], wire.JobView),
        (["events"], wire.EventList), (["outputs"], wire.OutputList),
        (["images", "list"], wire.ImageList), (["queues"], wire.QueueList),
        (["doctor"], wire.DoctorReport), (["ui"], wire.UiLink),
        (["rerun", "last"], wire.JobView),
    ]:  # fmt: skip
        model.model_validate_json(shell.clif(*arguments, "--json").stdout)


def test_lists_in_a_pipe_are_plain_lines(shell):
    """One line a job, cells parted by tabs, nothing cut, no colours, and nothing for a terminal to obey."""
    job = shell.server.add(spec(), name="n" * 100)
    shell.server.move(job, "failed", f"because {EVIL}", "exit_code")
    done = shell.clif("list")
    cells = done.stdout.decode().removesuffix("\n").split("\t")
    assert cells[:3] == [job, "failed", "n" * 100]
    assert cells[4] == "because evil "


def test_a_terminal_obeys_nothing_that_a_program_prints(shell):
    """OSC, clearing and bidi are gone from stdout, stderr and names; colours stay."""
    shell.write("x.py", "")
    shell.server.on_submit = prints(
        f"\x1b[32mok\x1b[0m {EVIL}\n".encode(), EVIL.encode(), state="failed", why=EVIL, code="exit_code"
    )
    status, seen = shell.on_terminal("run", "x.py")
    assert status == 1
    assert "\x1b[32mok\x1b[0m evil" in seen
    for arguments in (["list"], ["status"], ["events"], ["logs"], ["logs", "--err"], ["outputs"]):
        seen += shell.on_terminal(*arguments)[1]
    assert not re.search("\x1b\\]52|\x1b\\[2J|\u202e|\x07", seen)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_long_preparation_shows_how_far_it_is(shell, terminal):
    """A bar on a terminal, one plain line a stage in a pipe; gone when the job goes on."""
    shell.write("x.py", "")
    progress = {"stage": "image", "done": 3, "total": 7, "unit": "packages", "note": "installing"}
    seen = threading.Event()

    def on_submit(server, job):
        server.move(job, "preparing")
        server.jobs[job]["progress"] = [progress]
        looked = len(server.asked) + 8
        while len(server.asked) < looked:
            seen.wait(0.01)
        server.jobs[job]["progress"] = []
        server.finish(job)

    shell.server.on_submit = on_submit
    if terminal:
        status, text = shell.on_terminal("run", "x.py")
        assert "3/7 packages" in text
    else:
        done = shell.clif("run", "x.py")
        status, text = done.returncode, done.stderr.decode()
        assert text.count("image installing") == 1
    assert status == 0, text
    assert "image installing" in text
    assert "completed" in text


def test_logs_are_bytes_in_a_pipe(shell):
    """--err for stderr, -f to the end; a unique beginning names the job."""
    job = shell.server.add(spec(), job="abcdef")
    shell.server.write(job, "out", b"\xff\x1b[2Jout")
    shell.server.write(job, "err", b"err")
    shell.server.finish(job)
    assert shell.clif("logs", "abc").stdout == b"\xff\x1b[2Jout"
    assert shell.clif("logs", "abc", "-f").stdout == b"\xff\x1b[2Jout"
    assert shell.clif("logs", "last", "--err").stdout == b"err"


def test_a_reader_that_leaves_is_no_error(shell):
    """`clif logs | head -1` ends without a word."""
    job = shell.server.add(spec())
    shell.server.write(job, "out", b"line\n" * 10**6)
    shell.server.finish(job)
    argv = " ".join([*CLIF, "logs"])
    done = subprocess.run(
        ["/bin/sh", "-c", f"{argv} | head -1"], env=shell.environment, capture_output=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == (b"line\n", b"")


def test_outputs_are_listed_printed_and_fetched(shell):
    """A path prints, a pattern with --to fetches."""
    job = shell.server.add(spec())
    shell.server.finish(job)
    shell.server.outputs[job] = {"a.txt": b"\xffa", "b/c.png": b"c"}
    listed = [line.split(b"\t") for line in shell.clif("outputs").stdout.splitlines()]
    assert [cells[:3] for cells in listed] == [[b"a.txt", b"2", b""], [b"b/c.png", b"1", b""]]
    assert listed[0][4].decode() == hashlib.sha256(b"\xffa").hexdigest()
    assert shell.clif("outputs", "last", "a.txt").stdout == b"\xffa"
    assert shell.clif("outputs", "last", "*.png", "--to", "got").returncode == 0
    assert [p.name for p in (shell.directory / "got/b").iterdir()] == ["c.png"]
    assert not (shell.directory / "got/a.txt").exists()


def test_several_jobs_are_waited_for_and_canceled(shell):
    """One that failed makes status 1; one that is over does not keep the others from being canceled."""
    jobs = [shell.server.add(spec()) for _ in range(3)]
    shell.server.finish(jobs[0])
    done = shell.clif("cancel", *jobs)
    assert done.returncode == 2
    assert b"completed already" in done.stderr
    assert [shell.server.jobs[job]["state"] for job in jobs] == ["completed", "canceled", "canceled"]
    done = shell.clif("wait", *jobs)
    assert done.returncode == 1
    assert done.stdout.decode().split() == [jobs[0], "completed", jobs[1], "canceled", jobs[2], "canceled"]


def test_ctrl_c_cancels_the_job_and_tells_its_end(shell):
    """Once: the job is canceled and its end awaited."""
    shell.write("x.py", "")
    shell.server.on_submit = lambda server, job: server.move(job, "running")
    process = subprocess.Popen(
        ["env", "--default-signal=INT", *CLIF, "run", "x.py"],  # who runs the tests may ignore it
        cwd=shell.directory,
        env=shell.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    for line in process.stderr:
        if b"running" in line:
            break
    process.send_signal(signal.SIGINT)
    said = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 1
    assert "canceling" in said
    assert "canceled by ada" in said
    assert [job["state"] for job in shell.server.jobs.values()] == ["canceled"]


def test_ctrl_c_twice_leaves_the_job(shell):
    """A job that does not end is left, with the command that shows it; status 130."""
    shell.write("x.py", "")
    shell.server.on_submit = lambda server, job: server.move(job, "running")
    real = shell.server.move
    shell.server.move = lambda job, state, *rest: None if state == "canceled" else real(job, state, *rest)
    process = subprocess.Popen(
        ["env", "--default-signal=INT", *CLIF, "run", "x.py"],
        cwd=shell.directory,
        env=shell.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    said, presses = [], iter(("running", "canceling"))
    wanted = next(presses)
    for line in process.stderr:
        said.append(line.decode())
        if wanted and wanted in said[-1]:
            process.send_signal(signal.SIGINT)
            wanted = next(presses, None)
    process.stderr.close()
    assert process.wait(60) == 130
    assert any("clif status" in line for line in said)


def test_the_list_of_commands_imports_none_of_them():
    """`clif --help` is quick, and every command in it is there."""
    code = """if True:
        import sys
        from cluster_interface.cli import app
        app(["--help"], standalone_mode=False)
        heavy = ("cluster_interface.cli.r", "cluster_interface.client", "rich", "pydantic")
        print([name for name in sys.modules if name.startswith(heavy)])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
    assert all(re.search(rf"^  {name} ", done.stdout, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    """Each loads, describes itself and its parameters."""
    context = click.Context(app)
    command = app.get_command(context, name)
    assert command.name == name
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "now"), (-5, "now"), (59, "59 s ago"), (60, "1 min ago"), (7200, "2 h ago"), (86400 * 3, "3 d ago")],
)
def test_times_are_told_as_people_do(seconds, words):
    """Relative, in the largest unit that fits."""
    now = time.time()
    assert ago(now - seconds, now) == words
