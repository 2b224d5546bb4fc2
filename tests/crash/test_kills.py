"""Death at random moments of a job's life. Only the program's own count of its runs is believed."""

import contextlib
import json
import random
import signal
import sqlite3
import subprocess
import time

import psutil
import pytest
from tests.clusters import FINAL, state_in_database
from tests.conftest import wait_for

KILLS = 10  #: per runtime
PROGRAM = """\
import os, time, six
with open("runs", "a") as file:
    file.write("run\\n")
    file.flush()
    os.fsync(file.fileno())
time.sleep({seconds})
with open("done", "w") as file:
    file.write(six.__version__)
"""


#: another engine, without a server around it
ENGINE = """
from cluster_interface import main, settings
from cluster_interface.composition import Parts
main._engine(Parts(settings.load()[0]))
"""


@pytest.fixture(scope="module", params=["docker", "bubblewrap"])
def victim(request, make_server):
    """A server that is killed over and over."""
    return make_server(request.param)


def live_works(server):
    """The detached processes of long work: forked from the engine, in sessions of their own."""
    found = []
    for process in psutil.process_iter(["name", "environ", "pid"]):
        ours = (process.info["environ"] or {}).get("CLIF_SERVER__STATE") == str(server.state)
        parts = [part.pid for part in server.processes()]
        if ours and process.info["name"] == "clif-engine" and process.pid not in parts:
            found.append(process)
    return found


def kill_something(server, dice):
    """Kill the server, the engine, the dispatcher, the web or a piece of long work, without a word."""
    target = dice.choice(["server", "engine", "work", "dispatcher", "engine", "work", "web"])
    if target == "server":
        server.kill()
        server.start()
        return target
    victims = live_works(server) if target == "work" else []
    if target != "work":
        victims = [server.part(target)]
    for process in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    return target if victims else f"{target} (none)"


def test_kills_at_random_moments_end_in_one_correct_result_each(victim):
    """Twenty kills over both runtimes: whatever dies whenever, each program runs once and its output comes back."""
    seed = time.time_ns() % 2**32
    dice = random.Random(seed)
    victim.until(victim.submit(PROGRAM.format(seconds=0.3), name="prog.py"), "completed")
    ordinary = 2.0  # seconds of a job's life on a known image, roughly: moments are drawn from somewhat more
    for number in range(KILLS):
        # every second job has an environment of its own, so that builds are killed too
        version = ["1.16.0", "1.15.0", "1.14.0", "1.13.0", "1.12.0"][number // 2 % 5]
        job = victim.submit(PROGRAM.format(seconds=0.3), "--with", f"six=={version}", name="prog.py")
        time.sleep(dice.uniform(0, ordinary))
        killed = kill_something(victim, dice)
        told = f"seed {seed}, job {number}, killed {killed}"
        view = wait_for(lambda job=job: final(victim, job), seconds=120)
        assert view["state"] == "completed", (told, view["reason"], victim.clif("logs", job, "--err").stdout)
        task = victim.state / "jobs" / job / "tasks/0"
        assert (task / "runs").read_text() == "run\n", told
        assert [attempt["number"] for attempt in view["attempts"]] == [1], told
        assert sorted(o["path"] for o in victim.json("outputs", job)["outputs"]) == ["done", "runs"], told


def final(server, job):
    """Return the job when it has ended; the server may be away for a moment."""
    if state_in_database(server, job) not in FINAL:
        return None
    done = server.clif("status", job, "--json")
    if done.returncode != 0:
        return None
    return json.loads(done.stdout)


def pause_outside_a_write(server, engine):
    """Stop the engine and let its leases run out; not where it holds the database, which stops everybody."""
    engine.suspend()
    with contextlib.closing(sqlite3.connect(server.state / "cluster-interface.db", timeout=0.5)) as db:
        try:
            db.execute("UPDATE job SET lease_until = 0")
            db.commit()
        except sqlite3.OperationalError:
            engine.resume()
            return False
    return True


def test_two_engines_on_one_database_act_once_per_job(victim):
    """One engine is stopped in the middle, its leases run out, another takes over; then it wakes, and changes nothing."""
    jobs = [victim.submit(PROGRAM.format(seconds=0.3), name="prog.py") for _ in range(3)]
    first = victim.part("engine")
    time.sleep(0.15)
    wait_for(lambda: pause_outside_a_write(victim, first))
    python = victim.argv()[:-2]  # without -m and the command line's module
    second = subprocess.Popen([*python, "-c", ENGINE], env=victim.env, stderr=subprocess.DEVNULL)
    try:
        with contextlib.suppress(AssertionError):  # the sleeper may hold a lock that one of them needs
            wait_for(lambda: all(final(victim, job) for job in jobs), seconds=6)
        first.resume()
        more = victim.submit(PROGRAM.format(seconds=0.3), name="prog.py")
        for job in [*jobs, more]:
            view = wait_for(lambda job=job: final(victim, job), seconds=120)
            assert view["state"] == "completed", view["reason"]
            assert (victim.state / "jobs" / job / "tasks/0/runs").read_text() == "run\n"
            moves = [event["new"] for event in victim.json("events", job)["events"]]
            assert len(moves) == len(set(moves)), moves
    finally:
        first.resume()
        second.kill()
        second.wait()
