"""What a killed node daemon left is found and ended by an order on its node, which has processes and a /tmp of its own."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.clusters import OwnSlurm
from tests.conftest import wait_for
from tests.contract.rig import account_of
from tests.contract.schedulers import slurm_rig
from tests.contract.test_runtime_on_schedulers import Queue

from cluster_interface.adapters.runtimes import make
from cluster_interface.adapters.site import Site
from cluster_interface.adapters.surveys import Surveys
from cluster_interface.settings import Settings

HOST = "far"  #: what the node calls itself
# The first process of the node stays when its daemon dies, as a machine would.
BOOT = (
    f"hostname {HOST} && mount -t proc proc /proc && mount -t tmpfs -o mode=1777 tmp /tmp && while :; do sleep 1; done"
)


class Elsewhere:
    """A node of a Slurm that is a machine of its own for whoever looks at processes, /tmp and the host's name."""

    def __init__(self, own):
        *others, self.name = sorted(set(own.nodes))
        self.own = own
        os.kill(own.pid(f"slurmd-{self.name}"), signal.SIGTERM)
        words = ["unshare", "--pid", "--mount", "--uts", "--fork", "--kill-child", "sh", "-c", BOOT]
        self.machine = subprocess.Popen(words, start_new_session=True)
        self.first = wait_for(lambda: children(self.machine.pid))[0]
        wait_for(lambda: Path(f"/proc/{self.first}/root/proc/1/cmdline").read_text().startswith("sh\0"))
        self.daemon = None
        for other in others:
            own.ask("scontrol", "update", f"NodeName={other}", "State=DRAIN", "Reason=test")

    def start(self):
        """Start its daemon, and wait until it takes jobs."""
        enter = ["nsenter", f"--target={self.first}", "--pid", "--mount", "--uts", "--"]
        slurmd = ["slurmd", "-D", "-N", self.name, "-f", self.own.part.env["SLURM_CONF"]]
        self.daemon = subprocess.Popen(
            [*enter, *slurmd], env={**os.environ, **self.own.part.env}, start_new_session=True
        )
        wait_for(self.idle, 60, 0.5)

    def idle(self):
        """The node to be there."""
        state = self.own.ask("sinfo", "--noheader", f"--nodes={self.name}", "--format=%T", "--partition=main")
        if state.startswith("down"):
            with contextlib.suppress(AssertionError):  # it may have come by itself meanwhile, and is nothing to resume
                self.own.ask("scontrol", "update", f"NodeName={self.name}", "State=RESUME")
        return state == "idle"

    def processes(self, word):
        """Those in there that have a word on their command line, by their pids out here."""
        space = os.readlink(f"/proc/{self.first}/ns/pid")
        found = []
        for directory in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(directory / "ns/pid") == space and word in (directory / "cmdline").read_text():
                    found.append(int(directory.name))
        return found

    def kill_daemon(self, mark):
        """Kill the daemon, the step's manager and job.sh, and have the controller notice."""
        for pid in [*self.processes("slurmd"), *self.processes("slurmstepd"), *self.processes("job.sh")]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.daemon.wait(60)
        self.own.ask("scontrol", "update", f"NodeName={self.name}", "State=DOWN", "Reason=test")

    def end(self):
        """Switch it off."""
        os.kill(self.first, signal.SIGKILL)
        self.machine.wait(60)
        self.daemon.wait(60)


def children(pid):
    """The children of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def node(own_part):
    """Such a node, alone in taking jobs."""
    made = Elsewhere(OwnSlurm(own_part("slurm")))
    try:
        made.start()
        yield made
    finally:
        made.end()


def test_a_container_on_another_node_is_ended_by_an_order_there(node, place, ordinary):
    """Its container runs on, and nothing here would find it; the order ends it and removes its private directory."""
    account = account_of(ordinary)
    os.chown(place, account.uid, -1)
    rig = slurm_rig(node.own.part, place, ordinary)
    made = Queue("slurm", rig).box("podman", "echo ready; exec sleep 600")
    made.until_out("ready")
    claim = dict(line.split("=", 1) for line in (made.attempt / "claim/0/owner").read_text().splitlines())
    assert claim["host"] == HOST
    node.kill_daemon(made.mark)
    room = Path(f"/proc/{node.first}/root/tmp")
    assert node.processes(made.mark), "podman's containers do not end with the daemon of a node"
    assert list(room.glob(f"{made.mark}*"))
    node.start()
    surveys = Surveys(
        place / "surveys",
        account=account,
        server=account_of("root"),
        make=lambda names: {name: make(name, account, remote=True) for name in names},
        pinned={},
        store=place,
    )
    site = Site(
        settings=Settings(),
        schedulers={"slurm": rig.scheduler},
        local=dict,
        surveys=surveys,
        identity=SimpleNamespace(account=lambda owner: account),
        server=account_of("root"),
    )
    site.reap(made.ask, made.mark, ordinary, {claim["host"]: node.name})

    def gone():
        """The container to be gone."""
        return not node.processes(made.mark)

    wait_for(gone, 60, 0.5)
    wait_for(lambda: not list(room.glob(f"{made.mark}*")), 60, 0.5)
