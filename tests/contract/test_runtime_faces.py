"""Runtimes as nodes have them: job.sh by itself as the account, on images of the real store in every face."""

import os
import pty
import select
import signal
import subprocess
import time

import pytest
from tests.conftest import CACHE, locked, wait_for
from tests.contract.rig import Box, Node, account_of, image

from cluster_interface.adapters.runtimes import Apptainer, Bubblewrap, Charliecloud, Docker, NoContainer, Podman, make
from cluster_interface.adapters.runtimes.probing import probe_script, read_report
from cluster_interface.images import Store
from cluster_interface.model.errors import Permanent, Rejected
from cluster_interface.model.jobspec import Environment
from cluster_interface.model.plan import Bound
from cluster_interface.ports import Face
from cluster_interface.settings import Images

RUNTIMES = {
    "apptainer": Apptainer,
    "apptainer, directory": lambda: Apptainer(face=Face.DIRECTORY),
    "charliecloud": Charliecloud,
    "charliecloud, squashfs": lambda: Charliecloud(face=Face.SQUASHFS),
    "podman": Podman,
    "bubblewrap": lambda: Bubblewrap(remote=True),
    "docker on a node": lambda: Docker(remote=True),
}
LOOK = (
    "import sys, os, stat, yaml; print(sys.prefix, yaml.__file__, oct(os.stat('/tmp').st_mode & 0o7777)); sys.exit(3)"
)


def quiet(progress):
    """Report to nobody."""


@pytest.fixture(scope="session")
def lock():
    """A small environment in the store that tests share."""
    with locked("images-warm"):
        store = Store(CACHE / "images", Images())
        found = store.resolve(Environment.parse({"python": {"packages": ["pyyaml"]}}), "")
        for face in set(Face) - {Face.REGISTRY}:  # of which this site has none
            store.build(found, face, quiet)
        return found


@pytest.fixture
def store():
    """That store."""
    return Store(CACHE / "images", Images())


@pytest.fixture
def node(place, ordinary):
    """A node whose scheduler is not used."""
    os.chown(place, account_of(ordinary).uid, -1)
    return Node(place, account_of(ordinary))


@pytest.mark.parametrize("name", RUNTIMES)
def test_every_face_has_the_same_software(node, store, lock, name):
    """An image of the store is the same in each form: the layer at /opt/env, /tmp open to all, the exit code kept."""
    runtime = RUNTIMES[name]()
    made = Box(node, runtime, f'python -c "{LOOK}"', image_ref=store.find(lock, runtime.face))
    status = made.execute()
    assert status is not None, made.err()
    assert status["exit_code"] == 3, (status, made.err())
    prefix, module, mode = made.out().split()
    assert prefix == "/opt/env"
    assert module.startswith("/opt/env/lib/")
    assert mode in ("0o1777", "0o777")


@pytest.mark.parametrize("name", list(RUNTIMES)[:-1])
def test_nothing_is_left_after_the_end(node, name):
    """Processes that a program leaves in the background end with it, and so does what the runtime itself started."""
    made = Box(node, RUNTIMES[name](), "(setsid sleep 4711 >/dev/null 2>&1 &) ; (sleep 4711 &) ; exit 4")
    assert made.execute()["exit_code"] == 4
    wait_for(lambda: not left_of(made))
    assert not [path for path in os.listdir("/tmp") if made.mark in path]


def left_of(made):
    """Processes of this job: by its mark in their environment or its directory in their arguments."""
    seen = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as one, open(f"/proc/{pid}/cmdline", "rb") as other:
                if made.mark.encode() in one.read() + other.read():
                    seen.append(pid)
        except OSError:
            continue
    return seen


@pytest.mark.parametrize("name", [*list(RUNTIMES)[:-2], "none"])
def test_a_killed_script_is_cleared_up_by_its_mark(node, name):
    """What outlives a killed job.sh is ended by the runtime's own script, which knows the mark alone."""
    runtime = NoContainer() if name == "none" else RUNTIMES[name]()
    made = Box(node, runtime, "echo ready; exec sleep 4712")

    def kill(process):
        made.until_out("ready")
        process.send_signal(signal.SIGKILL)

    made.execute(also=kill)
    if text := runtime.reap_script(made.mark):
        assert left_of(made), "so there was something to do"
        subprocess.run(["sh", "-s"], input=text, text=True, check=True, timeout=60)
    wait_for(lambda: not left_of(made))
    assert made.status() is None


def test_clearing_up_after_podman_believes_nobody(node):
    """Who gives a process of his own the words of podman's has root end and remove only what is his anyway."""
    mark, victim = "ci-9-9", node.place / "victim"
    victim.mkdir(mode=0o700)
    (victim / "tmp").mkdir()
    other = subprocess.Popen(["sleep", "4715"])
    (victim / "tmp/pause.pid").write_text(f"{other.pid}\n")
    (node.place / mark).mkdir()
    words = ["conmon", "-s", "-n", f"{mark}-0", "--exit-dir", f"{node.place}/{mark}/../victim/tmp/exits", "-"]
    fake = subprocess.Popen(["sh", "-c", "sleep 4716; :", *words], user=node.account.uid, extra_groups=[])
    try:
        subprocess.run(["sh", "-s"], input=Podman().reap_script(mark), text=True, check=True, timeout=60)
        fake.wait(60)
        assert other.poll() is None
        assert (victim / "tmp/pause.pid").exists()
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("name", list(RUNTIMES)[:-2])
def test_a_shell_is_where_the_task_is(node, name):
    """A shell on a terminal is in the same image and directory, as the same user, and leaves its exit status."""
    runtime = RUNTIMES[name]()
    made = Box(node, runtime, "true", variables={"COLOUR": "b l u e"})
    made.execute()
    script = node.place / "shell.sh"
    script.write_text(runtime.shell_script(made.run, 0))
    checked = subprocess.run(["shellcheck", "-s", "sh", script], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    said, code = on_terminal(node.account, script, 'echo "$(id -un) $PWD $COLOUR"; touch here; exit 6\n')
    assert f"{node.account.name} /job b l u e" in said, said
    assert code == 6, said
    assert (made.dir / "tasks/0/here").exists()


def on_terminal(account, script, typed):
    """Run a script on a terminal of its own as the account; what it printed, and its exit status."""
    pid, terminal = pty.fork()
    if pid == 0:
        become = ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "env", "-i"]
        os.chdir("/")
        os.execvp(become[0], [*become, "PATH=/usr/bin:/bin", "TERM=dumb", "sh", str(script)])
    said, sent, deadline = b"", False, time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break
            said += part
            if not part:
                break
        if not sent and (said.rstrip().endswith((b"$", b"#", b">"))):
            os.write(terminal, typed.encode())
            sent = True
    os.close(terminal)
    return said.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# --- no container


@pytest.mark.parametrize("code", [0, 7, 127])
def test_none_keeps_exit_codes(node, code):
    """Without a container too, the status says what the program exited with."""
    assert Box(node, NoContainer(), f"exit {code}").execute()["exit_code"] == code


def test_none_is_clean_and_at_home(node, monkeypatch):
    """The program is in its task's directory with the account's own home, and nothing of the server's environment."""
    made = Box(node, NoContainer(), 'printf "%s|%s|%s|%s" "$PWD" "$HOME" "${SECRET-}" "$A"', variables={"A": "x\ny"})
    made.execute()
    assert made.out() == f"{made.dir}/tasks/0|{node.account.home}||x\ny"


def test_none_ends_everything(node):
    """What ignores TERM, and what went into a session of its own, is gone with a canceled task."""
    made = Box(node, NoContainer(), "trap '' TERM; (setsid sleep 4713 &); echo ready; while :; do sleep 4714; done")

    def cancel(process):
        made.until_out("ready")
        process.terminate()

    assert made.execute(also=cancel)["signal"] == 9
    wait_for(lambda: not left_of(made))


MODULES = """module() {
    case "$1 $2" in
        "load blast/2.14") export BLAST=/opt/blast ;;
        *) echo "Unable to locate a modulefile for '$2'" >&2; return 1 ;;
    esac
}
"""


@pytest.mark.parametrize(("wanted", "code"), [("blast/2.14", 0), ("nothing/1", None)])
def test_none_loads_modules(node, monkeypatch, wanted, code):
    """Modules are loaded by what the node defines `module` with; one that is not there is told in words."""
    made = Box(node, NoContainer(), 'echo "$BLAST"', modules=(wanted,))
    init = node.place / "init.sh"
    init.write_text(MODULES)
    text = made.script.read_text()
    made.script.write_text(text.replace("/etc/profile.d/modules.sh", str(init)))
    status = made.execute()
    assert status["exit_code"] == code, made.err()
    if code == 0:
        assert made.out() == "/opt/blast\n"
    else:
        assert "nothing/1" in made.err()
        assert status["reason"]


def test_none_takes_no_image(node):
    """A plan with an image is not silently run on the host."""
    with pytest.raises(Permanent, match="no image"):
        Box(node, NoContainer(), "true", image_ref=image(Face.DIRECTORY))


# --- docker on a node


def docker(*words):
    """Run docker."""
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False)


def forget(ref):
    """Let the engine have neither image nor base, as on a node that is new."""
    base = f"cluster-interface/image:{ref.archives[0].stem[:24]}"
    docker("rmi", "-f", ref.tag, base)
    return base


def test_docker_loads_the_base_once_and_then_what_is_new(node, store, lock):
    """A new node takes both archives, one that has the base only the thin one; and again nothing."""
    with locked("docker-archives"):
        ref = store.find(lock, Face.ARCHIVE)
        base = forget(ref)
        assert Box(node, Docker(remote=True), "exit 3", image_ref=ref).execute()["exit_code"] == 3
        assert docker("image", "inspect", base).returncode == 0
        docker("rmi", "-f", ref.tag)
        made = Box(node, Docker(remote=True), "exit 3", image_ref=ref)
        made.script.write_text(made.script.read_text().replace(str(ref.archives[0]), "/nonexistent"))
        assert made.execute()["exit_code"] == 3, "the base was there"


def test_docker_says_what_is_in_the_way_of_an_image(node, store, lock):
    """An archive that cannot be read is a task that did not begin, with the engine's own words."""
    with locked("docker-archives"):
        ref = store.find(lock, Face.ARCHIVE)
        forget(ref)
        made = Box(node, Docker(remote=True), "exit 3", image_ref=ref)
        text = made.script.read_text()
        for path in ref.archives:
            text = text.replace(str(path), "/nonexistent.tar")
        made.script.write_text(text)
        status = made.execute()
        assert status["exit_code"] is None
        assert "/nonexistent.tar" in status["reason"]


# --- words and claims


def test_paths_that_mounts_would_take_apart_are_refused(node, ordinary):
    """A workspace with a comma or colon in its name is told when the script is written, not on the node."""
    odd = Node(node.place / "a,b:c", account_of(ordinary))
    for runtime in (Apptainer(), Charliecloud(), Podman()):
        with pytest.raises(Permanent, match="comma"):
            Box(odd, runtime, "true")


def test_every_runtime_is_made_by_its_name():
    """Names are those of the settings; docker on another machine takes archives; an unknown name is refused."""
    for name in ("docker", "podman", "apptainer", "charliecloud", "bubblewrap", "none"):
        assert make(name, None, remote=True).name == name
    assert make("docker", None, remote=True).face is Face.ARCHIVE
    assert make("docker", None, remote=True, registry=True).face is Face.REGISTRY
    assert make("docker", None, registry=True).face is Face.DOCKER
    assert make("apptainer", None).face is Face.SQUASHFS
    with pytest.raises(Rejected, match="lxc"):
        make("lxc", None)


def test_bounds_of_all():
    """Each runtime says of each limit how it is kept; without a scheduler's cgroups none claims memory enforced."""
    names = {"memory", "cpus", "pids", "disk", "time", "network", "filesystem"}
    for name in ("podman", "apptainer", "charliecloud", "bubblewrap", "none"):
        assert set(make(name, None).bounds()) == names
        assert make(name, None).bounds()["memory"] is not Bound.ENFORCED
        assert make(name, None, cgroups=True).bounds()["memory"] is Bound.ENFORCED
    assert make("none", None).bounds()["network"] is make("none", None).bounds()["filesystem"] is Bound.NONE


@pytest.fixture
def homeless(place, podman):
    """A node whose jobs run as an account whose home does not exist."""
    account = account_of("clif-job")
    assert not os.path.exists(account.home)
    os.chown(place, account.uid, -1)
    return Node(place, account)


def test_podman_needs_no_home(homeless):
    """An account whose home does not exist has one for podman while a task runs, and nothing of it stays."""
    made = Box(homeless, Podman(account=homeless.account), "exit 3")
    assert made.runtime.probe() is None
    assert made.execute()["exit_code"] == 3, made.err()
    assert not [path for path in os.listdir("/tmp") if made.mark in path]


@pytest.mark.parametrize("whose", ["node", "homeless"])
def test_a_probe_really_starts_something(request, whose):
    """The report of this machine, made as the account: what the runtimes' own tests run is found to work."""
    node = request.getfixturevalue(whose)
    rootfs, out = image(Face.DIRECTORY).rootfs, node.place / "report.json"
    script = node.place / "probe.sh"
    script.write_text(probe_script(out, workspace=node.place, store=CACHE, rootfs=rootfs))
    checked = subprocess.run(["shellcheck", "-s", "sh", script], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    become = ["setpriv", f"--reuid={node.account.uid}", f"--regid={node.account.gid}", "--clear-groups"]
    home = f"HOME={node.account.home}"
    subprocess.run([*become, "env", "-i", home, "PATH=/usr/bin:/bin", "sh", script], check=True, cwd="/")
    report = read_report(out.read_text())
    assert report.runtimes == ("apptainer", "podman", "charliecloud", "bubblewrap"), report.refused
    assert "permission denied" in report.refused["docker"].lower()
    assert report.found.workspace.writable
    assert not report.trouble
    assert [path.name for path in node.place.iterdir() if path.name.startswith("report")] == ["report.json"]
