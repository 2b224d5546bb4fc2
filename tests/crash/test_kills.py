"""Death at random moments of a job's life. Only the program's own count of its runs is believed."""

import contextlib
import json
import random
import signal
import time

import psutil
import pytest
from tests.conftest import wait_for

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


@pytest.fixture(scope="module", params=["docker", "bubblewrap"])
def victim(request, make_server):
    """A server that is killed over and over."""
    return make_server(request.param)


def live_works(server):
    """The detached processes of long work: forked from the engine, in sessions of their own."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ", "ppid", "pid"]):
        ours = (process.info["environ"] or {}).get("CLIF_SERVER__STATE") == str(server.state)
        parts = [part.pid for part in server.processes()]
        if ours and (process.info["cmdline"] or [])[-2:] == ["--part", "engine"] and process.pid not in parts:
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
        try:
            victims = [server.part(target)]
        except StopIteration:  # it is just being started again
            return f"{target} (away)"
    for process in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    return target if victims else f"{target} (none)"


def test_twenty_kills_end_in_one_correct_result_each(victim):
    """Whatever is killed whenever in twenty jobs' lives, each program runs once and its output comes back."""
    seed = time.time_ns() % 2**32
    dice = random.Random(seed)
    victim.until(victim.submit(PROGRAM.format(seconds=0.3), name="prog.py"), "completed")
    ordinary = 2.0  # seconds of a job's life on a known image, roughly: moments are drawn from somewhat more
    for number in range(20):
        # every fourth job has an environment of its own, so that builds are killed too
        version = ["1.16.0", "1.15.0", "1.14.0", "1.13.0", "1.12.0"][number // 4 % 5]
        job = victim.submit(PROGRAM.format(seconds=0.3), "--with", f"six=={version}", name="prog.py")
        time.sleep(dice.uniform(0, ordinary))
        killed = kill_something(victim, dice)
        told = f"seed {seed}, job {number}, killed {killed}"
        view = wait_for(lambda job=job: final(victim, job), seconds=90)
        assert view["state"] == "completed", (told, view["reason"], victim.clif("logs", job, "--err").stdout)
        task = victim.state / "jobs" / job / "tasks/0"
        assert (task / "runs").read_text() == "run\n", told
        assert [attempt["number"] for attempt in view["attempts"]] == [1], told
        assert sorted(o["path"] for o in victim.json("outputs", job)["outputs"]) == ["done", "runs"], told


def final(server, job):
    """Return the job when it has ended; the server may be away for a moment."""
    done = server.clif("status", job, "--json")
    if done.returncode != 0:
        return None
    view = json.loads(done.stdout)
    return view if view["state"] in ("completed", "failed", "canceled") else None


def test_a_paused_engine_that_wakes_after_its_lease_changes_nothing(victim):
    """An engine stopped in the middle and overtaken by another one writes nothing under its lost lease."""
    job = victim.submit(PROGRAM.format(seconds=1), name="prog.py")
    engine = victim.part("engine")
    time.sleep(0.1)
    engine.suspend()
    time.sleep(0.5)
    engine.resume()
    view = wait_for(lambda: final(victim, job), seconds=60)
    assert view["state"] == "completed"
    assert (victim.state / "jobs" / job / "tasks/0/runs").read_text() == "run\n"
