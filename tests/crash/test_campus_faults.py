"""A cluster's controller and nodes die, stand still and forget. Only the programs' own count of runs is believed."""

import random
import time

import pytest
from tests.clusters import Ledger, OwnSlurm, cluster_server, ending, handed, rounds
from tests.conftest import wait_for

TIMEOUT = 4  #: seconds after which the server cuts Slurm's programs off
CONFIG = '[queues.main]\nruntimes = ["none"]\n[queues.short]\nhidden = true\n'


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
    print(f"seed {seed}")
    return random.Random(seed)


def settle(server, ledger, jobs, seconds=120):
    """Wait for all of these to end, and check each."""
    views = {job: ending(server, job, seconds) for job in jobs}
    for job, view in views.items():
        print(
            job,
            view["state"],
            view["code"],
            view["reason"],
            ledger.runs(job),
            "runs",
            [a["number"] for a in view["attempts"]],
        )
        if view["state"] != "completed":
            print(server.clif("events", job).stdout)
        elif len(view["attempts"]) > 1:
            print("\n".join(line for line in server.log.read_text().splitlines()[-40:]))
        ledger.check(server, job, view)
    return views


def test_the_controller_is_killed_just_after_it_took_a_job(server, own, ledger, dice):
    """Its state is kept or lost: each program runs once, and each job has its own result."""
    for _ in range(rounds(3)):
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
    """What was taken without an answer is found by its mark, and runs once."""
    for number in range(rounds(3)):
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
        assert all(len(view["attempts"]) == 1 for view in views.values())


def test_a_requeue_from_outside(server, own, ledger, dice):
    """What an administrator puts back into the queue does not run twice; what has not begun runs once."""
    for _ in range(rounds(2)):
        running = ledger.submit(server, "--memory", "50MiB", seconds=30)
        again = ledger.submit(server, "--memory", "50MiB", "--retry", "node_failed=1", seconds=4)
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
