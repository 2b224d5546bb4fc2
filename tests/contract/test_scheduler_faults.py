"""Schedulers that answer late, wrong or not at all: stand-ins before the real programs, and controllers of our own."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.conftest import wait_for
from tests.contract.rig import account_of, as_account
from tests.contract.schedulers import gridengine_rig, slurm_rig, stand_in

from cluster_interface.adapters.schedulers.slurm import SlurmScheduler
from cluster_interface.model.errors import Transient
from cluster_interface.ports import UNSEEN, NativeState
from cluster_interface.settings import Defaults, Slurm

LONG = "sleep 60 & wait\n"
MAKERS = {"slurm": slurm_rig, "slurm_accounting": slurm_rig, "gridengine": gridengine_rig}
PROGRAMS = {"slurm": ("sbatch", "squeue"), "slurm_accounting": ("sbatch", "squeue"), "gridengine": ("qsub", "qstat")}


@pytest.fixture(params=list(MAKERS))
def rig(request, place, ordinary):
    """Every real scheduler of the testbed."""
    os.chown(place, account_of(ordinary).uid, -1)
    made = MAKERS[request.param](request.getfixturevalue(request.param), place, ordinary)
    made.submitter, made.lister = PROGRAMS[request.param]
    yield made
    os.environ["PATH"] = os.environ["PATH"].replace(f"{place}/bin:", "")
    made.clean()


def test_a_lost_answer_is_found(rig, monkeypatch):
    """Taken, but answered by a failure: Transient, and the mark finds it."""
    words = "Unable to contact slurm controller" if rig.submitter == "sbatch" else "commlib error: got read error"
    stand_in(rig.place, monkeypatch, rig.submitter, f'"$real" "$@" >/dev/null\necho "{words}" >&2\nexit 1\n')
    order = rig.order(LONG)
    with pytest.raises(Transient):
        rig.scheduler.submit(order)
    native_id = rig.scheduler.find(rig.handle(order.mark))
    assert native_id
    assert native_id.isdecimal()


def test_a_client_that_hangs_is_cut_off(rig, monkeypatch):
    """A program that does not end is Transient after its time."""
    stand_in(rig.place, monkeypatch, rig.lister, "exec sleep 600\n")
    object.__setattr__(rig.scheduler._clients, "timeout", 0.5)
    with pytest.raises(Transient, match="does not answer"):
        rig.scheduler.find(rig.handle("ci-late-1"))


def test_a_bad_line_costs_one_job(rig, monkeypatch):
    """Lines that cannot be read, before and after, do not hide the others."""
    handle = rig.submit(LONG)
    rig.until_running(handle)
    if rig.lister == "squeue":
        begin = "begin=$(printf '%s\\n' \"$@\" | sed -n 's/^--format=\\(@[0-9a-f]*\\).*/\\1/p')\n"
        bad = 'echo "$begin|x|y"\necho "$begin|1|[oops|u|RUNNING|N/A|n1|None|ci-bad-1"\n'
        stand_in(rig.place, monkeypatch, "squeue", f'{begin}{bad}"$real" "$@"\n{bad}')
    else:
        bad = '<job_list state="running"><JB_job_number>what</JB_job_number></job_list>'
        stand_in(rig.place, monkeypatch, "qstat", f'"$real" "$@" | sed \'s|<job_info>|<job_info>{bad}|\'\n')
    assert rig.seen(handle).state is NativeState.RUNNING


def test_a_failing_client_is_no_answer(rig, monkeypatch):
    """A list that failed, or ended early, does not make anything absent."""
    handle = rig.submit(LONG)
    for text in ("exit 1\n", "echo oops >&2; exit 1\n"):
        stand_in(rig.place, monkeypatch, rig.lister, text)
        with pytest.raises(Transient):
            rig.scheduler.observe([handle])
        with pytest.raises(Transient):
            rig.scheduler.find(handle)


def test_without_client_programs_it_says_so(rig, monkeypatch):
    """Where nothing is installed the reason names the program."""
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("cluster_interface.adapters.schedulers.clients.SYSTEM_PATH", "/nonexistent")
    with pytest.raises(Transient, match=f"{rig.lister} is not installed"):
        rig.scheduler.find(rig.handle("ci-nowhere-1"))


def test_accounting_knows_what_the_queue_forgot(place, ordinary, slurm_accounting, monkeypatch):
    """A job that squeue no longer has is looked up with sacct, its array elements too."""
    os.chown(place, account_of(ordinary).uid, -1)
    rig = slurm_rig(slurm_accounting, place, ordinary)
    handle = rig.submit("exit 3\n", elements=2)
    for element in range(2):
        rig.until_ended(handle, element)
    stand_in(place, monkeypatch, "squeue", "exit 0\n")
    fresh = slurm_rig(slurm_accounting, place, ordinary)

    def look():
        fresh.scheduler._asked.clear()
        return len(fresh.scheduler.observe([handle]).get(handle.mark, {})) == 2

    wait_for(look)
    seen = fresh.scheduler.observe([handle])[handle.mark]
    assert {o.state for o in seen.values()} == {NativeState.ENDED}
    assert fresh.scheduler.find(handle) == handle.native_id
    assert fresh.scheduler.find(fresh.handle("ci-never-1")) is None
    stand_in(place, monkeypatch, "sacct", "echo 'sacct: error: Problem talking to the database' >&2; exit 1\n")
    blind = slurm_rig(slurm_accounting, place, ordinary)
    assert blind.scheduler.observe([handle])[handle.mark][0] == UNSEEN
    with pytest.raises(Transient):
        blind.scheduler.find(handle)


def test_jobs_that_are_hidden_are_not_absent(place, ordinary, slurm, monkeypatch):
    """With PrivateData an ordinary server does not take what it cannot see for absent, its own jobs excepted."""
    os.chown(place, account_of(ordinary).uid, -1)
    private = '"$real" "$@" | sed \'s/^PrivateData .*/PrivateData = jobs,usage/\'\n'
    stand_in(place, monkeypatch, "scontrol", private)

    def body():
        rig = slurm_rig(slurm, place, ordinary)
        mine, others = rig.handle("ci-mine-1"), rig.handle("ci-mine-1").__class__(mark="ci-other-1", account="daemon")
        assert rig.scheduler.find(mine) is None
        assert rig.scheduler.observe([mine]) == {}
        assert rig.scheduler.observe([others, mine]) == {"ci-other-1": {0: UNSEEN}}
        with pytest.raises(Transient, match="PrivateData"):
            rig.scheduler.find(others)

    as_account(ordinary, body)
    assert (
        slurm_rig(slurm, place, ordinary).scheduler.find(slurm_rig(slurm, place, ordinary).handle("ci-other-1")) is None
    )  # root sees all


def test_a_requeue_from_outside_is_reported(place, ordinary, slurm):
    """An administrator's requeue makes it wait again, under the same id; the engine's claims do the rest."""
    os.chown(place, account_of(ordinary).uid, -1)
    rig = slurm_rig(slurm, place, ordinary)
    handle = rig.submit(LONG)
    rig.until_running(handle)
    refused = slurm.run("scontrol", "requeue", handle.native_id, account=None)
    assert refused.returncode != 0  # --no-requeue
    slurm.ask("scontrol", "update", f"JobId={handle.native_id}", "Requeue=1", account=None)
    slurm.ask("scontrol", "requeue", handle.native_id, account=None)
    rig.until(handle, NativeState.PENDING)
    assert rig.scheduler.find(handle) == handle.native_id
    rig.clean()
    assert rig.until_ended(handle).verdict == "canceled"


def test_two_jobs_of_one_mark(place, ordinary, slurm):
    """Should a mark have been submitted twice, the one that is most alive counts, and cancel ends both."""
    os.chown(place, account_of(ordinary).uid, -1)
    rig = slurm_rig(slurm, place, ordinary)
    first = rig.order("exit 0\n")
    native = rig.scheduler.submit(first)
    handle = rig.handle(first.mark, native)
    rig.until_ended(handle)
    ids = {rig.scheduler.submit(rig.order(LONG, mark=first.mark)) for _ in range(2)}
    rig.until_running(handle)
    assert rig.scheduler.find(handle) in ids
    rig.scheduler.cancel(handle)
    assert rig.until_ended(handle).verdict == "canceled"


@pytest.fixture
def own_slurm(own_part, place, ordinary):
    """A Slurm that no other test uses."""
    os.chown(place, account_of(ordinary).uid, -1)
    part = own_part("slurm")
    rig = slurm_rig(part, place, ordinary, timeout=4)
    run = Path("/run") / part.where["CLIF_TESTBED_NAME"]
    rig.controller = lambda: int((run / "campus-slurmctld").read_text().split()[0])
    rig.part = part
    return rig


def all_are_transient(*acts):
    """Each of these, all at once since each waits until it is cut off, says that it cannot tell."""
    with ThreadPoolExecutor(len(acts)) as pool:
        for asked in [pool.submit(act) for act in acts]:
            with pytest.raises(Transient):
                asked.result()


def test_a_controller_that_stands_still(own_slurm):
    """Stopped: nothing is concluded. Submitted meanwhile: there or not, its mark tells, and it is there but once."""
    rig = own_slurm
    known = rig.submit(LONG)
    order = rig.order(LONG)
    os.kill(rig.controller(), signal.SIGSTOP)
    try:
        all_are_transient(
            lambda: rig.scheduler.submit(order),
            lambda: rig.scheduler.find(known),
            lambda: rig.scheduler.observe([known]),
            lambda: rig.scheduler.cancel(known),
            rig.scheduler.queues,
        )
    finally:
        os.kill(rig.controller(), signal.SIGCONT)

    def settled():
        try:
            rig.scheduler.queues()
        except Transient:
            return False
        return True

    wait_for(settled)
    time.sleep(1)  # what was on its way when sbatch was cut off has arrived
    handle = rig.handle(order.mark)
    native_id = rig.scheduler.find(handle) or rig.scheduler.submit(order)
    assert rig.scheduler.find(handle) == native_id
    names = rig.part.ask("squeue", "--noheader", "--states=all", "--format=%j").split()
    assert names.count(order.mark) == 1
    assert rig.scheduler.find(known) == known.native_id


def test_a_controller_that_is_killed(own_slurm):
    """Killed just after it acknowledged: afterwards find tells the truth, and an id given again is nobody else's."""
    rig = own_slurm
    first = rig.submit(LONG)
    os.kill(rig.controller(), signal.SIGKILL)
    with pytest.raises(Transient):
        rig.scheduler.find(first)
    rig.part.control("start")
    second = rig.submit(LONG)
    names = rig.part.ask("squeue", "--noheader", "--states=all", "--format=%j %A").split("\n")
    there = dict(line.split() for line in names if line)
    assert rig.scheduler.find(first) == there.get(first.mark)
    assert rig.scheduler.find(second) == second.native_id == there[second.mark]
    assert set(rig.scheduler.observe([first, second])) == set(there) & {first.mark, second.mark}


def test_a_qmaster_that_stands_still(own_part, place, ordinary, monkeypatch):
    """Stopped: nothing is concluded, and what was submitted meanwhile is there but once."""
    os.chown(place, account_of(ordinary).uid, -1)
    part = own_part("gridengine")
    for name in part.env:
        monkeypatch.setenv(name, os.environ.get(name, ""))
    rig = gridengine_rig(part, place, ordinary, timeout=4)
    known = rig.submit(LONG)
    rig.scheduler.queues()
    order = rig.order(LONG)
    qmaster = int((Path("/run") / part.where["CLIF_TESTBED_NAME"] / "sge_qmaster").read_text().split()[0])
    os.kill(qmaster, signal.SIGSTOP)
    try:
        all_are_transient(
            lambda: rig.scheduler.submit(order),
            lambda: rig.scheduler.find(known),
            lambda: rig.scheduler.observe([known]),
            lambda: rig.scheduler.cancel(known),
        )
    finally:
        os.kill(qmaster, signal.SIGCONT)
    wait_for(lambda: part.run("qstat").returncode == 0)
    time.sleep(1)
    handle = rig.handle(order.mark)
    native_id = rig.scheduler.find(handle) or rig.scheduler.submit(order)
    assert rig.scheduler.find(handle) == native_id
    assert part.ask("qstat", "-u", "*", "-xml").count(f"<JB_name>{order.mark}<") == 1


def test_a_slurm_that_is_not_there():
    """A configuration that names nobody is Transient in words."""
    nowhere = SlurmScheduler(Slurm(conf=Path("/nonexistent/slurm.conf"), timeout=2), Defaults())
    with pytest.raises(Transient, match="Slurm does not answer"):
        nowhere.queues()
