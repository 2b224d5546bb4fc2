# ruff: noqa: F811 - a fixture that is imported
"""What an element of several tasks keeps, in a shared container or in fresh ones: each task is as if it were alone."""

import os
import pty
import re
import select
import signal
import subprocess
import textwrap
import time
from pathlib import Path

import pytest
from tests.conftest import containers, wait_for
from tests.contract.rig import MIB, Box, Node, account_of, as_account, image, seconds_of
from tests.contract.test_runtime import PATIENT, POLITE, WORK, on  # noqa: F401 - the fixture

from cluster_interface.adapters.runtimes import Docker
from cluster_interface.ports import Face
from cluster_interface.staging.packs import settle

AWKWARD = "a'b\"c $(touch /job/canary) `id` \\ é ; & | > <\n*\n"


def claims(box):
    """The tasks that have been claimed."""
    return sorted(int(name) for name in os.listdir(box.attempt / "claim"))


def ended(box):
    """Wait for the end of all elements; return the status of each task."""
    box.finish()
    return [box.status(task) for task in range(box.tasks)]


def test_elements_run_the_tasks_they_list(on):
    """An element runs its tasks in order, each in its own /job with its own log, status and number."""

    def body(box):
        made = box(
            'cat input; ls; echo "$CLIF_TASK of $CLIF_TASKS" | tee number >&2; exit "$CLIF_TASK"',
            tasks=4,
            elements=[[3, 0], [1, 2]],
        )
        for task in range(4):
            (made.dir / f"tasks/{task}/input").write_text(f"input {task}\n")
        statuses = ended(made)
        assert [status["exit_code"] for status in statuses] == [0, 1, 2, 3], made.err()
        assert statuses[3]["started"] < statuses[0]["started"]
        for task in range(4):
            assert made.out(task) == f"input {task}\ninput\n"
            assert (made.attempt / f"log/{task}.err").read_text() == f"{task} of 4\n"
            assert (made.dir / f"tasks/{task}/number").read_text() == f"{task} of 4\n"
            assert sorted(os.listdir(made.dir / f"tasks/{task}")) == ["input", "number"]
        if on.runtime == "docker":
            wait_for(lambda: not containers(made.mark))

    on(body)


@pytest.mark.parametrize("packed", [False, True])
def test_parameters_and_variables_are_literal(on, packed):
    """Whatever is in a parameter or a variable, each task finds its own as they were written."""

    def body(box):
        rows = [{"x": AWKWARD, "n": str(number)} for number in range(2)]
        made = box(
            'printf \'%s|%s|%s|%s\' "$CLIF_PARAM_x" "$CLIF_PARAM_n" "$V" "$CLIF_TASK"',
            tasks=2,
            rows=rows,
            variables={"V": AWKWARD, "CLIF_PARAM_n": "forged"},
            elements=[[0, 1]] if packed else None,
        )
        assert [status["exit_code"] for status in ended(made)] == [0, 0], made.err()
        assert [made.out(n) for n in range(2)] == [f"{AWKWARD}|{n}|{AWKWARD}|{n}" for n in range(2)]
        assert os.listdir(made.dir / "tasks/0") == []

    on(body)


def test_parameters_that_are_not_there(on):
    """A task whose parameters cannot be read is not run, and its status says why."""

    def body(box):
        made = box("echo ran", rows=[{"x": "1"}])
        (made.attempt / "parameters").unlink()
        status = made.finish()
        assert (status["exit_code"], made.out()) == (None, "")
        assert "parameters" in status["reason"]

    on(body)


@pytest.mark.parametrize("dialect", ["slurm", "gridengine", "pbs"])
def test_scripts_find_their_schedulers_words(on, dialect):
    """A script written for a scheduler finds its variables, also where it shares a container."""

    def body(box):
        command = "set | grep -E '^(SLURM|SGE|PBS|JOB|N[A-Z]+=|QUEUE)'; [ -z \"$PBS_NODEFILE\" ] || cat $PBS_NODEFILE"
        rows = [{"array": "5"}, {"array": "7"}]
        more = {"dialect": dialect, "rows": rows, "array": (5, 7, 2), "name": "it's", "cpus": 1}
        alone = box(command, tasks=2, **more)
        shared = box(command, tasks=2, elements=[[0, 1]], **more)
        for made in (alone, shared):
            ended(made)
        for task, number in enumerate(("5", "7")):
            lines = alone.out(task).splitlines()
            ids = [line for line in lines if re.match("(SLURM_ARRAY_TASK_ID|SGE_TASK_ID|PBS_ARRAY_INDEX)=", line)]
            assert [line.split("=")[1].strip("'") for line in ids] == [number]
            assert [without_ids(line) for line in lines] == [
                without_ids(line) for line in shared.out(task).splitlines()
            ]
        if dialect == "pbs":
            assert alone.out().splitlines()[-1] == os.uname().nodename

    on(body)


def without_ids(line):
    """A line `NAME=value` without the value where that is the native job's id."""
    return re.sub(r"^(SLURM_JOB_?ID|SLURM_ARRAY_JOB_ID|JOB_ID|PBS_JOBID|PBS_ARRAY_ID)=.*", r"\1", line)


def test_a_task_that_somebody_claimed_is_passed_over(on):
    """Of an element's tasks only those are run that nobody has claimed; a second start runs none again."""

    def body(box):
        made = box("echo run >>/job/runs", tasks=3, elements=[[0, 1, 2]])
        (made.attempt / "claim/1").mkdir()
        made.finish()
        assert [made.status(n) is None for n in range(3)] == [False, True, False]
        again = subprocess.run(["sh", made.script, "0"], env={"PATH": os.environ["PATH"]}, check=False)
        assert again.returncode == 0
        assert [(made.dir / f"tasks/{n}/runs").exists() for n in range(3)] == [True, False, True]
        assert (made.dir / "tasks/0/runs").read_text() == "run\n"

    on(body)


def test_time_is_kept_for_each_task(on):
    """A task that takes longer than asked is ended, politely first; the next ones run."""

    def body(box):
        command = """
        case $CLIF_TASK in
        1) trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.1; done ;;
        2) trap '' TERM; echo up; while :; do sleep 0.1; done ;;
        *) echo fine ;;
        esac"""
        start = seconds_of(box("true").finish)  # of a container; a task's time begins before it
        made = box(command, tasks=4, elements=[[0, 1, 2, 3]], time=2 + round(4 * start))
        statuses = ended(made)
        assert [status["limit"] for status in statuses] == [None, "time", "time", None]
        assert [status["exit_code"] for status in statuses] == [0, 9, 137, 0], made.err()
        assert statuses[2]["signal"] == 9
        assert [made.out(n) for n in range(4)] == ["fine\n", "up\nbye\n", "up\n", "fine\n"]

    on(body)


def test_usr1_comes_before_time_is_over(on):
    """A program that wishes it gets USR1 so many seconds before its time is over, and goes on; packed or alone."""

    def body(box):
        program = POLITE.replace("sys.exit(7)", "number == signal.SIGTERM and sys.exit(7)")
        time, both = 4 + round(4 * seconds_of(box("true").finish)), []  # a task's time begins before its container
        for tasks in (1, 2):
            elements = [list(range(tasks))]
            made = box(
                "python3 /job/polite.py", tasks=tasks, elements=elements, time=time, signal_before=2, grace=PATIENT
            )
            for task in range(tasks):
                (made.dir / f"tasks/{task}/polite.py").write_text(program)
            both.append(made.start())
        for made in both:
            made.finish()
            for task in range(made.tasks):
                assert made.out(task).splitlines() == ["ready", "got SIGUSR1", "got SIGTERM"], made.err()
                assert made.status(task)["exit_code"] == 7
                assert made.tasks == 1 or made.status(task)["limit"] == "time"

    on(body, grace=PATIENT)


def test_cancel_ends_the_present_task_and_begins_no_other(on):
    """TERM reaches the program that runs; what comes after it is not claimed, so that it can be tried again."""

    def body(box):
        made = box("python3 /job/polite.py", tasks=3, elements=[[0, 1, 2]], grace=PATIENT)
        (made.dir / "tasks/0/polite.py").write_text(POLITE)
        made.start().until_out("ready")
        made.cancel()
        made.finish()
        assert made.out() == "ready\ngot SIGTERM\n"
        assert made.status()["exit_code"] == 7
        assert claims(made) == [0]
        assert made.status(1) is None
        assert (made.dir / "tasks/0/polite.py").exists()
        if on.runtime == "docker":
            wait_for(lambda: not containers(made.mark))

    on(body, grace=PATIENT)


def test_cancel_of_a_stubborn_task(on):
    """What ignores TERM is killed after its grace, and nothing is left."""

    def body(box):
        made = box("trap '' TERM; echo ready; while :; do sleep 4245; done", tasks=2, elements=[[0, 1]]).start()
        made.until_out("ready")
        made.cancel()

        def nothing():
            sleeping = subprocess.run(["pgrep", "-f", "^sleep 4245$"], capture_output=True, check=False).stdout
            return not sleeping and (on.runtime != "docker" or not containers(made.mark))

        wait_for(nothing, 60, 0.1)
        made.finish()
        assert made.status()["signal"] == 9
        assert claims(made) == [0]

    on(body)


def test_nothing_stays_from_task_to_task(on):
    """Processes, files in /tmp, /dev/shm and HOME, and logs of one task are gone for the next."""

    def body(box):
        command = """
        if [ "$CLIF_TASK" = 0 ]; then
            for place in /tmp /dev/shm "$HOME"; do
                mkdir -p "$place/.deep/er"; echo x >"$place/.deep/er/file"; ln -s /etc/passwd "$place/..link"
            done
            (trap '' TERM HUP; while :; do sleep 0.02; echo intruder >>/job/intruder; done) &
            setsid sleep 4246 &
        fi
        ls -A /tmp /dev/shm "$HOME"; ls /proc | grep -c '^[0-9]*$'; exit 0"""
        made = box(command, tasks=2, elements=[[0, 1]])
        assert [status["exit_code"] for status in ended(made)] == [0, 0]
        assert not (made.dir / "tasks/1/intruder").exists()
        *listing, processes = made.out(1).splitlines()
        assert [line for line in listing if line and not line.endswith(":")] == []
        assert int(processes) <= 5
        wait_for(lambda: not subprocess.run(["pgrep", "-f", "^sleep 4246$"], capture_output=True).stdout)

    on(body)


def test_a_task_costs_only_itself(on):
    """Killing all it can reach, or taking all memory, a task ends itself: those before and after it are untouched."""

    def body(box):
        command = """
        case $CLIF_TASK in
        1) kill -9 -1; kill -9 $$ ;;
        2) kill -STOP 1; kill -KILL 1; exit 3 ;;
        3) exec python3 -c 'b = bytearray(b"x") * (400 << 20); import time; time.sleep(5)' ;;
        *) echo fine ;;
        esac"""
        made = box(command, tasks=6, elements=[[0, 1, 2, 3, 4, 5]], memory=100 * MIB)
        statuses = ended(made)
        if "ordinary" in on.way:  # the dispatcher ends the element for the memory its samples show
            statuses[3:] = []
        else:
            assert [status["oom"] for status in statuses] == [False, False, False, True, False, False]
            assert statuses[3]["exit_code"] != 0
            assert [made.out(n) for n in (4, 5)] == ["fine\n", "fine\n"]
        assert statuses[0]["exit_code"] == 0
        assert statuses[1]["exit_code"] == 137
        assert statuses[2]["exit_code"] in (3, 137)

    on(body)


HARD = ["a", ".hidden", "..odd", "-n", "with space", "new\nline"]


def test_odd_files_stay_where_they_belong(on):
    """Names that shells trip over, directories that may not be written to, and many files: all is in the task's own."""

    def body(box):
        program = f"""
        import os
        assert sorted(os.listdir()) == {sorted([*HARD, "odd.py"])!r}, os.listdir()
        for name in {HARD!r}:
            assert open(name).read() == os.environ["CLIF_TASK"]
        os.makedirs("locked/deep")
        open("locked/deep/file", "w").write("x")
        os.chmod("locked", 0o555)
        for number in range(3000):
            open(f"many-{{number}}" + "x" * 60, "w")
        os.symlink("/etc/passwd", "link")
        os.chmod(".", 0o555)
        """
        made = box("python3 odd.py", tasks=2, elements=[[0, 1]])
        for task in range(2):
            own = made.dir / f"tasks/{task}"
            (own / "odd.py").write_text(textwrap.dedent(program))
            for name in HARD:
                (own / name).write_text(str(task))
        assert [status["exit_code"] for status in ended(made)] == [0, 0], made.err(0) + made.err(1)
        for task in range(2):
            own = made.dir / f"tasks/{task}"
            own.chmod(0o755)
            assert len(os.listdir(own)) == len(HARD) + 3003
            assert (own / "locked/deep/file").read_text() == "x"
            assert (own / "locked").stat().st_mode & 0o777 == 0o555
            assert os.readlink(own / "link") == "/etc/passwd"

    on(body)


def test_each_task_is_measured_by_itself(on):
    """Processor seconds and memory are the task's own, not its predecessors', or not given at all."""

    def body(box):
        command = '[ "$CLIF_TASK" != 0 ] || exec python3 /job/work.py; exec python3 -c "b = bytearray(20 << 20)"'
        made = box(command, tasks=2, elements=[[0, 1]])
        (made.dir / "tasks/0/work.py").write_text(WORK)
        first, second = ended(made)
        ordinary = "ordinary" in on.way
        own = 60 * ordinary * (on.runtime in ("apptainer", "charliecloud"))  # what mounts the image is looked at, too
        assert 60 * MIB <= first["peak_memory"] <= (110 + own) * MIB
        assert 0.9 <= first["cpu_seconds"] <= 2.5
        if ordinary:  # the second may be over before it is looked at
            assert first["measured_by"] == "samples"
            assert (second["peak_memory"] or 0) < (55 + own) * MIB
            assert (second["cpu_seconds"] or 0) < 0.5 + 0.01 * own
            return
        assert 0 < second["cpu_seconds"] < 0.5
        if on.runtime == "docker":
            assert second["peak_memory"] < 55 * MIB
        else:
            assert second["peak_memory"] is None

    on(body)


def test_output_is_seen_while_a_shared_container_runs(on):
    """What a task prints is in its own log before it ends."""

    def body(box):
        made = box('echo "early $CLIF_TASK"; [ "$CLIF_TASK" = 0 ] || exec sleep 60', tasks=2, elements=[[0, 1]]).start()
        made.until_out("early 1", task=1)
        assert made.out(0) == "early 0\n"
        made.cancel()

    on(body)


FORGE = """
import ctypes, os, signal
def trying(what):
    try:
        print(what(), "done")
    except OSError as error:
        print("refused", error.errno)
for path in ("/proc/1/fd/1", "/proc/1/fd/0", "/proc/1/mem", "/proc/1/environ", "/proc/1/cwd/x"):
    trying(lambda path=path: open(path, "r+b" if "mem" in path else "ab").write(b"done 1 0 1 1 0 clean\\n"))
libc = ctypes.CDLL(None, use_errno=True)
print("attach", libc.ptrace(16, 1, 0, 0))
print("io", sorted(os.listdir("/io")))
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGSTOP, signal.SIGKILL, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN) if number not in (9, 19, 12) else None
    number == 12 or os.kill(1, number)
print("done 1 0 1 1 0 clean", flush=True)
os._exit(int(os.environ["CLIF_TASK"]))
"""


def test_a_task_cannot_speak_for_another(place, ordinary):
    """The driver of a shared container cannot be reached by what it runs: no descriptor, no memory, no signal."""
    account = account_of(ordinary)
    os.chown(place, account.uid, account.gid)
    with Node(place, account) as node:
        made = Box(node, "docker", "exec python3 /job/forge.py", tasks=3, elements=[[0, 1, 2]])
        for task in range(3):
            (made.dir / f"tasks/{task}/forge.py").write_text(FORGE)
        made.finish()
        assert [made.status(n)["exit_code"] for n in range(3)] == [0, 1, 2], made.err()
        for task in range(3):
            lines = made.out(task).splitlines()
            assert [line.split()[0] for line in lines[:5]] == ["refused"] * 5, lines
            assert lines[5] == "attach -1"
            assert lines[6] == f"io ['{task}.err', '{task}.out']"


SEGMENT = "import ctypes; assert ctypes.CDLL(None).shmget(77, 4096, 0o1666) >= 0"


def test_what_cannot_be_cleaned_ends_the_container(place, ordinary):
    """Where a task leaves shared memory of System V, the next one gets a fresh container."""
    account = account_of(ordinary)
    os.chown(place, account.uid, account.gid)
    with Node(place, account) as node:
        command = f"cat /proc/sysvipc/shm | wc -l; python3 -c '{SEGMENT}'"
        made = Box(node, "docker", command, tasks=2, elements=[[0, 1]])
        made.finish()
        assert [made.out(n) for n in range(2)] == ["1\n", "1\n"], made.err()
        assert [(made.attempt / f"claim/{n}/container").exists() for n in range(2)] == [True, True]
        wait_for(lambda: not containers(made.mark))


def test_a_killed_script_gives_back_what_it_lent(place, ordinary):
    """After job.sh and container were killed, the task's files come back to it, as its account."""
    account = account_of(ordinary)
    os.chown(place, account.uid, account.gid)
    with Node(place, account) as node:
        node.reap = Docker().reap
        made = Box(
            node, "docker", "echo new >result; mkdir x; chmod 500 x; echo up; sleep 60", tasks=2, elements=[[0, 1]]
        )
        (made.dir / "tasks/0/input").write_text("kept")
        made.start().until_out("up")
        assert os.listdir(made.dir / "tasks/0") == []
        pid = int(dict(line.split("=") for line in (made.attempt / "claim/0/owner").read_text().splitlines())["pid"])
        os.kill(pid, signal.SIGKILL)
        made.finish()
        Docker().reap(made.mark)
        assert not containers(made.mark)

        def body():
            home = os.open(made.dir, os.O_RDONLY | os.O_DIRECTORY)
            assert settle(home, 1) == [0]
            assert settle(home, 1) == []

        as_account(ordinary, body)
        assert sorted(os.listdir(made.dir / "tasks/0")) == ["input", "result", "x"]
        assert (made.dir / "tasks/0/input").read_text() == "kept"
        assert (made.attempt / "log/0.out").stat().st_nlink == 1
        assert made.status() is None


def test_many_small_tasks_are_started_once_each_element(on):
    """However many tasks there are, job.sh is started once an element; and docker one container, which they share."""

    def body(box):
        half = 50 if on.runtime == "docker" else 4  # each in a container of its own, which takes its time
        made = box("true", tasks=2 * half, elements=[list(range(half)), list(range(half, 2 * half))])
        made.finish(120)
        assert [made.status(n)["exit_code"] for n in range(2 * half)] == [0] * (2 * half)
        assert len({path.read_text() for path in made.attempt.glob("claim/*/owner")}) == 2
        if on.runtime == "docker":
            assert len(list(made.attempt.glob("claim/*/container"))) == 2

    on(body)


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, argv, account, *, deaf=False):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            if deaf:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            if account:
                os.setgroups([])
                os.setgid(account.gid)
                os.setuid(account.uid)
            os.environ["PS1"] = "$ "
            os.execvp(argv[0], argv)
        self.seen = ""

    def until(self, words, after="", seconds=60):
        """Read until these words were printed, behind others."""
        deadline = time.monotonic() + seconds
        while words not in self.seen.partition(after or "\0")[2 if after else 0]:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    break

    def say(self, text):
        """Type a line."""
        os.write(self.fd, text.encode() + b"\n")

    def end(self):
        """Wait for its end and return its exit status."""
        while True:
            try:
                if not (data := os.read(self.fd, 65536)):
                    break
            except OSError:
                break
            self.seen += data.decode(errors="replace")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.parametrize("packed", [False, True])
def test_a_shell_where_the_task_is(on, packed, place):
    """While a task runs and after it, a shell on a terminal sees its files, its environment and its ids."""

    def body(box):
        elements = [[0, 1]] if packed else None
        made = box("echo made >made; echo up; while [ ! -e go ]; do sleep 0.1; done", tasks=2, rows=[{"p": "x y"}] * 2,
                   elements=elements, dialect="slurm", variables={"MINE": "it's"})  # fmt: skip
        made.start().until_out("up")
        path = place / "shell.sh"
        path.write_text(made.runtime.shell_script(made.run, 0))
        account = None if on.runtime == "docker" or os.geteuid() != 0 else made.node.account
        for round_number in range(2):
            terminal = Terminal(["sh", str(path)], account)
            terminal.say('echo "<$(id -u) $(pwd) $(cat made) $CLIF_TASK $CLIF_PARAM_p $MINE $SLURM_JOB_ID>"')
            terminal.until(f"<{made.node.account.uid} /job made 0 x y it's {made.native_id}>")
            terminal.say("ls /inputs && tty && touch go; sh -c 'echo we\"\"nt; exec sleep 60'")
            terminal.until("went")
            assert "/dev/" in terminal.seen
            os.write(terminal.fd, b"\x03")
            terminal.until("$ ", after="^C")
            terminal.say("exit 5")
            assert terminal.end() == 5, terminal.seen
            if round_number == 0:
                for task in range(2):
                    wait_for(lambda task=task: "up" in made.out(task))
                    if task:
                        (made.dir / "tasks/1/go").touch()
                        if packed and on.runtime == "docker":
                            (made.attempt / "pack/0/job/go").touch()
                assert made.finish()["exit_code"] == 0
        if on.runtime == "docker":
            wait_for(lambda: not containers(made.mark))

    on(body)


@pytest.mark.parametrize("how", ["told", "deaf", "told again and again"])
def test_a_shell_ends_with_its_terminal(on, place, how):
    """Where the terminal goes away, the shell and what it ran go too; also where they were started deaf to its HUP."""

    def body(box):
        made = box("echo up; sleep 60").start()
        made.until_out("up")
        path = place / "shell.sh"
        path.write_text(made.runtime.shell_script(made.run, 0))
        account = None if on.runtime == "docker" or os.geteuid() != 0 else made.node.account
        terminal = Terminal(["sh", str(path)], account, deaf=how == "deaf")
        long = f"4247.{os.getpid()}"
        terminal.say(f"sh -c 'echo we\"\"nt; exec sleep {long}'")
        terminal.until("went")
        os.close(terminal.fd)
        while how == "told again and again" and not os.waitpid(terminal.pid, os.WNOHANG)[0]:
            os.kill(terminal.pid, signal.SIGTERM)
        if how != "told again and again":
            os.waitpid(terminal.pid, 0)
        made.cancel()
        left = f"^sleep {long}$|{path}"
        wait_for(lambda: not subprocess.run(["pgrep", "-f", left], capture_output=True).stdout)
        wait_for(lambda: not list(Path("/tmp").glob(f"{made.mark}-*")))  # what podman wrote
        if on.runtime == "docker":
            wait_for(lambda: not containers(made.mark))

    on(body)


def test_a_script_removes_containers_on_another_node(place, ordinary):
    """The script that a node is given removes the containers of a mark, and no others; twice is no error."""
    account = account_of(ordinary)
    os.chown(place, account.uid, account.gid)
    image(Face.DOCKER)
    with Node(place, account) as node:
        boxes = [Box(node, "docker", "echo up; sleep 60").start() for _ in range(2)]
        for made in boxes:
            made.until_out("up")
        script = boxes[0].runtime.reap_script(boxes[0].mark)
        for _ in range(2):
            subprocess.run(["sh", "-eu", "-c", script], check=True)
        assert not containers(boxes[0].mark)
        assert containers(boxes[1].mark)
        broken = subprocess.run(
            ["sh", "-c", script], env={"PATH": os.environ["PATH"], "DOCKER_HOST": "unix:///no"}, check=False
        )
        assert broken.returncode != 0
        boxes[1].cancel()
