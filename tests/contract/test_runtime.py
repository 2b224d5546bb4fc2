"""What every runtime keeps: docker as root, the others as root's job account and as an ordinary user."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.conftest import PROJECT, containers, wait_for
from tests.contract.rig import MIB, Box, Node, account_of, as_account, image, runtime_named

from cluster_interface.adapters.runtimes import KINDS, Bubblewrap, Docker, choose, make, script
from cluster_interface.adapters.schedulers import cgroups
from cluster_interface.images.rootfs import finish
from cluster_interface.model.errors import Permanent, Rejected
from cluster_interface.model.job import Account
from cluster_interface.model.plan import Bound
from cluster_interface.ports import Face

WAYS = (
    "docker",
    "bubblewrap",
    "bubblewrap as an ordinary user",
    "podman",
    "podman as an ordinary user",
    "apptainer",
    "apptainer as an ordinary user",
    "charliecloud",
    "charliecloud as an ordinary user",
)


class Boxes:
    """Makes jobs of one runtime on one node."""

    def __init__(self, node, runtime):
        self.node, self.runtime = node, runtime

    def __call__(self, command, grace=2, **more):
        """Make one."""
        return Box(self.node, runtime_named(self.runtime, grace), command, **more)


@pytest.fixture(params=WAYS)
def on(request, place, ordinary):
    """Run a body with a maker of boxes, for one runtime after the other."""
    account = account_of(ordinary)
    os.chown(place, account.uid, account.gid)
    runtime = request.param.split()[0]
    for face in Face:
        image(face)

    def run(body, **settings):
        node = Node(place, account, **settings)
        if runtime in ("docker", "podman"):  # whose containers outlive job.sh
            node.reap = make(runtime, account).reap

        def inside():
            with node:
                body(Boxes(node, runtime))

        return as_account(ordinary, inside) if "ordinary" in request.param else inside()

    run.runtime, run.way = runtime, request.param
    return run


@pytest.mark.parametrize("code", [0, 1, 3, 77, 127])
def test_exit_codes_are_kept(on, code):
    """What the program exits with is what the status says."""

    def body(box):
        status = box(f"exit {code}").finish()
        assert (status["exit_code"], status["signal"], status["oom"]) == (code, None, False)
        assert status["started"] <= status["ended"] <= status["started"] + 30

    on(body)


def test_death_by_signal(on):
    """A program that a signal ended is told from one that exited."""

    def body(box):
        status = box("kill -SEGV $$").finish()
        assert (status["exit_code"], status["signal"]) == (139, 11)

    on(body)


def test_output_and_errors_have_their_own_files(on):
    """Standard output and standard error are kept apart, byte for byte."""

    def body(box):
        made = box("echo out; echo err >&2; printf '\\377\\000x'")
        made.finish()
        assert (made.attempt / "log/0.out").read_bytes() == b"out\n\xff\x00x"
        assert made.err() == "err\n"

    on(body)


BEGINNINGS = """#!{shell} -l
set -e
. /etc/profile
. /etc/profile.d/modules.sh
. /usr/share/modules/init/{kind}
. /usr/share/Modules/init/{kind}
. /usr/share/lmod/lmod/init/{kind}
. "$MODULESHOME/init/{kind}"
eval "$(modulecmd {kind} load R/4.1)"
module purge
module load R/4.1
command -v mine
"""


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
def test_scripts_that_read_in_what_defines_module_go_on(on, shell):
    """What batch scripts begin with ends none that stops at errors, and a login shell keeps the job's search path."""

    def body(box):
        text = BEGINNINGS.format(shell=shell, kind=Path(shell).name)
        made = box("./job", modules=("R/4.1",), variables={"PATH": "/job/bin:/usr/bin:/bin"})
        for name, words in (("job", text), ("bin/mine", "#!/bin/sh\n")):
            place = made.dir / "tasks/0" / name
            place.parent.mkdir(exist_ok=True)
            place.write_text(words)
            place.chmod(0o755)
        status = made.finish()
        assert (status["exit_code"], made.out()) == (0, "/job/bin/mine\n"), made.err()

    on(body)


def test_output_is_seen_while_the_program_runs(on):
    """What a program prints is in its log before it ends, Python's print without flush included."""

    def body(box):
        made = box("python3 -c 'import time; print(\"early\"); time.sleep(60)'").start()
        made.until_out("early")
        made.cancel()

    on(body)


def test_the_command_is_taken_literally(on):
    """Quotes, dollars, newlines and backslashes reach the program's shell as they were written."""

    def body(box):
        awkward = "a'b\"c $(touch /job/canary) `id` \\ é ; & | > <\n*"
        quoted = "'" + awkward.replace("'", "'\\''") + "'"
        made = box(f"printf %s {quoted}\nprintf ' %s' \"$HOME\"")
        assert made.finish()["exit_code"] == 0
        assert made.out() == f"{awkward} /home/{made.node.account.name}"
        assert not (made.dir / "tasks/0/canary").exists()

    on(body)


def test_variables_are_taken_literally(on):
    """Variables arrive as written; ours cannot be overwritten; none reaches the runtime outside."""

    def body(box):
        values = {"A": "x y'\"$(id)\n;", "CLIF_MARK": "forged", "LD_PRELOAD": "/job/evil.so", "OMP_NUM_THREADS": "7"}
        made = box('printf \'%s|%s|%s|%s\' "$A" "$CLIF_MARK" "$OMP_NUM_THREADS" "$CLIF_TASK"', variables=values)
        assert made.finish()["exit_code"] == 0
        assert made.out() == f"{values['A']}|{made.mark}|7|0"
        assert "ld.so" in made.err(), "the variable is for the program, and there it is"
        assert made.err().count("job.sh") == 0

    on(body)


def test_a_bad_variable_name_is_refused(on):
    """A name that could inject an option or a second variable is refused, naming it."""

    def body(box):
        with pytest.raises(Rejected, match="A B"):
            box("true", variables={"A B": "x"})

    on(body)


LOOK = r"""
import json, os, pwd, grp, socket
def can(what):
    try:
        what(); return True
    except OSError as error:
        return error.strerror
def write(path):
    return lambda: open(path, "w").write("x")
def execute():
    open("/tmp/x", "w").write("#!/bin/sh\nexit 0\n")
    os.chmod("/tmp/x", 0o755)
    os.posix_spawn("/tmp/x", ["x"], {})
PLACES = ("/", "/usr", "/etc", "/inputs", "/opt", "/job", "/tmp", os.environ["HOME"], "/dev/shm")
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "name": pwd.getpwuid(os.getuid()).pw_name,
    "group": grp.getgrgid(os.getgid()).gr_name, "home": os.path.expanduser("~"), "cwd": os.getcwd(),
    "writable": {path: can(write(path + "/probe")) for path in PLACES},
    "exec": can(execute),
    "input": open("/inputs/data").read(),
    "status": open("/proc/self/status").read(),
    "mounts": [line.split()[4] for line in open("/proc/self/mountinfo")],
    "interfaces": [name for _, name in socket.if_nameindex()],
    "pids": len([p for p in os.listdir("/proc") if p.isdigit()]),
    "fds": sorted(os.listdir("/proc/self/fd")),
    "shm": os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize,
    "sigint": __import__("signal").getsignal(2) is __import__("signal").default_int_handler,
}))
"""


def test_inside_the_sandbox(on):
    """Ids, names, what can be written, capabilities, network and mounts are as docs say, and nothing else is."""

    def body(box):
        made = box("python3 /job/look.py")
        (made.dir / "tasks/0/look.py").write_text(LOOK)
        (made.dir / "inputs/data").write_text("precious")
        assert made.finish()["exit_code"] == 0, made.err()
        seen = json.loads(made.out())
        account = made.node.account
        assert (seen["uid"], seen["gid"], seen["name"], seen["group"]) == (
            account.uid,
            account.gid,
            account.name,
            account.name,
        )
        assert seen["uid"] >= 1000
        assert (seen["home"], seen["cwd"], seen["input"]) == (f"/home/{account.name}", "/job", "precious")
        writable = [path for path, answer in seen["writable"].items() if answer is True]
        assert writable == ["/job", "/tmp", seen["home"], "/dev/shm"], seen["writable"]
        assert seen["exec"] is True
        assert seen["sigint"] is True
        lines = dict(line.split(":\t") for line in seen["status"].splitlines())
        kinds = {"Inh", "Prm", "Eff", "Bnd", "Amb"} - ({"Bnd"} if on.runtime == "charliecloud" else set())
        assert {lines[f"Cap{kind}"] for kind in kinds} == {"0" * 16}
        assert lines["NoNewPrivs"] == "1"
        assert seen["interfaces"] == ["lo"]
        assert seen["pids"] < 6
        assert seen["fds"] == ["0", "1", "2", "3"]
        assert seen["shm"] <= made.ask.memory // 2
        assert (made.dir / "tasks/0/probe").stat().st_uid == account.uid
        assert (made.dir / "inputs/data").read_text() == "precious"
        outside = ("/var/tmp", str(made.dir), str(PROJECT))
        assert not [path for path in seen["mounts"] if path.startswith(outside)]

    on(body)


def test_what_is_outside_cannot_be_seen(on):
    """Claims, status, another task's files, the host's files and processes are out of reach."""

    def body(box):
        canary = box.node.place / "canary"
        canary.write_text("native_id")
        look = f"cat {canary} /job/../attempts/1/claim/0/owner; ls {box.node.place} /proc/1/root/"
        made = box(f"{look}; kill -0 {os.getpid()} && echo owner; find / -name owner 2>/dev/null; echo looked")
        made.finish()
        assert made.out().splitlines()[-1] == "looked"
        for word in ("native_id", "owner", "attempts", "canary"):
            assert word not in made.out()

    on(body)


def test_no_network(on):
    """Without the spec's word no address can be reached, not even the host's loopback."""

    def body(box):
        program = textwrap.dedent(
            """
            import socket, sys
            s = socket.socket(); s.settimeout(3)
            try: s.connect((sys.argv[1], int(sys.argv[2]))); print("reached")
            except OSError as e: print("no", e)
            """
        )
        with socket.create_server(("127.0.0.1", 0)) as listening:
            made = box(f"python3 /job/try.py 127.0.0.1 {listening.getsockname()[1]}; python3 /job/try.py 192.0.2.1 80")
            (made.dir / "tasks/0/try.py").write_text(program)
            made.finish()
        assert [line.split()[0] for line in made.out().splitlines()] == ["no", "no"]

    on(body)


def test_localhost_is_known_without_a_network(on):
    """Servers and clusters of processes within one job find each other by that name."""

    def body(box):
        made = box("python3 -c 'import socket; print(socket.gethostbyname(\"localhost\"))'")
        made.finish()
        assert made.out().split() == ["127.0.0.1"], made.err()

    on(body)


def test_network_when_granted(on):
    """With the spec's word there are interfaces besides the loopback one."""

    def body(box):
        made = box("python3 -c 'import socket; print([n for _, n in socket.if_nameindex()])'", network=True)
        made.finish()
        assert len(made.out().split(",")) > 1 or made.out().strip() != "['lo']", made.out() + made.err()

    on(body)


PATIENT = 30  #: seconds for a program to end in its own way, however busy the machine is
POLITE = """
import signal, sys, time
def leave(number, frame):
    print("got", signal.Signals(number).name, flush=True)
    sys.exit(7)
for name in ("SIGTERM", "SIGUSR1"):
    signal.signal(getattr(signal, name), leave)
print("ready", flush=True)
for _ in range(600):  # a signal just before a sleep is seen to after it
    time.sleep(0.1)
"""


@pytest.mark.parametrize("command", ["python3 /job/polite.py", "true && python3 /job/polite.py; echo never"])
def test_the_program_itself_gets_the_signal(on, command):
    """TERM reaches the program, also behind a shell's `&&`, which can say goodbye and choose its exit code."""

    def body(box):
        made = box(command, grace=PATIENT)
        (made.dir / "tasks/0/polite.py").write_text(POLITE)
        made.start().until_out("ready")
        made.cancel()
        status = made.finish()
        assert made.out() == "ready\ngot SIGTERM\n"
        assert (status["exit_code"], status["signal"]) == (7, None)

    on(body, grace=PATIENT)


def test_usr1_is_passed_on_and_the_program_goes_on(on):
    """USR1 to job.sh reaches the program and ends nothing by itself."""

    def body(box):
        program = POLITE.replace("sys.exit(7)", "number == signal.SIGTERM and sys.exit(7)")
        made = box("python3 /job/polite.py", grace=PATIENT)
        (made.dir / "tasks/0/polite.py").write_text(program)
        made.start().until_out("ready")
        pid = made.node.scheduler._spool.records(made.node.scheduler._spool.list()[0][2])[0].process.pid
        os.kill(pid, signal.SIGUSR1)
        made.until_out("got SIGUSR1")
        os.kill(pid, signal.SIGUSR1)
        wait_for(lambda: made.out().count("got SIGUSR1") == 2)
        made.cancel()
        assert made.finish()["exit_code"] == 7
        assert made.out().endswith("got SIGTERM\n")

    on(body, grace=PATIENT)


def test_cancel_leaves_nothing(on):
    """What ignores TERM is gone after its grace: process, daemon and container; the status says by what signal."""

    def body(box):
        made = box("trap '' TERM; (trap '' TERM; exec sleep 4242) & echo ready; while :; do sleep 4243; done").start()
        made.until_out("ready")
        made.cancel()

        def nothing():
            sleeping = subprocess.run(["pgrep", "-f", "^sleep 424[23]$"], capture_output=True, check=False).stdout
            return not sleeping and (on.runtime != "docker" or not containers(made.mark))

        wait_for(nothing, 60, 0.1)
        status = made.finish()
        assert status["signal"] == 9
        assert made.node.task(made.handle).verdict == "canceled"

    on(body)


def test_a_killed_script_leaves_no_container(on):
    """Where job.sh itself is killed, what it started is removed all the same."""

    def body(box):
        made = box("echo ready; exec sleep 4244").start()
        made.until_out("ready")
        pid = made.node.scheduler._spool.records(made.node.scheduler._spool.list()[0][2])[0].process.pid
        os.kill(pid, signal.SIGKILL)
        made.finish()
        wait_for(
            lambda: subprocess.run(["pgrep", "-f", "^sleep 4244$"], check=False, capture_output=True).returncode, 10
        )
        if on.runtime == "docker":
            wait_for(lambda: not containers(made.mark))
        assert made.status() is None

    on(body)


def test_the_second_start_of_an_attempt_is_fenced(on):
    """A task that has passed its fence is not run again; the second start writes nothing and ends well."""

    def body(box):
        made = box("echo run >>/job/runs; exit 5")
        assert made.finish()["exit_code"] == 5
        before = {path: path.stat().st_mtime_ns for path in made.attempt.rglob("*")}
        again = subprocess.run(["sh", made.script], env={"PATH": os.environ["PATH"], "CLIF_ELEMENT": "0"}, check=False)
        assert again.returncode == 0
        assert (made.dir / "tasks/0/runs").read_text() == "run\n"
        assert {path: path.stat().st_mtime_ns for path in made.attempt.rglob("*")} == before
        owner = dict(line.split("=", 1) for line in (made.attempt / "claim/0/owner").read_text().splitlines())
        assert owner["native_id"] == made.native_id
        assert set(owner) == {"native_id", "host", "boot_id", "pid"}

    on(body)


def test_tasks_have_directories_of_their_own(on):
    """Each task of an array sees its own /job and number, and writes its own status and log."""

    def body(box):
        made = box('echo "$CLIF_TASK" >number; exit "$CLIF_TASK"', tasks=3)
        made.finish()
        assert [made.status(n)["exit_code"] for n in range(3)] == [0, 1, 2]
        assert [(made.dir / f"tasks/{n}/number").read_text() for n in range(3)] == ["0\n", "1\n", "2\n"]

    on(body)


def test_out_of_memory(on):
    """A program that takes more memory than asked fails with out of memory, and its neighbour does not."""

    def body(box):
        hungry = box("python3 -c 'b = bytearray(b\"x\") * (400 << 20); import time; time.sleep(5)'", memory=100 * MIB)
        modest = box("python3 -c 'b = bytearray(b\"x\") * (40 << 20)'", memory=100 * MIB)
        hungry.start()
        assert modest.finish()["exit_code"] == 0
        status = hungry.finish()
        if hungry.runtime.bounds()["memory"] is Bound.NONE:
            return
        verdict = hungry.node.task(hungry.handle).verdict
        assert verdict == "out_of_memory" or status["oom"], (status, verdict)
        assert status is None or status["exit_code"] != 0

    on(body)


WORK = """
import time
block = bytearray(b"x") * (60 << 20)
end = time.process_time() + 1
while time.process_time() < end:
    pass
time.sleep(2.5)
"""


def test_memory_and_time_are_measured(on):
    """Peak memory and processor seconds are near the truth, and say how they were measured."""

    def body(box):
        made = box("python3 /job/work.py")
        (made.dir / "tasks/0/work.py").write_text(WORK)
        status = made.finish()
        own = 60 if on.runtime in ("apptainer", "charliecloud") else 0  # what mounts the image is looked at, too
        assert 60 * MIB <= status["peak_memory"] <= (110 + own) * MIB, status
        assert 0.9 <= status["cpu_seconds"] <= 2.5, status
        assert status["measured_by"] in ("cgroup", "samples")

    on(body)


def processes_of(mark):
    """How many processes have this mark in their environment."""
    words = ["grep", "-lzFx", f"CLIF_MARK={mark}", *(f"/proc/{p}/environ" for p in os.listdir("/proc") if p.isdigit())]
    return len(subprocess.run(words, capture_output=True, check=False).stdout.splitlines())


def test_a_fork_bomb_hurts_itself_alone(on):
    """A fork bomb fails or is ended; another job beside it runs as ever."""

    def body(box):
        bomb = box("b() { b | b & }; b; sleep 3; echo over", pids=40, time=8).start()
        wait_for((bomb.attempt / "log/0.err").exists)
        other = box("sh -c 'echo fine'")
        assert other.finish()["exit_code"] == 0
        assert other.out() == "fine\n"
        bomb.finish()
        wait_for(lambda: processes_of(bomb.mark) < 12)

    on(body)


def test_tmp_is_bounded(on):
    """A program cannot fill /tmp beyond its share of the memory it asked for."""

    def body(box):
        made = box("head -c 200000000 /dev/zero >/tmp/large; ls -l /tmp/large | cut -d' ' -f5", memory=128 * MIB)
        made.finish()
        assert int(made.out() or 0) <= 64 * MIB, made.out()

    on(body)


def test_an_image_without_a_shell_fails_in_words(on, place):
    """Where the command's shell cannot be started, the task fails and its error log names the shell."""
    broken = place / "empty"
    (broken / "etc").mkdir(parents=True)
    (broken / "etc/passwd").touch()
    (broken / "etc/group").touch()
    finish(broken, None)
    packed = ["mksquashfs", broken, place / "empty.squashfs", "-all-root", "-quiet"]
    subprocess.run(packed, check=True, capture_output=True)
    if on.runtime == "docker":
        subprocess.run(
            f"tar -C {broken} -c . | docker import - clif-test-empty:latest",
            shell=True,
            check=True,
            capture_output=True,
        )

    def body(box):
        forms = {"rootfs": broken, "file": place / "empty.squashfs", "tag": "clif-test-empty:latest"}
        made = box("true", image_ref=dataclasses.replace(image(Face.DOCKER), **forms))
        status = made.finish()
        assert status["exit_code"] != 0
        assert "/bin/sh" in made.err()

    on(body)


def test_a_missing_image_fails_in_words(on, place):
    """An image that was pruned meanwhile is a failure in words, not a mystery."""

    def body(box):
        ref = dataclasses.replace(
            image(Face.DOCKER), rootfs=place / "nothing", file=place / "no", tag="clif-test-none:latest"
        )
        status = box("true", image_ref=ref).finish()
        assert status["exit_code"] is None
        assert status["reason"]

    on(body)


def test_a_full_disk_is_not_silent(on, place):
    """A status that cannot be written is told in job.sh's log, and the script ends with a failure."""
    if os.geteuid() != 0:
        pytest.fail("needs root to make a small filesystem")

    def body(box):
        made = box("exit 0")
        if os.geteuid() == 0:
            subprocess.run(
                [
                    "mount",
                    "-t",
                    "tmpfs",
                    "-o",
                    f"size=4k,nr_inodes=2,uid={made.node.account.uid}",
                    "none",
                    made.attempt / "status",
                ],
                check=True,
            )
        else:
            (made.attempt / "status").rmdir()
            (made.attempt / "status").symlink_to("/proc/self")  # nobody can make a file there
        try:
            (made.attempt / "status/filler").write_bytes(b"x" * 4096) if os.geteuid() == 0 else None
            made.finish()
            assert made.status() is None
            assert "disk full" in made.err()
            assert '"exit_code": 0' in made.err()
        finally:
            if os.geteuid() == 0:
                subprocess.run(["umount", made.attempt / "status"], check=True)

    on(body)


class Cable:
    """A socket in front of docker's, which can be cut and mended."""

    def __init__(self, path):
        self.path, self.process = path, None

    def mend(self):
        """Let docker be reached through it."""
        self.path.unlink(missing_ok=True)
        self.process = subprocess.Popen([sys.executable, "-c", RELAY, str(self.path)], start_new_session=True)
        wait_for(self.path.exists)

    def cut(self):
        """End every connection."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def __enter__(self):
        self.mend()
        return self

    def __exit__(self, *_):
        self.cut()


RELAY = """
import socket, sys, threading
def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
while True:
    near, _ = listening.accept()
    far = socket.socket(socket.AF_UNIX)
    far.connect("/var/run/docker.sock")
    for pair in ((near, far), (far, near)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""


@pytest.mark.parametrize("back", [True, False])
def test_docker_lost_in_the_middle_of_a_job(place, ordinary, monkeypatch, back):
    """Back in time, its word on the exit code counts; not back, the status says that the end is not known."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{place}/docker.sock")
    os.chown(place, account_of(ordinary).uid, -1)
    with Cable(place / "docker.sock") as cable, Node(place, account_of(ordinary)) as node:
        made = Box(node, "docker", "echo ready; sleep 4; exit 9").start()
        made.until_out("ready")
        cable.cut()
        if back:
            wait_for(lambda: "error" in made.err().lower() or "EOF" in made.err())
            cable.mend()
            assert made.finish()["exit_code"] == 9
            assert made.status()["reason"]
        else:
            status = made.finish()
            assert (status["exit_code"], status["signal"]) == (None, None)
            assert "does not answer" in status["reason"]
            assert status["oom"] is False
        monkeypatch.delenv("DOCKER_HOST")
        Docker().reap(made.mark)
        wait_for(lambda: not containers(made.mark))


def test_docker_is_measured_without_a_cgroup_of_ours(place, ordinary):
    """Where the scheduler has no cgroups, a container's own are looked at while it runs."""
    os.chown(place, account_of(ordinary).uid, -1)
    node = Node(place, account_of(ordinary))
    made = Box(node, "docker", f"python3 -c '{WORK}'")
    subprocess.run(["chown", "-R", f"{node.account.uid}:{node.account.gid}", made.dir], check=True)
    subprocess.run(["sh", made.script], env={"PATH": os.environ["PATH"]}, check=True)
    status = made.status()
    assert 60 * MIB <= status["peak_memory"] <= 110 * MIB
    assert 0.9 <= status["cpu_seconds"] <= 2
    assert status["measured_by"] == "samples"
    assert not containers(made.mark)


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("runtime", ["docker", *KINDS])
def test_scripts_are_clean(place, ordinary, runtime, shell):
    """Shellcheck finds nothing in job.sh, and the shells parse it."""
    node = Node(place, account_of(ordinary))
    more = {"network": True, "variables": {"A": "'\n$(x)"}, "rows": [{"x": "1"}] * 2, "dialect": "pbs"}
    alone, shared = (Box(node, runtime, "echo 'it'\"s\"", tasks=2, elements=e, **more) for e in (None, [[0, 1]]))
    texts = [alone.script.read_text(), shared.script.read_text(), alone.runtime.shell_script(alone.run, 1)]
    texts += [script.shipped("driver.sh"), script.shipped("moves.sh"), alone.runtime.reap_script("it's")]
    for text in texts:
        subprocess.run([shell, "-n"], input=text, text=True, check=True)
        checked = subprocess.run(
            ["shellcheck", "-s", shell if shell == "dash" else "sh", "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("runtime", ["docker", *KINDS])
def test_system_accounts_never_run_jobs(place, runtime):
    """A uid below 1000 is refused before anything is written."""
    node = Node(place, Account(name="daemon", uid=1, gid=1))
    with pytest.raises(Permanent, match="uid 1"):
        Box(node, runtime, "true")


def test_probes_answer_for_real(ordinary):
    """Both runtimes work on this machine, and say so after trying."""
    assert Docker().probe() is None
    assert Bubblewrap(account=account_of(ordinary)).probe() is None
    as_account(ordinary, lambda: (_ for _ in ()).throw(AssertionError(why)) if (why := Bubblewrap().probe()) else None)


def test_a_probe_says_why_not(monkeypatch, ordinary):
    """An engine that does not answer, a missing program and a forbidden socket are told apart, with advice."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    assert "dockerd running" in Docker().probe()
    monkeypatch.delenv("DOCKER_HOST")

    def inside():
        words = Docker().probe()
        assert "group docker" in words, words

    as_account(ordinary, inside)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "install" in Docker().probe()


def test_docker_is_chosen_where_it_answers(monkeypatch):
    """Docker first, bubblewrap where docker does not answer, the setting before both; always with a reason."""
    both = [Docker(), Bubblewrap()]
    assert choose(both).runtimes[0].name == "docker"
    assert choose(both, "bubblewrap").runtimes[0].name == "bubblewrap"
    assert "setting" in choose(both, "bubblewrap").why
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    other = choose([Docker(), Bubblewrap()])
    assert [runtime.name for runtime in other.runtimes] == ["bubblewrap"]
    assert "docker" in other.why
    assert choose([Docker()]).runtimes == ()


def test_bounds_are_honest():
    """Without the scheduler's cgroups bubblewrap's memory and processors are best effort, and disk always is."""
    assert Bubblewrap(cgroups=False).bounds()["memory"] is Bound.BEST_EFFORT
    assert Bubblewrap(cgroups=cgroups.works()).bounds()["memory"] is Bound.ENFORCED
    assert Docker().bounds()["disk"] is Bound.BEST_EFFORT
    names = {"memory", "cpus", "pids", "disk", "time", "network", "filesystem"}
    assert set(Docker().bounds()) == set(Bubblewrap().bounds()) == names


def test_podman_leaves_the_accounts_own_podman_alone(place, ordinary):
    """All of an account's podmans share locks in memory unless told otherwise, and each new storage frees them all."""
    account = account_of(ordinary)
    os.chown(place, account.uid, account.gid)
    own = Path(f"/dev/shm/libpod_rootless_lock_{account.uid}")  # podman's libpod/runtime_linux.go names it
    kept = own.read_bytes() if own.exists() else None
    own.write_bytes(b"what no podman can read")
    os.chown(own, account.uid, account.gid)
    try:
        with Node(place, account) as node:
            made = Box(node, "podman", "exit 3")
            assert make("podman", account).probe() is None
            assert (made.finish()["exit_code"], made.err()) == (3, "")
            make("podman", account).reap(made.mark)
        assert own.read_bytes() == b"what no podman can read"
    finally:
        own.unlink()
        if kept is not None:
            own.write_bytes(kept)
            os.chown(own, account.uid, account.gid)
