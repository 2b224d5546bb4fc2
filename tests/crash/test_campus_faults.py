"""A cluster's controller and nodes die, stand still and forget. Only the programs' own count of runs is believed."""

import contextlib
import random
import time

import psutil
import pytest
from tests.clusters import Ledger, OwnSlurm, cluster_server, ending, handed, rounds, say
from tests.conftest import containers, wait_for

TIMEOUT = 4  #: seconds after which the server cuts Slurm's programs off
CONFIG = '[queues.main]\nruntimes = ["none", "docker"]\n[queues.short]\nhidden = true\n'


@pytest.fixture(scope="module")
def own(own_part_of_module):
    """A Slurm of this file's own."""
    return OwnSlurm(own_part_of_module("slurm"))


@pytest.fixture
def ledger(place):
    """Where the programs of one test keep count."""
    return Ledger(place)


@pytest.fixture(scope="module")
def server(make_server, own):
    """A server on that Slurm; programs run without a container, which leaves their count to themselves."""
    return cluster_server(make_server, own.part, config=CONFIG, CLIF_SLURM__TIMEOUT=str(TIMEOUT))


@pytest.fixture
def dice():
    """Chance, with a seed that a failure shows."""
    seed = time.time_ns() % 2**32
    say(f"seed {seed}")
    return random.Random(seed)


def settle(server, ledger, jobs, seconds=120):
    """Wait for all of these to end, and check each."""
    views = {job: ending(server, job, seconds) for job in jobs}
    for job, view in views.items():
        say(
            job,
            view["state"],
            view["code"],
            view["reason"],
            ledger.runs(job),
            "runs",
            [a["number"] for a in view["attempts"]],
        )
        if view["state"] != "completed":
            say(server.clif("events", job).stdout)
        elif len(view["attempts"]) > 1:
            say("\n".join(line for line in server.log.read_text().splitlines()[-40:]))
        ledger.check(server, job, view)
    return views


def test_the_controller_is_killed_just_after_it_took_a_job(server, own, ledger, dice):
    """Its state is kept or lost: each program runs once, and each job has its own result."""
    for _ in range(rounds(2)):
        jobs = [ledger.submit(server, "--memory", "50MiB", seconds=dice.uniform(0, 3)) for _ in range(2)]
        jobs.append(job := ledger.submit(server, "--memory", "50MiB", seconds=0.3))
        wait_for(lambda job=job: handed(server, job), 60, 0.01)
        time.sleep(dice.uniform(0, 1))
        own.kill()
        time.sleep(dice.choice([0, 0, 3]))
        own.start()
        views = settle(server, ledger, jobs)
        assert {view["state"] for view in views.values()} == {"completed"}, own.told()


def test_the_controller_stands_still_while_it_is_given_a_job(server, own, ledger, dice):
    """What was taken without an answer is found by its mark, not given again, and runs once.

    The controller killed above may have forgotten ids and give them out again. A node that still has the earlier job of
    such an id refuses the later one, which is then given as another attempt.
    """
    for number in range(rounds(2)):
        first = ledger.submit(server, "--memory", "50MiB", seconds=0.2)
        if number % 2:
            wait_for(lambda first=first: handed(server, first), 60, 0.005)
            time.sleep(dice.uniform(0, 0.06))
        with own.standing_still():
            jobs = [first, ledger.submit(server, "--memory", "50MiB", seconds=0.2)]
            wait_for(lambda jobs=jobs: all(handed(server, job) for job in jobs), 60, 0.05)
            time.sleep(TIMEOUT + dice.uniform(0.5, 4))
            assert not any(server.state_of(job) == "failed" for job in jobs)
        views = settle(server, ledger, jobs)
        assert {view["state"] for view in views.values()} == {"completed"}
        for job, view in views.items():
            assert all(own.given(f"ci-{job}-{attempt['number']}") == 1 for attempt in view["attempts"]), own.told()


def test_a_requeue_from_outside(server, own, ledger, dice):
    """What an administrator puts back into the queue does not run twice; what has not begun runs once."""
    for _ in range(rounds(2)):
        running = ledger.submit(server, "--memory", "50MiB", seconds=30)
        again = ledger.submit(server, "--memory", "50MiB", "--retry", "node_failed=1", seconds=12)
        for job in (running, again):
            ledger.until_running(job)
            server.until(job, "running")
        nodes = [f"NodeName={','.join(own.nodes)}"]
        own.ask("scontrol", "update", *nodes, "State=DRAIN", "Reason=test")
        waiting = ledger.submit(server, "--memory", "50MiB", seconds=0.2)
        wait_for(lambda waiting=waiting: own.native(f"ci-{waiting}"), 60)
        for job in (running, again, waiting):
            for native in own.native(f"ci-{job}"):
                own.ask("scontrol", "update", f"JobId={native}", "Requeue=1")
                own.part.run("scontrol", dice.choice(["requeue", "requeuehold"]), native, account=None)
                own.part.run("scontrol", "release", native, account=None)
        own.ask("scontrol", "update", *nodes, "State=RESUME")
        views = settle(server, ledger, [running, again, waiting], 240)
        assert (views[running]["state"], views[running]["code"]) == ("failed", "node_failed"), views[running]["reason"]
        assert ledger.runs(running) == 1
        assert views[again]["state"] == "completed", views[again]["reason"]
        assert ledger.runs(again) == 2
        assert views[waiting]["state"] == "completed"
        assert ledger.runs(waiting) == 1
        assert not own.native("ci-"), "nothing of ours waits any longer"


def test_ids_that_are_given_out_again(server, own, ledger, dice):
    """After a cold start another user's jobs have the ids of ours: nobody gets what is not his."""
    for _ in range(rounds(1)):
        jobs = [ledger.submit(server, "--memory", "50MiB", seconds=0.3)]
        settle(server, ledger, jobs)
        nodes = f"NodeName={','.join(own.nodes)}"
        own.ask("scontrol", "update", nodes, "State=DRAIN", "Reason=test")
        waiting = [ledger.submit(server, "--memory", "50MiB", seconds=0.3) for _ in range(2)]
        for job in waiting:
            wait_for(lambda job=job: own.native(f"ci-{job}"), 60)
        had = {native for job in waiting for native in own.native(f"ci-{job}")}
        own.kill()
        own.start(cold=True)
        script = server.write("other.sh", "#!/bin/sh\necho somebody else\nsleep 5\nexit 3\n")
        script.chmod(0o755)
        theirs = set()
        while not had <= theirs and len(theirs) < 100:
            theirs.add(own.part.ask("sbatch", "--parsable", "--mem=10", "--output=/dev/null", script, cwd="/var/tmp"))
        assert had & theirs
        views = settle(server, ledger, waiting, 180)
        assert {view["state"] for view in views.values()} == {"completed"}
        assert all(ledger.runs(job) == 1 for job in waiting)
        own.part.run("scancel", "--user=clif-test", account=None)


def test_the_scheduler_forgets_while_nobody_looks(server, own, ledger):
    """MinJobAge=2 and an engine that stands still for ten seconds: the end is known from the status file."""
    conf = own.directory / "slurm.conf"
    before = conf.read_text()
    conf.write_text(before.replace("MinJobAge=300", "MinJobAge=2"))
    own.ask("scontrol", "reconfigure")
    try:
        jobs = [ledger.submit(server, "--memory", "50MiB", seconds=1, end="exit 0") for _ in range(2)]
        bad = ledger.submit(server, "--memory", "50MiB", seconds=1, end="exit 5")
        for job in [*jobs, bad]:
            ledger.until_running(job)
        engine = server.part("engine")
        engine.suspend()
        time.sleep(10)
        engine.resume()
        views = settle(server, ledger, jobs)
        assert {view["state"] for view in views.values()} == {"completed"}
        view = ending(server, bad)
        assert (view["code"], view["reason"]) == ("exit_code", "the program exited with 5")
        assert ledger.runs(bad) == 1
    finally:
        conf.write_text(before)
        own.ask("scontrol", "reconfigure")


def kill_node(own, mark, node):
    """Kill a node's daemon, its step manager and what runs below that; containers of a daemon of their own stay."""
    family = [p for p in psutil.process_iter(["environ"]) if f"CLIF_NAME={mark}" in names_of(p) or step_of(p, mark)]
    family += [parent for p in family for parent in p.parents() if "slurmstepd" in parent.name()]
    for process in {psutil.Process(own.pid(f"slurmd-{node}")), *family}:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def names_of(process):
    """What a process has in its environment."""
    return [f"{name}={value}" for name, value in (process.info["environ"] or {}).items()]


def step_of(process, mark):
    """Say whether a process is a native job's own script or what it started on the node."""
    return f"SLURM_JOB_NAME={mark.rpartition('-')[0]}" in names_of(process)


def node_of(own, job):
    """The node on which a job's first attempt runs."""
    asked = ("squeue", "--noheader", "--states=R", f"--name=ci-{job}-1", "--format=%N")
    return wait_for(lambda: own.ask(*asked), 60)


def test_a_node_that_dies_with_its_job(server, own, ledger):
    """The job fails as such, or succeeds elsewhere where that was wished; what docker still has of it is removed."""
    again = ledger.submit(server, "--memory", "50MiB", "--runtime", "none", "--retry", "node_failed=1", seconds=6)
    held = server.submit("#!/bin/sh\necho on\nsleep 300\n", "--memory", "50MiB", "--runtime", "docker", name="held.sh")
    ledger.until_running(again)
    server.until(again, "running")
    server.until(held, "running")
    wait_for(lambda: server.clif("logs", held).stdout == "on\n", 60)
    nodes = {job: node_of(own, job) for job in (again, held)}
    try:
        for job, node in nodes.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                kill_node(own, f"ci-{job}-1-0", node)
        assert containers(f"ci-{held}-"), "docker knows nothing of Slurm"
        for node in nodes.values():
            own.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
        view = settle(server, ledger, [again])[again]
        assert view["state"] == "completed", view["reason"]
        assert ledger.runs(again) == len(view["attempts"]) == 2
        assert server.json("tasks", again)["tasks"][0]["node"] not in nodes.values()
        view = ending(server, held)
        assert (view["state"], view["code"]) == ("failed", "node_failed"), view["reason"]
        assert wait_for(lambda: not containers(f"ci-{held}-"), 30)
    finally:
        own.start()


def test_everything_dies_at_random(server, own, ledger, dice):
    """The controller and the server's own parts are killed at random moments; each program runs once."""
    for _ in range(rounds(1)):
        jobs = []
        for _ in range(3):
            jobs.append(ledger.submit(server, "--memory", "50MiB", "--runtime", "none", seconds=dice.uniform(0, 2)))
            time.sleep(dice.uniform(0, 0.7))
            target = dice.choice(["controller", "engine", "engine", "web", "server"])
            if target == "controller":
                own.kill()
                own.start()
            elif target == "server":
                server.kill()
                server.start()
            else:
                with contextlib.suppress(psutil.NoSuchProcess):
                    server.part(target).kill()
                wait_for(server.answers)
        views = settle(server, ledger, jobs, 180)
        assert {view["state"] for view in views.values()} == {"completed"}, own.told()
