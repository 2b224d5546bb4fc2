"""Every runtime under every scheduler, for real: what a job of either is promised holds for the two together."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field

import pytest
from tests.conftest import containers, wait_for
from tests.contract.rig import MIB, Box, account_of, image
from tests.contract.schedulers import LocalRig, gridengine_rig, slurm_rig
from tests.contract.test_runtime import PATIENT, POLITE, processes_of

from cluster_interface.adapters.runtimes import Docker, NoContainer, make
from cluster_interface.model.plan import Bound
from cluster_interface.ports import UNSEEN, Face, NativeState

SCHEDULERS = ("local", "slurm", "slurm_accounting", "gridengine")
RUNTIMES = ("bubblewrap", "apptainer", "charliecloud", "podman", "docker")
PAIRS = [(s, r) for s in SCHEDULERS for r in RUNTIMES]
#: The time limit is told by each scheduler, and heard of in each runtime; Slurm without cgroups signals all processes.
TIMED = [("slurm", r) for r in RUNTIMES] + [
    ("slurm_accounting", "podman"),
    *(("gridengine", r) for r in ("bubblewrap", "apptainer", "podman", "docker")),
]

LOOK = """
echo "task $CLIF_TASK of $CLIF_TASKS as $(id -u)"
grep -E '^Cap(Eff|Prm|Inh|Amb)' /proc/self/status | grep -vc ':.0*$'
tail -n +3 /proc/net/dev | grep -vc ' *lo:'
(setsid sleep 4731 >/dev/null 2>&1 &)
exit "$CLIF_TASK"
"""
HUNGRY = "python3 -c 'b = bytearray(b\"x\") * (600 << 20); import time; time.sleep(20)'; exit $?"
WORK = "python3 -c 'b = bytearray(b\"x\") * (60 << 20); import time; any(_ < 0 for _ in range(10 ** 7)); time.sleep(2)'"


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

    def box(self, runtime, command, program=None, grace=2, **more):
        """Hand a job to the scheduler."""
        kept = "cgroups" if getattr(self.rig, "bounded", False) else None
        made = Box(
            self, make(runtime, self.account, cgroups=bool(kept), grace=grace), command, **{**self.rig.asked, **more}
        )
        if program:
            (made.dir / "tasks/0/program.py").write_text(program)
        self.boxes.append(made)
        return made.start()

    def until_ended(self, handle, seconds):
        """Wait for the end of all elements as the scheduler sees it; return what is seen of the first.

        Slurm without accounting forgets a job some minutes after its end (MinJobAge): one that said how it ended.
        """
        made = next(made for made in self.boxes if made.mark == handle.mark)

        def look():
            seen = self.scheduler.observe([handle]).get(handle.mark, {})
            if not seen and self.name == "slurm" and all(map(made.status, range(made.tasks))):
                return {0: UNSEEN}
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
    wait_for(lambda: not processes_of(made.mark), 60, 0.2)
    if made.runtime.name == "docker":
        wait_for(lambda: not containers(made.mark), 60, 0.2)


def told(made, seconds=90):
    """A program heard TERM, once, and chose how it ended."""
    (status,) = statuses(made, seconds)
    assert made.out() == "ready\ngot SIGTERM\n", (status, made.err())
    assert (status["exit_code"], status["signal"]) == (7, None), (status, made.err())


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
                rig = LocalRig(place, ordinary, grace=PATIENT)
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
    for scheduler, runtime in TIMED:
        if not isinstance(queues[scheduler], str):
            started[scheduler, runtime] = queues[scheduler].box(
                runtime, "exec python3 program.py", POLITE.replace("600", "3000"), PATIENT, time=10, memory=150 * MIB
            )
    return started


@pytest.mark.parametrize(("scheduler", "runtime"), PAIRS, ids=map("-".join, PAIRS))
def test_a_runtime_under_a_scheduler(queues, timed, scheduler, runtime):
    """All that is promised of a job, of several at once: what it is, what it leaves, how it is ended, what it used."""
    queue = queues[scheduler]
    if isinstance(queue, str):
        pytest.skip(queue)
    polite = queue.box(runtime, "exec python3 program.py", POLITE, PATIENT)
    stubborn = queue.box(runtime, "trap '' TERM; (setsid sleep 4732 &); echo ready; while :; do sleep 4733; done")
    array = queue.box(runtime, LOOK, tasks=3)
    packed = queue.box(runtime, LOOK, tasks=2, elements=[[1, 0]])
    work = hungry = None
    if scheduler != "local":  # of which test_runtime.py says it
        work = queue.box(runtime, WORK)
        if work.runtime.bounds()["memory"] is Bound.ENFORCED:
            hungry = queue.box(runtime, HUNGRY, memory=150 * MIB)
    for made in (polite, stubborn):
        made.until_out("ready")
        made.cancel()
    told(polite)
    look_right(queue, array, packed)
    if work:
        use_is_measured(work)
    if hungry:
        memory_is_kept(queue, hungry)
    for made in (polite, stubborn, array, packed):
        nothing_left(made)
        queue.until_ended(made.handle, 60)


def look_right(queue, array, packed):
    """Exit codes, output, the account's uid, no capability, no network, one task of an element after the other."""
    for made in (array, packed):
        assert [status["exit_code"] for status in statuses(made)] == list(range(made.tasks)), made.err()
        for task in range(made.tasks):
            assert made.out(task).splitlines() == [f"task {task} of {made.tasks} as {queue.account.uid}", "0", "0"]
    assert packed.status(1)["ended"] <= packed.status(0)["started"] + 0.5


def memory_is_kept(queue, made):
    """A program that takes more than is enforced fails, and the job says of what."""
    seen = queue.until_ended(made.handle, 90)
    status = made.status()
    assert seen.verdict == "out_of_memory" or (status and status["oom"]), (seen, status, made.err())
    assert status is None or status["exit_code"] != 0


def use_is_measured(made):
    """Memory and processor time are near the truth, by whatever counts here."""
    (status,) = statuses(made)
    own = 90 if made.runtime.name in ("apptainer", "charliecloud") else 0  # what mounts the image is looked at, too
    assert 60 * MIB <= status["peak_memory"] <= (110 + own) * MIB, status
    assert 0.1 <= status["cpu_seconds"] <= 5, status
    assert status["measured_by"] in ("cgroup", "samples", "cgroup, samples")


def test_what_grid_engine_allows_a_runtime_is_not_the_programs(queues):
    """Its h_vmem bounds addresses, of which some runtimes need more than the job: the program gets the job's memory."""
    queue = queues["gridengine"]
    if isinstance(queue, str):
        pytest.skip(queue)
    made = [queue.box(name, "ulimit -v") for name in RUNTIMES if name != "docker"]
    for one in made:
        assert statuses(one)[0]["exit_code"] == 0, one.err()
        assert one.out() == f"{one.ask.memory // 1024}\n", one.runtime.name


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
        told(made, 150)
        nothing_left(made)
        seen = made.node.until_ended(made.handle, 60)
        assert seen.verdict in ("time_limit", None), (scheduler, runtime, seen)
