"""What job.sh makes of the signals that schedulers send, once or twice, to it or to all that it started."""

import contextlib
import os
import signal

import psutil
import pytest
from tests.conftest import wait_for
from tests.contract.rig import Box, Node, account_of

from cluster_interface.adapters.runtimes import make

CONTAINERS = ("apptainer", "charliecloud", "podman", "bubblewrap")
HEARS = """
import signal, sys, time
told = []
def hear(number, frame):
    told.append(time.monotonic())
    print("told", flush=True)
signal.signal(signal.SIGTERM, hear)
print("ready", flush=True)
while not told or time.monotonic() < told[0] + 1:  # long enough to be told again
    time.sleep(0.05)
sys.exit(7)
"""


@pytest.fixture
def node(place, ordinary):
    """A node whose scheduler is not used."""
    os.chown(place, account_of(ordinary).uid, -1)
    return Node(place, account_of(ordinary))


def below(process):
    """All processes that came from one, itself included."""
    top = psutil.Process(process.pid)
    return [top, *top.children(recursive=True)]


def words(process):
    """The command line of a process that may be over."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return process.cmdline()
    return []


@pytest.mark.parametrize("name", [*CONTAINERS, "docker", "none"])
def test_a_program_is_told_once_to_end(node, name):
    """Grid Engine says it twice: a program that is just ending, and has put its handlers away, would die of it."""
    made = Box(node, make(name, node.account, grace=60), "exec python3 hears.py")
    (made.dir / "tasks/0/hears.py").write_text(HEARS)

    def signals(process):
        made.until_out("ready")
        process.send_signal(signal.SIGUSR2)
        made.until_out("told")
        process.send_signal(signal.SIGUSR2)

    status = made.execute(also=signals)
    assert made.out() == "ready\ntold\n", made.err()
    assert (status["exit_code"], status["signal"], status["told"]) == (7, None, True)


@pytest.mark.parametrize("name", CONTAINERS)
def test_what_does_not_end_when_all_are_told_was_killed(node, name):
    """Slurm tells every process that it knows of: what is around the program may end well, but not for the program."""
    made = Box(node, make(name, node.account, grace=1), "trap '' TERM; echo ready; while :; do sleep 0.1; done")

    def signals(process):
        made.until_out("ready")
        for each in below(process):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGTERM)

    status = made.execute(also=signals)
    assert (status["exit_code"], status["signal"], status["told"]) == (137, 9, True), made.err()


@pytest.mark.parametrize("name", CONTAINERS)
def test_its_grace_outlives_the_second_signal(node, name):
    """Told twice, as all processes of its group are, what does not end is killed all the same."""
    made = Box(node, make(name, node.account, grace=1), "trap '' TERM; echo ready; while :; do sleep 0.1; done")

    def signals(process):
        made.until_out("ready")
        process.send_signal(signal.SIGUSR2)
        wait_for(lambda: any(words(each)[:2] == ["sleep", "1"] for each in below(process)), 60, 0.01)
        for each in below(process):
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                if os.getpgid(each.pid) == os.getpgid(process.pid):
                    each.send_signal(signal.SIGUSR2)

    status = made.execute(also=signals)
    assert (status["exit_code"], status["signal"], status["told"]) == (137, 9, True), made.err()
