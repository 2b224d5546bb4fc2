"""Jobs are canceled at random moments of their lives, in every runtime: nothing of them is left."""

import json
import random
import time

import pytest
from tests.clusters import FINAL, OwnSlurm, cluster_server, left_of, rounds, say, state_in_database
from tests.conftest import wait_for

RUNTIMES = ("docker", "podman", "apptainer", "bubblewrap", "charliecloud")
MOST = 60.0  #: seconds from the cancel until something is taken to be left for ever; the report says how long it was
LIFE = 5.0  #: seconds from which the moments are drawn
PROGRAMS = {
    "obeys": "#!/bin/sh\necho on\nsleep 300 &\nwait\n",
    "ignores": "#!/bin/sh\ntrap '' TERM INT\necho on\nsleep 301 &\nwhile :; do sleep 0.2; done\n",
    "leaves": "#!/bin/sh\necho on\nsetsid sleep 302 &\nnohup sh -c 'sleep 303; :' >/dev/null 2>&1 &\nsleep 304\n",
    "short": "#!/bin/sh\necho on\nsleep 1\n",
    "writes": "#!/bin/sh\necho on\nseq -f f%g 3000 | xargs touch\n",
}
QUICK = ("short", "writes")  #: what may have completed before it is canceled
LARGE = 256 * 2**20  #: bytes of an input that takes a moment to read
#: Half of the rounds cancel in one of these, which a job is given a reason to stay in for a while.
DRAWN = ("submitted", "preparing", "queued", "running", "staging_out")


@pytest.fixture(scope="module")
def own(own_part_of_module, podman, apptainer, charliecloud):
    """A Slurm of this file's own, on nodes with every runtime."""
    return OwnSlurm(own_part_of_module("slurm"))


@pytest.fixture(scope="module")
def server(make_server, own):
    """A server on it."""
    return cluster_server(make_server, own.part)


def cancel_at_random(server, kinds, natives, number):
    """Submit jobs, cancel them at random moments, and return how long each took until nothing was left of it."""
    seed = time.time_ns() % 2**32
    dice = random.Random(seed)
    for options in kinds:  # the image is there, whenever a job is canceled
        server.until(server.submit("#!/bin/sh\ntrue\n", *options), "completed")
    took, bad, tally = [], [], {}
    queue = [kinds[n % len(kinds)] for n in range(number)]
    while queue:
        batch, drawn = [], dice.choice([*DRAWN, None, None, None, None])
        together = 1 if drawn else dice.choice([1, 1, 3])
        for asked in [queue.pop() for _ in range(min(together, len(queue)))]:
            kind = "writes" if drawn == "staging_out" else dice.choice(list(PROGRAMS))
            options = (*asked, *reason_to_stay(server, drawn))
            job = server.submit(PROGRAMS[kind], "--memory", "100MiB", *options, name=f"{kind}.sh")
            if drawn:
                until_in(server, job, drawn)
            batch.append((time.monotonic() + dice.uniform(0, LIFE / 10 if drawn else LIFE), job, kind, options))
        for at, job, kind, options in sorted(batch):
            time.sleep(max(0.0, at - time.monotonic()))
            was = state_in_database(server, job)
            begun = time.monotonic()
            assert server.asked(f"/jobs/{job}/cancel", "POST")[0] in (202, 409)
            told = f"seed {seed}, {job}, {kind}, {options}, canceled while {was}"
            state = wait_for(lambda job=job: (s := state_in_database(server, job)) in FINAL and s, 60, 0.02)
            ended = time.monotonic() - begun
            left = left_of(f"ci-{job}-") + natives(f"ci-{job}-")
            at_once = left
            while left and time.monotonic() - begun < MOST:
                time.sleep(0.1)
                left = left_of(f"ci-{job}-") + natives(f"ci-{job}-")
            whole = time.monotonic() - begun
            took.append((ended, whole))
            tally[was, state] = tally.get((was, state), 0) + 1
            allowed = ("completed", "canceled") if kind in QUICK else ("canceled",)
            if left or state not in allowed:
                bad.append((told, state, round(ended, 2), left))
            if at_once:
                which = "left at once", *options[:2]
                tally[which] = tally.get(which, 0) + 1
    report(took, tally, bad)
    assert not bad, bad


def reason_to_stay(server, state):
    """Return options that keep a job in a state for a while: a large input to look at and to copy, many outputs."""
    if state in ("submitted", "preparing"):
        large = server.work / "large"
        if not large.exists():
            large.write_bytes(bytes(LARGE))
        return ["--input", f"large=file:{large}"]
    return ["--output", "f*"] if state == "staging_out" else []


def until_in(server, job, state):
    """Wait until a job is in a state, or past it."""

    def come():
        now = state_in_database(server, job)
        return now in FINAL or (now in DRAWN and DRAWN.index(now) >= DRAWN.index(state))

    try:
        wait_for(come, 120, 0.002)
    except AssertionError:
        say(job, "is not", state, server.clif("status", job).stdout, server.clif("events", job).stdout)
        raise


def report(took, tally, bad):
    """Say what was measured, for whoever reads it with -s."""
    for name, values in (("ended", sorted(t[0] for t in took)), ("nothing left", sorted(t[1] for t in took))):
        p = [values[min(len(values) - 1, int(len(values) * q))] for q in (0.5, 0.95, 1)]
        say(f"\n{name}: n {len(values)}, p50 {p[0]:.2f} s, p95 {p[1]:.2f} s, max {p[2]:.2f} s")
    say(json.dumps({" -> ".join(map(str, k)): v for k, v in tally.items()}, indent=1), *bad, sep="\n")


def test_cancels_on_slurm(server, own):
    """Whatever the moment and the runtime: canceled, or completed if it was faster, and nothing is left."""
    cancel_at_random(server, [("--runtime", name) for name in RUNTIMES], own.native, rounds(8))


def test_cancels_on_grid_engine(make_server, gridengine):
    """The same where the scheduler limits the address space and kills without a warning."""
    server = cluster_server(make_server, gridengine, schedulers="gridengine")
    works = server.json("queues")["queues"][0]["runtimes"]

    def natives(mark):
        text = gridengine.ask("qstat", "-u", "*", "-xml")
        return [mark] if f"<JB_name>{mark}" in text else []

    cancel_at_random(server, [("--runtime", name) for name in works], natives, rounds(2))


@pytest.mark.parametrize("runtime", ["docker", "bubblewrap"])
def test_cancels_on_one_machine(make_server, runtime):
    """The same with the scheduler of one machine."""
    cancel_at_random(make_server(runtime), [()], lambda _: [], rounds(2))
