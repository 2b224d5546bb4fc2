"""The PBS adapter with stand-ins for its programs: it is experimental, and no real PBS has been seen by it."""

import json
import os
import pwd
from pathlib import Path

import pytest

from cluster_interface.adapters.schedulers.choose import SCHEDULERS, make
from cluster_interface.adapters.schedulers.pbs import PbsScheduler
from cluster_interface.model.errors import Rejected, Transient
from cluster_interface.model.job import Account
from cluster_interface.model.plan import Ask
from cluster_interface.ports import Handle, NativeState, Order
from cluster_interface.settings import Defaults, Pbs, Settings

JOBS = {
    "Jobs": {
        "1.head": {"Job_Name": "ci-a-1", "Job_Owner": "ada@head", "job_state": "Q", "comment": "Not enough free nodes"},
        "2[].head": {"Job_Name": "ci-b-1", "Job_Owner": "ada@head", "job_state": "B"},
        "2[0].head": {"Job_Name": "ci-b-1", "Job_Owner": "ada@head", "job_state": "R", "exec_host": "n1/0*2"},
        "2[1].head": {"Job_Name": "ci-b-1", "Job_Owner": "ada@head", "job_state": "F", "Exit_status": -29},
        "3.head": {"Job_Name": "ci-a-1", "Job_Owner": "eve@head", "job_state": "R"},
        "bad": "line",
    }
}


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Stand-ins that print what a test says and write down how they were called."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def put(name, text="", code=0, words=""):
        (tmp_path / f"{name}.out").write_text(text)
        path = tmp_path / name
        path.write_text(
            f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{tmp_path}/{name}.argv\ncat {tmp_path}/{name}.out\n"
            f"echo '{words}' >&2\nexit {code}\n"
        )
        path.chmod(0o755)
        return lambda: (tmp_path / f"{name}.argv").read_text().splitlines()

    return put


def order():
    """An array for whoever runs the tests."""
    entry = pwd.getpwuid(os.geteuid())
    account = Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, home=entry.pw_dir)
    ask = Ask(cpus=2, memory=2**30, time=90, queue="work", runtime="x", disk=1)
    return Order(
        script=Path("/w/job.sh"), mark="ci-b-1", account=account, ask=ask, time=90, elements=3, offset=7, max_running=2
    )


def test_submit(programs):
    """An order becomes arguments, and the script's own after two dashes."""
    called = programs("qsub", "2[].head\n")
    assert PbsScheduler(Pbs(), Defaults()).submit(order()) == "2[].head"
    argv = called()
    assert argv[argv.index("-J") + 1] == "0-2%2"
    assert "select=1:ncpus=2:mem=1024mb" in argv
    assert argv[-4:] == ["--", "/bin/sh", "/w/job.sh", "7"]


def test_refusals_and_troubles(programs):
    """Refused in PBS's words, or to be looked at again."""
    programs("qsub", code=1, words="qsub: Unknown queue")
    with pytest.raises(Rejected, match=r"^Unknown queue$"):
        PbsScheduler(Pbs(), Defaults()).submit(order())
    programs("qsub", code=1, words="qsub: cannot connect to server head (errno=111)")
    with pytest.raises(Transient):
        PbsScheduler(Pbs(), Defaults()).submit(order())


def test_observe_find_and_waiting(programs):
    """One listing for everybody; a bad entry costs itself only."""
    programs("qstat", json.dumps(JOBS))
    scheduler = PbsScheduler(Pbs(), Defaults())
    one, two = Handle(mark="ci-a-1", account="ada"), Handle(mark="ci-b-1", account="ada")
    seen = scheduler.observe([one, two])
    assert seen["ci-a-1"][0].state is NativeState.PENDING
    assert (seen["ci-b-1"][0].state, seen["ci-b-1"][0].node) == (NativeState.RUNNING, "n1")
    assert seen["ci-b-1"][1].verdict == "time_limit"
    assert scheduler.observe([one, two])["ci-b-1"] is seen["ci-b-1"]
    assert scheduler.find(two) == "2[].head"
    assert scheduler.find(Handle(mark="ci-b-1", account="eve")) is None
    assert scheduler.waiting(one).reason == "Not enough free nodes"
    called = programs("qdel")
    scheduler.cancel(two)
    assert called() == ["2[].head"]
    programs("qstat", "", 1, "qstat: cannot connect to server")
    with pytest.raises(Transient):
        scheduler.observe([one])


def test_queues(programs):
    """Queues with what the nodes have."""
    queue = {"queue_type": "Execution", "enabled": "True", "started": "True", "resources_max": {"walltime": "24:00:00"}}
    programs("qstat", json.dumps({"Queue": {"work": queue, "route": {"queue_type": "Route"}}}))
    programs("pbsnodes", json.dumps({"nodes": {"n1": {"resources_available": {"ncpus": 8, "mem": "1048576kb"}}}}))
    (found,) = PbsScheduler(Pbs(), Defaults()).queues()
    assert (found.name, found.cpus, found.memory, found.time, found.state) == ("work", 8, 2**30, 86400, "")


def test_schedulers_are_made_by_name():
    """Each kind has a name; another is rejected."""
    assert [make(name, Settings()).name for name in SCHEDULERS] == list(SCHEDULERS)
    with pytest.raises(Rejected, match="slurm"):
        make("lsf", Settings())
