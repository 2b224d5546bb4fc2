"""Every runtime under every scheduler, for real: what a job of either is promised holds for the two together."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field

import pytest
from tests.conftest import containers, wait_for
from tests.contract.rig import MIB, Box, account_of, image
from tests.contract.schedulers import LocalRig, gridengine_rig, slurm_rig
from tests.contract.test_runtime import POLITE, processes_of

from cluster_interface.adapters.runtimes import Docker, NoContainer, make
from cluster_interface.model.plan import Bound
from cluster_interface.ports import Face, NativeState

SCHEDULERS = ("local", "slurm", "slurm_accounting", "gridengine")
RUNTIMES = ("bubblewrap", "apptainer", "charliecloud", "podman", "docker")
#: Grid Engine takes no job of root's, whom docker's engine obeys; and its h_vmem bounds addresses, of which programs
#: in Go reserve more at their start than a small job asks for.
CANNOT = {("gridengine", runtime) for runtime in ("docker", "apptainer", "podman")}
PAIRS = [(s, r) for s in SCHEDULERS for r in RUNTIMES if (s, r) not in CANNOT]
#: Where Slurm signals every process of a job (proctrack/linuxproc) podman's own die of it and the container with them,
#: and so does what mounts apptainer's image, under the program's feet.
IMPOLITE = {("slurm", "podman"), ("slurm", "apptainer")}

LOOK = """
echo "task $CLIF_TASK of $CLIF_TASKS as $(id -u)"
grep -E '^Cap(Eff|Prm|Inh|Amb)' /proc/self/status | grep -vc ':.0*$'
tail -n +3 /proc/net/dev | grep -vc ' *lo:'
(setsid sleep 4731 >/dev/null 2>&1 &)
exit "$CLIF_TASK"
"""
HUNGRY = "python3 -c 'b = bytearray(b\"x\") * (600 << 20); import time; time.sleep(20)'; exit $?"
WORK = "python3 -c 'b = bytearray(b\"x\") * (60 << 20); import time; any(_ < 0 for _ in range(10 ** 7)); time.sleep(4)'"


@dataclass
class Queue:
    """A queue of a scheduler, as a Box knows its node."""

    name: str
    rig: object
    count: int = 0
    boxes: list = field(default_factory=list)

    @property
    def place(self):
        """Where jobs are."""
        return self.rig.place

    @property
    def account(self):
        """Whom jobs run as."""
        return self.rig.account

    @property
    def scheduler(self):
        """What is in charge."""
        return self.rig.scheduler

    def submit(self, order):
        """Submit an order and return by what it is known again."""
        handle = self.rig.handle(order.mark, self.scheduler.submit(order))
        return type(handle)(mark=handle.mark, account=order.account.name, native_id=handle.native_id)

    def box(self, runtime, command, program=None, **more):
        """Hand a job to the scheduler."""
        kept = "cgroups" if getattr(self.rig, "bounded", False) else None
        made = Box(self, make(runtime, self.account, cgroups=bool(kept)), command, **{**self.rig.asked, **more})
        if program:
            (made.dir / "tasks/0/program.py").write_text(program)
        self.boxes.append(made)
        return made.start()

    def until_ended(self, handle, seconds):
        """Wait for the end of all elements as the scheduler sees it; return what is seen of the first."""

        def look():
            seen = self.scheduler.observe([handle]).get(handle.mark, {})
            return seen if seen and all(s.state is NativeState.ENDED for s in seen.values()) else None

        return wait_for(look, seconds, 0.2)[0]

    def clean(self):
        """Cancel what is left, and clear up after it as the engine would."""
        for made in self.boxes:
            self.scheduler.cancel(made.handle)
        for made in self.boxes:
            self.until_ended(made.handle, 60)
            made.runtime.reap(made.mark)


def statuses(made, seconds=90):
    """Wait until every task has left its status."""
    wait_for(lambda: all(made.status(task) for task in range(made.tasks)), seconds, 0.1)
    return [made.status(task) for task in range(made.tasks)]


def nothing_left(made):
    """No process with the job's mark, no container: once what the scheduler killed has been cleared up after."""
    if made.node.scheduler.name != "local":
        made.node.until_ended(made.handle, 60)
        made.runtime.reap(made.mark)
    wait_for(lambda: not processes_of(made.mark), 20, 0.2)
    if made.runtime.name == "docker":
        wait_for(lambda: not containers(made.mark), 20, 0.2)


def told(made, seconds=90):
    """A program heard TERM and chose how it ended; where all processes of a job are signalled, it may hear it twice."""
    (status,) = statuses(made, seconds)
    assert made.out().startswith("ready\ngot SIGTERM\n"), (status, made.err())
    assert status["exit_code"] in ((7,) if made.node.scheduler.name == "local" else (7, 143)), made.err()


@pytest.fixture(scope="module")
def queues(request, places, ordinary):
    """A queue of each scheduler that is up; in place of one that is not, why."""
    for face in Face:
        image(face)
    found = {}
    with contextlib.ExitStack() as stack:
        for name in SCHEDULERS:
            place = places()
            os.chown(place, account_of(ordinary).uid, -1)
            try:
                part = None if name == "local" else request.getfixturevalue(name)
            except pytest.skip.Exception as why:
                found[name] = str(why)
                continue
            if name == "local":
                rig = LocalRig(place, ordinary)
                rig.node.reap = Docker().reap
                stack.enter_context(rig.node)
            else:
                rig = (gridengine_rig if name == "gridengine" else slurm_rig)(part, place, ordinary)
            rig.bounded = name in ("local", "slurm_accounting")
            found[name] = Queue(name, rig)
            stack.callback(found[name].clean)
        yield found


@pytest.fixture(scope="module")
def timed(queues):
    """Jobs that will run until their scheduler ends them: started at once, since Slurm counts minutes."""
    started = {}
    for scheduler, runtime in PAIRS:
        if not isinstance(queues[scheduler], str) and scheduler != "local":
            started[scheduler, runtime] = queues[scheduler].box(
                runtime, "exec python3 program.py", POLITE.replace("sleep(60)", "sleep(300)"), time=10, memory=150 * MIB
            )
    return started


@pytest.fixture(params=PAIRS, ids="-".join)
def on(request, queues, timed):
    """A scheduler's queue and the name of a runtime."""
    scheduler, runtime = request.param
    queue = queues[scheduler]
    if isinstance(queue, str):
        pytest.skip(queue)
    return queue, runtime


def test_a_job_is_what_it_should_be_and_leaves_nothing(on):
    """An array and a packed element: exit codes, output, the account's uid, no capability, no network, no orphan."""
    queue, runtime = on
    array = queue.box(runtime, LOOK, tasks=3)
    packed = queue.box(runtime, LOOK, tasks=2, elements=[[1, 0]])
    for made in (array, packed):
        assert [status["exit_code"] for status in statuses(made)] == list(range(made.tasks)), made.err()
        for task in range(made.tasks):
            assert made.out(task).splitlines() == [f"task {task} of {made.tasks} as {queue.account.uid}", "0", "0"]
    assert packed.status(1)["ended"] <= packed.status(0)["started"] + 0.5
    for made in (array, packed):
        nothing_left(made)
        queue.until_ended(made.handle, 60)


def test_cancel_ends_everything(on):
    """What is canceled hears of it first; what does not listen, and what it started, is gone soon."""
    queue, runtime = on
    impolite = (queue.name, runtime) in IMPOLITE
    polite = queue.box(runtime, "exec python3 program.py", POLITE)
    stubborn = queue.box(runtime, "trap '' TERM; (setsid sleep 4732 &); echo ready; while :; do sleep 4733; done")
    for made in (polite, stubborn):
        made.until_out("ready")
        made.cancel()
    if not impolite:
        told(polite)
    for made in (polite, stubborn):
        nothing_left(made)
    queue.until_ended(stubborn.handle, 60)


def test_memory_is_kept_where_it_is_said_to_be(on):
    """Where the limit of memory is enforced a program that takes more fails, and the job says of what."""
    queue, runtime = on
    made = queue.box(runtime, HUNGRY, memory=150 * MIB)
    if made.runtime.bounds()["memory"] is not Bound.ENFORCED:
        made.cancel()
        pytest.skip("nobody enforces it here")
    seen = queue.until_ended(made.handle, 90)
    status = made.status()
    assert seen.verdict == "out_of_memory" or (status and status["oom"]), (seen, status, made.err())
    assert status is None or status["exit_code"] != 0


def test_use_is_measured(on):
    """Memory and processor time are near the truth, by whatever counts here."""
    queue, runtime = on
    made = queue.box(runtime, WORK)
    (status,) = statuses(made)
    own = 90 if runtime in ("apptainer", "charliecloud") else 0  # what mounts the image is looked at, too
    assert 60 * MIB <= status["peak_memory"] <= (110 + own) * MIB, status
    assert 0.1 <= status["cpu_seconds"] <= 5, status
    assert status["measured_by"] in ("cgroup", "samples", "cgroup, samples")


def test_modules_are_loaded_in_a_clean_shell(queues, modules):
    """Without a container, under Slurm: `module load` of the real thing, each version as asked for."""
    queue = queues["slurm"]
    if isinstance(queue, str):
        pytest.skip(queue)
    more = {"variables": {"MODULEPATH": modules.env["MODULEPATH"]}, **queue.rig.asked}
    made = []
    for names, command in (
        (("hello/1.0", "blast/2.14"), "hello; blast"),
        (("hello/2.0",), "hello"),
        (("no/1",), "true"),
    ):
        made.append(Box(queue, NoContainer(), command, modules=names, **more))
        queue.boxes.append(made[-1].start())
    both, newer, missing = made
    assert statuses(both)[0]["exit_code"] == 0, both.err()
    assert both.out() == "hello from a module\nblastn: 2.14.0+\n"
    statuses(newer)
    assert newer.out() == "hello again from a module\n"
    assert statuses(missing)[0]["exit_code"] is None
    assert "no/1" in missing.err()


def test_the_schedulers_time_limit_is_told_politely(timed):
    """What runs into its scheduler's limit hears TERM first and may choose how it ends; then nothing is left."""
    for (scheduler, runtime), made in timed.items():
        if (scheduler, runtime) in IMPOLITE:
            statuses(made, 150)
        else:
            told(made, 150)
        nothing_left(made)
        seen = made.node.until_ended(made.handle, 60)
        assert seen.verdict in ("time_limit", None), (scheduler, runtime, seen)
